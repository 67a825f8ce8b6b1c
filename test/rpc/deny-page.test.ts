// The page behind "It wasn't me", as HTML: what it asks, what it says, and what it can't be made to do.

import { describe, expect, it } from 'vitest';
import { nasty, sampleDenyViews, usual } from '../../server/development/sample-messages.ts';
import { type DenyPageView, renderDenyPage } from '../../server/rpc/deny-page.ts';
import { supportedLocales, textsFor } from '../../server/texts/texts.ts';

const render = (view: DenyPageView, locale = 'en'): string => renderDenyPage(view, { locale, brand: usual.brand });
const [ask, askEvent, done, doneEvent] = sampleDenyViews(usual);
if (ask?.kind !== 'ask' || done?.kind !== 'done') throw new Error('the samples begin with ask and done');
if (askEvent?.kind !== 'ask' || doneEvent?.kind !== 'done') throw new Error('the samples have both of an event');

const count = (html: string, pattern: RegExp): number => html.match(pattern)?.length ?? 0;

describe.each(supportedLocales)('the page in %s', (locale) => {
  it('has a form only where it asks, and then one', () => {
    for (const view of sampleDenyViews(usual)) {
      const html = render(view, locale);
      const asks = view.kind === 'ask' ? 1 : 0;
      expect(count(html, /<form\b/g)).toBe(asks);
      expect(count(html, /<button\b/g)).toBe(asks);
      expect(count(html, /<input\b/g)).toBe(asks);
    }
  });

  it('has one heading, a title and its language, and loads and runs nothing', () => {
    for (const sample of [usual, ...nasty]) {
      for (const view of sampleDenyViews(sample)) {
        const html = renderDenyPage(view, { locale, brand: sample.brand });
        expect(html).toMatch(new RegExp(`^<!doctype html>\\n<html lang="${locale}"`));
        expect(count(html, /<h1\b/g)).toBe(1);
        expect(html).toMatch(/<title>[^<]+<\/title>/);
        expect(html).not.toMatch(/<(img|script|link|iframe|object|b)\b|url\(|@import|\son\w+=|undefined/i);
      }
    }
  });

  it('says what will happen, and what to do then', () => {
    const texts = textsFor(locale);
    const { heading, effects, otherwise } = texts.denyPage.ask;
    for (const text of [heading, ...effects, otherwise, texts.wasNotMe, 'Anna’s iPhone']) {
      expect(render(ask, locale)).toContain(text);
    }
    for (const text of [texts.whatNow, ...Object.values(texts.advice)]) expect(render(done, locale)).toContain(text);
  });

  it('speaks of no attempt and no code where there was none', () => {
    const { ask: asks, done: says } = textsFor(locale).denyPage;
    for (const text of asks.eventEffects) expect(render(askEvent, locale)).toContain(text);
    for (const text of asks.effects) expect(render(askEvent, locale)).not.toContain(text);
    for (const text of asks.eventEffects) expect(render(ask, locale)).not.toContain(`<li>${text}`);
    expect(render(doneEvent, locale)).toContain(says.eventIntro);
    expect(render(doneEvent, locale)).not.toContain(says.intro);
    expect(render(done, locale)).toContain(says.intro);
  });
});

describe('the form', () => {
  it('posts the token to where the page came from', () => {
    expect(render({ ...ask, token: 't0ken' })).toMatch(
      /<form method="post" action=""><input type="hidden" name="token" value="t0ken"><button type="submit">/,
    );
  });

  it('escapes whatever is in a token, a device or a brand', () => {
    const wicked = '"><script>alert(1)</script>\'&';
    const device = { displayName: wicked, model: wicked, platform: 'WEB', appVersion: wicked } as const;
    const place = { ...usual.place, city: '<b>Berlin</b>' };
    const brand = { ...usual.brand, name: '<i>A&B</i>', support: '"><b>@x' };
    const html = renderDenyPage({ ...ask, token: wicked, device, place }, { locale: 'en', brand });
    expect(html).not.toMatch(/<(script|b|i)>/);
    expect(html).toContain('value="&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#39;&#38;"');
    expect(html).toContain('&#60;i&#62;A&#38;B&#60;/i&#62;');
  });

  it('leaves out what is not known', () => {
    const html = render({ ...ask, device: null, place: null });
    expect(html).not.toContain('<dt>Device');
    expect(html).not.toContain('<dt>Place');
    expect(html).not.toContain('DB-IP');
  });
});

it('gives no advice where there is none', () => {
  expect(render({ kind: 'done', about: 'challenge', advice: [] })).not.toContain('<ul>');
});
