// `countersign keys`: a file of keys, which servers watch. A new key is put there with the time from which it is used, and what is
// over is taken out. No key is shown but a fresh one.

import { randomBytes } from 'node:crypto';
import {
  formatKeyEntries,
  formatKeyEntry,
  type KeyEntry,
  keyInUse,
  parseKeyEntries,
  prune,
  rotate,
  successionTime,
} from '../platform/key-entries.ts';
import { exitCodes, Failure } from './failure.ts';
import { changeFile, readKeysFile } from './keys-file.ts';
import { type Answer, moment, paragraphs, table } from './output.ts';

export async function newKey(now: Date): Promise<Answer> {
  const entry = freshKey(now);
  const text = formatKeyEntry(entry);
  // The entry alone, so that it can be sent into a file.
  return { json: { keyId: entry.keyId, entry: text }, text };
}

export async function listKeys(path: string, now: Date): Promise<Answer> {
  return listAnswer(parsed(path, await readKeysFile(path)), now);
}

export interface RotateOptions {
  readonly file: string;
  readonly useAfter: number;
  readonly dropAfter: number;
}

export async function rotateKeys(options: RotateOptions, now: Date): Promise<Answer> {
  const { file, useAfter: useAfterMs, dropAfter } = options;
  const fresh = freshKey(now);
  let before: readonly KeyEntry[] = [];
  let after: readonly KeyEntry[] = [];
  await changeFile(file, (text) => {
    before = parsed(file, text);
    const kept = prune(before, now, dropAfter);
    after = rotate(kept, { now, useAfterMs, newKey: fresh.key, newId: fresh.keyId });
    return formatKeyEntries(after);
  });
  const dropped = before.filter(({ keyId }) => !after.some((entry) => entry.keyId === keyId));
  const added = after.find(({ keyId }) => keyId === fresh.keyId);
  const { json, text } = listAnswer(after, now);
  return {
    json: { added: fresh.keyId, useTime: added?.useTime?.toISOString() ?? null, dropped: dropped.map(idOf), ...json },
    text: paragraphs(
      [
        `${fresh.keyId} is used from ${moment(added?.useTime) || 'now'} on. By then every replica must have this file.`,
        ...(dropped.length === 0 ? [] : [`Dropped: ${dropped.map(idOf).join(', ')}.`]),
      ].join('\n'),
      text,
    ),
  };
}

const idOf = ({ keyId }: KeyEntry) => keyId;

/** The day tells people how old a key is; the rest keeps two of a day apart. */
function freshKey(now: Date): KeyEntry {
  return { keyId: `${now.toISOString().slice(0, 10)}-${randomBytes(3).toString('hex')}`, key: randomBytes(32) };
}

function parsed(path: string, text: string): readonly KeyEntry[] {
  try {
    return parseKeyEntries(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Failure(exitCodes.failed, `${path} is no file of keys: ${why}`);
  }
}

function listAnswer(entries: readonly KeyEntry[], now: Date) {
  const inUse = keyInUse(entries, now);
  const keys = entries.map((entry) => ({
    keyId: entry.keyId,
    state: entry === inUse ? 'in use' : entry.useTime && entry.useTime > now ? 'waiting' : 'old',
    useTime: entry.useTime?.toISOString() ?? null,
    successionTime: successionTime(entries, entry)?.toISOString() ?? null,
  }));
  const text = table(
    ['key', 'state', 'used from', 'until'],
    entries.map((entry, at) => [
      entry.keyId,
      keys[at]?.state ?? '',
      moment(entry.useTime) || 'always',
      moment(successionTime(entries, entry)),
    ]),
  );
  return { json: { keys }, text };
}
