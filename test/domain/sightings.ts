// Places, and devices that were seen there, for what is odd about a sign-in.

import type { Origin } from '../../server/domain/device.ts';
import type { AnonymousKind, ConnectionType, Place } from '../../server/domain/place.ts';
import type { Arrival, Sighting, UnusualFinding } from '../../server/domain/unusual.ts';

export function city(
  name: string,
  countryCode: string,
  latitude: number,
  longitude: number,
  accuracyRadiusKm = 20,
): Place {
  const source = 'GeoLite2-City 2026-06-05';
  return { city: name, region: '', country: '', countryCode, latitude, longitude, accuracyRadiusKm, source };
}

export const anchorage = city('Anchorage', 'US', 61.2181, -149.9003);
export const apia = city('Apia', 'WS', -13.8333, -171.7667);
export const auckland = city('Auckland', 'NZ', -36.8485, 174.7633);
export const basel = city('Basel', 'CH', 47.5596, 7.5886);
export const berlin = city('Berlin', 'DE', 52.52, 13.405);
export const dallas = city('Dallas', 'US', 32.7767, -96.797);
export const denver = city('Denver', 'US', 39.7392, -104.9903);
export const frankfurt = city('Frankfurt am Main', 'DE', 50.1109, 8.6821);
export const helsinki = city('Helsinki', 'FI', 60.1699, 24.9384);
export const istanbul = city('Istanbul', 'TR', 41.0082, 28.9784);
export const johannesburg = city('Johannesburg', 'ZA', -26.2041, 28.0473);
export const kehl = city('Kehl', 'DE', 48.5731, 7.8085);
export const lisbon = city('Lisbon', 'PT', 38.7223, -9.1393);
export const london = city('London', 'GB', 51.5074, -0.1278);
export const longyearbyen = city('Longyearbyen', 'SJ', 78.2232, 15.6267);
export const madrid = city('Madrid', 'ES', 40.4168, -3.7038);
export const moscow = city('Moscow', 'RU', 55.7558, 37.6173);
export const mulhouse = city('Mulhouse', 'FR', 47.7508, 7.3359);
export const munich = city('Munich', 'DE', 48.1351, 11.582);
export const newYork = city('New York', 'US', 40.7128, -74.006);
export const quito = city('Quito', 'EC', -0.1807, -78.4678);
export const reykjavik = city('Reykjavik', 'IS', 64.1466, -21.9426);
export const sanFrancisco = city('San Francisco', 'US', 37.7749, -122.4194);
export const saoPaulo = city('São Paulo', 'BR', -23.5505, -46.6333);
export const seattle = city('Seattle', 'US', 47.6062, -122.3321);
export const singapore = city('Singapore', 'SG', 1.3521, 103.8198);
export const strasbourg = city('Strasbourg', 'FR', 48.5734, 7.7521);
export const suva = city('Suva', 'FJ', -18.1248, 178.4501);
export const sydney = city('Sydney', 'AU', -33.8688, 151.2093);
export const tallinn = city('Tallinn', 'EE', 59.437, 24.7536);
export const tokyo = city('Tokyo', 'JP', 35.6762, 139.6503);
export const utqiagvik = city('Utqiaġvik', 'US', 71.2906, -156.7886);

export const wide = (place: Place, accuracyRadiusKm: number | undefined): Place => ({ ...place, accuracyRadiusKm });
export const onlyCountry = (place: Place): Place => ({
  ...place,
  city: '',
  latitude: undefined,
  longitude: undefined,
  accuracyRadiusKm: undefined,
});

/** How somebody is connected, and where the address seems to be. */
export type Seen = Pick<Sighting, 'place' | 'connectionType' | 'anonymous'>;

export const on = (connectionType: ConnectionType | null, place: Place | null): Seen => ({
  place,
  connectionType,
  anonymous: [],
});
export const cable = (place: Place) => on('CABLE_DSL', place);
export const cellular = (place: Place) => on('CELLULAR', place);
export const satellite = (place: Place) => on('SATELLITE', place);
export const hidden = (place: Place | null, ...kinds: AnonymousKind[]): Seen => ({
  place,
  connectionType: 'CORPORATE',
  anonymous: kinds,
});
export const vpn = (place: Place) => hidden(place, 'VPN');
export const nowhere = on(null, null);

export const minute = 60_000;
export const hour = 60 * minute;
export const day = 24 * hour;
export const now = new Date('2026-11-24T12:00:00Z');

/** Negative is in the future. */
export const seen = (deviceId: string, from: Seen, agoMs: number): Sighting => ({
  deviceId,
  time: new Date(now.getTime() - agoMs),
  ...from,
});
export const signIn = (deviceId: string | null, { place, connectionType, anonymous }: Seen): Arrival => {
  const origin: Origin = { ipAddress: '203.0.113.7', place, connectionType };
  // As flows note it: missing where nothing hides the caller.
  return { time: now, deviceId, origin: anonymous.length === 0 ? origin : { ...origin, anonymous } };
};

export const names = (findings: readonly UnusualFinding[]) => findings.map(({ unusual }) => unusual);
