// What is odd about a sign-in, as a table of people and of thieves; the harmless ones raise no alarm.

import { describe, expect, test } from 'vitest';
import type { Place } from '../../server/domain/place.ts';
import {
  type Arrival,
  countriesAfter,
  countriesWithout,
  findUnusual,
  type History,
  isAlarming,
  ownPlace,
  type Sighting,
  stepUpCauses,
  type Unusual,
} from '../../server/domain/unusual.ts';
import {
  anchorage,
  apia,
  auckland,
  basel,
  berlin,
  cable,
  cellular,
  city,
  dallas,
  day,
  denver,
  frankfurt,
  helsinki,
  hidden,
  hour,
  istanbul,
  johannesburg,
  kehl,
  lisbon,
  london,
  longyearbyen,
  madrid,
  minute,
  moscow,
  mulhouse,
  munich,
  names,
  newYork,
  nowhere,
  on,
  onlyCountry,
  quito,
  reykjavik,
  sanFrancisco,
  saoPaulo,
  satellite,
  seattle,
  seen,
  signIn,
  singapore,
  strasbourg,
  suva,
  sydney,
  tallinn,
  tokyo,
  utqiagvik,
  vpn,
  wide,
} from './sightings.ts';

type Case = readonly [name: string, arrival: Arrival, sightings: readonly Sighting[], countries: readonly string[]];
type OddCase = readonly [...Case, finds: readonly Unusual[]];

const harmless: readonly Case[] = [
  // At home.
  ['a phone at home', signIn('phone', cable(berlin)), [seen('phone', cable(berlin), hour)], ['DE']],
  ['a phone again in the same second', signIn('phone', cable(berlin)), [seen('phone', cable(berlin), 0)], ['DE']],
  ['a phone after a year', signIn('phone', cable(berlin)), [seen('phone', cable(berlin), 365 * day)], ['DE']],
  [
    'a phone after a year, a world away, in a country of before',
    signIn('phone', cable(sydney)),
    [seen('phone', cable(berlin), 365 * day)],
    ['DE', 'AU'],
  ],
  [
    'one city, where an address is known to 200 km',
    signIn('phone', cable(wide(munich, 200))),
    [seen('phone', cable(wide(munich, 5)), minute)],
    ['DE'],
  ],
  [
    'one region that the database puts 700 km away, 200 km wide',
    signIn('phone', cable(wide(madrid, 200))),
    [seen('phone', cable(wide(lisbon, 20)), minute)],
    ['ES', 'PT'],
  ],
  [
    'a provider that moves its addresses from Munich to Berlin',
    signIn('phone', cable(wide(berlin, 5))),
    [seen('phone', cable(wide(munich, 5)), minute)],
    ['DE'],
  ],
  [
    'a database without radii that takes Hamburg’s provider for Munich’s and back',
    signIn('phone', on(null, wide(city('Hamburg', 'DE', 53.5511, 9.9937), undefined))),
    [seen('phone', on(null, wide(munich, undefined)), 0)],
    ['DE'],
  ],
  [
    'a radius as wide as a continent',
    signIn('phone', cable(wide(newYork, 1_000))),
    [seen('phone', cable(wide(denver, 1_200)), minute)],
    ['US'],
  ],

  // Across borders.
  [
    'a commuter from Kehl to Strasbourg',
    signIn('phone', cable(strasbourg)),
    [seen('phone', cable(kehl), 20 * minute)],
    ['DE', 'FR'],
  ],
  [
    'a commuter back from Strasbourg to Kehl, as home is where the tablet is',
    signIn('phone', cable(kehl)),
    [seen('phone', cable(strasbourg), 15 * minute), seen('tablet', cable(kehl), 3 * day)],
    ['FR'],
  ],
  [
    'three countries in ten minutes, at Basel',
    signIn('phone', cable(mulhouse)),
    [seen('phone', cable(basel), 10 * minute), seen('laptop', cable(kehl), hour)],
    ['FR', 'CH'],
  ],
  [
    'the ferry from Helsinki to Tallinn',
    signIn('phone', cable(tallinn)),
    [seen('phone', cable(helsinki), 2 * hour)],
    ['FI', 'EE'],
  ],
  [
    'the far side of the date line, which is near',
    signIn('phone', cable(apia)),
    [seen('phone', cable(suva), hour)],
    ['FJ', 'WS'],
  ],

  // By air.
  [
    'a flight of 12 h from London to Tokyo',
    signIn('phone', cable(tokyo)),
    [seen('phone', cable(london), 12 * hour)],
    ['GB', 'JP'],
  ],
  [
    'the fastest flight ever from New York to London, 4 h 56 min, from the gate to the gate',
    signIn('phone', cable(london)),
    [seen('phone', cable(newYork), 5 * hour + 20 * minute)],
    ['US', 'GB'],
  ],
  [
    'Anchorage to Tokyo in 7 h, over the date line',
    signIn('phone', cable(tokyo)),
    [seen('phone', cable(anchorage), 7 * hour)],
    ['US', 'JP'],
  ],
  [
    'Auckland to San Francisco in 12 h, landing before it took off by the calendar',
    signIn('phone', cable(sanFrancisco)),
    [seen('phone', cable(auckland), 12 * hour)],
    ['NZ', 'US'],
  ],
  [
    'over the pole in 5 h',
    signIn('phone', cable(utqiagvik)),
    [seen('phone', cable(longyearbyen), 5 * hour)],
    ['SJ', 'US'],
  ],
  [
    'the longest way there is, Quito to Singapore in 27 h',
    signIn('phone', cable(singapore)),
    [seen('phone', cable(quito), 27 * hour)],
    ['EC', 'SG'],
  ],
  [
    'a night train from Berlin to Munich',
    signIn('phone', cable(munich)),
    [seen('phone', cable(berlin), 8 * hour)],
    ['DE'],
  ],
  [
    'Wi-Fi aboard, through a ground station in another continent',
    signIn('phone', satellite(dallas)),
    [seen('phone', cable(london), 30 * minute)],
    ['GB', 'US'],
  ],
  [
    'the airport’s Wi-Fi after the one aboard',
    signIn('phone', cable(tokyo)),
    [seen('phone', satellite(dallas), 20 * minute)],
    ['JP', 'US'],
  ],
  [
    'a ranch on a satellite, whose ground station changes',
    signIn('phone', satellite(seattle)),
    [seen('phone', satellite(dallas), minute)],
    ['US'],
  ],

  // Cellular: carriers route through few exits.
  [
    'a carrier’s gateway in another city',
    signIn('phone', cellular(dallas)),
    [seen('phone', cable(seattle), 2 * minute)],
    ['US'],
  ],
  [
    'home Wi-Fi again after a carrier’s gateway in another city',
    signIn('phone', cable(seattle)),
    [seen('phone', cellular(dallas), 2 * minute)],
    ['US'],
  ],
  [
    'a carrier’s gateway, then another',
    signIn('phone', cellular(newYork)),
    [seen('phone', cellular(sanFrancisco), 0)],
    ['US'],
  ],
  [
    'roaming in New York, through the carrier at home in Berlin',
    signIn('phone', cellular(berlin)),
    [seen('phone', cable(newYork), 5 * minute)],
    ['US', 'DE'],
  ],
  [
    'a hotel’s Wi-Fi in New York after roaming through the carrier at home',
    signIn('phone', cable(newYork)),
    [seen('phone', cellular(berlin), 5 * minute)],
    ['US', 'DE'],
  ],
  [
    'a travel SIM whose gateway is in Singapore, known from an earlier trip',
    signIn('phone', cellular(singapore)),
    [seen('phone', cable(johannesburg), 10 * minute)],
    ['ZA', 'SG'],
  ],

  // Networks that hide.
  [
    'home again after a VPN was switched off',
    signIn('laptop', cable(berlin)),
    [seen('laptop', vpn(newYork), minute)],
    ['DE'],
  ],
  [
    'a laptop that is always on a VPN',
    signIn('laptop', vpn(newYork)),
    [seen('laptop', vpn(newYork), hour), seen('phone', cable(berlin), minute)],
    ['DE'],
  ],
  ['a VPN that hops over the world', signIn('laptop', vpn(tokyo)), [seen('laptop', vpn(newYork), minute)], ['DE']],
  [
    'a VPN whose next exit is listed as hosting',
    signIn('laptop', hidden(tokyo, 'HOSTING')),
    [seen('laptop', vpn(newYork), minute)],
    ['DE'],
  ],
  [
    'a company’s web gateway in a data centre, day by day',
    signIn('laptop', hidden(frankfurt, 'HOSTING')),
    [seen('laptop', hidden(frankfurt, 'HOSTING'), day)],
    ['DE'],
  ],
  [
    'somebody who lives behind Tor',
    signIn('laptop', hidden(null, 'TOR_EXIT')),
    [seen('laptop', hidden(singapore, 'TOR_EXIT', 'HOSTING'), day)],
    ['DE'],
  ],
  [
    'a Tor user who takes a VPN for once',
    signIn('laptop', vpn(london)),
    [seen('laptop', hidden(singapore, 'TOR_EXIT'), day)],
    ['DE'],
  ],
  [
    'the first sign-in without a VPN of somebody who was always on one',
    signIn('laptop', cable(berlin)),
    [seen('laptop', vpn(newYork), minute)],
    [],
  ],

  // What is not known.
  ['a place that is not known', signIn('phone', nowhere), [seen('phone', cable(berlin), minute)], ['DE']],
  ['a place that is known again', signIn('phone', cable(newYork)), [seen('phone', nowhere, minute)], ['DE', 'US']],
  [
    'a place of which only the country is known',
    signIn('phone', cable(onlyCountry(newYork))),
    [seen('phone', cable(berlin), minute)],
    ['DE', 'US'],
  ],
  [
    'a city after a country was all that was known',
    signIn('phone', cable(newYork)),
    [seen('phone', cable(onlyCountry(berlin)), minute)],
    ['DE', 'US'],
  ],
  [
    'a place without a country',
    signIn('phone', cable({ ...berlin, countryCode: '' })),
    [seen('phone', cable(munich), hour)],
    ['DE'],
  ],
  ['an account of which no country was ever known', signIn('phone', cable(berlin)), [seen('phone', nowhere, hour)], []],

  // Several devices, several people.
  [
    'a phone that travels while the tablet stays in use at home',
    signIn('phone', cable(newYork)),
    [seen('tablet', cable(berlin), minute), seen('phone', cable(newYork), 6 * hour)],
    ['DE'],
  ],
  [
    'the tablet at home while the phone travels',
    signIn('tablet', cable(berlin)),
    [seen('phone', cable(newYork), minute), seen('tablet', cable(berlin), 2 * day)],
    ['US'],
  ],
  [
    'two people on one account, each at home',
    signIn('hers', cable(sydney)),
    [seen('his', cable(london), minute), seen('hers', cable(sydney), 3 * hour)],
    [],
  ],
  [
    'the computer at home, used from afar a minute ago by somebody who is there for it',
    signIn('laptop', cable(berlin)),
    [seen('laptop', cable(newYork), minute), seen('desktop', cable(berlin), 40 * day)],
    ['US'],
  ],

  // Clocks.
  [
    'a replica whose clock is 30 s ahead',
    signIn('phone', cable(munich)),
    [seen('phone', cable(berlin), -30_000)],
    ['DE'],
  ],
  [
    'a replica whose clock is an hour ahead, at home',
    signIn('phone', cable(berlin)),
    [seen('phone', cable(berlin), -hour)],
    ['DE'],
  ],
];

const odd: readonly OddCase[] = [
  // New devices.
  ['the first sign-in ever', signIn(null, cable(berlin)), [], [], ['NEW_DEVICE']],
  ['the first sign-in ever, from nowhere', signIn(null, nowhere), [], [], ['NEW_DEVICE']],
  ['a new phone at home', signIn(null, cable(berlin)), [seen('phone', cable(berlin), day)], [], ['NEW_DEVICE']],
  [
    'a device that was put out, so that it is not among the account’s',
    signIn('old phone', cable(berlin)),
    [seen('phone', cable(munich), day)],
    ['DE'],
    ['NEW_DEVICE'],
  ],
  [
    'her new phone at her home, while he used the account a minute ago at his',
    signIn(null, cable(sydney)),
    [seen('his', cable(london), minute), seen('her tablet', cable(wide(sydney, 5)), 30 * day)],
    [],
    ['NEW_DEVICE'],
  ],
  [
    'a new laptop in New York, where the phone is, while the tablet at home was used last',
    signIn(null, cable(newYork)),
    [seen('tablet', cable(berlin), minute), seen('phone', cellular(newYork), hour)],
    ['US'],
    ['NEW_DEVICE'],
  ],
  [
    'a new laptop in New York, as the phone that was used last was roaming through Berlin',
    signIn(null, cable(newYork)),
    [seen('phone', cellular(berlin), minute), seen('tablet', cable(berlin), 2 * hour)],
    ['DE', 'US'],
    ['NEW_DEVICE'],
  ],
  [
    'a new phone in another city, by the next flight',
    signIn(null, cable(madrid)),
    [seen('laptop', cable(berlin), 4 * hour), seen('phone', cable(berlin), 9 * hour)],
    ['DE', 'ES'],
    ['NEW_DEVICE'],
  ],
  [
    'a new device far from where the account was used a minute ago',
    signIn(null, cable(newYork)),
    [seen('tablet', cable(berlin), 30 * day), seen('phone', cable(berlin), minute)],
    ['DE', 'US'],
    ['NEW_DEVICE', 'IMPOSSIBLE_TRAVEL'],
  ],
  [
    'everything at once that can be: a thief without a VPN',
    signIn(null, cable(moscow)),
    [seen('phone', cable(london), 10 * minute)],
    ['GB'],
    ['NEW_DEVICE', 'NEW_COUNTRY', 'IMPOSSIBLE_TRAVEL'],
  ],
  [
    'everything at once that can be: a thief with one',
    signIn(null, vpn(moscow)),
    [seen('phone', cable(london), 10 * minute)],
    ['GB'],
    ['NEW_DEVICE', 'ANONYMOUS_NETWORK'],
  ],

  // Travel.
  [
    'a stolen device token: Berlin, and New York after 40 minutes',
    signIn('phone', cable(newYork)),
    [seen('phone', cable(berlin), 40 * minute)],
    ['DE', 'US'],
    ['IMPOSSIBLE_TRAVEL'],
  ],
  [
    'a stolen device token in the same second',
    signIn('phone', cable(newYork)),
    [seen('phone', cable(berlin), 0)],
    ['DE', 'US'],
    ['IMPOSSIBLE_TRAVEL'],
  ],
  [
    'a stolen device token, noted by a replica whose clock is 30 s ahead',
    signIn('phone', cable(newYork)),
    [seen('phone', cable(berlin), -30_000)],
    ['DE', 'US'],
    ['IMPOSSIBLE_TRAVEL'],
  ],
  [
    'a stolen token of the phone, while the laptop at home was seen before',
    signIn('phone', cable(saoPaulo)),
    [seen('phone', cable(berlin), hour), seen('laptop', cable(berlin), day)],
    ['DE', 'BR'],
    ['IMPOSSIBLE_TRAVEL'],
  ],
  [
    'a stolen token of the laptop, though the phone is on a carrier’s network',
    signIn('laptop', cable(saoPaulo)),
    [seen('phone', cellular(berlin), minute), seen('laptop', cable(berlin), hour)],
    ['DE', 'BR'],
    ['IMPOSSIBLE_TRAVEL'],
  ],
  [
    'a stolen token near an exit that another device was seen behind',
    signIn('phone', cable(newYork)),
    [seen('phone', cable(berlin), hour), seen('laptop', vpn(newYork), 2 * hour)],
    ['DE', 'US'],
    ['IMPOSSIBLE_TRAVEL'],
  ],
  [
    'London to Tokyo in 6 h',
    signIn('phone', cable(tokyo)),
    [seen('phone', cable(london), 6 * hour)],
    ['GB', 'JP'],
    ['IMPOSSIBLE_TRAVEL'],
  ],
  [
    'antipodes in 12 h',
    signIn('phone', cable(singapore)),
    [seen('phone', cable(quito), 12 * hour)],
    ['EC', 'SG'],
    ['IMPOSSIBLE_TRAVEL'],
  ],
  [
    'Johannesburg to Reykjavik in 8 h',
    signIn('phone', cable(reykjavik)),
    [seen('phone', cable(johannesburg), 8 * hour)],
    ['ZA', 'IS'],
    ['IMPOSSIBLE_TRAVEL'],
  ],
  [
    'over the pole in an hour',
    signIn('phone', cable(utqiagvik)),
    [seen('phone', cable(longyearbyen), hour)],
    ['SJ', 'US'],
    ['IMPOSSIBLE_TRAVEL'],
  ],
  [
    'over the date line in an hour, and too far',
    signIn('phone', cable(tokyo)),
    [seen('phone', cable(anchorage), hour)],
    ['US', 'JP'],
    ['IMPOSSIBLE_TRAVEL'],
  ],
  [
    'through one country in five minutes',
    signIn('phone', cable(sanFrancisco)),
    [seen('phone', cable(newYork), 5 * minute)],
    ['US'],
    ['IMPOSSIBLE_TRAVEL'],
  ],
  [
    'far, by a database without radii and without connection types',
    signIn('phone', on(null, wide(newYork, undefined))),
    [seen('phone', on(null, wide(berlin, undefined)), hour)],
    ['DE', 'US'],
    ['IMPOSSIBLE_TRAVEL'],
  ],
  // MaxMind counts universities, offices and data centres as corporate: too much for an excuse.
  [
    'a corporate network far away',
    signIn('phone', on('CORPORATE', newYork)),
    [seen('phone', cable(berlin), hour)],
    ['DE', 'US'],
    ['IMPOSSIBLE_TRAVEL'],
  ],

  // Countries.
  [
    'a new country by the next train',
    signIn('phone', cable(strasbourg)),
    [seen('phone', cable(kehl), hour)],
    ['DE'],
    ['NEW_COUNTRY'],
  ],
  [
    'a new country of which nothing more is known',
    signIn('phone', cable(onlyCountry(newYork))),
    [seen('phone', cable(berlin), minute)],
    [],
    ['NEW_COUNTRY'],
  ],
  [
    'a new country on a carrier’s network: another SIM',
    signIn('phone', cellular(istanbul)),
    [seen('phone', cable(berlin), minute)],
    ['DE'],
    ['NEW_COUNTRY'],
  ],
  [
    'a new country through a satellite',
    signIn('phone', satellite(johannesburg)),
    [seen('phone', cable(berlin), minute)],
    ['DE'],
    ['NEW_COUNTRY'],
  ],
  [
    'a country that only the exit of a VPN was in',
    signIn('laptop', cable(newYork)),
    [seen('laptop', vpn(newYork), hour)],
    ['DE'],
    ['NEW_COUNTRY'],
  ],
  [
    'a country where no device is any more, while the place of before is not known',
    signIn('phone', cable(newYork)),
    [seen('phone', nowhere, hour)],
    ['DE'],
    ['NEW_COUNTRY'],
  ],

  // Networks that hide.
  [
    'a VPN that is switched on, its exit far away in a new country',
    signIn('laptop', vpn(newYork)),
    [seen('laptop', cable(berlin), minute)],
    ['DE'],
    ['ANONYMOUS_NETWORK'],
  ],
  [
    'a VPN on the phone, though the laptop always uses one',
    signIn('phone', vpn(newYork)),
    [seen('laptop', vpn(newYork), minute), seen('phone', cable(berlin), hour)],
    ['DE'],
    ['ANONYMOUS_NETWORK'],
  ],
  [
    'a new device on the VPN that the laptop always uses',
    signIn(null, vpn(newYork)),
    [seen('laptop', vpn(newYork), minute)],
    ['DE'],
    ['NEW_DEVICE', 'ANONYMOUS_NETWORK'],
  ],
  [
    'a Tor exit whose place is not known',
    signIn('phone', hidden(null, 'TOR_EXIT')),
    [seen('phone', cable(berlin), minute)],
    ['DE'],
    ['ANONYMOUS_NETWORK'],
  ],
  [
    'Tor, with the token of a laptop that is always on a VPN',
    signIn('laptop', hidden(frankfurt, 'HOSTING', 'TOR_EXIT')),
    [seen('laptop', vpn(frankfurt), hour)],
    ['DE'],
    ['ANONYMOUS_NETWORK'],
  ],
  [
    'a stranger’s home proxy, with the token of a laptop that is always on a VPN',
    signIn('laptop', hidden(berlin, 'RESIDENTIAL_PROXY')),
    [seen('laptop', vpn(frankfurt), hour)],
    ['DE'],
    ['ANONYMOUS_NETWORK'],
  ],
  [
    'a hosting network in the city of the phone',
    signIn('phone', hidden(berlin, 'HOSTING')),
    [seen('phone', cellular(berlin), minute)],
    ['DE'],
    ['ANONYMOUS_NETWORK'],
  ],
];

describe('harmless', () => {
  test.each(harmless)('%s', (_, arrival, sightings, countries) => {
    expect(names(findUnusual(arrival, { sightings, countries }))).toEqual([]);
    expect(names(findUnusual(arrival, { sightings: sightings.toReversed(), countries }))).toEqual([]);
  });
});

describe('odd', () => {
  test.each(odd)('%s', (_, arrival, sightings, countries, finds) => {
    expect(names(findUnusual(arrival, { sightings, countries }))).toEqual(finds);
    expect(names(findUnusual(arrival, { sightings: sightings.toReversed(), countries }))).toEqual(finds);
  });
});

test('every case has a name of its own', () => {
  const cases = [...harmless, ...odd].map(([name]) => name);
  expect(new Set(cases).size).toBe(cases.length);
});

describe('a finding says why', () => {
  test('a country by its code', () => {
    const history: History = { sightings: [], countries: ['DE'] };
    expect(findUnusual(signIn(null, cable(strasbourg)), history)).toEqual([
      { unusual: 'NEW_DEVICE' },
      { unusual: 'NEW_COUNTRY', countryCode: 'FR' },
    ]);
  });

  test('the kinds of network', () => {
    const history: History = { sightings: [seen('phone', vpn(berlin), hour)], countries: [] };
    expect(findUnusual(signIn('phone', hidden(tokyo, 'VPN', 'TOR_EXIT')), history)).toEqual([
      { unusual: 'ANONYMOUS_NETWORK', kinds: ['VPN', 'TOR_EXIT'] },
    ]);
  });

  test.each<[string, Place, Place, number, number, number]>([
    ['6,300 km in 40 minutes', berlin, newYork, 40 * minute, 6_300, 40 * minute],
    ['2,400 km in 40 minutes', london, istanbul, 40 * minute, 2_400, 40 * minute],
    ['1,900 km in an hour', wide(lisbon, 100), wide(berlin, 300), hour, 1_900, hour],
    ['a minute at least', berlin, newYork, 0, 6_300, minute],
  ])('the travel: %s', (_, from, to, agoMs, distanceKm, elapsedMs) => {
    const history: History = { sightings: [seen('phone', cable(from), agoMs)], countries: [to.countryCode] };
    expect(findUnusual(signIn('phone', cable(to)), history)).toEqual([
      {
        unusual: 'IMPOSSIBLE_TRAVEL',
        distanceKm,
        elapsedMs,
        from: { city: from.city, countryCode: from.countryCode },
      },
    ]);
  });
});

test('every finding but a new device is worth an alert and can ask for a code', () => {
  expect(isAlarming([])).toBe(false);
  expect(isAlarming([{ unusual: 'NEW_DEVICE' }])).toBe(false);
  expect(isAlarming([{ unusual: 'NEW_COUNTRY', countryCode: 'FR' }])).toBe(true);
  expect(isAlarming([{ unusual: 'NEW_DEVICE' }, { unusual: 'ANONYMOUS_NETWORK', kinds: ['VPN'] }])).toBe(true);
  expect(stepUpCauses).toEqual(['NEW_COUNTRY', 'IMPOSSIBLE_TRAVEL', 'ANONYMOUS_NETWORK']);
});

describe('the countries of an account', () => {
  const many = Array.from(
    { length: 50 },
    (_, index) => `${String.fromCharCode(65 + (index % 26))}${index < 26 ? 'X' : 'Y'}`,
  );

  test('start with the first', () => {
    expect(countriesAfter(null, berlin)).toEqual(['DE']);
    expect(countriesAfter(null, null)).toBeNull();
    expect(countriesAfter([], berlin)).toEqual(['DE']);
  });

  test('have the newest first', () => {
    expect(countriesAfter(['DE', 'FR'], newYork)).toEqual(['US', 'DE', 'FR']);
  });

  test('are the same array where there is nothing to write', () => {
    const countries = ['FR', 'DE'];
    expect(countriesAfter(countries, strasbourg)).toBe(countries);
    expect(countriesAfter(countries, berlin)).toBe(countries);
    expect(countriesAfter(countries, null)).toBe(countries);
    expect(countriesAfter(countries, { ...berlin, countryCode: '' })).toBe(countries);
    expect(countriesAfter(many, { ...berlin, countryCode: 'AX' })).toBe(many);
  });

  test('are 50 at most, and home is not the one that goes', () => {
    const home = { ...berlin, countryCode: 'XY' };
    expect(many.at(-1)).toBe('XY');
    const back = countriesAfter(many, home);
    expect(back).toEqual(['XY', ...many.slice(0, -1)]);
    const next = countriesAfter(back, berlin);
    expect(next).toEqual(['DE', 'XY', ...many.slice(0, -2)]);
    expect(next).toHaveLength(50);
  });

  test('forget one that was not the owner’s', () => {
    const countries = ['BR', 'DE'];
    expect(countriesWithout(countries, 'BR')).toEqual(['DE']);
    expect(countriesWithout(countries, 'FR')).toBe(countries);
    expect(countriesWithout(null, 'FR')).toBeNull();
  });

  test('are not learned from an exit', () => {
    expect(ownPlace(cable(berlin))).toBe(berlin);
    expect(ownPlace({ place: berlin })).toBe(berlin);
    expect(ownPlace(vpn(berlin))).toBeNull();
  });
});
