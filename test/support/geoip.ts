// MaxMind's own test databases, and addresses of which they know something.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../../shared/geoip/', import.meta.url));

/** Where they are missing, what needs them is skipped. */
export const geoipIsMissing = !existsSync(folder);

export const geoipEnv = {
  COUNTERSIGN_GEOIP_CITY: `${folder}GeoIP2-City-Test.mmdb`,
  COUNTERSIGN_GEOIP_CONNECTION_TYPE: `${folder}GeoIP2-Connection-Type-Test.mmdb`,
  COUNTERSIGN_GEOIP_ANONYMOUS_IP: `${folder}GeoIP2-Anonymous-IP-Test.mmdb`,
  COUNTERSIGN_GEOIP_ASN: `${folder}GeoLite2-ASN-Test.mmdb`,
};

export const addresses = {
  boxford: '2.125.160.216',
  linkoping: '89.160.20.112',
  changchun: '175.16.199.1',
  milton: '216.160.83.56',
  tor: '65.0.0.1',
} as const;

/** Calls as the edge proxy passes them on for this address. */
export const callsFrom = (address: string) => ({ headers: { 'x-forwarded-for': address } });
