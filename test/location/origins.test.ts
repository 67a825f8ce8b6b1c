// What the flows note of an address, and how a noted place is named for its reader.

import { expect, it, vi } from 'vitest';
import type { Place, Whereabouts } from '../../server/domain/place.ts';
import { createOrigins } from '../../server/location/origins.ts';

const munich: Place = {
  city: 'Munich',
  region: 'Bavaria',
  country: 'Germany',
  countryCode: 'DE',
  latitude: 48.14,
  longitude: 11.58,
  accuracyRadiusKm: 20,
  source: 'GeoLite2-City 2026-06-05',
};
const inGerman: Partial<Place> = { city: 'München', region: 'Bayern', country: 'Deutschland' };
const address = '129.187.1.1';

interface Naming {
  readonly now?: Place;
  readonly german?: Partial<Place>;
}

/** Places of one address: English, and German where the file has it. */
function originsOf({ now = munich, german = inGerman, ...rest }: Partial<Whereabouts> & Naming = {}) {
  const locate = vi.fn((ip: string, locale = 'en') => ({
    place: ip !== address ? undefined : locale.startsWith('de') ? { ...now, ...german } : now,
    connectionType: undefined,
    network: undefined,
    anonymous: [],
    ...rest,
  }));
  return { ...createOrigins({ locate, close: () => {} }), locate };
}
it('what is not known of an address is not noted', () => {
  const origin = originsOf().originOf('10.0.0.1');
  expect(JSON.parse(JSON.stringify(origin))).toEqual({ ipAddress: '10.0.0.1', place: null, connectionType: null });
  expect(Object.keys(origin)).toEqual(['ipAddress', 'place', 'connectionType']);
});

it('all that is known of an address is noted, in English', () => {
  const network = { number: 12816, organization: 'Leibniz-Rechenzentrum' };
  const { originOf, locate } = originsOf({ connectionType: 'CORPORATE', network, anonymous: ['VPN', 'HOSTING'] });
  expect(originOf(address)).toEqual({
    ipAddress: address,
    place: munich,
    connectionType: 'CORPORATE',
    network,
    anonymous: ['VPN', 'HOSTING'],
  });
  expect(locate).toHaveBeenCalledExactlyOnceWith(address);
});

it('a noted place is named in its reader’s language, and is otherwise as it was noted', () => {
  // The file is newer than the note: another centre, another date.
  const { named } = originsOf({ now: { ...munich, latitude: 48.1, source: 'GeoLite2-City 2026-11-06' } });
  expect(named(munich, address, 'de')).toEqual({ ...munich, ...inGerman });
  expect(named(munich, address, 'de-AT')).toEqual({ ...munich, ...inGerman });
});

it('English costs no look-up', () => {
  const { named, locate } = originsOf();
  for (const locale of ['en', 'en-GB', 'EN-us']) expect(named(munich, address, locale)).toBe(munich);
  expect(named(null, address, 'de')).toBeNull();
  expect(locate).not.toHaveBeenCalled();
});

it.each<[what: string, now: Partial<Place>]>([
  ['city', { city: 'Augsburg' }],
  ['region', { region: 'Hesse' }],
  ['country', { countryCode: 'AT' }],
])('a file that says another %s by now names only the country', (_, other) => {
  const { named } = originsOf({ now: { ...munich, ...other } });
  expect(named(munich, address, 'de')).toEqual({ ...munich, country: 'Deutschland' });
});

it('an address that the file knows no longer leaves the city in English', () => {
  expect(originsOf().named(munich, '129.187.1.2', 'de')).toEqual({ ...munich, country: 'Deutschland' });
});

it('a language that the file lacks names the country', () => {
  expect(originsOf().named(munich, address, 'pl')).toEqual({ ...munich, country: 'Niemcy' });
});

it('a language that is none is English', () => {
  expect(originsOf().named(munich, address, '*not a tag*')).toEqual(munich);
});
