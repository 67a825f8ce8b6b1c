// Addresses as they may be shown to somebody who has not proven to own them. This file knows no messages.

/**
 * `jane@example.com` as `j•••@example.com`: the first character as a reader sees it, three bullets whatever the length,
 * and the domain. A text without an @ is `•••`.
 */
export function maskEmail(email: string): string {
  const at = email.lastIndexOf('@');
  if (at < 0) return '•••';
  // By grapheme: half of a surrogate pair, or a letter without its accent, is no character.
  const [first] = new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(email.slice(0, at));
  return `${first?.segment ?? ''}•••${email.slice(at)}`;
}
