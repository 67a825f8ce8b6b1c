// A range of UUIDv7s, which are times as well: a page of a list, newest first.

import type { Times } from '../flows/times.ts';
import { highestUuid, lowestUuid } from './partitions.ts';

export interface IdRange {
  /** Older than that. */
  readonly before: string;
  /** Not older than that. */
  readonly notBefore: string;
}

/** What is older than `before` (null: whatever there is), not before `notBefore`, and within a filter's times. */
export function idRange({ startTime, endTime }: Times, before: string | null, notBefore: Date): IdRange {
  // Ids of one form sort as their texts do.
  const earlier = (a: string, b: string) => (a < b ? a : b);
  const later = (a: string, b: string) => (a < b ? b : a);
  return {
    before: earlier(before ?? highestUuid, endTime === null ? highestUuid : lowestUuid(endTime)),
    notBefore: later(lowestUuid(notBefore), lowestUuid(startTime ?? notBefore)),
  };
}

/**
 * A page of a scan that looks at so many rows at most: the first `count` of what was found (one more is found where more fits), and where
 * the page behind goes on; `lastScanned` is the last id that was looked at, where there was more to look at.
 */
export async function pageOfScan<R>(
  found: readonly R[],
  count: number,
  idOf: (row: R) => string,
  lastScanned: () => Promise<string | undefined>,
): Promise<{ readonly rows: readonly R[]; readonly next: string | undefined }> {
  const rows = found.slice(0, count);
  const end = rows.at(-1);
  const last = end && idOf(end);
  if (found.length > count) return { rows, next: last };
  const scanned = await lastScanned();
  // Rows that came in between make it a newer one than was looked at: what was found behind it is not for the next page.
  return { rows, next: scanned !== undefined && last !== undefined && last < scanned ? last : scanned };
}
