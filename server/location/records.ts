// Database records → domain values, for the two schemas in use. This file knows no file and no address.

import { type ConnectionType, countryName, type Place } from '../domain/place.ts';

/**
 * Reads MaxMind's nested schema (`city.names.en`, `country.iso_code`, `location`) or the flat one of ip-location-db
 * (`city`, `country_code`, `state1`). Undefined where the record names no country: `registered_country` is where the
 * network's owner sits, so it is no place.
 */
export function readPlace(record: unknown, source: string, locale: string): Place | undefined {
  const flat = typeof member(record, 'country_code') === 'string';
  const found = flat ? readFlat(record) : readNested(record, locale);
  if (!/^[A-Z]{2}$/.test(found.countryCode)) return undefined;
  return {
    city: found.city,
    region: found.region,
    country: found.country || countryName(found.countryCode, locale),
    countryCode: found.countryCode,
    ...(found.city === '' ? NOWHERE : found.coordinates),
    source,
  };
}

/** Reads MaxMind's connection type (a Connection-Type record, or `traits` of an Enterprise one). */
export function readConnectionType(record: unknown): ConnectionType | undefined {
  const name = text(member(record, 'connection_type')) || text(member(member(record, 'traits'), 'connection_type'));
  return CONNECTION_TYPES.get(name);
}

// The values that MaxMind documents for `connection_type`.
const CONNECTION_TYPES: ReadonlyMap<string, ConnectionType> = new Map([
  ['Cable/DSL', 'CABLE_DSL'],
  ['Cellular', 'CELLULAR'],
  ['Corporate', 'CORPORATE'],
  ['Dialup', 'DIALUP'],
  ['Satellite', 'SATELLITE'],
]);

type Coordinates = Pick<Place, 'latitude' | 'longitude' | 'accuracyRadiusKm'>;

const NOWHERE: Coordinates = { latitude: undefined, longitude: undefined, accuracyRadiusKm: undefined };

interface Found {
  readonly city: string;
  readonly region: string;
  readonly country: string;
  readonly countryCode: string;
  readonly coordinates: Coordinates;
}

function readFlat(record: unknown): Found {
  return {
    city: withoutDistrict(text(member(record, 'city'))),
    region: text(member(record, 'state1')),
    country: '',
    countryCode: text(member(record, 'country_code')),
    coordinates: coordinates(member(record, 'latitude'), member(record, 'longitude'), undefined),
  };
}

function readNested(record: unknown, locale: string): Found {
  const subdivisions = member(record, 'subdivisions');
  const location = member(record, 'location');
  return {
    city: name(member(record, 'city'), locale),
    region: name(Array.isArray(subdivisions) ? subdivisions[0] : undefined, locale),
    // In a language that the file lacks, the country's name is Intl's.
    country: ownName(member(record, 'country'), locale) ?? '',
    countryCode: text(member(member(record, 'country'), 'iso_code')),
    coordinates: coordinates(
      member(location, 'latitude'),
      member(location, 'longitude'),
      member(location, 'accuracy_radius'),
    ),
  };
}

function coordinates(latitude: unknown, longitude: unknown, radius: unknown): Coordinates {
  if (!isNumber(latitude, 90) || !isNumber(longitude, 180)) return NOWHERE;
  // 0, 0 is how a missing value is written, and open sea.
  if (latitude === 0 && longitude === 0) return NOWHERE;
  return {
    // Four decimals are 11 m: what is beyond them is a float's noise, not knowledge.
    latitude: Math.round(latitude * 1e4) / 1e4,
    longitude: Math.round(longitude * 1e4) / 1e4,
    accuracyRadiusKm: isNumber(radius, 25_000) && radius > 0 ? radius : undefined,
  };
}

// DB-IP writes `Berlin (Bezirk Mitte)`. A district is finer than an address can tell, so it goes; what tells two cities
// of one name apart stays.
function withoutDistrict(city: string): string {
  const sameNamed = /^.+ \((?:Oder|Saale|Allgau)\)/.exec(city);
  return sameNamed?.[0] ?? city.replace(/ \(.*\)$/, '');
}

function name(value: unknown, locale: string): string {
  return ownName(value, locale) ?? text(member(member(value, 'names'), 'en'));
}

// The name in the asked language: `de-AT` reads `de`, `pt` reads `pt-BR`, but `zh-TW` does not read `zh-CN`.
function ownName(value: unknown, locale: string): string | undefined {
  const names = member(value, 'names');
  if (!isObject(names)) return undefined;
  const exact = names[locale];
  if (typeof exact === 'string') return exact;
  const wanted = written(locale);
  const tag = Object.keys(names).find((key) => written(key) === wanted);
  return tag === undefined ? undefined : text(names[tag]);
}

// Language and script, which decide whether somebody can read a name.
function written(tag: string): string {
  try {
    const { language, script } = new Intl.Locale(tag).maximize();
    return `${language}-${script}`;
  } catch {
    return 'en-Latn';
  }
}

function member(value: unknown, key: string): unknown {
  return isObject(value) ? value[key] : undefined;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function isNumber(value: unknown, limit: number): value is number {
  return typeof value === 'number' && Number.isFinite(value) && Math.abs(value) <= limit;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
