import { describe, expect, it } from 'vitest';
import { readConnectionType, readPlace } from '../../server/location/records.ts';

const flat = { city: 'Bonn', country_code: 'DE', state1: 'North Rhine-Westphalia', latitude: 50.7, longitude: 7.1 };

describe('a database record', () => {
  it.each([
    ['Berlin (Bezirk Mitte)', 'Berlin'],
    ['Frankfurt (Oder)', 'Frankfurt (Oder)'],
    ['Frankfurt am Main (Innenstadt I)', 'Frankfurt am Main'],
    ['Kempten (Allgau) (Halden)', 'Kempten (Allgau)'],
    ['Seoul (Namdaemunno 5(o)-ga)', 'Seoul'],
    ['(nameless)', '(nameless)'],
  ])('names no district: %s', (city, named) => {
    expect(readPlace({ ...flat, city }, 'x', 'en')?.city).toBe(named);
  });

  it('without a country is no place, whoever the network is registered to', () => {
    expect(readPlace(null, 'x', 'en')).toBeUndefined();
    expect(readPlace({}, 'x', 'en')).toBeUndefined();
    expect(readPlace({ ...flat, country_code: '' }, 'x', 'en')).toBeUndefined();
    expect(readPlace({ registered_country: { iso_code: 'US' } }, 'x', 'en')).toBeUndefined();
  });

  it('with coordinates that are none has none', () => {
    const none = { latitude: undefined, longitude: undefined };
    expect(readPlace({ ...flat, latitude: 0, longitude: 0 }, 'x', 'en')).toMatchObject(none);
    expect(readPlace({ ...flat, latitude: 91 }, 'x', 'en')).toMatchObject(none);
    expect(readPlace({ ...flat, longitude: Number.NaN }, 'x', 'en')).toMatchObject(none);
    expect(readPlace({ ...flat, city: '' }, 'x', 'en')).toMatchObject(none);
  });

  it('has one of the connection types that there are, or none', () => {
    const types = ['Cable/DSL', 'Cellular', 'Corporate', 'Dialup', 'Satellite', 'Carrier pigeon', ''];
    expect(types.map((connection_type) => readConnectionType({ connection_type }))).toEqual([
      'CABLE_DSL',
      'CELLULAR',
      'CORPORATE',
      'DIALUP',
      'SATELLITE',
      undefined,
      undefined,
    ]);
  });
});
