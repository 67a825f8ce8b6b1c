// Budgets of what a stranger may try, counted before anything is looked at: guesses at a password, and asking for its reset. What is
// counted hangs on the address, known or not, so that a refusal says nothing of it.

import { normaliseEmail } from '../domain/email.ts';
import { DomainError } from '../domain/errors.ts';
import { admitPasswordGuess, type Budget, budgetWait, type PasswordGuess } from '../domain/limits.ts';
import { networkOf } from '../domain/network.ts';
import type { Deps } from './context.ts';

/** A guess that was counted, and may be taken back. */
export interface CountedGuess {
  readonly id: string;
  readonly key: Uint8Array;
  readonly deviceId: string | null;
}

type Hashing = Pick<Deps, 'secrets'>;

/**
 * No account's own address has other characters than these (the contract's rule `email`), but a directory's collation may take `ánna@`
 * for `anna@`, in as many spellings as one likes: all of those share one budget.
 */
const plain = /^[\x21-\x7e]*$/;
function passwordKey({ secrets }: Hashing, email: string): Uint8Array {
  const address = normaliseEmail(email);
  return secrets.hashOf(plain.test(address) ? address : 'other characters\0');
}
// Apart from the one before: no address has such a byte.
const resetKey = ({ secrets }: Hashing, email: string) => secrets.hashOf(`password reset\0${normaliseEmail(email)}`);
const resetTriesKey = ({ secrets }: Hashing, accountId: string) => secrets.hashOf(`password reset try\0${accountId}`);

/** All that is counted of an account, by its key: whoever erases the account erases these. */
export const guessKeys = (deps: Hashing, email: string, accountId: string): readonly Uint8Array[] => [
  passwordKey(deps, email),
  resetKey(deps, email),
  resetTriesKey(deps, accountId),
];

/** The guesses of late at the password behind an address, and the key that they are kept under. */
export async function guessesAt(deps: Deps, email: string) {
  const key = passwordKey(deps, email);
  return { key, past: await deps.store.passwordGuesses(key) };
}

/** Counts a guess before the password is looked at; a trusted device has a budget of its own. */
export function countGuess(
  deps: Deps,
  { key, past }: { readonly key: Uint8Array; readonly past: readonly PasswordGuess[] },
  ipAddress: string,
  deviceId: string | null,
  now: Date,
): Promise<CountedGuess> {
  return count(deps, key, past, ipAddress, deviceId, now, (before, guess) =>
    admitPasswordGuess(before, guess, deps.limits),
  );
}

/** Counts that somebody asks for a link that sets a new password: by network, and over all. */
export async function countResetRequest(deps: Deps, email: string, ipAddress: string, now: Date): Promise<void> {
  const { passwordResetsPerNetwork, passwordResetsOverall } = deps.limits;
  await countWithin(deps, resetKey(deps, email), ipAddress, now, passwordResetsOverall, passwordResetsPerNetwork);
}

/** Counts a new password that is tried with a link, before it is looked at: each takes as long as a sign-in. */
export async function countResetTry(deps: Deps, accountId: string, ipAddress: string, now: Date): Promise<void> {
  await countWithin(deps, resetTriesKey(deps, accountId), ipAddress, now, deps.limits.passwordResetTries);
}

async function countWithin(
  deps: Deps,
  key: Uint8Array,
  ipAddress: string,
  now: Date,
  overall: Budget,
  perNetwork: Budget = overall,
): Promise<void> {
  const past = await deps.store.passwordGuesses(key);
  await count(deps, key, past, ipAddress, null, now, (before, guess) => {
    const kept = before.filter(({ time }) => time > guess.time - overall.windowMs);
    const wait = (counted: readonly PasswordGuess[], budget: Budget) =>
      budgetWait(
        counted.map(({ time }) => time),
        budget,
        guess.time,
      );
    const ofNetwork = kept.filter(({ network }) => network === guess.network);
    const waitMs = Math.max(wait(kept, overall), wait(ofNetwork, perNetwork));
    return { guesses: waitMs === 0 ? [...kept, guess] : kept, waitMs };
  });
}

/** More than the guesses that strangers have at once: whoever loses so often is one of a crowd at one address. */
const mostLaps = 20;

async function count(
  deps: Deps,
  key: Uint8Array,
  before: readonly PasswordGuess[],
  ipAddress: string,
  deviceId: string | null,
  now: Date,
  admit: (
    past: readonly PasswordGuess[],
    guess: PasswordGuess,
  ) => { readonly guesses: readonly PasswordGuess[]; readonly waitMs: number },
): Promise<CountedGuess> {
  const guess = { id: deps.random.uuid(now), time: now.getTime(), network: networkOf(ipAddress), deviceId };
  // Of those who count at once one is first; the others look again, until the budget ends it, or their patience.
  let past = before;
  for (let lap = 0; lap < mostLaps; lap++) {
    const { guesses, waitMs } = admit(past, guess);
    if (waitMs > 0) throw new DomainError({ reason: 'RATE_LIMITED', retryAfterMs: waitMs });
    const counted = await deps.store.replacePasswordGuesses(key, past, guesses, now).catch(async (error) => {
      // It may have been counted, and nothing will be compared.
      await deps.store.forgetPasswordGuess(key, guess.id).catch(() => {});
      throw error;
    });
    if (counted) return { id: guess.id, key, deviceId };
    past = await deps.store.passwordGuesses(key);
  }
  throw new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 500 });
}
