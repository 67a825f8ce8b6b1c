// Accounts that live beside our own tables.

import type { Directory } from '../flows/ports.ts';
import { directoryAccount, directoryAccountByEmail, passwordByEmail } from '../store/accounts.ts';
import type { Database } from '../store/database.ts';
import type { Passwords } from './passwords.ts';

export function createEmbeddedDirectory(database: Database, passwords: Passwords): Directory {
  return {
    verifyPassword: async (email, password) => {
      const entry = await database.read((db) => passwordByEmail(db, email));
      const matches = await passwords.verify(entry?.passwordHash, password);
      if (entry === undefined) return { account: undefined, matches: false, passwordVersion: undefined };
      const { accountId, passwordVersion } = entry;
      return { account: { accountId, email: entry.email, locale: entry.locale }, matches, passwordVersion };
    },
    getAccount: (accountId) => database.read((db) => directoryAccount(db, accountId)),
    lookUpAccount: (email) => database.read((db) => directoryAccountByEmail(db, email)),
  };
}
