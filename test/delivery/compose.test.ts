import { describe, expect, it } from 'vitest';
import { type CodeMessage, type ComposedMessage, compose, type Message } from '../../server/delivery/compose.ts';
import { messagesFor, supportedLocales } from '../../server/delivery/messages/messages.ts';

const code: CodeMessage = {
  kind: 'code',
  purpose: 'SIGN_IN',
  code: '048213',
  device: { displayName: 'Anna’s iPhone', model: 'iPhone 15', platform: 'IOS', appVersion: '2.3.1' },
  time: new Date('2026-11-24T07:51:09Z'),
  place: {
    city: 'Berlin',
    region: '',
    country: 'Germany',
    countryCode: 'DE',
    latitude: 52.5,
    longitude: 13.4,
    accuracyRadiusKm: 20,
    source: 'DBIP-City-Lite 2026-06-05',
  },
  ipAddress: '85.214.132.117',
  minutesValid: 10,
};
const changed: Message = { kind: 'emailChanged', newEmailMasked: 'j•••@example.com', time: code.time };

const write = (message: Message, locale = 'en'): ComposedMessage =>
  compose(message, { locale, brandName: 'Countersign' });

/** What a reader of the HTML reads. */
const read = (html: string): string =>
  html
    .replace(/^[\s\S]*<body[^>]*>/, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/&#(\d+);/g, (_, point: string) => String.fromCodePoint(Number(point)))
    .replace(/\s+/g, ' ');

describe.each(supportedLocales)('a message in %s', (locale) => {
  const everything = [code, { ...code, purpose: 'SWITCH_OFF' } as const, changed];

  it('never has the code in its subject, which names the brand on one line', () => {
    for (const message of everything) {
      const { subject } = write(message, locale);
      expect(subject).toContain('Countersign');
      expect(subject).not.toMatch(/\d|[\r\n]/);
    }
  });

  it('says everything that helps to tell one’s own sign-in from another’s, in both parts', () => {
    const { text, html } = write(code, locale);
    const { labels, notYou, placeIsApproximate, codeForSignIn, neverAsked } = messagesFor(locale);
    const advice = codeForSignIn.advice;
    const country = locale === 'ru' ? 'Германия' : 'Germany';
    for (const part of [text.replace(/\s+/g, ' '), read(html)]) {
      for (const expected of [
        '048213',
        'Anna’s iPhone (iPhone 15, iOS)',
        '2.3.1',
        '2026',
        '07:51 UTC',
        `Berlin, ${country}`,
        placeIsApproximate,
        '85.214.132.117',
        codeForSignIn.validity(10),
        notYou,
        advice,
        neverAsked('Countersign'),
        'IP Geolocation by DB-IP',
        ...Object.values(labels).filter((label) => label !== labels.newEmail),
      ]) {
        expect(part).toContain(expected);
      }
    }
  });

  it('says what the code is for', () => {
    const signIn = write(code, locale);
    const switchOff = write({ ...code, purpose: 'SWITCH_OFF' }, locale);
    expect(switchOff.subject).not.toBe(signIn.subject);
    expect(read(switchOff.html)).toContain(messagesFor(locale).codeForSwitchOff.heading);
    expect(read(signIn.html)).not.toContain(messagesFor(locale).codeForSwitchOff.heading);
  });

  it('says so where something is not known', () => {
    const { text } = write({ ...code, place: null, ipAddress: '' }, locale);
    const { labels, unknown, placeIsApproximate } = messagesFor(locale);
    expect(text).toContain(`${labels.place}: ${unknown}\n`);
    expect(text).toContain(`${labels.ipAddress}: ${unknown}\n`);
    expect(text).not.toContain(placeIsApproximate);
    expect(text).not.toContain('DB-IP');
  });

  it('tells the old address where the account went, masked', () => {
    const { text, html } = write(changed, locale);
    for (const part of [text, read(html)]) {
      expect(part).toContain('j•••@example.com');
      expect(part).toContain('07:51 UTC');
    }
  });

  it('declares its language and both colour schemes, and loads, runs and tracks nothing', () => {
    for (const message of everything) {
      const { html } = write(message, locale);
      expect(html).toContain(`<html lang="${locale}"`);
      expect(html).toContain('<meta name="color-scheme" content="light dark">');
      expect(html).not.toMatch(/<(img|script|link|iframe|form|object)|url\(|@import|\son\w+=/i);
    }
  });

  it('has plain text of at most 72 columns', () => {
    for (const message of everything) {
      for (const line of write(message, locale).text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(72);
    }
  });
});

describe('the code', () => {
  it('stands alone on a line of the text, and in one piece in the preview', () => {
    const { text, html } = write(code);
    expect(text).toMatch(/^ +048213$/m);
    expect(html).toMatch(/display:none[^>]*>Code 048213\./);
  });

  it('is shown in groups that copy as digits alone', () => {
    const shown = /<p class="code"[^>]*>(.*)<\/p>/.exec(write(code).html)?.[1] ?? '';
    expect(shown).toMatch(/048<\/span><span[^>]*>213/);
    expect(shown.replace(/<[^>]+>/g, '')).toBe('048213');
  });

  it('is valid for a number of minutes in good grammar', () => {
    const validity = (locale: string, minutesValid: number): string => write({ ...code, minutesValid }, locale).text;
    expect(validity('en', 1)).toContain('valid for 1 minute and');
    expect(validity('en', 10)).toContain('valid for 10 minutes and');
    expect(validity('ru', 1)).toContain('действует 1 минуту и');
    expect(validity('ru', 3)).toContain('действует 3 минуты и');
    expect(validity('ru', 10)).toContain('действует 10 минут и');
  });
});

describe('what a device calls itself', () => {
  const named = (displayName: string): ComposedMessage => write({ ...code, device: { ...code.device, displayName } });
  const deviceLine = (message: ComposedMessage): string =>
    (/^Device: (.*(?:\n {2}.*)*)$/m.exec(message.text)?.[1] ?? '').replaceAll('\n  ', ' ');

  it('is never markup', () => {
    const { html } = named('<img src=x onerror=alert(1)>"\'&amp;');
    expect(html).not.toContain('<img');
    expect(html).toContain('&#60;img src=x onerror=alert(1)&#62;&#34;&#39;&#38;amp;');
  });

  it('is escaped wherever it is said: model, version and brand too', () => {
    const device = { displayName: 'a', model: '<i>', platform: 'WEB', appVersion: '<u>' } as const;
    const { html } = compose({ ...code, device }, { locale: 'en', brandName: '<s>&co' });
    expect(html).not.toMatch(/<[ius]>/);
    expect(html).toContain('&#60;s&#62;&#38;co');
  });

  it('adds no line, and no header', () => {
    const message = named('Phone\r\n\r\nYour account is safe.\u2028Really.\u0085Yes\u0000');
    expect(deviceLine(message)).toBe('Phone Your account is safe. Really. Yes (iPhone 15, iOS)');
    expect(compose(code, { locale: 'en', brandName: 'Acme\r\nBcc: a@b.c' }).subject).not.toMatch(/[\r\n]/);
  });

  it('turns nothing around it: no bidi controls, no invisible characters', () => {
    const message = named('\u202eenohP\u2066x\u200b\u200e\ufeff\u061c');
    expect(deviceLine(message)).toBe('enohPx (iPhone 15, iOS)');
    expect(message.html).not.toMatch(/[\u200b-\u200c\u200e-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/);
    expect(message.html).toContain('<bdi>enohPx');
  });

  it('is cut where it is long, even one letter under a thousand accents', () => {
    expect(deviceLine(named('x'.repeat(5000)))).toBe(`${'x'.repeat(60)}… (iPhone 15, iOS)`);
    expect(deviceLine(named(`Phone a${'\u0301'.repeat(5000)}`))).toBe('Phone… (iPhone 15, iOS)');
  });

  it('keeps an emoji whole', () => {
    expect(deviceLine(named('👩‍💻 phone'))).toBe('👩‍💻 phone (iPhone 15, iOS)');
  });

  it('is never made a link by a mail program', () => {
    const { text, html } = named('https://evil.example/x mail@evil.example');
    for (const part of [text, html]) expect(part).not.toMatch(/:\/\/evil|evil\.example|mail@evil/);
    expect(deviceLine(named('Pixel 8.1, v2.0'))).toBe('Pixel 8.1, v2.0 (iPhone 15, iOS)');
  });

  it('is its model where it has no name', () => {
    expect(deviceLine(named(' \u200b'))).toBe('iPhone 15, iOS');
  });
});

describe('the language', () => {
  it('is the reader’s whatever the region, and English for any other', () => {
    expect(messagesFor('ru-KZ').locale).toBe('ru');
    expect(messagesFor('RU').locale).toBe('ru');
    for (const other of ['en-GB', 'ja', '', '*', 'not a tag', 'x-klingon']) {
      expect(messagesFor(other).locale).toBe('en');
      expect(write(code, other).html).toContain('<html lang="en"');
    }
  });

  it('writes dates as the region does, but not in another language than the words', () => {
    expect(write(code, 'en-GB').text).toContain('24 November 2026 at 07:51 UTC');
    expect(write(code, 'en').text).toContain('November 24, 2026 at 07:51 UTC');
    expect(write(code, 'fr').text).toContain('November 24, 2026 at 07:51 UTC');
    expect(write(code, 'ru').text).toContain('24 ноября 2026 г. в 07:51 UTC');
    expect(write(code, 'en-u-nu-arab').text).toContain('07:51 UTC');
  });
});
