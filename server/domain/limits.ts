// The numbers of the product and the arithmetic of budgets. Pure: takes the time as a value, keeps nothing.

/** `count` events within `windowMs` milliseconds. */
export interface Budget {
  readonly count: number;
  readonly windowMs: number;
}

/** Every number that an operator may set; `config.ts` gives the defaults and their sources. Times in milliseconds. */
export interface Limits {
  readonly codeDigits: number;
  readonly challengeLifetimeMs: number;
  readonly wrongCodesPerChallenge: number;
  readonly sendsPerChannel: number;
  /** The wait before the second, third, … send on a channel; the last one repeats. */
  readonly resendWaitsMs: readonly number[];
  /** A code that no device has shown within this counts as not arrived by app. */
  readonly shownWithinMs: number;
  readonly challengesPerAccount: Budget;
  readonly wrongCodesBeforeWait: number;
  readonly wrongCodeFirstWaitMs: number;
  readonly wrongCodeLongestWaitMs: number;
  readonly wrongCodesBeforeLock: number;
  readonly passwordGuessesPerNetwork: Budget;
  readonly passwordGuessesOverall: Budget;
  readonly passwordGuessesPerDevice: Budget;
  /** Asking for links that set a new password, for an address. */
  readonly passwordResetsPerNetwork: Budget;
  readonly passwordResetsOverall: Budget;
  /** New passwords that are tried with the links of an account. */
  readonly passwordResetTries: Budget;
  readonly repeatWindowMs: number;
  readonly refreshGraceMs: number;
  readonly accessTokenLifetimeMs: number;
  readonly sessionIdleMs: number;
  readonly sessionLifetimeMs: number;
  readonly trustIdleMs: number;
  readonly trustedDevicesPerAccount: number;
  readonly activityRetentionMs: number;
  readonly auditRetentionMs: number;
}

/** Milliseconds until one more event fits into the budget; 0 where it fits now. `times` in any order, epoch ms. */
export function budgetWait(times: readonly number[], budget: Budget, now: number): number {
  const inWindow = times.filter((time) => time > now - budget.windowMs).sort((a, b) => b - a);
  const blocking = inWindow[budget.count - 1];
  return blocking === undefined ? 0 : blocking + budget.windowMs - now;
}

/** One guess at the password behind an e-mail address, as it is remembered for an hour. */
export interface PasswordGuess {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly time: number;
  /** The /24 or /48 that it came from. */
  readonly network: string;
  /** The trusted device that made it: such guesses have a budget of their own. */
  readonly deviceId: string | null;
}

/**
 * Whether one more password guess may be looked at, counted before it is: strangers spend the budgets of their network
 * and of the address, a trusted device only its own (OWASP device cookies), so strangers can't lock the owner out.
 */
export function admitPasswordGuess(
  guesses: readonly PasswordGuess[],
  guess: PasswordGuess,
  limits: Limits,
): { readonly guesses: readonly PasswordGuess[]; readonly waitMs: number } {
  const kept = guesses.filter(
    (past) =>
      past.time >
      guess.time - Math.max(limits.passwordGuessesOverall.windowMs, limits.passwordGuessesPerNetwork.windowMs),
  );
  const timesOf = (include: (past: PasswordGuess) => boolean) => kept.filter(include).map((past) => past.time);
  const waitMs =
    guess.deviceId === null
      ? Math.max(
          budgetWait(
            timesOf((past) => past.deviceId === null && past.network === guess.network),
            limits.passwordGuessesPerNetwork,
            guess.time,
          ),
          budgetWait(
            timesOf((past) => past.deviceId === null),
            limits.passwordGuessesOverall,
            guess.time,
          ),
        )
      : budgetWait(
          timesOf((past) => past.deviceId === guess.deviceId),
          limits.passwordGuessesPerDevice,
          guess.time,
        );
  return { guesses: waitMs === 0 ? [...kept, guess] : kept, waitMs };
}
