// Accounts of another system, taken over with the hashes of their passwords. Only where the directory is embedded.

import { normaliseEmail } from '../domain/email.ts';
import { DomainError } from '../domain/errors.ts';
import type { ImportResult } from '../domain/import.ts';
import { hashForms, parsePasswordHash } from '../domain/password-hash.ts';
import { type Deps, newEntry, writerOf } from './accounts.ts';

export interface ImportRequest {
  /** Empty: it gets a new one. */
  readonly accountId: string;
  readonly email: string;
  /** BCP 47; empty for English. */
  readonly locale: string;
  readonly passwordHash: string;
}

/** What became of each, in their order. One whose hash is none of a known form, and none is imported. */
export async function importAccounts(deps: Deps, accounts: readonly ImportRequest[]): Promise<readonly ImportResult[]> {
  const writer = writerOf(deps);
  const violations = accounts.flatMap(({ passwordHash }, index) =>
    parsePasswordHash(passwordHash) === undefined
      ? [{ field: `accounts[${index}].password_hash`, description: hashForms }]
      : [],
  );
  if (violations.length > 0) throw new DomainError({ reason: 'REQUEST_INVALID', violations });
  const now = deps.clock.now();
  return writer.importAccounts(
    accounts.map(({ accountId, passwordHash, ...entry }) => ({
      accountId: accountId || deps.random.uuid(now),
      keepsId: accountId !== '',
      ...newEntry(entry),
      normalisedEmail: normaliseEmail(entry.email),
      passwordHash,
      createTime: now,
    })),
  );
}
