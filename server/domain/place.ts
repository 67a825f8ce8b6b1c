// Where an address probably is, as a value with words for people. This file knows no database and no address.

/**
 * A place worked out from an IP address: approximate, never from GPS. Unknown text is '', unknown numbers are undefined.
 * Without a city there are no coordinates: the middle of a country is nobody's place, and would look like travel.
 */
export interface Place {
  readonly city: string;
  /** State, province or the like. */
  readonly region: string;
  readonly country: string;
  /** ISO 3166-1 alpha-2, upper case. */
  readonly countryCode: string;
  /** Degrees, WGS 84, -90 to 90. */
  readonly latitude: number | undefined;
  /** Degrees, WGS 84, -180 to 180. */
  readonly longitude: number | undefined;
  /** Kilometres around the coordinates, as the database gives it. */
  readonly accuracyRadiusKm: number | undefined;
  /** Database name and build date (UTC): `GeoLite2-City 2026-06-05`. */
  readonly source: string;
}

/** How an address is connected. On CELLULAR a far-away place is expected: carriers route through few exits. */
export type ConnectionType = 'CABLE_DSL' | 'CELLULAR' | 'CORPORATE' | 'DIALUP' | 'SATELLITE';

/** How a network hides who uses it; OTHER where the database only says that it does. */
export type AnonymousKind = 'VPN' | 'HOSTING' | 'PUBLIC_PROXY' | 'RESIDENTIAL_PROXY' | 'TOR_EXIT' | 'OTHER';

/** The network that an address belongs to (BGP). */
export interface AutonomousSystem {
  readonly number: number;
  /** Whom it is registered to; '' where unknown. */
  readonly organization: string;
}

/** What an address tells. All is undefined or empty for an address that says nothing, such as a private one. */
export interface Whereabouts {
  readonly place: Place | undefined;
  readonly connectionType: ConnectionType | undefined;
  readonly network: AutonomousSystem | undefined;
  readonly anonymous: readonly AnonymousKind[];
}

/**
 * The country's name in a language (CLDR, through Intl). `locale` is a BCP 47 tag; one that is malformed or unknown is
 * taken as English. '' where the code is no country.
 */
export function countryName(countryCode: string, locale: string): string {
  if (!/^[A-Z]{2}$/.test(countryCode)) return '';
  return regionNames(locale).of(countryCode) ?? '';
}

/** `Berlin, Germany`, in a language as far as the place's names are; the region stands in for a missing city. '' for none. */
export function describePlace(place: Place | undefined, locale: string): string {
  if (place === undefined) return '';
  // The place may have been named for somebody who reads another language, so the code goes first.
  const country = countryName(place.countryCode, locale) || place.country;
  return [place.city || place.region, country].filter((part) => part !== '').join(', ');
}

/** One takes as long to make as a place takes to be looked up; there are a few locales, and callers may invent more. */
const regionNamesOf = new Map<string, Intl.DisplayNames>();
const mostLocales = 100;

function regionNames(locale: string): Intl.DisplayNames {
  const known = regionNamesOf.get(locale);
  if (known !== undefined) return known;
  if (regionNamesOf.size >= mostLocales) regionNamesOf.clear();
  const made = makeRegionNames(locale);
  regionNamesOf.set(locale, made);
  return made;
}

function makeRegionNames(locale: string): Intl.DisplayNames {
  const options = { type: 'region', fallback: 'none' } as const;
  try {
    return new Intl.DisplayNames([locale, 'en'], options);
  } catch {
    return new Intl.DisplayNames(['en'], options);
  }
}
