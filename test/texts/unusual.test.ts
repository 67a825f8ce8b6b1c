// What was odd about a sign-in, in words: numbers as far as they are known, in the grammar of each language.

import { describe, expect, it, test } from 'vitest';
import type { UnusualFinding } from '../../server/domain/unusual.ts';
import { supportedLocales, textsFor } from '../../server/texts/texts.ts';
import { unusualInWords } from '../../server/texts/unusual.ts';

const minutes = 60_000;
const hours = 60 * minutes;
const days = 24 * hours;

const nowhere = { city: '', countryCode: '' };
const travel = (distanceKm: number, elapsedMs: number, from = nowhere): UnusualFinding => ({
  unusual: 'IMPOSSIBLE_TRAVEL',
  distanceKm,
  elapsedMs,
  from,
});

/** With plain spaces, whatever kind the language has within numbers. */
const say = (finding: UnusualFinding, locale = 'en'): string =>
  unusualInWords(finding, textsFor(locale)).replace(/[\u00a0\u202f]/g, ' ');

test('a new device, a new country and a network that hides its user are named', () => {
  expect(say({ unusual: 'NEW_DEVICE' })).toBe('New device');
  expect(say({ unusual: 'NEW_COUNTRY', countryCode: 'BR' })).toBe('New country: Brazil');
  expect(say({ unusual: 'ANONYMOUS_NETWORK', kinds: ['VPN', 'TOR_EXIT'] })).toBe('Anonymous network: VPN, Tor');
});

test('what has no name is said as far as it is known', () => {
  expect(say({ unusual: 'NEW_COUNTRY', countryCode: 'QX' })).toBe('New country: QX');
  expect(say({ unusual: 'ANONYMOUS_NETWORK', kinds: [] })).toBe('Anonymous network: unknown kind');
});

test.each([
  [94, '90 km'],
  [744, '740 km'],
  [996, '1,000 km'],
  [2_449, '2,400 km'],
  [12_350, '12,400 km'],
])('a distance claims no more than addresses tell: %d km are %s', (km, expected) => {
  expect(say(travel(km, 40 * minutes))).toBe(`${expected} in 40 minutes`);
});

test.each([
  [0, '1 minute'],
  [20_000, '1 minute'],
  [119 * minutes, '119 minutes'],
  [119.6 * minutes, '2 hours'],
  [47.4 * hours, '47 hours'],
  [47.6 * hours, '2 days'],
  [9 * days, '9 days'],
])('%d ms are %s', (ms, expected) => {
  expect(say(travel(2_400, ms))).toBe(`2,400 km in ${expected}`);
});

test.each([
  ['en', 40 * minutes, '2,400 km in 40 minutes'],
  ['de', 40 * minutes, '2.400 km in 40 Minuten'],
  ['de', 3 * days, '2.400 km in 3 Tagen'],
  ['ru', 21 * minutes, '2 400 км за 21 минуту'],
  ['ru', 22 * hours, '2 400 км за 22 часа'],
  ['ru', 5 * days, '2 400 км за 5 дней'],
  ['uk', 21 * hours, '2 400 км за 21 годину'],
  ['uk', 3 * days, '2 400 км за 3 дні'],
  ['pl', minutes, '2400 km w 1 minutę'],
  ['pl', 22 * hours, '2400 km w 22 godziny'],
  ['pl', 5 * days, '2400 km w 5 dni'],
  ['fr', 5 * hours, '2 400 km en 5 heures'],
  ['es', 5 * hours, '2400 km en 5 horas'],
  ['pt-BR', 2 * days, '2.400 km em 2 dias'],
  ['it', 2 * days, '2400 km in 2 giorni'],
  ['tr', 40 * minutes, '40 dakika içinde 2.400 km'],
  ['ja', 40 * minutes, '40分間で 2,400 km の移動'],
  ['zh-Hans', 40 * minutes, '40 分钟内移动 2,400 公里'],
])('travel is told in the grammar of %s: %d ms', (locale, ms, expected) => {
  expect(say(travel(2_400, ms), locale)).toBe(expected);
});

test.each([
  ['en', '2,400 km in 40 minutes (previous place: Lisbon, Portugal)'],
  ['fr', '2 400 km en 40 minutes (lieu précédent : Lisbon, Portugal)'],
  ['it', '2400 km in 40 minuti (luogo precedente: Lisbon, Portogallo)'],
  ['ru', '2 400 км за 40 минут (предыдущее место: Lisbon, Португалия)'],
  ['ja', '40分間で 2,400 km の移動（直前の場所：Lisbon, ポルトガル）'],
])('the place before stands without a preposition, in %s', (locale, expected) => {
  expect(say(travel(2_400, 40 * minutes, { city: 'Lisbon', countryCode: 'PT' }), locale)).toBe(expected);
});

describe.each(supportedLocales)('in %s', (locale) => {
  it('a country stands as its name is written', () => {
    for (const code of ['US', 'NL', 'CI', 'HK', 'MM', 'GB']) {
      const name = new Intl.DisplayNames([locale], { type: 'region' }).of(code) ?? '';
      const places: UnusualFinding[] = [
        { unusual: 'NEW_COUNTRY', countryCode: code },
        travel(2_400, 40 * minutes, { city: '', countryCode: code }),
      ];
      for (const finding of places) expect(say(finding, locale)).toContain(`${name}`.replace(/\u00a0/g, ' '));
    }
  });

  it('a town that somebody made up turns nothing around it, and is no link', () => {
    const words = say(travel(2_400, hours, { city: '\u202eevil.example/\n<b>', countryCode: 'PT' }), locale);
    expect(words).not.toMatch(/[\u202a-\u202e\r\n]|evil\.example/);
  });
});
