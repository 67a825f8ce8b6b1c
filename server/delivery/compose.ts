// Message → subject, text and HTML, in the reader's language. This file knows no transport and no account. What devices
// say of themselves is an attacker's text here: it is cut, stripped of what changes its surroundings, and escaped.

import type { Purpose } from '../domain/challenge.ts';
import type { DeviceDescription } from '../domain/device.ts';
import { describePlace, type Place } from '../domain/place.ts';
import { type CodeTexts, type Messages, messagesFor } from './messages/messages.ts';

/** A code, to the address of the account that it is for. */
export interface CodeMessage {
  readonly kind: 'code';
  readonly purpose: Purpose;
  /** Decimal digits. */
  readonly code: string;
  /** The device that asks for the code. */
  readonly device: Pick<DeviceDescription, 'displayName' | 'model' | 'platform' | 'appVersion'>;
  /** When it asked. */
  readonly time: Date;
  readonly place: Place | null | undefined;
  /** '' where it is not known. */
  readonly ipAddress: string;
  /** What is left of the code's life, in whole minutes. */
  readonly minutesValid: number;
}

/** The account's address was changed; goes to the one before. */
export interface EmailChangedMessage {
  readonly kind: 'emailChanged';
  /** As maskEmail gives it. */
  readonly newEmailMasked: string;
  readonly time: Date;
}

export type Message = CodeMessage | EmailChangedMessage;

export interface ComposeOptions {
  /** BCP 47; a language without texts is written to in English. */
  readonly locale: string;
  /** What the reader knows the product as (COUNTERSIGN_BRAND_NAME). */
  readonly brandName: string;
}

export interface ComposedMessage {
  /** One line, without the code. */
  readonly subject: string;
  /** Complete alone; lines of at most 72 characters where words allow. */
  readonly text: string;
  /** A whole document, without scripts, remote content or tracking. */
  readonly html: string;
}

/** Writes a message. Pure: the same message, locale and brand give the same bytes. */
export function compose(message: Message, { locale, brandName }: ComposeOptions): ComposedMessage {
  const texts = messagesFor(locale);
  const brand = oneLine(brandName, 60);
  const letter =
    message.kind === 'code'
      ? codeLetter(message, texts, regionalLocale(locale, texts), brand)
      : emailChangedLetter(message, texts, regionalLocale(locale, texts), brand);
  return { subject: letter.subject, text: renderText(letter), html: renderHtml(letter) };
}

/** What a letter says, before it is text or HTML. */
interface Letter {
  readonly lang: string;
  readonly brand: string;
  readonly subject: string;
  readonly preview: string;
  readonly heading: string;
  readonly intro: string;
  readonly code: string | undefined;
  readonly validity: string | undefined;
  readonly facts: readonly Fact[];
  readonly warning: { readonly title: string; readonly sentences: readonly string[] };
  readonly footer: string;
  /** Whom the place data's licence has us name. */
  readonly attribution: { readonly text: string; readonly url: string } | undefined;
}

interface Fact {
  readonly label: string;
  readonly value: string;
  readonly note?: string;
}

function codeLetter(message: CodeMessage, texts: Messages, locale: string, brand: string): Letter {
  const purpose = codeTexts(message.purpose, texts);
  const validity = purpose.validity(message.minutesValid);
  const place = oneLine(describePlace(message.place ?? undefined, texts.locale), 120);
  return {
    lang: texts.locale,
    brand,
    subject: purpose.subject(brand),
    preview: texts.codePreview(message.code, validity),
    heading: purpose.heading,
    intro: purpose.intro(brand),
    code: message.code,
    validity,
    facts: [
      { label: texts.labels.device, value: deviceName(message.device, texts) },
      { label: texts.labels.appVersion, value: untrusted(message.device.appVersion) || texts.unknown },
      { label: texts.labels.time, value: dateAndTime(message.time, locale) },
      place === ''
        ? { label: texts.labels.place, value: texts.unknown }
        : { label: texts.labels.place, value: place, note: texts.placeIsApproximate },
      { label: texts.labels.ipAddress, value: message.ipAddress || texts.unknown },
    ],
    warning: { title: texts.notYou, sentences: [purpose.advice, texts.neverAsked(brand)] },
    footer: texts.footer(brand),
    attribution: place === '' ? undefined : attributionOf(message.place?.source ?? ''),
  };
}

function emailChangedLetter(message: EmailChangedMessage, texts: Messages, locale: string, brand: string): Letter {
  const { subject, heading, intro, advice } = texts.emailChanged;
  const newEmail = oneLine(message.newEmailMasked, 320);
  return {
    lang: texts.locale,
    brand,
    subject: subject(brand),
    preview: intro(brand, newEmail),
    heading,
    intro: intro(brand, newEmail),
    code: undefined,
    validity: undefined,
    facts: [
      { label: texts.labels.newEmail, value: newEmail },
      { label: texts.labels.time, value: dateAndTime(message.time, locale) },
    ],
    warning: { title: texts.notYou, sentences: [advice] },
    footer: texts.footer(brand),
    attribution: undefined,
  };
}

function codeTexts(purpose: Purpose, texts: Messages): CodeTexts {
  switch (purpose) {
    case 'SIGN_IN':
      return texts.codeForSignIn;
    case 'SWITCH_OFF':
      return texts.codeForSwitchOff;
  }
}

function deviceName({ displayName, model, platform }: CodeMessage['device'], texts: Messages): string {
  const name = untrusted(displayName);
  const kind = [untrusted(model), texts.platforms[platform]].filter((part) => part !== '' && part !== name).join(', ');
  return name === '' ? kind : `${name} (${kind})`;
}

// DB-IP's data is CC BY 4.0 and asks for a link where results are shown.
function attributionOf(source: string): Letter['attribution'] {
  return source.startsWith('DBIP') ? { text: 'IP Geolocation by DB-IP', url: 'https://db-ip.com' } : undefined;
}

// `en-GB` writes dates its own way, but `fr` gets English words and so English dates.
function regionalLocale(locale: string, texts: Messages): string {
  try {
    const { language, baseName } = new Intl.Locale(locale);
    return language === texts.locale ? baseName : texts.locale;
  } catch {
    return texts.locale;
  }
}

// UTC, and said so: where the reader is, nobody knows.
function dateAndTime(time: Date, locale: string): string {
  return new Intl.DateTimeFormat(locale, {
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    timeZone: 'UTC',
    timeZoneName: 'short',
  }).format(time);
}

// ---- untrusted text

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** One line without control, bidi or invisible characters (Unicode Cc, Cf, Zl, Zp and the like), cut at `limit` code points. */
function oneLine(value: string, limit: number): string {
  const visible = value.replace(/\p{White_Space}+/gu, ' ').replace(/(?!\u200d)[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}]/gu, '');
  return cut(visible.trim(), limit);
}

// Whole graphemes, but counted in code points: a name may hide a thousand accents on one letter.
function cut(value: string, limit: number): string {
  let kept = '';
  let length = 0;
  for (const { segment } of graphemes.segment(value)) {
    length += [...segment].length;
    if (length > limit) return `${kept.trimEnd()}…`;
    kept += segment;
  }
  return value;
}

/**
 * What a device calls itself. A word joiner after its dots, slashes, colons and at signs keeps mail programs from making
 * a link of `evil.example`: nobody but us may put a link into our letter.
 */
function untrusted(value: string): string {
  return oneLine(value, 60).replace(/(?<=\S)[.:/@](?=[\p{L}/])/gu, '$&\u2060');
}

function escapeHtml(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

// ---- plain text

const TEXT_WIDTH = 72;

function renderText(letter: Letter): string {
  const paragraphs = [
    wrap(letter.heading),
    wrap(letter.intro),
    // Ungrouped, so that it can be copied, and alone, so that it can be found.
    letter.code === undefined ? '' : `    ${letter.code}`,
    wrap(letter.validity ?? ''),
    letter.facts.map(textFact).join('\n'),
    `${letter.warning.title}:\n${wrap(letter.warning.sentences.join(' '))}`,
    [
      '-- ',
      wrap(letter.footer),
      letter.attribution === undefined ? '' : `${letter.attribution.text}: ${letter.attribution.url}`,
    ]
      .filter((line) => line !== '')
      .join('\n'),
  ];
  return `${paragraphs.filter((paragraph) => paragraph !== '').join('\n\n')}\n`;
}

function textFact({ label, value, note }: Fact): string {
  return wrap(`${label}: ${value}${note === undefined ? '' : ` (${note})`}`, '  ');
}

function wrap(paragraph: string, indent = ''): string {
  const lines: string[] = [];
  let line = '';
  // Not at no-break spaces, which \s would take.
  for (const word of paragraph.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > TEXT_WIDTH) {
      lines.push(line);
      line = indent + word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].join('\n');
}

// ---- HTML

const FONT = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const MONOSPACE = "ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace";

// Colours inline for light, and here again for dark: programs that drop <style> keep the light letter.
const DARK_STYLE = `
@media (prefers-color-scheme: dark) {
  .page { background: #16181d !important; }
  .card { background: #22252c !important; border-color: #363b45 !important; }
  .ink { color: #f1f3f6 !important; }
  .soft { color: #a9b1bd !important; }
  .code { background: #16181d !important; border-color: #363b45 !important; color: #f1f3f6 !important; }
  .warning { background: #33290f !important; border-color: #b98a1d !important; color: #f7e6bd !important; }
}`;

function renderHtml(letter: Letter): string {
  const { code, validity, warning, attribution } = letter;
  return `<!doctype html>
<html lang="${escapeHtml(letter.lang)}" dir="ltr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no">
<title>${escapeHtml(letter.subject)}</title>
<style>:root { color-scheme: light dark; }${DARK_STYLE}
</style>
</head>
<body class="page" style="margin:0;padding:0;background:#f3f4f6;">
<div style="display:none;max-height:0;overflow:hidden;">${escapeHtml(letter.preview)}</div>
<table role="presentation" class="page" width="100%" cellpadding="0" cellspacing="0" style="background:#f3f4f6;">
<tr><td align="center" style="padding:24px 12px;">
<table role="presentation" class="card" width="100%" cellpadding="0" cellspacing="0" style="max-width:560px;background:#ffffff;border:1px solid #e2e5ea;border-radius:12px;">
<tr><td style="padding:32px 28px;text-align:left;font-family:${FONT};font-size:16px;line-height:1.5;">
<p class="soft" style="margin:0 0 20px;font-size:14px;font-weight:600;color:#5b6470;">${escapeHtml(letter.brand)}</p>
<h1 class="ink" style="margin:0 0 12px;font-size:22px;line-height:1.3;color:#16181d;">${escapeHtml(letter.heading)}</h1>
<p class="ink" style="margin:0 0 20px;color:#16181d;">${escapeHtml(letter.intro)}</p>
${code === undefined ? '' : htmlCode(code)}${validity === undefined ? '' : `<p class="soft" style="margin:0 0 24px;font-size:14px;color:#5b6470;">${escapeHtml(validity)}</p>\n`}<table role="presentation" cellpadding="0" cellspacing="0" style="margin:0 0 24px;font-size:14px;line-height:1.45;">
${letter.facts.map(htmlFact).join('\n')}
</table>
<div class="warning" style="margin:0 0 24px;padding:14px 16px;background:#fff7e0;border-left:4px solid #d69e1a;border-radius:4px;font-size:14px;color:#4a3708;">
<strong>${escapeHtml(warning.title)}</strong>
${warning.sentences.map((sentence) => `<p style="margin:6px 0 0;">${escapeHtml(sentence)}</p>`).join('\n')}
</div>
<p class="soft" style="margin:0;font-size:12px;color:#5b6470;">${escapeHtml(letter.footer)}${attribution === undefined ? '' : `<br><a class="soft" href="${escapeHtml(attribution.url)}" style="color:#5b6470;">${escapeHtml(attribution.text)}</a>`}</p>
</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
`;
}

// The gap is a margin, so that copying gives the digits alone.
function htmlCode(code: string): string {
  const middle = code.length < 6 ? code.length : Math.floor(code.length / 2);
  const groups = [code.slice(0, middle), code.slice(middle)].filter((group) => group !== '');
  const spans = groups.map(
    (group, index) => `<span${index === 0 ? '' : ' style="margin-left:0.4em;"'}>${escapeHtml(group)}</span>`,
  );
  return `<p class="code" style="margin:0 0 12px;padding:16px 12px;background:#f3f4f6;border:1px solid #e2e5ea;border-radius:8px;text-align:center;font-family:${MONOSPACE};font-size:34px;line-height:1.2;font-weight:700;letter-spacing:0.06em;white-space:nowrap;color:#16181d;">${spans.join('')}</p>\n`;
}

function htmlFact({ label, value, note }: Fact): string {
  const small =
    note === undefined ? '' : `<br><span class="soft" style="font-size:13px;color:#5b6470;">${escapeHtml(note)}</span>`;
  return `<tr><td class="soft" valign="top" style="padding:3px 16px 3px 0;color:#5b6470;">${escapeHtml(label)}</td><td class="ink" valign="top" style="padding:3px 0;color:#16181d;overflow-wrap:anywhere;"><bdi>${escapeHtml(value)}</bdi>${small}</td></tr>`;
}
