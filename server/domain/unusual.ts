// What is odd about a sign-in, judged by where the account's devices were used before. Pure.

import type { Origin } from './device.ts';
import type { AnonymousKind, ConnectionType, Place } from './place.ts';
import { areaOf, impossibleTravel, isNear } from './travel.ts';

export type Unusual = 'NEW_DEVICE' | 'NEW_COUNTRY' | 'IMPOSSIBLE_TRAVEL' | 'ANONYMOUS_NETWORK';

/** What can ask even a trusted device for a code; a new one is asked anyway. */
export type StepUp = Exclude<Unusual, 'NEW_DEVICE'>;

export const stepUpCauses: readonly StepUp[] = ['NEW_COUNTRY', 'IMPOSSIBLE_TRAVEL', 'ANONYMOUS_NETWORK'];

/** What is odd, with what it takes to say why. Kept as JSON. */
export type UnusualFinding =
  | { readonly unusual: 'NEW_DEVICE' }
  | { readonly unusual: 'NEW_COUNTRY'; readonly countryCode: string }
  | {
      readonly unusual: 'IMPOSSIBLE_TRAVEL';
      /** The least that it can have been: between the accuracy circles, in whole hundreds. */
      readonly distanceKm: number;
      /** At least a minute: clocks differ. */
      readonly elapsedMs: number;
      readonly from: Pick<Place, 'city' | 'countryCode'>;
    }
  | { readonly unusual: 'ANONYMOUS_NETWORK'; readonly kinds: readonly AnonymousKind[] };

/** Where and when a device of the account last signed in. */
export interface Sighting {
  readonly deviceId: string;
  readonly time: Date;
  readonly place: Place | null;
  readonly connectionType: ConnectionType | null;
  readonly anonymous: readonly AnonymousKind[];
}

/** What is known of an account when somebody signs in. */
export interface History {
  /** Its devices, in any order. */
  readonly sightings: readonly Sighting[];
  /** ISO 3166-1 alpha-2 codes from which it was used; those of the sightings count too. */
  readonly countries: readonly string[];
}

/** A sign-in, or the wish for one. */
export interface Arrival {
  readonly time: Date;
  readonly origin: Origin;
  /** Null for a device that the account does not know. */
  readonly deviceId: string | null;
}

/** What is odd about a sign-in, in the order of `Unusual`; each at most once. */
export function findUnusual(arrival: Arrival, history: History): readonly UnusualFinding[] {
  const known = newest(history.sightings.filter(({ deviceId }) => deviceId === arrival.deviceId));
  return [
    newDevice(known),
    newCountry(arrival.origin, history),
    tooFast(arrival, known ?? newest(history.sightings), history.sightings),
    anonymousNetwork(arrival.origin, known),
  ].filter((finding) => finding !== undefined);
}

/** Whether the owner is told of a trusted device's sign-in; a new device has a notice of its own. */
export function isAlarming(findings: readonly UnusualFinding[]): boolean {
  return findings.some(({ unusual }) => unusual !== 'NEW_DEVICE');
}

/**
 * The place that a call says something about, or null: behind a network that hides the caller it is the exit's, which
 * is nobody's. Countries are learned from this one.
 */
export function ownPlace(origin: Pick<Origin, 'place' | 'anonymous'>): Place | null {
  return isHidden(origin) ? null : origin.place;
}

/** An account remembers the last so many countries; few people ever see as many. */
export const mostCountries = 50;

/** The countries with that of a place, newest first; what it was given where nobody needs to write. Null starts afresh. */
export function countriesAfter(countries: readonly string[] | null, place: Place | null): readonly string[] | null {
  const code = place?.countryCode ?? '';
  const before = countries ?? [];
  if (code === '' || before[0] === code) return countries;
  // Only in a full list does it matter which one is the oldest: commuters write nothing, a globetrotter keeps home.
  if (before.includes(code) && before.length < mostCountries) return countries;
  return [code, ...before.filter((other) => other !== code)].slice(0, mostCountries);
}

/** Forgets a country whose sign-in was not the owner's; the same array where it was not among them. */
export function countriesWithout<T extends readonly string[] | null>(
  countries: T,
  code: string,
): T | readonly string[] {
  return countries?.includes(code) ? countries.filter((other) => other !== code) : countries;
}

function newDevice(known: Sighting | undefined): UnusualFinding | undefined {
  return known === undefined ? { unusual: 'NEW_DEVICE' } : undefined;
}

// A hidden caller's country is not known, so it is no new one; that it hides is a finding of its own. A new country on
// CELLULAR is one: roaming traffic mostly leaves the net in the SIM's own country, so a new one tells of another SIM.
function newCountry(origin: Origin, history: History): UnusualFinding | undefined {
  const countryCode = ownPlace(origin)?.countryCode ?? '';
  const sighted = history.sightings.map((sighting) => ownPlace(sighting)?.countryCode ?? '');
  const known = [...history.countries, ...sighted].filter((code) => code !== '');
  if (countryCode === '' || known.length === 0 || known.includes(countryCode)) return undefined;
  return { unusual: 'NEW_COUNTRY', countryCode };
}

// `last` is where a known device was itself, for it cannot be in two places, or, for a new one, where the account was
// used last. If that says nothing, older sightings say less: whoever holds the device may have gone anywhere since.
function tooFast(
  { origin, time }: Arrival,
  last: Sighting | undefined,
  sightings: readonly Sighting[],
): UnusualFinding | undefined {
  if (last === undefined || !showsTravel(last) || !showsTravel(origin)) return undefined;
  const from = areaOf(last.place);
  const to = areaOf(origin.place);
  if (last.place === null || from === undefined || to === undefined) return undefined;
  // Where any device of the account was left, somebody may be: a computer at home, the other of two people.
  const areas = sightings.map((sighting) => areaOf(ownPlace(sighting)));
  if (areas.some((area) => area !== undefined && isNear(area, to))) return undefined;
  const travel = impossibleTravel(from, to, time.getTime() - last.time.getTime());
  const { city, countryCode } = last.place;
  return travel && { unusual: 'IMPOSSIBLE_TRAVEL', ...travel, from: { city, countryCode } };
}

// Whoever always hides is not odd for it. One VPN's exits are listed as VPN, HOSTING or a proxy in turn, but rarely as
// these two, which are what a stolen token's user hides behind.
const rareKinds: readonly AnonymousKind[] = ['TOR_EXIT', 'RESIDENTIAL_PROXY'];

function anonymousNetwork(origin: Origin, known: Sighting | undefined): UnusualFinding | undefined {
  const kinds = origin.anonymous ?? [];
  const before = known?.anonymous ?? [];
  const isUsual = before.length > 0 && rareKinds.every((kind) => before.includes(kind) || !kinds.includes(kind));
  return kinds.length === 0 || isUsual ? undefined : { unusual: 'ANONYMOUS_NETWORK', kinds };
}

type Seen = Pick<Origin, 'place' | 'connectionType' | 'anonymous'>;

// A carrier's gateway, a satellite's ground station and an exit may be a continent away from who uses them.
function showsTravel(seen: Seen): boolean {
  return !isHidden(seen) && seen.connectionType !== 'CELLULAR' && seen.connectionType !== 'SATELLITE';
}

function isHidden(seen: Pick<Origin, 'anonymous'>): boolean {
  return (seen.anonymous ?? []).length > 0;
}

function newest(sightings: readonly Sighting[]): Sighting | undefined {
  return sightings.reduce<Sighting | undefined>(
    (best, sighting) => (best === undefined || sighting.time > best.time ? sighting : best),
    undefined,
  );
}
