// A letter as plain text (format=fixed): lines of at most 72 columns. This file knows no words of its own.

import type { Fact, Letter } from './letter.ts';

const columns = 72;

export function renderText(letter: Letter): string {
  const { code, link, advice, attribution, texts } = letter;
  const paragraphs = [
    wrap(letter.heading),
    wrap(letter.intro),
    // Ungrouped, so that it can be copied, and alone, so that it can be found.
    code === undefined ? '' : `    ${code.digits}`,
    wrap(code?.validity ?? ''),
    link === undefined ? '' : `${wrap(`${link.label}${texts.colon.trimEnd()}`)}\n${link.url}`,
    wrap(link?.validity ?? ''),
    letter.facts.map((fact) => textFact(fact, letter)).join('\n'),
    `${wrap(`${advice.title}${texts.colon.trimEnd()}`)}\n${wrap(joinSentences(advice.sentences, letter))}`,
    advice.deny === undefined
      ? ''
      : `${wrap(`${advice.deny.label}${texts.colon.trimEnd()}`)}\n${advice.deny.url}\n${wrap(advice.deny.note)}`,
    advice.support === undefined ? '' : wrap(`${advice.support.label}${texts.colon}${advice.support.text}`),
    [
      // RFC 3676, 4.3: what follows is a signature.
      '-- ',
      wrap(letter.footer),
      ...(attribution === undefined ? [] : [`${attribution.text}: ${attribution.url}`]),
    ].join('\n'),
  ];
  return `${paragraphs.filter((paragraph) => paragraph !== '').join('\n\n')}\n`;
}

function textFact({ label, value, note }: Fact, { texts }: Letter): string {
  if (typeof value !== 'string') {
    return [`${label}${texts.colon.trimEnd()}`, ...value.map((line) => wrap(`- ${line}`, '  '))].join('\n');
  }
  return wrap(`${label}${texts.colon}${note === undefined ? value : texts.remark(value, note)}`, '  ');
}

/** Full-width stops bring their own space. */
function joinSentences(sentences: readonly string[], { texts }: Letter): string {
  return sentences.join(texts.colon.endsWith(' ') ? ' ' : '');
}

function wrap(paragraph: string, indent = ''): string {
  const lines: string[] = [];
  let line = '';
  let width = 0;
  for (const { text, spaced } of piecesOf(paragraph)) {
    const gap = spaced && line !== '' ? ' ' : '';
    const added = displayWidth(text);
    if (line !== '' && width + gap.length + added > columns) {
      lines.push(line);
      line = indent + text;
      width = indent.length + added;
    } else {
      line += gap + text;
      width += gap.length + added;
    }
  }
  return [...lines, line].join('\n');
}

/** What a line may end after; `spaced` where a space stands before it. */
interface Piece {
  readonly text: string;
  readonly spaced: boolean;
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** East Asian wide and full-width characters (UAX 11), as far as they occur in names and in our texts, and emoji. */
const wide =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6\p{Emoji_Presentation}]/u;
/** No line starts with these (UAX 14: CL, CP, EX, IS, NS), nor ends with those (OP). */
const neverFirst =
  /^[\p{Pe}\p{Pf},.:;!?…\u3001\u3002\u30fb\u30fc\u3005\uff0c\uff0e\uff1a\uff1b\uff01\uff1fぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ]/u;
const neverLast = /[\p{Ps}\p{Pi}]$/u;

function piecesOf(paragraph: string): readonly Piece[] {
  // Not at no-break spaces, which \s would take.
  return paragraph.split(' ').flatMap((word) => partsOf(word).map((text, index) => ({ text, spaced: index === 0 })));
}

/** Words of wide characters break between any two, but for the rules above. */
function partsOf(word: string): readonly string[] {
  if (!wide.test(word)) return [word];
  const parts: string[] = [];
  let part = '';
  let last = '';
  for (const { segment } of graphemes.segment(word)) {
    const mayBreak = part !== '' && (wide.test(last) || wide.test(segment));
    if (mayBreak && !neverFirst.test(segment) && !neverLast.test(last)) {
      parts.push(part);
      part = '';
    }
    part += segment;
    last = segment;
  }
  return [...parts, part];
}

/** Columns of a fixed-width font: wide characters take two. */
export function displayWidth(text: string): number {
  if (!wide.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += wide.test(segment) ? 2 : 1;
  return width;
}
