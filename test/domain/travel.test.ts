// Distances on the globe, and which of them can be travelled in the time between.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Place } from '../../server/domain/place.ts';
import {
  type Area,
  areaOf,
  distanceKm,
  impossibleTravel,
  isNear,
  leastDistanceKm,
} from '../../server/domain/travel.ts';

const point = (latitude: number, longitude: number, radiusKm = 0): Area => ({ latitude, longitude, radiusKm });
const minutes = 60_000;
const hours = 60 * minutes;

const berlin: Place = {
  city: 'Berlin',
  region: '',
  country: 'Germany',
  countryCode: 'DE',
  latitude: 52.52,
  longitude: 13.405,
  accuracyRadiusKm: 20,
  source: 'GeoLite2-City 2026-06-05',
};

const halfway = Math.PI * 6_371.0088;

describe('distance', () => {
  // Vincenty's formula on the WGS 84 ellipsoid, in Python; a sphere is up to 0.56 % off.
  test.each<[string, Area, Area, number]>([
    ['Berlin and New York', point(52.52, 13.405), point(40.7128, -74.006), 6_402.4],
    ['London and Tokyo', point(51.5074, -0.1278), point(35.6762, 139.6503), 9_582.2],
    ['Kehl and Strasbourg', point(48.5731, 7.8085), point(48.5734, 7.7521), 4.16],
    ['Helsinki and Tallinn', point(60.1699, 24.9384), point(59.437, 24.7536), 82.3],
    ['Suva and Apia, over the date line', point(-18.1248, 178.4501), point(-13.8333, -171.7667), 1_149.5],
    ['Anchorage and Tokyo, over the date line', point(61.2181, -149.9003), point(35.6762, 139.6503), 5_578],
    ['Longyearbyen and Utqiaġvik, over the pole', point(78.2232, 15.6267), point(71.2906, -156.7886), 3_397],
    ['Quito and Singapore, nearly antipodes', point(-0.1807, -78.4678), point(1.3521, 103.8198), 19_743.4],
    ['Johannesburg and Reykjavik', point(-26.2041, 28.0473), point(64.1466, -21.9426), 10_914.5],
    ['Sydney and São Paulo', point(-33.8688, 151.2093), point(-23.5505, -46.6333), 13_376.6],
  ])('between %s', (_, from, to, expected) => {
    expect(Math.abs(distanceKm(from, to) / expected - 1)).toBeLessThan(0.006);
  });

  test.each<[string, Area, Area, number]>([
    ['one place and itself', point(52.52, 13.405), point(52.52, 13.405), 0],
    ['both names of the date line', point(10, 180), point(10, -180), 0],
    ['any longitudes of a pole', point(90, 0), point(90, 77), 0],
    ['the poles', point(90, 0), point(-90, 123), halfway],
    ['antipodes', point(40, -75), point(-40, 105), halfway],
    ['antipodes whose rounding goes astray', point(58, -180), point(-58, 0), halfway],
    ['the equator’s quarter', point(0, 0), point(0, 90), halfway / 2],
  ])('between %s', (_, from, to, expected) => {
    expect(distanceKm(from, to)).toBeCloseTo(expected, 3);
  });

  test('circles that overlap are no distance apart', () => {
    expect(leastDistanceKm(point(0, 0, 60), point(0, 1, 60))).toBe(0);
    expect(leastDistanceKm(point(0, 0, 40), point(0, 1, 60))).toBeCloseTo(11.195, 3);
  });
});

describe('a place', () => {
  test('is a circle', () => {
    expect(areaOf(berlin)).toEqual(point(52.52, 13.405, 20));
    expect(areaOf({ ...berlin, accuracyRadiusKm: 0 })).toEqual(point(52.52, 13.405, 0));
  });

  test('whose radius is not known is a wide one', () => {
    for (const accuracyRadiusKm of [undefined, Number.NaN, -1]) {
      expect(areaOf({ ...berlin, accuracyRadiusKm })).toEqual(point(52.52, 13.405, 100));
    }
  });

  test('without both coordinates is none', () => {
    expect(areaOf(null)).toBeUndefined();
    for (const nowhere of [undefined, Number.NaN, Number.POSITIVE_INFINITY, -180.1]) {
      expect(areaOf({ ...berlin, latitude: nowhere })).toBeUndefined();
      expect(areaOf({ ...berlin, longitude: nowhere })).toBeUndefined();
    }
  });
});

describe('travel', () => {
  /** So many kilometres along the equator. */
  const apart = (km: number) => [point(0, 0), point(0, (km / halfway) * 180)] as const;
  const travel = (km: number, elapsedMs: number) => impossibleTravel(...apart(km), elapsedMs);

  test('is impossible above 1,000 km/h, 500 km off', () => {
    expect(travel(1_499.9, 1 * hours)).toBeUndefined();
    expect(travel(1_500.1, 1 * hours)).toEqual({ distanceKm: 1_500, elapsedMs: 1 * hours });
    expect(travel(8_499.9, 8 * hours)).toBeUndefined();
    expect(travel(8_500.1, 8 * hours)).toEqual({ distanceKm: 8_500, elapsedMs: 8 * hours });
  });

  test('has its accuracy circles taken off', () => {
    const [from, to] = apart(1_700.1);
    expect(impossibleTravel(from, { ...to, radiusKm: 200 }, 1 * hours)).toEqual({
      distanceKm: 1_500,
      elapsedMs: 1 * hours,
    });
    expect(impossibleTravel({ ...from, radiusKm: 100 }, { ...to, radiusKm: 101 }, 1 * hours)).toBeUndefined();
  });

  test('takes a minute at least, so that clocks that differ change nothing', () => {
    for (const elapsedMs of [minutes, 1, 0, -1, -5 * minutes]) {
      expect(travel(516, elapsedMs)).toBeUndefined();
      expect(travel(517, elapsedMs)).toEqual({ distanceKm: 500, elapsedMs: minutes });
    }
  });

  test('is not judged without a time', () => {
    expect(travel(15_000, Number.NaN)).toBeUndefined();
  });

  test('within 500 km is none, however fast', () => {
    const [from, to] = apart(499.9);
    expect(isNear(from, to)).toBe(true);
    expect(isNear(...apart(500.1))).toBe(false);
    expect(isNear(from, { ...to, longitude: to.longitude + 1, radiusKm: 112 })).toBe(true);
  });
});

describe('whatever the numbers', () => {
  const onGlobe = fc.record({
    latitude: fc.double({ min: -90, max: 90, noNaN: true }),
    longitude: fc.double({ min: -180, max: 180, noNaN: true }),
    radiusKm: fc.double({ min: 0, max: 2_000, noNaN: true }),
  });
  const elapsed = fc.integer({ min: -1 * hours, max: 30 * hours });

  test('a distance is one, the same both ways, and no more than half around', () => {
    fc.assert(
      fc.property(onGlobe, onGlobe, (a, b) => {
        expect(distanceKm(a, b)).toBe(distanceKm(b, a));
        expect(distanceKm(a, b)).toBeGreaterThanOrEqual(0);
        expect(distanceKm(a, b)).toBeLessThanOrEqual(halfway);
        expect(leastDistanceKm(a, b)).toBeGreaterThanOrEqual(0);
        expect(distanceKm(a, a)).toBe(0);
      }),
    );
  });

  test('coordinates that are none are no place, and any others have a distance', () => {
    const coordinate = fc.oneof(fc.double(), fc.double({ min: -100, max: 100, noNaN: true }), fc.constant(undefined));
    const anywhere = fc
      .record({ latitude: coordinate, longitude: coordinate, accuracyRadiusKm: coordinate })
      .map((numbers) => areaOf({ ...berlin, ...numbers }));
    fc.assert(
      fc.property(anywhere, anywhere, (a, b) => {
        fc.pre(a !== undefined && b !== undefined);
        expect(distanceKm(a, b)).toBeGreaterThanOrEqual(0);
        expect(distanceKm(a, b)).toBeLessThanOrEqual(halfway);
        expect(leastDistanceKm(a, b)).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test('no way round is longer than by a third place', () => {
    fc.assert(
      fc.property(
        onGlobe,
        onGlobe,
        onGlobe,
        (a, b, c) => distanceKm(a, c) <= distanceKm(a, b) + distanceKm(b, c) + 1e-3,
      ),
    );
  });

  test('more time never makes a travel impossible', () => {
    fc.assert(
      fc.property(onGlobe, onGlobe, elapsed, fc.nat(30 * hours), (a, b, time, more) => {
        fc.pre(impossibleTravel(a, b, time) === undefined);
        expect(impossibleTravel(a, b, time + more)).toBeUndefined();
      }),
    );
  });

  test('a wider circle never makes a travel impossible', () => {
    fc.assert(
      fc.property(onGlobe, onGlobe, elapsed, fc.nat(2_000), (a, b, time, more) => {
        fc.pre(impossibleTravel(a, b, time) === undefined);
        expect(impossibleTravel({ ...a, radiusKm: a.radiusKm + more }, b, time)).toBeUndefined();
        expect(impossibleTravel(a, { ...b, radiusKm: b.radiusKm + more }, time)).toBeUndefined();
      }),
    );
  });

  test('there and back are judged alike', () => {
    fc.assert(
      fc.property(onGlobe, onGlobe, elapsed, (a, b, time) => {
        expect(impossibleTravel(a, b, time)).toEqual(impossibleTravel(b, a, time));
      }),
    );
  });

  test('what is said of it is too fast in itself, and no more than it was', () => {
    fc.assert(
      fc.property(onGlobe, onGlobe, elapsed, (a, b, time) => {
        const found = impossibleTravel(a, b, time);
        fc.pre(found !== undefined);
        expect(found.distanceKm / (found.elapsedMs / hours)).toBeGreaterThan(1_000);
        expect(found.distanceKm).toBeLessThanOrEqual(distanceKm(a, b));
        expect(found.distanceKm % 100).toBe(0);
      }),
    );
  });
});
