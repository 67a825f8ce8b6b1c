// What this product keeps of an account, wherever the account itself lives; and the rule of wrong codes. Pure.

import type { Limits } from './limits.ts';

export interface Account {
  readonly accountId: string;
  readonly createTime: Date;
  readonly twoStepEnabled: boolean;
  readonly passwordChangeRequired: boolean;
  /** Goes up with every new password, so that a sign-in that began with the old one is noticed. */
  readonly passwordVersion: number;
  /** Wrong codes since the last right one, over channels, challenges and sign-ins. */
  readonly wrongCodes: number;
  readonly lastWrongCodeTime: Date | null;
  /** ISO 3166-1 alpha-2 codes from which it was used, newest first; null before that was kept. */
  readonly countries: readonly string[] | null;
}

/** An account as it begins: with two-step verification on. */
export function newAccount(accountId: string, createTime: Date): Account {
  return {
    accountId,
    createTime,
    twoStepEnabled: true,
    passwordChangeRequired: false,
    // One that was erased and comes again with its id is not held to what was promised of its former password. 31 bits are an integer's.
    passwordVersion: createTime.getTime() % 2 ** 30,
    wrongCodes: 0,
    lastWrongCodeTime: null,
    countries: null,
  };
}

export type VerificationAdmission =
  | { readonly kind: 'open' }
  | { readonly kind: 'wait'; readonly waitMs: number }
  | { readonly kind: 'locked' };

/**
 * Whether a code may be tried now. From 30 wrong codes on the tries wait 1 minute, doubling to 1 hour; at 100 nothing
 * opens or verifies (NIST SP 800-63B-4, 3.2.2: at most 100 consecutive failures, and a new code does not reset them).
 */
export function admitVerification(account: Account, limits: Limits, now: Date): VerificationAdmission {
  if (account.wrongCodes >= limits.wrongCodesBeforeLock) return { kind: 'locked' };
  if (account.wrongCodes < limits.wrongCodesBeforeWait || account.lastWrongCodeTime === null) return { kind: 'open' };
  const doublings = account.wrongCodes - limits.wrongCodesBeforeWait;
  const wait = Math.min(limits.wrongCodeFirstWaitMs * 2 ** doublings, limits.wrongCodeLongestWaitMs);
  const waitMs = account.lastWrongCodeTime.getTime() + wait - now.getTime();
  return waitMs > 0 ? { kind: 'wait', waitMs } : { kind: 'open' };
}
