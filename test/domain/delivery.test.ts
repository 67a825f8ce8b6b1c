// How far a code has come on a channel, and when a send is tried again.

import { describe, expect, test } from 'vitest';
import type { AppDevice } from '../../server/domain/challenge.ts';
import { type CodeSend, deadlineOf, deliveryOn, mostAttempts, waitBeforeRetry } from '../../server/domain/delivery.ts';

const start = new Date('2026-11-24T12:00:00Z');
const later = (ms: number) => new Date(start.getTime() + ms);
const limits = { shownWithinMs: 15_000 };

const watching: AppDevice = { deviceId: 'a', watching: true, push: null };
const pushed: AppDevice = { deviceId: 'b', watching: false, push: 'FCM' };
const closed: AppDevice = { deviceId: 'c', watching: false, push: null };

const inApp = (state: CodeSend['state'], createTime = start): CodeSend => ({
  channel: 'APP',
  pushService: null,
  state,
  createTime,
});
const push = (state: CodeSend['state'], createTime = start): CodeSend => ({
  ...inApp(state, createTime),
  pushService: 'FCM',
});
const mail = (state: CodeSend['state'], createTime = start): CodeSend => ({
  ...inApp(state, createTime),
  channel: 'EMAIL',
});

describe('a code by app', () => {
  test.each<[string, CodeSend[], AppDevice[], number, string]>([
    ['that was not sent', [mail('ACCEPTED')], [watching], 0, 'NOT_SENT'],
    ['that an open app is about to show', [inApp('QUEUED')], [watching], 1_000, 'QUEUED'],
    ['that a push service has not answered', [inApp('QUEUED'), push('QUEUED')], [pushed], 1_000, 'QUEUED'],
    ['that one of two push services took', [inApp('QUEUED'), push('FAILED'), push('ACCEPTED')], [], 1_000, 'ACCEPTED'],
    ['whose pushes all failed', [inApp('QUEUED'), push('FAILED'), push('FAILED')], [pushed], 0, 'FAILED'],
    ['whose pushes all failed beside an open app', [inApp('QUEUED'), push('FAILED')], [watching], 0, 'QUEUED'],
    ['that reaches nobody', [inApp('QUEUED')], [closed], 0, 'FAILED'],
    ['that was taken and not shown within 15 s', [inApp('QUEUED'), push('ACCEPTED')], [pushed], 15_000, 'FAILED'],
    ['that was shown late', [inApp('SHOWN'), push('ACCEPTED')], [pushed], 40_000, 'SHOWN'],
  ])('%s', (_, sends, audience, afterMs, expected) => {
    expect(deliveryOn('APP', sends, audience, limits, later(afterMs))).toBe(expected);
  });

  test('counts by its newest send', () => {
    const sends = [inApp('SHOWN'), push('ACCEPTED'), inApp('QUEUED', later(30_000)), push('QUEUED', later(30_000))];
    expect(deliveryOn('APP', sends, [pushed], limits, later(31_000))).toBe('QUEUED');
    expect(deliveryOn('APP', sends, [pushed], limits, later(45_000))).toBe('FAILED');
  });
});

test('a code by e-mail is what its newest mail is, however long ago', () => {
  const sends = [mail('FAILED'), mail('ACCEPTED', later(30_000))];
  expect(deliveryOn('EMAIL', sends, [], limits, later(500_000))).toBe('ACCEPTED');
});

describe('the next try', () => {
  const code = { kind: 'CODE', deadline: deadlineOf('CODE', start, later(600_000)) } as const;
  const notice = { kind: 'DEVICE_REMOVED', deadline: deadlineOf('DEVICE_REMOVED', start, undefined) } as const;

  test('of a code waits 1 s, doubling to 30 s, give or take a half', () => {
    const waits = (fraction: number) =>
      [1, 2, 3, 4, 5, 6, 7].map((tries) => waitBeforeRetry(code, tries, undefined, fraction, start));
    expect(waits(0.5)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    expect(waits(0)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    expect(waits(0.999)[0]).toBeLessThan(1_500);
  });

  test('is never before the provider asked for it', () => {
    expect(waitBeforeRetry(code, 1, 20_000, 0.5, start)).toBe(20_000);
    expect(waitBeforeRetry(code, 5, 2_000, 0.5, start)).toBe(16_000);
  });

  test('of a code is not after its challenge', () => {
    expect(waitBeforeRetry(code, 1, 599_000, 0.5, start)).toBe(599_000);
    expect(waitBeforeRetry(code, 1, 600_000, 0.5, start)).toBeUndefined();
    expect(waitBeforeRetry(code, 1, undefined, 0.5, later(599_500))).toBeUndefined();
  });

  test('of a notice comes for a day, an hour apart in the end', () => {
    expect(waitBeforeRetry(notice, 1, undefined, 0.5, start)).toBe(5_000);
    expect(waitBeforeRetry(notice, 20, undefined, 0.5, start)).toBe(3_600_000);
    expect(waitBeforeRetry(notice, 20, undefined, 0.5, later(24 * 3_600_000 - 1))).toBeUndefined();
  });

  test('ends with the tries that are kept', () => {
    expect(waitBeforeRetry(notice, mostAttempts - 1, undefined, 0, start)).toBeDefined();
    expect(waitBeforeRetry(notice, mostAttempts, undefined, 0, start)).toBeUndefined();
  });
});
