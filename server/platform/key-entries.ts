// A list of keys, as text and as values: which key is used when, and how the list rotates. Pure: it must not know files,
// clocks, or what the keys are for.

/** A key of 32 bytes with its id. */
export interface NamedKey {
  readonly keyId: string;
  readonly key: Uint8Array;
}

/** A key as it stands in a list. */
export interface KeyEntry extends NamedKey {
  /** From when on it is used, to the second; where it is left out, it was always there. */
  readonly useTime?: Date | undefined;
}

/** What an entry looks like, for who wrote it wrong. */
export const keyEntryForm =
  'id:base64 of 32 random bytes (openssl rand -base64 32), with :20261129T170000Z behind it where it is used from then on';

/**
 * The entries of a list that are separated by commas or stand on lines of their own; what is behind a # is a comment.
 * @throws Error that says what is wrong, without a word of what stands there.
 */
export function parseKeyEntries(text: string): readonly KeyEntry[] {
  const entries = text
    .split(/\r?\n/)
    .flatMap((line) => line.replace(/#.*/, '').split(','))
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry, index) => parseKeyEntry(entry) ?? wrong(`entry ${index + 1} is not ${keyEntryForm}`));
  if (entries.length === 0) wrong(`no key, which is ${keyEntryForm}`);
  const times = entries.flatMap(({ useTime }) => (useTime === undefined ? [] : [useTime.getTime()]));
  if (new Set(entries.map(({ keyId }) => keyId)).size < entries.length) wrong('two keys of one id');
  if (new Set(times).size < times.length) wrong('two keys that are used from the same time on');
  return entries;
}

function parseKeyEntry(entry: string): KeyEntry | undefined {
  const [, keyId, encoded, time] = /^([\w-]{1,32}):([\w+/-]{43}=?)(?::(\d{8}T\d{6}Z))?$/.exec(entry) ?? [];
  if (keyId === undefined || encoded === undefined) return undefined;
  const key = Buffer.from(encoded, 'base64');
  if (time === undefined) return { keyId, key };
  const useTime = new Date(time.replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z'));
  // Days that a month does not have are no times.
  return !Number.isNaN(useTime.getTime()) && basicTime(useTime) === time ? { keyId, key, useTime } : undefined;
}

function wrong(what: string): never {
  throw new Error(what);
}

export function formatKeyEntry({ keyId, key, useTime }: KeyEntry): string {
  return [keyId, Buffer.from(key).toString('base64'), ...(useTime ? [basicTime(useTime)] : [])].join(':');
}

/** A file of these entries. */
export function formatKeyEntries(entries: readonly KeyEntry[]): string {
  return entries.map((entry) => `${formatKeyEntry(entry)}\n`).join('');
}

/** ISO 8601 in its basic form, in UTC: without the colons that separate an entry's parts. */
function basicTime(time: Date): string {
  return time.toISOString().replace(/[-:]|\.\d+/g, '');
}

const startOf = ({ useTime }: KeyEntry) => useTime?.getTime() ?? Number.NEGATIVE_INFINITY;

/**
 * The key that is used: of those whose time has come, the one that came last; of those without a time, the first. Where
 * nobody's time has come, the one whose comes first.
 */
export function keyInUse(entries: readonly KeyEntry[], now: Date): KeyEntry {
  const latestFirst = entries.toSorted((one, other) =>
    startOf(one) === startOf(other) ? 0 : startOf(other) - startOf(one),
  );
  return latestFirst.find((entry) => startOf(entry) <= now.getTime()) ?? latestFirst.at(-1) ?? wrong('no key');
}

/** Since when, or from when on, a later key is used in the place of this one; undefined where there is none. */
export function successionTime(entries: readonly KeyEntry[], entry: KeyEntry): Date | undefined {
  const later = entries.flatMap(({ useTime }) => (useTime && useTime.getTime() > startOf(entry) ? [useTime] : []));
  return later.length === 0 ? undefined : new Date(Math.min(...later.map((time) => time.getTime())));
}

export interface Rotation {
  readonly now: Date;
  /** ms until the new key is used: long enough for every replica, and whoever keeps the JWKS, to have it. */
  readonly useAfterMs: number;
  /** 32 random bytes. */
  readonly newKey: Uint8Array;
  /** Up to 32 letters, digits, _ and -. */
  readonly newId: string;
}

/**
 * The list with a new key behind the others, which is used `useAfterMs` from now on, and after every other that is
 * waiting. The first key of a list is used at once.
 */
export function rotate(entries: readonly KeyEntry[], { now, useAfterMs, newKey, newId }: Rotation): KeyEntry[] {
  if (entries.some(({ keyId }) => keyId === newId)) wrong('two keys of one id');
  if (entries.length === 0) return [{ keyId: newId, key: newKey }];
  const after = Math.ceil((now.getTime() + useAfterMs) / 1_000) * 1_000;
  const useTime = new Date(Math.max(after, ...entries.map((entry) => startOf(entry) + 1_000)));
  return [...entries, { keyId: newId, key: newKey, useTime }];
}

/** The list without the keys in whose place a later one has been used for longer than `oldAfterMs`. */
export function prune(entries: readonly KeyEntry[], now: Date, oldAfterMs: number): KeyEntry[] {
  return entries.filter((entry) => {
    const since = successionTime(entries, entry);
    return since === undefined || now.getTime() - since.getTime() <= oldAfterMs;
  });
}
