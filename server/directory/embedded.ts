// Accounts that live beside our own tables. Knows passwords and no SQL.

import type { Directory, DirectoryAccount } from '../flows/ports.ts';
import type { Passwords } from './passwords.ts';

/** What the embedded directory reads; the store has it. */
export interface DirectoryEntries {
  byId(accountId: string): Promise<DirectoryAccount | undefined>;
  byEmail(email: string): Promise<DirectoryAccount | undefined>;
  /** With the hash to compare, and the version of it that a later transaction can check. */
  withPassword(
    email: string,
  ): Promise<(DirectoryAccount & { readonly passwordHash: string; readonly passwordVersion: number }) | undefined>;
}

export function createEmbeddedDirectory(entries: DirectoryEntries, passwords: Passwords): Directory {
  return {
    verifyPassword: async (email, password) => {
      const entry = await entries.withPassword(email);
      const matches = await passwords.verify(entry?.passwordHash, password);
      if (entry === undefined) return { account: undefined, matches: false, passwordVersion: undefined };
      const { accountId, passwordVersion } = entry;
      return { account: { accountId, email: entry.email, locale: entry.locale }, matches, passwordVersion };
    },
    getAccount: (accountId) => entries.byId(accountId),
    lookUpAccount: (email) => entries.byEmail(email),
  };
}
