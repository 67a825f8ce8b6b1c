// How far apart two approximate places are, and whether that can be travelled in the time between. Pure; knows no
// accounts, devices or networks.

import type { Place } from './place.ts';

/**
 * Product rule. An airliner in a jet stream did 1,120 from New York to London (2020, 4 h 56 min in the air), but the
 * slack is taken off first, and there is more to a trip than the flight.
 */
export const fastestKmPerHour = 1_000;

/**
 * Product rule: kilometres that nobody has to have travelled. Providers move addresses between their cities, and the
 * databases follow late; one device in three is outside of its circle (MaxMind: the radius holds 67 %).
 */
export const slackKm = 500;

/** Kilometres, where the database gives none, as DB-IP's free ones do: a large city with all that is served from it. */
export const unknownRadiusKm = 100;

/** Milliseconds. The clocks of replicas differ by less, and a sign-in that waited may be overtaken by a later one. */
export const shortestMs = 60_000;

/** The mean radius (IUGG, R1). The Earth is no sphere: distances are right to 0.6 %. */
const earthRadiusKm = 6_371.0088;
const hourMs = 3_600_000;

/** A circle on the Earth. */
export interface Area {
  /** Degrees. */
  readonly latitude: number;
  readonly longitude: number;
  readonly radiusKm: number;
}

/** Undefined for a place without coordinates, or with some that are none. */
export function areaOf(place: Place | null): Area | undefined {
  if (place === null) return undefined;
  const { latitude, longitude, accuracyRadiusKm } = place;
  if (!isWithin(latitude, 90) || !isWithin(longitude, 180)) return undefined;
  const given = accuracyRadiusKm !== undefined && accuracyRadiusKm >= 0;
  return { latitude, longitude, radiusKm: given ? accuracyRadiusKm : unknownRadiusKm };
}

/** Kilometres between the centres, along a great circle (haversine); the same in both directions. */
export function distanceKm(a: Area, b: Area): number {
  const latitudes = halfChord(b.latitude - a.latitude) ** 2;
  const longitudes = halfChord(b.longitude - a.longitude) ** 2;
  const square = latitudes + Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * longitudes;
  // At antipodes rounding may go past what has an arcsine.
  return 2 * earthRadiusKm * Math.asin(Math.sqrt(Math.min(1, square)));
}

/** The least distance between somewhere in one and somewhere in the other; 0 where they touch. */
export function leastDistanceKm(a: Area, b: Area): number {
  return Math.max(0, distanceKm(a, b) - a.radiusKm - b.radiusKm);
}

/** Whether both may be the same place. */
export function isNear(a: Area, b: Area): boolean {
  return leastDistanceKm(a, b) <= slackKm;
}

export interface Travel {
  /** Kilometres, the least that it can have been, in whole hundreds: the places are not known any better. */
  readonly distanceKm: number;
  /** At least `shortestMs`. */
  readonly elapsedMs: number;
}

/**
 * The travel from one to the other if it is too fast to be one, else undefined. What is said of it is too fast as well:
 * the hundreds are rounded down, the slack is not taken off.
 */
export function impossibleTravel(from: Area, to: Area, elapsedMs: number): Travel | undefined {
  const least = leastDistanceKm(from, to);
  const elapsed = Math.max(shortestMs, elapsedMs);
  // No division, and false for a time that is none.
  if (!(least - slackKm > (fastestKmPerHour * elapsed) / hourMs)) return undefined;
  return { distanceKm: Math.floor(least / 100) * 100, elapsedMs: elapsed };
}

function isWithin(degrees: number | undefined, most: number): degrees is number {
  return degrees !== undefined && Math.abs(degrees) <= most;
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}

function halfChord(degrees: number): number {
  return Math.sin(radians(degrees) / 2);
}
