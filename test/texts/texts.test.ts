// The texts of all languages: each is there, each is its own, and each is found by those who read it.

import { describe, expect, it, test } from 'vitest';
import { localeOf } from '../../server/rpc/locale.ts';
import { supportedLocales, type Texts, textsFor, textsIn } from '../../server/texts/texts.ts';

/** Every text of a language, by its path; functions with what they are called with. */
function allTexts(texts: Texts): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const collect = (path: string, value: unknown) => {
    if (typeof value === 'string') found.set(path, value);
    else if (typeof value === 'function') collect(path, call(path, value as (...args: unknown[]) => unknown));
    else for (const [key, inner] of Object.entries(value as object)) collect(`${path}.${key}`, inner);
  };
  const call = (path: string, text: (...args: unknown[]) => unknown) => {
    if (/validity|devices|elapsed/.test(path)) return text(10);
    return path.endsWith('.ANONYMOUS_NETWORK') ? text(['BRAND', 'DETAIL']) : text('BRAND', 'DETAIL');
  };
  collect('', texts);
  return found;
}

const english = allTexts(textsFor('en'));

/** What is the same word in several languages, or no word at all. */
const mayBeEnglish =
  /^\.(colon|remark|codePreview|platforms\.(IOS|ANDROID)|push\.deviceIn|labels\.(device|place|appVersion)|anonymousKinds\.(VPN|TOR_EXIT)|unusual\.IMPOSSIBLE_TRAVEL|elapsed\.minutes)$/;

describe.each(supportedLocales)('the texts in %s', (locale) => {
  const texts = allTexts(textsFor(locale));

  it('are all there, and none is empty or made of markup', () => {
    expect([...texts.keys()].sort()).toEqual([...english.keys()].sort());
    for (const [path, text] of texts) {
      expect(text.trim(), path).not.toBe('');
      expect(text, path).not.toMatch(/undefined|[<>&]|"|'|\.\.\.| {2}|[\r\n]/);
    }
  });

  it('say what they are given', () => {
    const { code, alerts, passwordReset } = textsFor(locale);
    for (const { subject, intro } of [...Object.values(code), ...Object.values(alerts), passwordReset]) {
      for (const text of [subject('BRAND'), intro('BRAND')]) expect(text.split('BRAND')).toHaveLength(2);
    }
    for (const path of ['.neverAsked', '.footer', '.emailChanged.subject', '.denyPage.ask.intro']) {
      expect(texts.get(path)).toContain('BRAND');
    }
    for (const path of ['.passwordReset.footer', '.resetPage.ask.intro', '.unusual.NEW_COUNTRY']) {
      expect(texts.get(path)?.split('BRAND'), path).toHaveLength(2);
    }
    expect(texts.get('.unusual.ANONYMOUS_NETWORK')).toMatch(/BRAND.+DETAIL/);
    expect(texts.get('.unusual.IMPOSSIBLE_TRAVEL')).toMatch(/BRAND.+DETAIL|DETAIL.+BRAND/);
    expect(texts.get('.codePreview')).toMatch(/BRAND.*DETAIL/);
    expect(texts.get('.emailChanged.intro')).toMatch(/BRAND.*DETAIL/);
    expect(texts.get('.push.deviceIn')).toMatch(/^BRAND.*DETAIL/);
  });

  it('have titles short enough for a push', () => {
    const { code, alerts } = textsFor(locale);
    for (const { heading } of [...Object.values(code), ...Object.values(alerts)]) {
      expect([...heading].length, heading).toBeLessThanOrEqual(59);
    }
    for (const { pushAdvice } of Object.values(alerts)) expect([...pushAdvice].length).toBeLessThanOrEqual(80);
  });

  it('put what was odd as phrases, and what a password lacks as one sentence each', () => {
    const { weaknesses } = textsFor(locale);
    for (const [path, text] of texts) {
      if (/^\.(unusual|anonymousKinds|elapsed|previousPlace)/.test(path)) expect(text, path).not.toMatch(/[.。!！]/);
    }
    for (const weakness of Object.values(weaknesses)) expect(weakness).toMatch(/^[^.。]+[.。]$/u);
  });

  it('send to support who is locked out by wrong codes: a new password would not help', () => {
    const { reasons, contactSupport, alerts } = textsFor(locale);
    const support = /support|suporte|поддержк|підтримк|assist|asist|pomoc|destek|サポート|客服/i;
    for (const text of [contactSupport, alerts.PASSWORD_CHANGED.advice, reasons.VERIFICATION_LOCKED]) {
      expect(text).toMatch(support);
    }
  });

  it('end the mail that has a link for a new password otherwise than those that have none', () => {
    expect(texts.get('.passwordReset.footer')).not.toBe(texts.get('.footer'));
  });
});

test.each(supportedLocales.filter((locale) => locale !== 'en'))(
  'the texts in %s are nowhere the English ones',
  (locale) => {
    for (const [path, text] of allTexts(textsFor(locale))) {
      if (!mayBeEnglish.test(path)) expect(text, path).not.toBe(english.get(path));
    }
  },
);

test.each([
  ['en', ['1 trusted device', '2 trusted devices', '5 trusted devices']],
  ['ru', ['1 доверенное устройство', '2 доверенных устройства', '5 доверенных устройств']],
  ['pl', ['1 zaufane urządzenie', '2 zaufane urządzenia', '5 zaufanych urządzeń']],
  ['uk', ['1 довірений пристрій', '2 довірені пристрої', '5 довірених пристроїв']],
  ['tr', ['1 güvenilir cihaz', '2 güvenilir cihaz', '5 güvenilir cihaz']],
  ['fr', ['1 appareil de confiance', '2 appareils de confiance', '5 appareils de confiance']],
  ['ja', ['信頼済み端末1台', '信頼済み端末2台', '信頼済み端末5台']],
])('devices are counted as %s counts them', (locale, expected) => {
  expect([1, 2, 5].map((count) => textsFor(locale).devices(count))).toEqual(expected);
});

test.each([
  ['ru', '21 доверенное устройство', '22 доверенных устройства', '25 доверенных устройств'],
  ['pl', '21 zaufanych urządzeń', '22 zaufane urządzenia', '25 zaufanych urządzeń'],
  ['uk', '21 довірений пристрій', '22 довірені пристрої', '25 довірених пристроїв'],
])('past twenty too, in %s', (locale, ...expected) => {
  expect([21, 22, 25].map((count) => textsFor(locale).devices(count))).toEqual(expected);
});

test.each([
  ['ru', ['1 минуту', '2 минуты', '5 минут', '21 минуту', '22 минуты', '25 минут']],
  ['pl', ['1 minutę', '2 minuty', '5 minut', '21 minut', '22 minuty', '25 minut']],
  ['uk', ['1 хвилину', '2 хвилини', '5 хвилин', '21 хвилину', '22 хвилини', '25 хвилин']],
])('and so are minutes, in %s', (locale, expected) => {
  for (const [index, count] of [1, 2, 5, 21, 22, 25].entries()) {
    const { code, passwordReset } = textsFor(locale);
    for (const { validity } of [...Object.values(code), passwordReset])
      expect(validity(count)).toContain(` ${expected[index]} `);
  }
});

describe('a language', () => {
  test.each([
    ['ru-KZ', 'ru'],
    ['RU', 'ru'],
    ['de-CH', 'de'],
    ['pt', 'pt-BR'],
    ['pt-PT', 'pt-BR'],
    ['zh', 'zh-Hans'],
    ['zh-CN', 'zh-Hans'],
    ['zh-SG', 'zh-Hans'],
    ['zh-Hans-SG', 'zh-Hans'],
    ['es-419', 'es'],
    ['ja-JP-u-ca-japanese', 'ja'],
  ])('is found for %s: %s', (tag, locale) => {
    expect(textsFor(tag).locale).toBe(locale);
  });

  // Simplified characters are another script: CLDR gives zh-Hant no parent either.
  test.each(['zh-Hant', 'zh-TW', 'zh-HK', 'sr-Latn', 'fi', '', '*', 'not a tag', 'x-klingon'])(
    'is English for %s, which has no texts',
    (tag) => {
      expect(textsFor(tag).locale).toBe('en');
      expect(textsIn(tag)).toBeUndefined();
    },
  );

  test.each([
    ['de-CH, fr;q=0.8', 'de'],
    ['fi, fr;q=0.8, en;q=0.5', 'fr'],
    ['en;q=0.1, uk', 'uk'],
    ['zh-Hans-CN', 'zh-Hans'],
    ['zh-TW, ja;q=0.8', 'ja'],
    ['pt-PT', 'pt-BR'],
    ['fr;q=0, it', 'it'],
    ['fi', undefined],
    ['*', undefined],
    ['', undefined],
    ['fi, *;q=0.5', undefined],
    [`de${' '.repeat(1_000)}`, undefined],
  ])('is read from accept-language %s: %s', (accepted, locale) => {
    const header = { get: () => accepted } as unknown as Headers;
    expect(localeOf(header)).toBe(locale);
  });
});
