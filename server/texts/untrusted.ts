// Cleans text that others wrote, before it stands among our words. What devices say of themselves is an attacker's text:
// it is cut, and stripped of what changes its surroundings. This file knows no markup; who shows a text escapes it.

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** One line without control, bidi or invisible characters (Unicode Cc, Cf, Zl, Zp and the like), cut at `limit` code points. */
export function oneLine(value: string, limit: number): string {
  const visible = value.replace(/\p{White_Space}+/gu, ' ').replace(/(?!\u200d)[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}]/gu, '');
  return cut(visible.trim(), limit);
}

/** At most `limit` code points, and an ellipsis where there were more. */
export function cut(value: string, limit: number): string {
  let kept = '';
  let length = 0;
  // Whole graphemes, but counted in code points: a name may hide a thousand accents on one letter.
  for (const { segment } of graphemes.segment(value)) {
    length += [...segment].length;
    if (length > limit) return `${kept.trimEnd()}…`;
    kept += segment;
  }
  return value;
}

/**
 * What a device calls itself, cut where it is long. A word joiner after its dots, slashes, colons and at signs keeps programs
 * from making a link of `evil.example`: nobody but us may put a link into our letter.
 */
export function untrusted(value: string, limit = 60): string {
  return oneLine(value, limit).replace(/(?<=\S)[.:/@](?=[\p{L}/])/gu, '$&\u2060');
}
