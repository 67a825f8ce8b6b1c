// What is odd about a sign-in, whatever the history.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AnonymousKind, ConnectionType, Place } from '../../server/domain/place.ts';
import { type Arrival, findUnusual, type History, type Sighting, type Unusual } from '../../server/domain/unusual.ts';
import { berlin, hour, names, now, type Seen, signIn, wide } from './sightings.ts';

describe('whatever the history', () => {
  const number = fc.double();
  const kinds = fc.uniqueArray(
    fc.constantFrom<AnonymousKind>('VPN', 'HOSTING', 'TOR_EXIT', 'RESIDENTIAL_PROXY', 'OTHER'),
    {
      maxLength: 2,
    },
  );
  const placeOf = (latitude: fc.Arbitrary<number | undefined>, longitude: fc.Arbitrary<number | undefined>) =>
    fc
      .record({
        countryCode: fc.constantFrom('', 'DE', 'FR', 'US', 'JP'),
        latitude,
        longitude,
        accuracyRadiusKm: fc.option(fc.double({ min: 0, max: 1_000, noNaN: true }), { nil: undefined }),
      })
      .map((some): Place => ({ ...berlin, ...some }));
  const seenAt = (place: fc.Arbitrary<Place>): fc.Arbitrary<Seen> =>
    fc.record({
      place: fc.option(place, { freq: 9 }),
      connectionType: fc.constantFrom<ConnectionType | null>(null, 'CABLE_DSL', 'CELLULAR', 'CORPORATE', 'SATELLITE'),
      anonymous: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: kinds }),
    });
  const device = fc.constantFrom('phone', 'laptop', 'tablet');
  const historyOf = (place: fc.Arbitrary<Place>, time: fc.Arbitrary<Date>) =>
    fc.record({
      sightings: fc.array(
        fc
          .tuple(device, time, seenAt(place))
          .map(([deviceId, at, from]): Sighting => ({ deviceId, time: at, ...from })),
        { maxLength: 4 },
      ),
      countries: fc.subarray(['DE', 'FR', 'US']),
    });
  const arrivalOf = (place: fc.Arbitrary<Place>) =>
    fc.tuple(fc.option(device), seenAt(place)).map(([deviceId, from]) => signIn(deviceId, from));

  const onGlobe = placeOf(
    fc.double({ min: -90, max: 90, noNaN: true }),
    fc.double({ min: -180, max: 180, noNaN: true }),
  );
  const recent = fc.integer({ min: -hour, max: 20 * hour }).map((agoMs) => new Date(now.getTime() - agoMs));
  const travels = (arrival: Arrival, history: History) =>
    findUnusual(arrival, history).some(({ unusual }) => unusual === 'IMPOSSIBLE_TRAVEL');

  test('nothing throws, and each finding is there once, in order', () => {
    const coordinate = fc.option(number, { nil: undefined });
    const anyPlace = placeOf(coordinate, coordinate);
    const order: readonly Unusual[] = ['NEW_DEVICE', 'NEW_COUNTRY', 'IMPOSSIBLE_TRAVEL', 'ANONYMOUS_NETWORK'];
    fc.assert(
      fc.property(arrivalOf(anyPlace), fc.date(), historyOf(anyPlace, fc.date()), (arrival, time, history) => {
        const found = names(findUnusual({ ...arrival, time }, history));
        expect(found).toEqual(order.filter((unusual) => found.includes(unusual)));
      }),
    );
  });

  test('more time never makes a sign-in an alarming one', () => {
    fc.assert(
      fc.property(arrivalOf(onGlobe), historyOf(onGlobe, recent), fc.nat(30 * hour), (arrival, history, more) => {
        fc.pre(!travels(arrival, history));
        const later = { ...arrival, time: new Date(arrival.time.getTime() + more) };
        expect(names(findUnusual(later, history))).toEqual(names(findUnusual(arrival, history)));
      }),
    );
  });

  test('a wider circle never makes a sign-in an alarming one', () => {
    const widened = <T extends { readonly place: Place | null }>(from: T, by: number): T => {
      const radius = from.place?.accuracyRadiusKm;
      return from.place === null || radius === undefined ? from : { ...from, place: wide(from.place, radius + by) };
    };
    fc.assert(
      fc.property(arrivalOf(onGlobe), historyOf(onGlobe, recent), fc.nat(3_000), (arrival, history, by) => {
        fc.pre(!travels(arrival, history));
        expect(travels({ ...arrival, origin: widened(arrival.origin, by) }, history)).toBe(false);
        const sightings = history.sightings.map((sighting) => widened(sighting, by));
        expect(travels(arrival, { ...history, sightings })).toBe(false);
      }),
    );
  });

  test('a device more never makes the sign-in of a known one alarming', () => {
    fc.assert(
      fc.property(
        historyOf(onGlobe, recent),
        arrivalOf(onGlobe),
        seenAt(onGlobe),
        recent,
        (history, arrival, at, time) => {
          const known = history.sightings.some(({ deviceId }) => deviceId === arrival.deviceId);
          fc.pre(known && !travels(arrival, history));
          const more = [...history.sightings, { deviceId: 'another', time, ...at }];
          expect(travels(arrival, { ...history, sightings: more })).toBe(false);
        },
      ),
    );
  });

  test('no alarm of travel on cellular, on a satellite or behind an exit', () => {
    fc.assert(
      fc.property(arrivalOf(onGlobe), historyOf(onGlobe, recent), (arrival, history) => {
        fc.pre(travels(arrival, history));
        for (const connectionType of ['CELLULAR', 'SATELLITE'] as const) {
          expect(travels({ ...arrival, origin: { ...arrival.origin, connectionType } }, history)).toBe(false);
        }
        expect(travels({ ...arrival, origin: { ...arrival.origin, anonymous: ['VPN'] } }, history)).toBe(false);
      }),
    );
  });
});
