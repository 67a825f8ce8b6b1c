// Which of our languages a caller reads, by accept-language (RFC 9110, 12.5.4).

import Negotiator from 'negotiator';
import { textsIn } from '../texts/texts.ts';

/** The caller's language among those of our texts; undefined where it asks for none of them, or for any. */
export function localeOf(header: Headers): string | undefined {
  const accepted = header.get('accept-language');
  if (accepted === null || accepted.length > 1_000) return undefined;
  // Its own matching knows no scripts: `zh-Hans-CN` would find nothing, and `zh-TW` simplified characters.
  for (const tag of new Negotiator({ headers: { 'accept-language': accepted } }).languages()) {
    const texts = textsIn(tag);
    if (texts !== undefined) return texts.locale;
    if (tag === '*') return undefined;
  }
  return undefined;
}
