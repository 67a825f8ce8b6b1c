// Which of our languages a caller reads, by accept-language (RFC 9110, 12.5.4).

import Negotiator from 'negotiator';
import { answerLocales } from './texts.ts';

/** The caller's language among those of our texts; undefined where it asks for none of them, or for any. */
export function localeOf(header: Headers): string | undefined {
  const accepted = header.get('accept-language');
  if (accepted === null || accepted.length > 1_000 || accepted.trim() === '*') return undefined;
  return new Negotiator({ headers: { 'accept-language': accepted } }).languages([...answerLocales])[0];
}
