// The keys of one list as they stand now: fixed, or in a file that is read again when it changes. It must not know what they
// are for.

import { type KeyEntry, keyInUse, parseKeyEntries } from './key-entries.ts';
import type { Logger } from './log.ts';
import { openWatchedFile } from './watched-file.ts';

export interface KeyRing {
  /** The key that is used. */
  current(now: Date): KeyEntry;
  /** Every key of the list, at least one; the same objects until the list changes. */
  entries(): readonly KeyEntry[];
}

/** Where a list stands: in a setting, or in a file that a setting names. */
export type KeySource = { readonly entries: readonly KeyEntry[] } | { readonly file: string; readonly setting: string };

export interface OpenKeyRing extends KeyRing {
  close(): void;
}

export function keyRingOf(entries: () => readonly KeyEntry[]): KeyRing {
  return { entries, current: (now) => keyInUse(entries(), now) };
}

/** @throws Error that names the setting and what is wrong. */
export async function openKeyRing(source: KeySource, log: Pick<Logger, 'info' | 'error'>): Promise<OpenKeyRing> {
  if ('entries' in source) return { ...keyRingOf(() => source.entries), close: () => {} };
  const parse = (content: Buffer) => parseKeyEntries(content.toString());
  const { current, close } = await openWatchedFile({ path: source.file, parse, log, name: source.setting });
  return { ...keyRingOf(current), close };
}
