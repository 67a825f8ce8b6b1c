// What a checker remembers is bounded, and what it forgets it does not pretend to know.

import { expect, test } from 'vitest';
import { createRecent } from '../../../clients/service/recent.ts';
import { createRevocationList } from '../../../clients/service/revocation-list.ts';

const session = (sessionId: string, revokedAt: number) => ({
  accountId: 'anna',
  deviceId: 'phone',
  sessionId,
  cause: 'SIGNED_OUT',
  revokeTime: new Date(revokedAt),
});

test('what is used stays, what is not used goes, and there are never more than asked for', () => {
  const recent = createRecent<number>(100);
  recent.set('used', 1);
  for (let number = 0; number < 1_000; number++) {
    recent.set(`once ${number}`, number);
    expect(recent.get('used')).toBe(1);
    expect(recent.size()).toBeLessThanOrEqual(100);
  }
  expect(recent.get('once 1')).toBeUndefined();
  expect(recent.get('once 999')).toBe(999);
  recent.clear();
  expect(recent.get('used')).toBeUndefined();
  expect(recent.size()).toBe(0);
});

test('a session that is told twice is told once', () => {
  const list = createRevocationList(10);
  expect(list.add(session('a', 1_000), 2_000)).toBe(true);
  expect(list.add(session('a', 1_000), 2_000)).toBe(false);
  expect(list.size()).toBe(1);
});

test('of too many the oldest are forgotten, and with them what tokens of that time are worth', () => {
  const list = createRevocationList(3);
  const minute = 60_000;
  const now = 100 * minute;
  for (let index = 0; index < 5; index++) list.add(session(`s${index}`, now + index * minute), now);
  expect(list.size()).toBe(3);
  expect(list.find('s1')).toBeUndefined();
  expect(list.find('s4')).toBeDefined();
  // s1 ended at +1 min: whoever holds a token of it got it before then, by clocks that may differ by a minute.
  expect(list.covers(now + minute)).toBe(false);
  expect(list.covers(now + 2 * minute)).toBe(false);
  expect(list.covers(now + 2 * minute + 1)).toBe(true);
});

test('after an hour one is forgotten, also where there is room', () => {
  const list = createRevocationList(1_000);
  const hour = 3_600_000;
  list.add(session('old', hour), hour);
  list.add(session('young', 2 * hour - 1), 2 * hour - 1);
  expect(list.find('old')).toBeDefined();
  list.add(session('new', 2 * hour), 2 * hour);
  expect(list.find('old')).toBeUndefined();
  expect(list.find('young')).toBeDefined();
  expect(list.covers(hour)).toBe(false);
  expect(list.covers(2 * hour)).toBe(true);
});
