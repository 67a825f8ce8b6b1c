// What a check of the doctor's says. It must not know what is checked.

export interface Finding {
  readonly status: 'ok' | 'warn' | 'fail' | 'skip';
  /** What was found; nothing secret. */
  readonly message: string;
  /** What to do about it; empty where there is nothing to do. */
  readonly mend: string;
}

export const ok = (message: string): Finding => ({ status: 'ok', message, mend: '' });
export const warn = (message: string, mend = ''): Finding => ({ status: 'warn', message, mend });
export const fail = (message: string, mend = ''): Finding => ({ status: 'fail', message, mend });
export const skip = (message: string): Finding => ({ status: 'skip', message, mend: '' });

/** A machine that does not answer is not waited for longer. */
export const patienceMs = 5_000;

export function wordsOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(wordsOf).join(', ');
  if (!(error instanceof Error)) return String(error);
  // fetch says why only in the cause.
  return error.cause instanceof Error ? `${error.message}: ${wordsOf(error.cause)}` : error.message;
}

const day = 86_400_000;

/** How long a certificate is good. */
export function expiryFinding(what: string, expiry: Date, now: Date): Finding {
  const days = Math.floor((expiry.getTime() - now.getTime()) / day);
  if (days < 0) return fail(`${what} is over since ${expiry.toISOString().slice(0, 10)}`, 'renew it');
  return days < 14 ? warn(`${what} ends in ${days} days`, 'renew it') : ok(`${what} is good for ${days} days`);
}
