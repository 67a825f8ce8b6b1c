// What the answers of the push services have in common: how long to wait, and words that are fit to be kept. It knows
// neither service.

import { oneLine } from '../texts/untrusted.ts';

const longestWords = 300;

/**
 * RFC 9110, 10.2.3: `Retry-After` is a number of seconds, or a date.
 * @returns milliseconds from `now`, never negative; nothing where the header is absent or unreadable.
 */
export function retryAfter(header: string | undefined, now: Date): { readonly afterMs?: number } {
  if (header === undefined) return {};
  const ms = /^\s*\d+\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now.getTime();
  return Number.isNaN(ms) ? {} : { afterMs: Math.max(0, ms) };
}

/** What an error says, for whoever reads why nobody answered. */
export function wordsOf(error: unknown): string {
  // A connection that was tried at several addresses says nothing itself.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(wordsOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}

/** Words for the record: on one line, of bounded length, and without the secret that a provider may have quoted. */
export function fitForRecord(words: string, secret: string): string {
  const hidden = secret === '' ? words : words.replaceAll(secret, '[token]');
  return oneLine(hidden.toWellFormed(), longestWords);
}
