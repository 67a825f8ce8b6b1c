// Mails as values: what they say, what they never say, and what becomes of what strangers wrote into them.

import { describe, expect, it } from 'vitest';
import {
  type AlertMessage,
  type Brand,
  type CodeMessage,
  type ComposedMessage,
  compose,
  composePush,
  type Message,
} from '../../server/delivery/compose.ts';
import { displayWidth } from '../../server/delivery/plain-text.ts';
import {
  nasty,
  sampleAlerts,
  sampleCode,
  sampleMessages,
  samplePasswordReset,
  usual,
} from '../../server/development/sample-messages.ts';
import { countryName } from '../../server/domain/place.ts';
import { contrast, darkPalette, lightPalette } from '../../server/texts/look.ts';
import { supportedLocales, textsFor } from '../../server/texts/texts.ts';
import { unusualInWords } from '../../server/texts/unusual.ts';

const brand: Brand = { name: 'Countersign', color: '#2f5bd8', logoCid: undefined, support: 'help@countersign.example' };
const device = { displayName: 'Anna’s iPhone', model: 'iPhone 15', platform: 'IOS', appVersion: '2.3.1' } as const;
const code: CodeMessage = { ...sampleCode('SIGN_IN', usual), device };
const denyUrl = code.denyUrl ?? '';
const changed: Message = { kind: 'emailChanged', newEmailMasked: 'j•••@example.com', time: code.time };
const alerts = sampleAlerts({ ...usual, device });
const unusual = alerts.find(({ alert }) => alert === 'UNUSUAL_SIGN_IN');
if (unusual === undefined) throw new Error('the samples have an unusual sign-in');
const reset = samplePasswordReset;
const everything: readonly Message[] = [code, { ...code, purpose: 'SWITCH_OFF' }, ...alerts, changed, reset];

const write = (message: Message, locale = 'en', changes: Partial<Brand> = {}): Promise<ComposedMessage> =>
  compose(message, { locale, brand: { ...brand, ...changes } });

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"' };

/** What a reader of the HTML reads. */
const read = (html: string): string =>
  html
    .replace(/^[\s\S]*<body[^>]*>/, '')
    .replace(/<!--.*?-->/g, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/&#x([\da-f]+);/gi, (_, point: string) => String.fromCodePoint(Number.parseInt(point, 16)))
    .replace(/&(\w+);/g, (whole, name: string) => entities[name] ?? whole)
    .replace(/[ \n]+/g, ' ');

/** Wrapped text as one line, wide characters as they were before they were wrapped. */
const unwrap = (text: string): string =>
  text
    .replace(/(?<=[\u3000-\u9fff\uff00-\uffef])\n *(?=\S)|\n *(?=[\u3000-\u9fff\uff00-\uffef])/g, '')
    .replace(/[ \n]+/g, ' ');

const squeeze = (text: string): string => text.replace(/[ \n]+/g, '');

describe.each(supportedLocales)('a mail in %s', (locale) => {
  const texts = textsFor(locale);

  it('never has the code in its subject, which names the brand on one line', async () => {
    for (const message of everything) {
      const { subject } = await write(message, locale);
      expect(subject).toContain('Countersign');
      expect(subject).not.toMatch(/\d{2}|[\r\n]|undefined/);
    }
  });

  it('says everything that helps to tell one’s own sign-in from another’s, in both parts', async () => {
    const { text, html } = await write(code, locale);
    const { labels, notYou, placeIsApproximate, neverAsked } = texts;
    for (const part of [squeeze(text), squeeze(read(html))]) {
      for (const expected of [
        '048213',
        texts.remark('Anna’s iPhone', 'iPhone 15, iOS'),
        '2.3.1',
        '2026',
        '07:51',
        'UTC',
        `Berlin, ${countryName('DE', locale)}`,
        placeIsApproximate,
        '85.214.132.117',
        texts.code.SIGN_IN.heading,
        texts.code.SIGN_IN.intro('Countersign'),
        texts.code.SIGN_IN.validity(10),
        texts.code.SIGN_IN.advice,
        notYou,
        neverAsked('Countersign'),
        texts.wasNotMe,
        texts.pageAsksFirst,
        texts.contactSupport,
        'help@countersign.example',
        texts.footer('Countersign'),
        'IP Geolocation by DB-IP',
        ...[labels.device, labels.appVersion, labels.time, labels.place, labels.ipAddress],
      ]) {
        expect(part).toContain(squeeze(expected));
      }
    }
  });

  it('says what happened and what to do about it, in both parts', async () => {
    for (const message of alerts) {
      const { text, html } = await write(message, locale);
      const { heading, intro, advice } = texts.alerts[message.alert];
      const denied = message.alert === 'CHALLENGE_DENIED';
      for (const part of [squeeze(text), squeeze(read(html))]) {
        expect(part).not.toContain('undefined');
        for (const expected of [heading, intro('Countersign'), advice, denied ? texts.whatNow : texts.notYou]) {
          expect(part).toContain(squeeze(expected));
        }
        expect(part.includes(squeeze(texts.remark('Anna’s iPhone', 'iPhone 15, iOS')))).toBe(message.device !== null);
        expect(part.includes(squeeze(texts.labels.removedDevice))).toBe(message.alert === 'DEVICE_REMOVED');
      }
      const placed = message.place !== undefined;
      expect(text.includes(`\n${texts.labels.place}${texts.colon}`)).toBe(placed);
      expect(html.includes(`>${texts.labels.place}<`)).toBe(placed);
    }
  });

  it('says of a sign-in what was odd about it, a line each, and nothing of it where nothing was', async () => {
    const { labels, colon } = texts;
    const { text, html } = await write(unusual, locale);
    expect(unusual.findings).toHaveLength(3);
    expect(text).toMatch(new RegExp(`^${labels.unusual}${colon.trimEnd()}\n(- .*\n( {2}.*\n)*){3}\n`, 'm'));
    for (const finding of unusual.findings) {
      const words = unusualInWords(finding, texts);
      for (const part of [squeeze(text), squeeze(read(html))]) expect(part).toContain(squeeze(words));
      expect(html).toContain(`<bdi>${words}</bdi></div>`);
    }
    const plain = await write({ ...unusual, findings: [] }, locale);
    expect(plain.text).not.toContain(`\n${labels.unusual}${colon.trimEnd()}\n`);
    expect(plain.html).not.toContain(`>${labels.unusual}<`);
  });

  it('says of a password reset what it is, how long its link works, and what to do about it', async () => {
    const { heading, intro, button, validity, advice, footer } = texts.passwordReset;
    const { text, html } = await write(reset, locale);
    for (const part of [squeeze(text), squeeze(read(html))]) {
      const ours = [heading, intro('Countersign'), button, validity(30), advice, footer('Countersign'), texts.notYou];
      for (const expected of [...ours, '07:51', 'help@countersign.example']) expect(part).toContain(squeeze(expected));
      // Which would say that there is no such link.
      expect(part).not.toContain(squeeze(texts.footer('Countersign')));
      expect(part).not.toContain('DB-IP');
    }
  });

  it('says what the code is for', async () => {
    const signIn = await write(code, locale);
    const switchOff = await write({ ...code, purpose: 'SWITCH_OFF' }, locale);
    expect(switchOff.subject).not.toBe(signIn.subject);
    expect(read(switchOff.html)).toContain(texts.code.SWITCH_OFF.heading);
    expect(read(signIn.html)).not.toContain(texts.code.SWITCH_OFF.heading);
  });

  it('says so where something is not known', async () => {
    const { text } = await write({ ...code, place: null, ipAddress: '' }, locale);
    const { labels, unknown, placeIsApproximate, colon } = texts;
    expect(text).toContain(`${labels.place}${colon}${unknown}\n`);
    expect(text).toContain(`${labels.ipAddress}${colon}${unknown}\n`);
    expect(text).not.toContain(placeIsApproximate);
    expect(text).not.toContain('DB-IP');
  });

  it('tells the old address where the account went, masked', async () => {
    const { text, html } = await write(changed, locale);
    for (const part of [text, read(html)]) {
      expect(part).toContain('j•••@example.com');
      expect(part).toContain('07:51');
    }
  });

  it('declares its language and both colour schemes, and loads, runs and tracks nothing', async () => {
    for (const message of everything) {
      const { html } = await write(message, locale);
      expect(html).toMatch(new RegExp(`^<!doctype html>\\n<html [^>]*lang="${locale}"`));
      expect(html).toContain('<meta name="color-scheme" content="light dark"/>');
      expect(html).not.toMatch(/<(img|script|link|iframe|form|object)|url\(|@import|\son\w+=/i);
    }
  });

  it('has plain text of at most 72 columns, but for what does not break', async () => {
    for (const sample of [usual, ...nasty]) {
      for (const message of Object.values(sampleMessages(sample))) {
        const { text } = await compose(message, { locale, brand: sample.brand });
        for (const line of text.split('\n')) {
          const breaks = line.trim().includes(' ') && !line.startsWith('  ');
          if (breaks || displayWidth(line) <= 72) expect(displayWidth(line), line).toBeLessThanOrEqual(72);
          else expect(line.trim(), line).toMatch(/^\S+$/);
        }
      }
    }
  });
});

describe('the code', () => {
  it('stands alone on a line of the text, and in one piece in the preview', async () => {
    const { text, html } = await write(code);
    expect(text).toMatch(/^ +048213$/m);
    expect(/^ *(\d{6}) *$/m.exec(text)?.[1]).toBe('048213');
    expect(html).toMatch(/display:none[^>]*>Code 048213\./);
  });

  it('is nowhere else', async () => {
    const { text, html } = await write(code);
    expect(text.split('048213')).toHaveLength(2);
    expect(html.split('048213')).toHaveLength(2);
  });

  it('is shown in groups that copy as digits alone', async () => {
    const shown = /<p class="code"[^>]*>(.*?)<\/p>/.exec((await write(code)).html)?.[1] ?? '';
    expect(shown).toMatch(/048<\/span><span[^>]*>213/);
    expect(shown.replace(/<[^>]+>/g, '')).toBe('048213');
  });

  it('is valid for a number of minutes in good grammar', async () => {
    const validity = async (locale: string, minutesValid: number): Promise<string> =>
      (await write({ ...code, minutesValid }, locale)).text;
    expect(await validity('en', 1)).toContain('valid for 1 minute and');
    expect(await validity('en', 10)).toContain('valid for 10 minutes and');
    expect(await validity('ru', 1)).toContain('действует 1 минуту и');
    expect(await validity('ru', 3)).toContain('действует 3 минуты и');
    expect(await validity('ru', 10)).toContain('действует 10 минут и');
    expect(await validity('pl', 2)).toContain('przez 2 minuty i');
    expect(await validity('uk', 5)).toContain('дійсний 5 хвилин і');
  });
});

describe('the link of a password reset', () => {
  it('stands alone on a line of the text, and under a button', async () => {
    const { text, html } = await write(reset);
    expect(text).toContain(`Choose a new password:\n${reset.resetUrl}\n\nThe link is valid for 30 minutes`);
    const [opens = ''] = html.match(/<a [^>]*class="button"[^>]*>/g) ?? [];
    expect(opens).toContain(`href="${reset.resetUrl}"`);
  });

  it('is nowhere else: not in the subject, nor in the line beside it', async () => {
    for (const locale of supportedLocales) {
      const { subject, text, html } = await write(reset, locale);
      expect(text.split(reset.resetUrl)).toHaveLength(2);
      expect(html.split(reset.resetUrl)).toHaveLength(2);
      expect(subject).not.toMatch(/:\/\/|token/);
      const preview = /display:none[^>]*>([^<]*)/.exec(html)?.[1] ?? '';
      expect(preview).toContain('Countersign');
      expect(preview).not.toMatch(/:\/\/|token/);
    }
  });

  it('stays one address, whatever is in it', async () => {
    const { text, html } = await write({ ...reset, resetUrl: 'https://a.example/reset?token=x&y="><b>' });
    expect(text).toContain('\nhttps://a.example/reset?token=x&y="><b>\n');
    expect(html).toContain('href="https://a.example/reset?token=x&amp;y=&quot;&gt;&lt;b&gt;"');
  });
});

describe('“It wasn’t me”', () => {
  it('has its address on a line of its own, and a button', async () => {
    const { text, html } = await write(code);
    expect(text).toContain(`It wasn’t me:\n${denyUrl}\nThis opens a page that asks you`);
    const [opens = ''] = html.match(/<a [^>]*class="button"[^>]*>/g) ?? [];
    expect(opens).toContain(`href="${denyUrl}"`);
  });

  it('is not offered where there is no page', async () => {
    const { text, html } = await write({ ...code, denyUrl: undefined });
    expect(text).not.toContain('It wasn’t me');
    expect(html).not.toContain('class="button"');
  });
});

describe('the brand', () => {
  it('stands alone, or beside its logo, which comes with the mail', async () => {
    expect((await write(code)).html).not.toContain('<img');
    const { html } = await write(code, 'en', { logoCid: 'logo@countersign' });
    expect(html.match(/<img[^>]*>/g)).toHaveLength(1);
    expect(html).toMatch(/<img[^>]* src="cid:logo@countersign"/);
    expect(html).not.toMatch(/<link|src="(?!cid:)/);
    expect(read(html)).toContain('Countersign');
  });

  it('tells how to reach support, by mail or on the web, or does not', async () => {
    expect((await write(code)).html).toContain('href="mailto:help@countersign.example"');
    const web = await write(code, 'en', { support: 'https://countersign.example/help' });
    expect(web.html).toContain('href="https://countersign.example/help"');
    expect(web.text).toContain('\nContact support: https://countersign.example/help\n');
    expect((await write(code, 'en', { support: undefined })).text).not.toContain('Contact support:');
  });

  it('has text on its colour that can be read, whatever the colour', () => {
    for (const color of ['#000000', '#ffffff', '#ffd400', '#767676', '#757575', '#2f5bd8', '#00ff00', '#ff0000']) {
      for (const palette of [lightPalette(color), darkPalette(color)]) {
        expect(contrast(palette.button, palette.buttonInk)).toBeGreaterThanOrEqual(4.5);
        expect(contrast(palette.accent, palette.card)).toBeGreaterThanOrEqual(3);
        expect(contrast(palette.soft, palette.box)).toBeGreaterThanOrEqual(4.5);
        expect(contrast(palette.soft, palette.page)).toBeGreaterThanOrEqual(4.5);
        expect(palette.accent).toMatch(/^#[\da-f]{6}$/);
      }
    }
  });
});

describe('what a device calls itself', () => {
  const named = (displayName: string): Promise<ComposedMessage> =>
    write({ ...code, device: { ...device, displayName } });
  const deviceLine = (message: ComposedMessage): string =>
    (/^Device: (.*(?:\n {2}.*)*)$/m.exec(message.text)?.[1] ?? '').replaceAll('\n  ', ' ');

  it('is never markup', async () => {
    const { html } = await named('<img src=x onerror=alert(1)>"\'&amp;');
    expect(html).not.toContain('<img');
    expect(html).toContain('&lt;img src=x onerror=alert(1)&gt;&quot;&#x27;&amp;amp;');
  });

  it('is escaped wherever it is said: model, version and brand too', async () => {
    const wicked = { displayName: 'a', model: '<i>', platform: 'WEB', appVersion: '<u>' } as const;
    const { html } = await write({ ...code, device: wicked }, 'en', { name: '<s>&co', support: '"><b>@x' });
    expect(html.replaceAll(/<!--.*?-->/g, '')).not.toMatch(/<[biusi]>/);
    expect(html).toContain('&lt;s&gt;&amp;co');
  });

  it('adds no line, and no header', async () => {
    const message = await named('Phone\r\n\r\nYour account is safe.\u2028Really.\u0085Yes\u0000');
    expect(deviceLine(message)).toBe('Phone Your account is safe. Really. Yes (iPhone 15, iOS)');
    expect((await write(code, 'en', { name: 'Acme\r\nBcc: a@b.c' })).subject).not.toMatch(/[\r\n]/);
  });

  it('turns nothing around it: no bidi controls, no invisible characters', async () => {
    const message = await named('\u202eenohP\u2066x\u200b\u200e\ufeff\u061c');
    expect(deviceLine(message)).toBe('enohPx (iPhone 15, iOS)');
    // What React Email puts behind the preview, so that no more of the letter shows there, is not the device's.
    const html = message.html.replace(/<div>[\u00a0\u200b-\u200f\ufeff]+<\/div>/, '');
    expect(html).not.toMatch(/[\u200b-\u200c\u200e-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/);
    expect(html).toContain('<bdi>enohPx');
  });

  it('is cut where it is long, even one letter under a thousand accents', async () => {
    expect(deviceLine(await named('x'.repeat(5000)))).toBe(`${'x'.repeat(60)}… (iPhone 15, iOS)`);
    expect(deviceLine(await named(`Phone a${'\u0301'.repeat(5000)}`))).toBe('Phone… (iPhone 15, iOS)');
  });

  it('keeps an emoji whole', async () => {
    expect(deviceLine(await named('👩‍💻 phone'))).toBe('👩‍💻 phone (iPhone 15, iOS)');
  });

  it('is never made a link by a mail program', async () => {
    const { text, html } = await named('https://evil.example/x mail@evil.example');
    for (const part of [text, html]) expect(part).not.toMatch(/:\/\/evil|evil\.example|mail@evil/);
    expect(deviceLine(await named('Pixel 8.1, v2.0'))).toBe('Pixel 8.1, v2.0 (iPhone 15, iOS)');
  });

  it('is its model where it has no name', async () => {
    expect(deviceLine(await named(' \u200b'))).toBe('iPhone 15, iOS');
  });
});

describe('a push', () => {
  const push = (message: CodeMessage | AlertMessage, showCode: boolean, locale = 'en') =>
    composePush(message, { locale, brand, showCode });

  it('has the code first, and who asks for it', () => {
    expect(push(code, true)).toEqual({
      title: 'Your sign-in code',
      body: '048213 · Anna’s iPhone in Berlin, DE',
    });
    expect(push({ ...code, place: null }, true).body).toBe('048213 · Anna’s iPhone');
    expect(push({ ...code, place: { ...usual.place, city: '' } }, true).body).toBe('048213 · Anna’s iPhone (Germany)');
  });

  it('has no code where it may not show one', () => {
    expect(push(code, false).body).toBe('Open the app to see the code.\nAnna’s iPhone in Berlin, DE');
  });

  it('names the purpose of a code', () => {
    expect(push({ ...code, purpose: 'SWITCH_OFF' }, true).title).toBe('Your code to turn off two-step verification');
  });

  it('says of an alert what happened, where, and what to do', () => {
    const [first] = alerts;
    if (first === undefined) throw new Error('no alerts');
    expect(push(first, false)).toEqual({
      title: 'New sign-in to your account',
      body: 'Anna’s iPhone in Berlin, DE\nIf this wasn’t you, change your password now.',
    });
  });

  it('says of an unusual sign-in the first thing that was odd, where there is room', () => {
    expect(push(unusual, false)).toEqual({
      title: 'Unusual sign-in to your account',
      body: 'Anna’s iPhone in Berlin, DE · New country: Germany\nIf this wasn’t you, change your password now.',
    });
    const without = 'Anna’s iPhone in Berlin, DE\nIf this wasn’t you, change your password now.';
    expect(push({ ...unusual, findings: [] }, false).body).toBe(without);
    const long = { ...device, displayName: 'x'.repeat(60) };
    const place = { ...usual.place, city: 'y'.repeat(50) };
    const { body } = push({ ...unusual, device: long, place }, false);
    expect(body).toBe(`${'x'.repeat(60)} in ${'y'.repeat(50)}, DE\nIf this wasn’t you, change your password now.`);
  });

  it('says of what else happened nothing that was odd', () => {
    expect(push({ ...unusual, alert: 'NEW_SIGN_IN' }, false).body).not.toContain('New country');
  });

  it.each(supportedLocales)('fits where it is shown, whatever the names, in %s', (locale) => {
    for (const sample of [usual, ...nasty]) {
      const codes = [sampleCode('SIGN_IN', sample), sampleCode('SWITCH_OFF', sample)];
      for (const message of [...codes, ...sampleAlerts(sample)]) {
        for (const showCode of [true, false]) {
          const { title, body } = push(message, showCode, locale);
          expect(title).not.toMatch(/…|\d{2}|undefined/);
          expect([...title].length).toBeLessThanOrEqual(60);
          expect([...body].length).toBeLessThanOrEqual(180);
          expect(body).not.toMatch(/undefined|[\u202a-\u202e]|:\/\/evil/);
          expect(body.startsWith('048213')).toBe(message.kind === 'code' && showCode);
          if (message.kind === 'alert') expect(body).toContain(textsFor(locale).alerts[message.alert].pushAdvice);
        }
      }
    }
  });
});

describe('the language', () => {
  it('is English where there are no texts', async () => {
    for (const other of ['en-GB', 'fi', '', '*', 'not a tag', 'x-klingon']) {
      expect((await write(code, other)).html).toContain('lang="en"');
    }
  });

  it('writes dates as the region does, but not in another language than the words', async () => {
    const text = async (locale: string) => (await write(code, locale)).text;
    expect(await text('en-GB')).toContain('24 November 2026 at 07:51 UTC');
    expect(await text('en')).toContain('November 24, 2026 at 07:51 UTC');
    expect(await text('fi')).toContain('November 24, 2026 at 07:51 UTC');
    expect(await text('ru')).toContain('24 ноября 2026 г. в 07:51 UTC');
    expect(await text('de-AT')).toContain('24. November 2026 um 07:51 UTC');
    expect(await text('en-u-nu-arab')).toContain('07:51 UTC');
  });

  it('breaks lines between wide characters, but not before a stop', async () => {
    const { text } = await write({ ...code, purpose: 'SWITCH_OFF' }, 'ja');
    expect(unwrap(text)).toContain(textsFor('ja').code.SWITCH_OFF.intro('Countersign'));
    expect(text).not.toMatch(/^[\u3001\u3002\u300d\uff09]/m);
    expect(Math.max(...text.split('\n').slice(0, 8).map(displayWidth))).toBeGreaterThan(60);
  });
});
