// Database records → domain values, for the two schemas in use. This file knows no file and no address.

import {
  type AnonymousKind,
  type AutonomousSystem,
  type ConnectionType,
  countryName,
  type Place,
} from '../domain/place.ts';

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
  return CONNECTION_TYPES.get(text(trait(record, 'connection_type')));
}

// The values that MaxMind documents for `connection_type`.
const CONNECTION_TYPES: ReadonlyMap<string, ConnectionType> = new Map([
  ['Cable/DSL', 'CABLE_DSL'],
  ['Cellular', 'CELLULAR'],
  ['Corporate', 'CORPORATE'],
  ['Dialup', 'DIALUP'],
  ['Satellite', 'SATELLITE'],
]);

/** Reads the network's owner (an ASN or ISP record, or `traits` of an Enterprise one). */
export function readNetwork(record: unknown): AutonomousSystem | undefined {
  const number = trait(record, 'autonomous_system_number');
  // RFC 7607: 0 is nobody's.
  if (!isNumber(number, 2 ** 32 - 1) || number <= 0) return undefined;
  return { number, organization: text(trait(record, 'autonomous_system_organization')) };
}

/** Reads how a network hides who uses it (an Anonymous-IP record). Undefined where it does not say that it does. */
export function readAnonymous(record: unknown): readonly AnonymousKind[] | undefined {
  const kinds = ANONYMOUS_KINDS.flatMap(([flag, kind]) => (trait(record, flag) === true ? [kind] : []));
  if (kinds.length > 0) return kinds;
  return trait(record, 'is_anonymous') === true ? ['OTHER'] : undefined;
}

const ANONYMOUS_KINDS: readonly (readonly [flag: string, kind: AnonymousKind])[] = [
  ['is_anonymous_vpn', 'VPN'],
  ['is_hosting_provider', 'HOSTING'],
  ['is_public_proxy', 'PUBLIC_PROXY'],
  ['is_residential_proxy', 'RESIDENTIAL_PROXY'],
  ['is_tor_exit_node', 'TOR_EXIT'],
];

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
  return { latitude, longitude, accuracyRadiusKm: isNumber(radius, 25_000) && radius > 0 ? radius : undefined };
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
  // Scripts take a while to tell, so only those of the same language are told.
  const candidates = Object.keys(names).filter((key) => languageOf(key) === languageOf(locale));
  const tag = candidates.find((key) => written(key) === written(locale));
  return tag === undefined ? undefined : text(names[tag]);
}

function languageOf(tag: string): string | undefined {
  return tag.split('-', 1)[0]?.toLowerCase();
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

// MaxMind's own databases of a thing have it on top, the Enterprise one has it in `traits`.
function trait(record: unknown, key: string): unknown {
  return member(record, key) ?? member(member(record, 'traits'), key);
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
