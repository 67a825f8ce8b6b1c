// What every new password brings, whoever sets it: the sessions of before end, and so does what they have asked for.

import type { Account } from '../domain/account.ts';
import type { AccountTransaction, SessionFilter } from './store-ports.ts';

/**
 * Returns the account with it; sessions that fit `ending` end. Telling of it, and what becomes of trust, is for the caller. Without a
 * hash the password itself is kept elsewhere.
 */
export function replacePassword(
  tx: AccountTransaction,
  account: Account,
  passwordHash: string | undefined,
  ending: SessionFilter,
  now: Date,
): Account {
  const changed = { ...account, passwordVersion: account.passwordVersion + 1, passwordChangeRequired: false };
  if (passwordHash !== undefined) tx.setPasswordHash(passwordHash, now);
  tx.saveAccount(changed);
  tx.endSessions(ending, 'PASSWORD_CHANGED', now);
  tx.closeChallenges(now);
  return changed;
}
