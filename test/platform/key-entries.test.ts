// Lists of keys: what is read, which key is used when, and what a rotation and a clean-up make of a list.

import { expect, test } from 'vitest';
import {
  formatKeyEntries,
  formatKeyEntry,
  type KeyEntry,
  keyInUse,
  parseKeyEntries,
  prune,
  rotate,
  successionTime,
} from '../../server/platform/key-entries.ts';

const base64 = (byte: number) => Buffer.alloc(32, byte).toString('base64');
const at = (time: string) => new Date(`2026-11-29T${time}Z`);
const entry = (keyId: string, byte: number, useTime?: Date): KeyEntry => ({
  keyId,
  key: Buffer.alloc(32, byte),
  ...(useTime && { useTime }),
});
const idsOf = (entries: readonly KeyEntry[]) => entries.map(({ keyId }) => keyId);

test('a list is separated by commas or lines, with comments, and is written as it is read', () => {
  const text = `# made by hand\none:${base64(1)},two:${base64(2)}:20261129T170000Z\r\n\n  three:${base64(3)} # the last\n`;
  const entries = parseKeyEntries(text);
  expect(entries).toEqual([entry('one', 1), entry('two', 2, at('17:00:00')), entry('three', 3)]);
  expect(formatKeyEntries(entries)).toBe(`one:${base64(1)}\ntwo:${base64(2)}:20261129T170000Z\nthree:${base64(3)}\n`);
  expect(parseKeyEntries(formatKeyEntries(entries))).toEqual(entries);
});

const secret = base64(7);
test.each([
  ['', 'no key'],
  ['# only a comment', 'no key'],
  [secret, 'entry 1 is not id:base64'],
  [`one:${secret.slice(1)}`, 'entry 1'],
  [`one:${secret.slice(0, 20)}!${secret.slice(21)}`, 'entry 1'],
  [`one:${secret},two:${Buffer.alloc(33, 7).toString('base64')}`, 'entry 2'],
  [`one two:${secret}`, 'entry 1'],
  [`:${secret}`, 'entry 1'],
  [`one:${secret}:`, 'entry 1'],
  [`one:${secret}:2026-11-29T17:00:00Z`, 'entry 1'],
  [`one:${secret}:20261129T170000`, 'entry 1'],
  [`one:${secret}:20261131T170000Z`, 'entry 1'],
  [`one:${secret}:20261129T250000Z`, 'entry 1'],
  [`one:${secret}:20261129T170000Z:x`, 'entry 1'],
  [`one:${secret},one:${base64(8)}`, 'two keys of one id'],
  [`one:${secret}:20261129T170000Z,two:${base64(8)}:20261129T170000Z`, 'two keys that are used from the same time on'],
])('%j is refused, without a word of it', (text, why) => {
  const parse = () => parseKeyEntries(text);
  expect(parse).toThrow(why);
  expect(parse).not.toThrow(secret.slice(1, 20));
});

test('of those whose time has come the last is used; of those without a time the first', () => {
  const entries = [entry('a', 1), entry('b', 2), entry('d', 4, at('18:00:00')), entry('c', 3, at('17:00:00'))];
  const inUse = (time: string) => keyInUse(entries, at(time)).keyId;
  expect(inUse('16:59:59.999')).toBe('a');
  expect(inUse('17:00:00')).toBe('c');
  expect(inUse('17:59:59.999')).toBe('c');
  expect(inUse('18:00:00')).toBe('d');
  // A list is never without one.
  expect(keyInUse(entries.slice(2), at('16:00:00')).keyId).toBe('c');
  expect(entries.map((each) => successionTime(entries, each))).toEqual([
    at('17:00:00'),
    at('17:00:00'),
    undefined,
    at('18:00:00'),
  ]);
});

test('a rotation adds a key that waits, behind all that wait, and leaves the others as they are', () => {
  const first = rotate([], { now: at('16:00:00'), useAfterMs: 600_000, newKey: Buffer.alloc(32, 1), newId: 'a' });
  expect(first).toEqual([entry('a', 1)]);
  const second = rotate(first, {
    now: at('16:00:00.001'),
    useAfterMs: 600_000,
    newKey: Buffer.alloc(32, 2),
    newId: 'b',
  });
  expect(second).toEqual([entry('a', 1), entry('b', 2, at('16:10:01'))]);
  const third = rotate(second, { now: at('16:00:02'), useAfterMs: 0, newKey: Buffer.alloc(32, 3), newId: 'c' });
  expect(third).toEqual([...second, entry('c', 3, at('16:10:02'))]);
  expect(parseKeyEntries(third.map(formatKeyEntry).join(','))).toEqual(third);
  expect(() => rotate(third, { now: at('16:00:02'), useAfterMs: 0, newKey: Buffer.alloc(32, 3), newId: 'a' })).toThrow(
    'two keys of one id',
  );
});

test('a clean-up drops what has had a successor for long enough, and never the key in use or one that waits', () => {
  const entries = [entry('a', 1), entry('b', 2, at('16:00:00')), entry('c', 3, at('17:00:00'))];
  const hour = 3_600_000;
  expect(idsOf(prune(entries, at('15:00:00'), 0))).toEqual(['a', 'b', 'c']);
  expect(idsOf(prune(entries, at('17:00:00'), hour))).toEqual(['a', 'b', 'c']);
  expect(idsOf(prune(entries, at('17:00:00.001'), hour))).toEqual(['b', 'c']);
  expect(idsOf(prune(entries, at('23:00:00'), hour))).toEqual(['c']);
  // Whatever the order: a key that lost its successor would be good again.
  const unordered = [entry('c', 3, at('17:00:00')), entry('b', 2, at('16:00:00')), entry('a', 1)];
  expect(idsOf(prune(unordered, at('17:30:00'), hour))).toEqual(['c', 'b']);
  // Nobody knows how long the second has not been used.
  expect(idsOf(prune([entry('a', 1), entry('b', 2)], at('23:00:00'), 0))).toEqual(['a', 'b']);
});
