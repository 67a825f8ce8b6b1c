// The version gate's rule: which version of an app is served. Pure; the headers and the answer are the wire's.

import type { Platform } from './device.ts';

/** A parsed client version: up to four numbers, missing ones zero, then SemVer's pre-release identifiers. */
export interface ClientVersion {
  readonly numbers: readonly [number, number, number, number];
  readonly preRelease: readonly string[];
  readonly text: string;
}

/** What was claimed and what is needed; goes into every refusal of the gate. */
export interface ClientVersionRequirement {
  readonly platform: Platform | undefined;
  readonly clientVersion: string;
  readonly minimumVersion: string;
  readonly updateUrl: string;
}

export type GateDecision =
  | { readonly admitted: true; readonly version: ClientVersion; readonly refusedSoon: boolean }
  | {
      readonly admitted: false;
      readonly reason: 'CLIENT_VERSION_UNSUPPORTED' | 'CLIENT_VERSION_MISSING' | 'CLIENT_VERSION_INVALID';
    };

const versionPattern =
  /^(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;

/** Parses `2.3`, `2.3.1`, `2.10.0-beta+7`; at most 64 characters. Undefined where it is not a version. */
export function parseClientVersion(text: string): ClientVersion | undefined {
  const match = text.length <= 64 ? versionPattern.exec(text) : null;
  if (match === null) return undefined;
  const preRelease = match[5]?.split('.') ?? [];
  // SemVer 2.0.0, 9: numeric identifiers have no leading zeros.
  if (preRelease.some((identifier) => /^0\d+$/.test(identifier))) return undefined;
  return {
    numbers: [Number(match[1]), Number(match[2] ?? 0), Number(match[3] ?? 0), Number(match[4] ?? 0)],
    preRelease,
    text,
  };
}

/** Below zero where `a` comes before `b` (SemVer 2.0.0, 11; build metadata does not count). */
export function compareClientVersions(a: ClientVersion, b: ClientVersion): number {
  for (const [index, number] of a.numbers.entries()) {
    const difference = number - (b.numbers[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return comparePreReleases(a.preRelease, b.preRelease);
}

function comparePreReleases(a: readonly string[], b: readonly string[]): number {
  // A version without a pre-release comes after one with it.
  if (a.length === 0 || b.length === 0) return b.length - a.length;
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const order = compareIdentifiers(a[index] ?? '', b[index] ?? '');
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareIdentifiers(a: string, b: string): number {
  const aIsNumber = /^\d+$/.test(a);
  const bIsNumber = /^\d+$/.test(b);
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  if (aIsNumber && a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Decides on a call by the two headers. `pending` is a minimum to come: it refuses nobody, `refusedSoon` says who would
 * be.
 */
export function decideGate(
  claimed: {
    readonly version: string | null;
    readonly platform: Platform | undefined;
    readonly platformMissing: boolean;
  },
  minimum: ClientVersion,
  pending: ClientVersion | undefined,
): GateDecision {
  if (claimed.version === null || claimed.version === '' || claimed.platformMissing) {
    return { admitted: false, reason: 'CLIENT_VERSION_MISSING' };
  }
  const version = parseClientVersion(claimed.version);
  if (version === undefined || claimed.platform === undefined) {
    return { admitted: false, reason: 'CLIENT_VERSION_INVALID' };
  }
  if (compareClientVersions(version, minimum) < 0) return { admitted: false, reason: 'CLIENT_VERSION_UNSUPPORTED' };
  return { admitted: true, version, refusedSoon: pending !== undefined && compareClientVersions(version, pending) < 0 };
}
