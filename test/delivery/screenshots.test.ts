// Messages and pages in a real browser: nothing overflows and everything can be read, wide and narrow, by day and by night.

import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compose } from '../../server/delivery/compose.ts';
import { nasty, sampleMessages, samplePages } from '../../server/development/sample-messages.ts';
import { supportedLocales } from '../../server/texts/texts.ts';
import { ensureInstalled } from '../support/debian-packages.ts';

const executablePath = '/usr/bin/chromium';
const cjkFonts = '/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc';
const hasChromium = await ensureInstalled([executablePath, cjkFonts], ['chromium', 'fonts-noto-cjk']);

interface Shown {
  readonly name: string;
  readonly html: string;
}

/** Each message and page in each language; the names go around, so that each meets each language. */
async function everything(): Promise<readonly Shown[]> {
  const shown: Shown[] = [];
  for (const [row, locale] of supportedLocales.entries()) {
    for (const [column, sample] of nasty.entries()) {
      const messages = Object.entries(sampleMessages(sample));
      for (const [index, [name, message]] of messages.entries()) {
        if ((row + index) % nasty.length !== column) continue;
        const { html } = await compose(message, { locale, brand: sample.brand });
        shown.push({ name: `${locale}, ${sample.name}, ${name}`, html });
      }
      for (const [index, [name, html]] of Object.entries(samplePages(sample, locale)).entries()) {
        if ((row + index) % nasty.length !== column) continue;
        shown.push({ name: `${locale}, ${sample.name}, ${name}`, html });
      }
    }
  }
  return shown;
}

describe.skipIf(!hasChromium)('in a browser', () => {
  let browser: Browser;
  let page: Page;
  let shown: readonly Shown[];

  beforeAll(async () => {
    shown = await everything();
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
    page = await browser.newPage();
  });
  afterAll(() => browser?.close());

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [600, 320]) {
      test(`nothing overflows ${width} px, and everything can be read, in the ${colorScheme}`, async () => {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme });
        const complaints: string[] = [];
        for (const { name, html } of shown) {
          await page.setContent(html, { waitUntil: 'domcontentloaded' });
          for (const complaint of await page.evaluate(inspect)) complaints.push(`${name}: ${complaint}`);
        }
        expect(complaints).toEqual([]);
      });
    }
  }

  test('the measure would see it: a word that does not break, and grey on grey', async () => {
    await page.setViewportSize({ width: 320, height: 900 });
    await page.setContent(`<p style="color:#999;background:#fff">${'x'.repeat(200)}</p>`);
    expect(await page.evaluate(inspect)).toEqual([
      expect.stringContaining('wider than the page'),
      expect.stringContaining('contrast'),
    ]);
  });
});

/** Runs in the page: what is beyond its right edge, and text whose contrast is under 4.5 (WCAG 2.2, 1.4.3). */
function inspect(): string[] {
  const complaints: string[] = [];
  const root = document.documentElement;
  const visible = [...document.body.querySelectorAll<HTMLElement>('*')].filter((element) => element.checkVisibility());
  const outside = visible.find((element) => {
    const { left, right } = element.getBoundingClientRect();
    return right > root.clientWidth + 0.5 || left < -0.5;
  });
  if (root.scrollWidth > root.clientWidth || outside !== undefined) {
    complaints.push(`wider than the page: ${outside?.outerHTML.slice(0, 120)}`);
  }
  const numbers = (color: string) => (color.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (color: string) => {
    const [r = 0, g = 0, b = 0] = numbers(color).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const backgroundOf = (element: Element | null): string => {
    for (let at = element; at !== null; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      if (numbers(backgroundColor)[3] !== 0) return backgroundColor;
    }
    return 'rgb(255, 255, 255)';
  };
  for (const element of visible) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim() !== '');
    if (!hasText) continue;
    const [one, other] = [luminance(getComputedStyle(element).color), luminance(backgroundOf(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) complaints.push(`contrast ${contrast.toFixed(2)}: ${element.textContent?.slice(0, 60)}`);
  }
  return complaints;
}
