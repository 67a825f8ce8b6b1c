// The accounts, by id and by address: what stands for a table of users.

export interface Account {
  /** What every other system knows the account by; it never changes, and is never given to another. */
  readonly accountId: string;
  readonly email: string;
  /** BCP 47. */
  readonly locale: string;
  readonly passwordHash: string;
}

export interface Accounts {
  byId(accountId: string): Account | undefined;
  /** However the address is written. */
  byEmail(email: string): Account | undefined;
  /** Adds an account, or replaces the one with its id. */
  put(account: Account): void;
  delete(accountId: string): void;
}

export function createAccounts(stored: readonly Account[] = []): Accounts {
  const accounts = new Map(stored.map((account) => [account.accountId, account]));
  return {
    byId: (accountId) => accounts.get(accountId),
    byEmail: (email) => accounts.values().find((account) => normalise(account.email) === normalise(email)),
    put: (account) => void accounts.set(account.accountId, account),
    delete: (accountId) => void accounts.delete(accountId),
  };
}

/** As Countersign counts guesses: spellings that you take for one address and it does not would have a budget each. */
const normalise = (email: string) => email.trim().normalize('NFKC').toLowerCase();
