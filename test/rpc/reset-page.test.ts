// The page that sets a new password, as HTML: what it asks, what it says, and what it can't be made to do.

import { describe, expect, it } from 'vitest';
import { nasty, sampleResetViews, usual } from '../../server/development/sample-messages.ts';
import type { PasswordWeakness } from '../../server/domain/password.ts';
import { type ResetPageView, renderResetPage } from '../../server/rpc/reset-page.ts';
import { supportedLocales, textsFor } from '../../server/texts/texts.ts';

const render = (view: ResetPageView, locale = 'en'): string => renderResetPage(view, { locale, brand: usual.brand });
const ask: ResetPageView = { kind: 'ask', token: 't0ken', weaknesses: [] };
const refused: ResetPageView = { ...ask, weaknesses: ['TOO_SHORT', 'GUESSABLE'] };

const count = (html: string, pattern: RegExp): number => html.match(pattern)?.length ?? 0;
/** The only element of its kind, as it opens. */
const only = (html: string, pattern: RegExp): string => {
  const found = html.match(pattern) ?? [];
  expect(found).toHaveLength(1);
  return found[0] ?? '';
};
const passwordField = (html: string): string => only(html, /<input type="password"[^>]*>/g);
const box = (html: string): string => only(html, /<input type="checkbox"[^>]*>/g);

describe.each(supportedLocales)('the page in %s', (locale) => {
  const texts = textsFor(locale);

  it('has a form only where it asks, and then one', () => {
    for (const view of sampleResetViews) {
      const html = render(view, locale);
      const asks = view.kind === 'ask' ? 1 : 0;
      expect(count(html, /<form\b/g)).toBe(asks);
      expect(count(html, /<button\b/g)).toBe(asks);
      expect(count(html, /<input\b/g)).toBe(3 * asks);
    }
  });

  it('has one heading, a title and its language, and loads and runs nothing', () => {
    for (const { brand } of [usual, ...nasty]) {
      for (const view of sampleResetViews) {
        const html = renderResetPage(view, { locale, brand });
        expect(html).toMatch(new RegExp(`^<!doctype html>\\n<html lang="${locale}"`));
        expect(count(html, /<h1\b/g)).toBe(1);
        expect(html).toMatch(/<title>[^<]+<\/title>/);
        expect(html).not.toMatch(/<(img|script|link|iframe|object|b)\b|url\(|@import|\son\w+=|undefined/i);
      }
    }
  });

  it('says what is asked for, and what it will do', () => {
    const { heading, intro, newPassword, hint, endTrustedDevices, button } = texts.resetPage.ask;
    for (const text of [heading, intro('Countersign'), newPassword, hint, endTrustedDevices, button]) {
      expect(render(ask, locale)).toContain(text);
    }
    for (const kind of ['done', 'invalid', 'unavailable'] as const) {
      const said = texts.resetPage[kind];
      for (const text of [said.heading, said.intro]) expect(render({ kind }, locale)).toContain(text);
    }
  });

  it('says of a password that was refused all that it lacks', () => {
    const weaknesses = Object.keys(texts.weaknesses) as PasswordWeakness[];
    const html = render({ ...ask, weaknesses }, locale);
    for (const weakness of weaknesses) expect(html).toContain(`<li>${texts.weaknesses[weakness]}</li>`);
  });
});

describe('the form', () => {
  it('posts the token and one new password to where the page came from', () => {
    const html = render(ask);
    expect(html).toContain('<form method="post" action="">');
    expect(html).toContain('<input type="hidden" name="token" value="t0ken">');
    for (const attribute of ['name="new_password"', 'autocomplete="new-password"', 'required', 'minlength="8"']) {
      expect(passwordField(html)).toContain(attribute);
    }
    expect(passwordField(html)).not.toContain('value=');
  });

  it('has a label that names its field, and a hint that describes it', () => {
    const html = render(ask);
    expect(html).toContain('<label for="new_password">New password</label>');
    expect(passwordField(html)).toContain(' id="new_password"');
    expect(passwordField(html)).toContain('aria-describedby="hint"');
    expect(html).toContain('id="hint">');
    expect(html).not.toMatch(/role="alert"|aria-invalid/);
  });

  it('leaves trusted devices alone until its box is ticked, and keeps a tick over a refusal', () => {
    expect(box(render(ask))).toContain('name="end_trusted_devices" value="true"');
    expect(box(render(ask))).not.toContain('checked');
    expect(box(render(refused))).not.toContain('checked');
    expect(box(render({ ...refused, endTrustedDevices: true }))).toContain(' checked');
    expect(render(ask)).toMatch(/<label class="check"><input type="checkbox"[^>]*><span>[^<]+<\/span><\/label>/);
  });

  it('tells a refusal above the field, to who hears the page too', () => {
    const html = render(refused);
    expect(html).toMatch(/<div class="errors" id="errors" role="alert"><p>[^<]+<\/p><ul><li>/);
    expect(html.indexOf('role="alert"')).toBeLessThan(html.indexOf('<label for="new_password"'));
    expect(passwordField(html)).toContain('aria-describedby="errors hint"');
    expect(passwordField(html)).toContain('aria-invalid="true"');
    expect(count(html, /<li>/g)).toBe(2);
  });

  it('escapes whatever is in a token or a brand', () => {
    const wicked = '"><script>alert(1)</script>\'&';
    const brand = { ...usual.brand, name: '<i>A&B</i>', support: '"><b>@x' };
    const html = renderResetPage({ ...refused, token: wicked }, { locale: 'en', brand });
    expect(html).not.toMatch(/<(script|b|i)>/);
    expect(html).toContain('value="&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#39;&#38;"');
    expect(html).toContain('&#60;i&#62;A&#38;B&#60;/i&#62;');
  });
});

it('carries the token nowhere but in its form', () => {
  expect(render(refused).split('t0ken')).toHaveLength(2);
});
