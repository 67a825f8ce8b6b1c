// What the pages behind our mails' links share: their frame, their look and their escaping. Plain HTML without scripts, made of
// escaped text. This file must not know what a page is about, nor HTTP.

import { type Brand, darkPalette, lightPalette, type Palette } from '../texts/look.ts';
import { type Texts, textsFor } from '../texts/texts.ts';
import { oneLine } from '../texts/untrusted.ts';

export interface PageOptions {
  /** BCP 47; English where there are no texts. */
  readonly locale: string;
  readonly brand: Brand;
}

export interface PageContent {
  /** Text. */
  readonly heading: string;
  /** HTML; '' is left out. */
  readonly content: readonly string[];
}

/** A whole document. It loads nothing, and needs `style-src 'unsafe-inline'` and `form-action 'self'` of a policy. */
export function renderPage(
  { locale, brand }: PageOptions,
  write: (texts: Texts, brandName: string) => PageContent,
): string {
  const texts = textsFor(locale);
  const brandName = oneLine(brand.name, 60);
  const { heading, content } = write(texts, brandName);
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

export function paragraph(text: string): string {
  return `<p>${escapeHtml(text)}</p>`;
}

/** '' for none. */
export function list(items: readonly string[]): string {
  return items.length === 0 ? '' : `<ul>${items.map((item) => `<li>${escapeHtml(item)}</li>`).join('')}</ul>`;
}

export function escapeHtml(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function support({ support: contact }: Brand, texts: Texts): string {
  if (contact === undefined) return '';
  const url = contact.startsWith('https://') ? contact : `mailto:${contact}`;
  return `<p class="support">${escapeHtml(`${texts.contactSupport}${texts.colon}`)}<a href="${escapeHtml(url)}" rel="noreferrer">${escapeHtml(contact)}</a></p>\n`;
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
label { display: block; margin: 0 0 6px; font-weight: 600; }
label.check { display: flex; gap: 12px; align-items: flex-start; margin: 0 0 24px; font-weight: 400; }
input[type="password"] { display: block; width: 100%; margin: 0 0 8px; padding: 12px 14px; border: 1px solid var(--soft); border-radius: 8px; background: var(--card); color: var(--ink); font: inherit; }
input[type="checkbox"] { flex: none; width: 20px; height: 20px; margin: 2px 0 0; accent-color: var(--accent); }
.errors { margin: 0 0 20px; padding: 14px 18px; background: var(--box); border-left: 4px solid var(--warning); border-radius: 6px; }
.errors p { margin: 0 0 8px; font-weight: 600; }
.errors ul { margin: 0; }
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
