// Accounts that live beside our own tables. Knows passwords and no SQL.

import type { Directory, DirectoryAccount } from '../flows/ports.ts';
import type { Decoys } from './decoys.ts';
import type { Passwords, StoredPassword } from './passwords.ts';

/** What the embedded directory reads; the store has it. */
export interface DirectoryEntries {
  byId(accountId: string): Promise<DirectoryAccount | undefined>;
  byEmail(email: string): Promise<DirectoryAccount | undefined>;
  /** With the hash to compare, and the version of it that a later transaction can check. */
  withPassword(
    email: string,
  ): Promise<(DirectoryAccount & StoredPassword & { readonly passwordVersion: number }) | undefined>;
}

export function createEmbeddedDirectory(entries: DirectoryEntries, passwords: Passwords, decoys: Decoys): Directory {
  return {
    verifyPassword: async (email, password) => {
      // Chosen for every address, so that choosing tells nothing.
      const decoy = decoys.for(email);
      const entry = await entries.withPassword(email);
      const matches = await passwords.verify(entry ?? decoy, password);
      if (entry === undefined) return { account: undefined, matches: false, passwordVersion: undefined };
      const { accountId, passwordVersion, passwordHash: before } = entry;
      const verdict = { account: { accountId, email: entry.email, locale: entry.locale }, matches, passwordVersion };
      if (!matches || !passwords.isOutdated(entry, password)) return verdict;
      return { ...verdict, renewHash: async () => ({ before, passwordHash: await passwords.hash(password) }) };
    },
    getAccount: (accountId) => entries.byId(accountId),
    lookUpAccount: (email) => entries.byEmail(email),
  };
}
