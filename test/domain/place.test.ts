import { describe, expect, it } from 'vitest';
import { countryName, describePlace, type Place } from '../../server/domain/place.ts';

const berlin: Place = {
  city: 'Berlin',
  region: 'State of Berlin',
  country: 'Germany',
  countryCode: 'DE',
  latitude: 52.5,
  longitude: 13.4,
  accuracyRadiusKm: undefined,
  source: 'DBIP-City-Lite 2026-06-05',
};

describe('a place in words', () => {
  it('names city and country, the country in the reader’s language', () => {
    expect(describePlace(berlin, 'en')).toBe('Berlin, Germany');
    expect(describePlace(berlin, 'ru')).toBe('Berlin, Германия');
  });

  it('names no more than is known', () => {
    expect(describePlace({ ...berlin, city: '', region: '' }, 'en')).toBe('Germany');
    expect(describePlace({ ...berlin, city: '' }, 'en')).toBe('State of Berlin, Germany');
    expect(describePlace(undefined, 'en')).toBe('');
  });

  it('survives a language tag that is none, and a code that is no country', () => {
    expect(countryName('DE', 'not a tag!')).toBe('Germany');
    expect(countryName('ZZZ', 'en')).toBe('');
    expect(countryName('', 'en')).toBe('');
  });
});
