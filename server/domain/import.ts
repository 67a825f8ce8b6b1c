// What becomes of accounts of another system that are to be taken over. Pure: takes what is there already as a value.

export type ImportOutcome = 'CREATED' | 'EXISTS' | 'CONFLICT';

export interface ImportResult {
  readonly outcome: ImportOutcome;
  /** Of the account that has this address or, where only that is taken, this id. */
  readonly accountId: string;
}

/** What an account is known by. */
export interface ImportKey {
  /** Of the other system, or a new one. */
  readonly accountId: string;
  /** Whether it is the other system's. */
  readonly keepsId: boolean;
  readonly normalisedEmail: string;
  readonly passwordHash: string;
}

/** The accounts that are there already, as far as they have one of those addresses or ids. */
export interface Taken {
  /** By normalised address. */
  readonly ownerOf: ReadonlyMap<string, string>;
  readonly accountIds: ReadonlySet<string>;
}

/** One result for each, in their order. Of two with one address or id the first counts; the other finds it there, if its
 * hash is the same: else they are two people. */
export function decideImport(entries: readonly ImportKey[], taken: Taken): readonly ImportResult[] {
  const ownerOf = new Map(taken.ownerOf);
  const accountIds = new Set(taken.accountIds);
  const hashOf = new Map<string, string>();
  return entries.map(({ accountId, keepsId, normalisedEmail, passwordHash }) => {
    const owner = ownerOf.get(normalisedEmail);
    if (owner !== undefined) {
      const isAnother = (keepsId && owner !== accountId) || (hashOf.get(owner) ?? passwordHash) !== passwordHash;
      return { outcome: isAnother ? 'CONFLICT' : 'EXISTS', accountId: owner };
    }
    if (accountIds.has(accountId)) return { outcome: 'CONFLICT', accountId };
    ownerOf.set(normalisedEmail, accountId);
    accountIds.add(accountId);
    hashOf.set(accountId, passwordHash);
    return { outcome: 'CREATED', accountId };
  });
}
