// `node server/development/preview-messages.ts [folder]`: every message, push and page in every language on one page, to
// look at: light and dark, wide and narrow, with usual and with nasty names. Sends nothing.

import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { compose, composePush } from '../delivery/compose.ts';
import { supportedLocales } from '../texts/texts.ts';
import { nasty, type Sample, sampleAlerts, sampleCode, sampleMessages, samplePages, usual } from './sample-messages.ts';

/** One frame of the page. */
interface Exhibit {
  readonly locale: string;
  readonly sample: string;
  readonly name: string;
  readonly title: string;
  readonly html: string;
}

const folder = resolve(process.argv[2] ?? '.data/messages');
const exhibits: Exhibit[] = [];
for (const locale of supportedLocales) {
  for (const sample of [usual, ...nasty]) exhibits.push(...(await exhibitsOf(locale, sample)));
}
await mkdir(folder, { recursive: true });
const file = join(folder, 'index.html');
await writeFile(file, gallery(exhibits));
process.stdout.write(`${exhibits.length} messages and pages in ${supportedLocales.length} languages: ${file}\n`);

async function exhibitsOf(locale: string, sample: Sample): Promise<readonly Exhibit[]> {
  const { brand } = sample;
  const made: Exhibit[] = [];
  for (const [name, message] of Object.entries(sampleMessages(sample))) {
    const { subject, text, html } = await compose(message, { locale, brand });
    made.push({ locale, sample: sample.name, name, title: subject, html });
    made.push({ locale, sample: sample.name, name: `${name} (text)`, title: subject, html: plainText(text) });
  }
  const pushes = [sampleCode('SIGN_IN', sample), sampleCode('SWITCH_OFF', sample), ...sampleAlerts(sample)]
    .flatMap((message) =>
      (message.kind === 'code' ? [true, false] : [false]).map((showCode) => ({ message, showCode })),
    )
    .map(({ message, showCode }) => composePush(message, { locale, brand, showCode }))
    .map(({ title, body }) => `${title}\n${body}`);
  made.push({ locale, sample: sample.name, name: 'pushes', title: '', html: plainText(pushes.join('\n\n')) });
  for (const [name, html] of Object.entries(samplePages(sample, locale))) {
    made.push({ locale, sample: sample.name, name, title: '', html });
  }
  return made;
}

function plainText(text: string): string {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<!doctype html><meta charset="utf-8"><style>@media (prefers-color-scheme: dark) { body { background: #101216; color: #f1f3f6; } } pre { font: 13px/1.4 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }</style><pre>${escaped}</pre>`;
}

/** The frames are made as they come into view; a scheme is chosen by answering each media query for it. */
function gallery(all: readonly Exhibit[]): string {
  const data = JSON.stringify(all).replaceAll('<', '\\u003c');
  const options = (name: string, values: readonly string[]) =>
    `<label>${name} <select name="${name}"><option value="">all</option>${values.map((value) => `<option>${value}</option>`).join('')}</select></label>`;
  const distinct = (key: 'locale' | 'sample' | 'name') => [...new Set(all.map((exhibit) => exhibit[key]))];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Messages</title>
<style>
body { margin: 0; font: 14px/1.4 system-ui, sans-serif; background: #888; }
form { position: sticky; top: 0; display: flex; flex-wrap: wrap; gap: 16px; padding: 10px 16px; background: #fff; z-index: 1; }
main { display: flex; flex-wrap: wrap; gap: 16px; padding: 16px; align-items: flex-start; }
figure { margin: 0; background: #fff; width: var(--width); }
figcaption { padding: 6px 10px; overflow-wrap: anywhere; }
iframe { display: block; width: 100%; height: 760px; border: 0; }
</style>
<form>
${options('locale', distinct('locale'))}
${options('sample', distinct('sample'))}
${options('name', distinct('name'))}
<label><input type="checkbox" name="dark"> dark</label>
<label><input type="checkbox" name="narrow"> 320 px</label>
</form>
<main></main>
<script type="application/json" id="data">${data}</script>
<script>
const all = JSON.parse(document.getElementById('data').textContent);
const form = document.querySelector('form');
const main = document.querySelector('main');
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting || target.srcdoc) continue;
    target.srcdoc = all[target.dataset.index].html.replaceAll('(prefers-color-scheme: dark)', form.dark.checked ? 'all' : 'not all');
  }
}, { rootMargin: '800px' });
const show = () => {
  main.style.setProperty('--width', form.narrow.checked ? '320px' : '600px');
  main.replaceChildren(...all.flatMap((exhibit, index) => {
    if (['locale', 'sample', 'name'].some((key) => form[key].value && form[key].value !== exhibit[key])) return [];
    const figure = document.createElement('figure');
    const caption = document.createElement('figcaption');
    caption.textContent = [exhibit.locale, exhibit.sample, exhibit.name, exhibit.title].filter(Boolean).join(' · ');
    const frame = document.createElement('iframe');
    frame.sandbox = '';
    frame.dataset.index = index;
    figure.append(caption, frame);
    seen.observe(frame);
    return [figure];
  }));
};
form.elements.sample.value = 'usual';
form.addEventListener('change', show);
show();
</script>
</html>
`;
}
