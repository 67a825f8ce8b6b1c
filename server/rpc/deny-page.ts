// The page behind a mail's "It wasn't me": it asks, and says what became of it. Plain HTML without scripts, made of escaped
// text. This file must not know tokens' meaning, nor HTTP.

import type { Advice } from '../domain/advice.ts';
import type { Place } from '../domain/place.ts';
import { attributionOf, type DeviceFacts, dateAndTime, describeDevice, placeInWords } from '../texts/facts.ts';
import { type Brand, darkPalette, lightPalette, type Palette } from '../texts/look.ts';
import { type Texts, textsFor } from '../texts/texts.ts';
import { oneLine } from '../texts/untrusted.ts';

export type DenyPageView =
  /** Before anything has happened: a form that posts `token` to where the page came from. */
  | {
      readonly kind: 'ask';
      readonly token: string;
      readonly device: DeviceFacts | null;
      readonly time: Date;
      readonly place: Place | null | undefined;
    }
  | { readonly kind: 'done'; readonly advice: readonly Advice[] }
  /** The link was used already, or what it is about is done. */
  | { readonly kind: 'over' }
  /** The link is broken or too old. */
  | { readonly kind: 'invalid' }
  | { readonly kind: 'unavailable' };

export interface DenyPageOptions {
  /** BCP 47; English where there are no texts. */
  readonly locale: string;
  readonly brand: Brand;
}

/** A whole document. It loads nothing, and needs `style-src 'unsafe-inline'` and `form-action 'self'` of a policy. */
export function renderDenyPage(view: DenyPageView, { locale, brand }: DenyPageOptions): string {
  const texts = textsFor(locale);
  const brandName = oneLine(brand.name, 60);
  const { heading, content } = contentOf(view, texts, locale, brandName);
  return `<!doctype html>
<html lang="${escapeHtml(texts.locale)}" dir="ltr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>${escapeHtml(`${heading} – ${brandName}`)}</title>
<style>${stylesheet(brand.color)}</style>
</head>
<body>
<main>
<p class="brand">${escapeHtml(brandName)}</p>
<h1>${escapeHtml(heading)}</h1>
${content.filter((part) => part !== '').join('\n')}
${support(brand, texts)}</main>
</body>
</html>
`;
}

interface Content {
  readonly heading: string;
  /** HTML. */
  readonly content: readonly string[];
}

function contentOf(view: DenyPageView, texts: Texts, locale: string, brandName: string): Content {
  switch (view.kind) {
    case 'ask': {
      const { heading, intro, effects, otherwise } = texts.denyPage.ask;
      return {
        heading,
        content: [
          facts(view, texts, locale),
          paragraph(intro(brandName)),
          list(effects),
          `<form method="post" action=""><input type="hidden" name="token" value="${escapeHtml(view.token)}"><button type="submit">${escapeHtml(texts.wasNotMe)}</button></form>`,
          `<p class="soft">${escapeHtml(otherwise)}</p>`,
          attribution(view.place),
        ],
      };
    }
    case 'done': {
      const { heading, intro } = texts.denyPage.done;
      const todo = list(view.advice.map((advice) => texts.advice[advice]));
      const next = todo === '' ? '' : `<h2>${escapeHtml(texts.whatNow)}</h2>\n${todo}`;
      return { heading, content: [paragraph(intro), next] };
    }
    case 'over':
    case 'invalid':
    case 'unavailable': {
      const { heading, intro } = texts.denyPage[view.kind];
      return { heading, content: [paragraph(intro)] };
    }
  }
}

function facts(view: Extract<DenyPageView, { kind: 'ask' }>, texts: Texts, locale: string): string {
  const place = placeInWords(view.place, texts);
  const rows = [
    view.device === null ? '' : fact(texts.labels.device, describeDevice(view.device, texts)),
    fact(texts.labels.time, dateAndTime(view.time, locale, texts)),
    place === '' ? '' : fact(texts.labels.place, place, texts.placeIsApproximate),
  ];
  return `<dl>${rows.join('')}</dl>`;
}

function fact(label: string, value: string, note = ''): string {
  const small = note === '' ? '' : `<br><small>${escapeHtml(note)}</small>`;
  return `<div><dt>${escapeHtml(label)}</dt><dd><bdi>${escapeHtml(value)}</bdi>${small}</dd></div>`;
}

const paragraph = (text: string): string => `<p>${escapeHtml(text)}</p>`;

function list(items: readonly string[]): string {
  return items.length === 0 ? '' : `<ul>${items.map((item) => `<li>${escapeHtml(item)}</li>`).join('')}</ul>`;
}

function attribution(place: Place | null | undefined): string {
  const source = attributionOf(place);
  if (source === undefined) return '';
  return `<p class="source"><a href="${escapeHtml(source.url)}" rel="noreferrer">${escapeHtml(source.text)}</a></p>`;
}

function support({ support: contact }: Brand, texts: Texts): string {
  if (contact === undefined) return '';
  const url = contact.startsWith('https://') ? contact : `mailto:${contact}`;
  return `<p class="support">${escapeHtml(`${texts.contactSupport}${texts.colon}`)}<a href="${escapeHtml(url)}" rel="noreferrer">${escapeHtml(contact)}</a></p>\n`;
}

function escapeHtml(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function stylesheet(brandColor: string): string {
  return `
:root { color-scheme: light dark; ${variables(lightPalette(brandColor))} }
@media (prefers-color-scheme: dark) { :root { ${variables(darkPalette(brandColor))} } }
* { box-sizing: border-box; }
body { margin: 0; padding: 24px 12px; background: var(--page); color: var(--ink); font: 16px/1.5 -apple-system, BlinkMacSystemFont, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; overflow-wrap: anywhere; }
main { max-width: 560px; margin: 0 auto; padding: 28px 32px 32px; background: var(--card); border: 1px solid var(--line); border-top: 4px solid var(--accent); border-radius: 12px; }
.brand { margin: 0 0 24px; font-size: 15px; font-weight: 600; }
h1 { margin: 0 0 16px; font-size: 24px; line-height: 1.3; }
h2 { margin: 24px 0 8px; font-size: 16px; }
p { margin: 0 0 16px; }
ul { margin: 0 0 24px; padding-left: 22px; }
li { margin: 0 0 8px; }
dl { margin: 0 0 20px; padding: 14px 18px; background: var(--box); border-radius: 8px; }
dl div { display: flex; gap: 12px; padding: 4px 0; }
dt { flex: 0 0 32%; overflow-wrap: normal; color: var(--soft); }
dd { flex: 1 1 0; min-width: 0; margin: 0; }
small, .soft, .source, .support { color: var(--soft); font-size: 14px; }
button { width: 100%; margin: 0 0 16px; padding: 14px 22px; border: 1px solid var(--accent); border-radius: 8px; background: var(--button); color: var(--button-ink); font: inherit; font-weight: 600; cursor: pointer; }
button:hover { filter: brightness(1.08); }
:focus-visible { outline: 3px solid var(--ink); outline-offset: 3px; }
a { color: inherit; }
.source, .support { margin: 16px 0 0; }
@media (max-width: 480px) { main { padding: 22px 20px 24px; } dl div { display: block; } }
`;
}

function variables(palette: Palette): string {
  return Object.entries(palette)
    .map(([name, color]) => `--${name === 'buttonInk' ? 'button-ink' : name}: ${color};`)
    .join(' ');
}
