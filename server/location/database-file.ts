// One MaxMind-format file in memory, checked before it is believed, and taken up again when it was replaced.
// This file knows no records: what an entry means is records.ts' business.
//
// maxmind's own `watchForUpdates` loads into the reader that is in use, so a half-copied file breaks every lookup and
// rejects into nowhere. Here the new file has its own reader, and the old one answers until the new one was checked.

import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type ipaddr from 'ipaddr.js';
import { Reader, type Response } from 'maxmind';

/** The part of a logger that this room needs; pino has it. */
export interface LocationLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

export type DatabaseKind = 'city' | 'connection-type' | 'ASN' | 'anonymous-IP';

export interface DatabaseFile {
  readonly kind: DatabaseKind;
  /** Name and build date (UTC) of what is loaded now: `GeoLite2-City 2026-06-05`. */
  readonly source: string;
  /** The record of the longest matching network, or null. Never throws. */
  lookUp(address: ipaddr.IPv4 | ipaddr.IPv6): unknown;
  /** Stops looking for a new file. */
  close(): void;
}

export interface DatabaseFileOptions {
  readonly path: string;
  readonly kind: DatabaseKind;
  readonly log: LocationLog;
  /** Milliseconds between two looks at the file. A new one is taken up when two looks saw the same of it. */
  readonly checkEveryMs: number;
}

/** @throws Error that names the path, what is wrong with it, and what it takes. */
export async function openDatabase({ path, kind, log, checkEveryMs }: DatabaseFileOptions): Promise<DatabaseFile> {
  let current = await load(path, kind);
  // What was last taken up or refused: a bad file is complained about once.
  let decided = current.version;
  let seen = decided;
  let checking = false;
  let closed = false;

  const check = async (): Promise<void> => {
    const version = await versionNow(path);
    // A file's time has grains of some milliseconds, in which it may change unseen, and a copy takes a while: what has just
    // changed may be half of the old file and half of the new.
    const settled = version === seen;
    seen = version;
    if (!settled || version === decided) return;
    try {
      const next = await load(path, kind);
      if (closed || next.version !== version) return;
      current = next;
      log.info({ path, source: next.source }, 'location database reloaded');
    } catch (error) {
      if (closed || (await versionNow(path)) !== version) return;
      log.warn({ path, source: current.source, err: error }, 'new location database refused, the one in memory stays');
    }
    decided = version;
  };
  const timer = setInterval(() => {
    if (checking) return;
    checking = true;
    void check().finally(() => {
      checking = false;
    });
  }, checkEveryMs);
  timer.unref();

  return {
    kind,
    get source() {
      return current.source;
    },
    lookUp: (address) => {
      if (address.kind() === 'ipv6' && current.reader.metadata.ipVersion === 4) return null;
      try {
        return current.reader.get(address.toString());
      } catch (error) {
        // A damaged entry must not stop a sign-in: the place is unknown then.
        log.warn({ path, source: current.source, err: error }, 'location database entry is unreadable');
        return null;
      }
    },
    close: () => {
      closed = true;
      clearInterval(timer);
    },
  };
}

interface Loaded {
  readonly reader: Reader<Response>;
  readonly source: string;
  /** Changes whenever the file does. */
  readonly version: string;
}

/** What a database says that it is, and one that is. */
const KINDS: Readonly<Record<DatabaseKind, { readonly types: RegExp; readonly example: string }>> = {
  city: { types: /city|country|enterprise|location/i, example: 'GeoLite2-City.mmdb' },
  'connection-type': { types: /connection.?type/i, example: 'GeoIP2-Connection-Type.mmdb' },
  ASN: { types: /asn|isp/i, example: 'GeoLite2-ASN.mmdb' },
  'anonymous-IP': { types: /anonymous/i, example: 'GeoIP2-Anonymous-IP.mmdb' },
};

async function load(path: string, kind: DatabaseKind): Promise<Loaded> {
  try {
    const version = await versionOf(path);
    const bytes = await readWhole(path);
    // Not the same before and after: somebody is writing it. The next look finds it finished.
    if ((await versionOf(path)) !== version) throw new Error('it changed while it was read');
    const reader = parse(bytes);
    const { databaseType } = reader.metadata;
    if (!KINDS[kind].types.test(databaseType)) throw new Error(`it holds ${databaseType || 'something else'}`);
    return { reader, source: sourceOf(path, reader.metadata), version };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const takes = `it takes a complete, unpacked ${kind} database in MaxMind format (.mmdb), such as ${KINDS[kind].example}`;
    throw new Error(`${path} can't be used as ${kind} database: ${why}; ${takes}`, { cause });
  }
}

async function versionOf(path: string): Promise<string> {
  const { ino, size, mtimeMs, ctimeMs } = await stat(path);
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

const versionNow = (path: string): Promise<string> => versionOf(path).catch(() => 'missing');

// fs.readFile reads in pieces of 512 KiB, which takes twice as long for the bundled 134 MB.
async function readWhole(path: string): Promise<Buffer> {
  await using file = await open(path);
  const { size } = await file.stat();
  const bytes = Buffer.allocUnsafeSlow(size);
  let length = 0;
  while (length < size) {
    const { bytesRead } = await file.read(bytes, length, size - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return bytes.subarray(0, length);
}

const METADATA_MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');

// The MaxMind DB format, version 2.0: search tree, 16 zero bytes, data, and the metadata last, in the last 128 KiB. So a
// file that was cut off has no metadata; the reader alone would take its noise for some.
function parse(bytes: Buffer): Reader<Response> {
  if (bytes.length === 0) throw new Error('it is empty');
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) throw new Error('it is compressed with gzip');
  if (bytes.subarray(-128 * 1024).lastIndexOf(METADATA_MARKER) < 0) {
    throw new Error('it is no MaxMind-format file, or cut off');
  }
  const reader = new Reader<Response>(bytes);
  const { binaryFormatMajorVersion, searchTreeSize } = reader.metadata;
  const separator = bytes.subarray(searchTreeSize, searchTreeSize + 16);
  if (binaryFormatMajorVersion !== 2 || separator.length !== 16 || separator.some((byte) => byte !== 0)) {
    throw new Error('it is damaged');
  }
  return reader;
}

function sourceOf(path: string, { databaseType, buildEpoch }: Reader<Response>['metadata']): string {
  return `${databaseName(path, databaseType)} ${buildEpoch.toISOString().slice(0, 10)}`;
}

// ip-location-db writes `city ipv4` whatever the origin, so its file name says more; DB-IP's own files add `(compat=City)`.
function databaseName(path: string, databaseType: string): string {
  const file = basename(path);
  if (!/^city ipv[46]$/.test(databaseType)) return databaseType.replace(/ \(compat=\w+\)$/, '');
  return file.startsWith('dbip-city') ? 'DBIP-City-Lite' : file.replace(/(-ipv[46])?\.mmdb$/, '');
}
