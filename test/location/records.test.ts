import { describe, expect, it } from 'vitest';
import { readAnonymous, readConnectionType, readNetwork, readPlace } from '../../server/location/records.ts';

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

  it('has a network where it has its number, whether or not it says whose it is', () => {
    const organization = 'Telstra Pty Ltd';
    const of = (number: unknown) =>
      readNetwork({ autonomous_system_number: number, autonomous_system_organization: organization });
    expect(of(1221)).toEqual({ number: 1221, organization });
    expect(of(2 ** 32 - 1)).toEqual({ number: 2 ** 32 - 1, organization });
    for (const none of [0, -1, 2 ** 32, '1221', undefined]) expect(of(none), String(none)).toBeUndefined();
    expect(readNetwork({ autonomous_system_number: 1221 })).toEqual({ number: 1221, organization: '' });
    expect(readNetwork(null)).toBeUndefined();
  });

  it('has every way in which it hides who is behind, or says only that it does', () => {
    const is_anonymous = true;
    expect(readAnonymous({ is_anonymous, is_tor_exit_node: true, is_hosting_provider: true })).toEqual([
      'HOSTING',
      'TOR_EXIT',
    ]);
    expect(readAnonymous({ is_anonymous, is_anonymous_vpn: false })).toEqual(['OTHER']);
    expect(readAnonymous({ is_anonymous, is_something_new: true })).toEqual(['OTHER']);
    expect(readAnonymous({ traits: { is_anonymous } })).toEqual(['OTHER']);
    for (const none of [{}, null, { is_anonymous: false }, { is_anonymous: 'yes' }]) {
      expect(readAnonymous(none)).toBeUndefined();
    }
  });
});
