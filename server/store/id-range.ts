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
