// Whom the sign-in of older generations of the app may let in, and which refusals are noted.

import { expect, test } from 'vitest';
import { parseClientVersion } from '../../server/domain/client-version.ts';
import {
  isNoted,
  mostLegacyRefusals,
  type NotedRefusal,
  refuseLegacySignIn,
} from '../../server/domain/legacy-sign-in.ts';

const minimum = parseClientVersion('2.3') ?? expect.fail();

test.each([
  ['2.2.9', false, 'CLIENT_VERSION_UNSUPPORTED'],
  ['2.2.9', true, 'CLIENT_VERSION_UNSUPPORTED'],
  ['2.3-beta', false, 'CLIENT_VERSION_UNSUPPORTED'],
  ['', false, 'CLIENT_VERSION_UNSUPPORTED'],
  ['two', true, 'CLIENT_VERSION_UNSUPPORTED'],
  ['2.3', true, 'TWO_STEP_REQUIRED'],
  ['99', true, 'TWO_STEP_REQUIRED'],
  ['2.3', false, undefined],
  ['2.10', false, undefined],
])('version %j with two-step verification %s: %s', (version, twoStepEnabled, refusal) => {
  expect(refuseLegacySignIn(parseClientVersion(version), minimum, twoStepEnabled)).toBe(refusal);
});

const entry = (ipAddress: string, platform: 'IOS' | 'WEB' = 'IOS'): NotedRefusal => ({
  device: { displayName: '', model: '', platform, osVersion: '', appVersion: '2.2' },
  origin: { ipAddress, place: null, connectionType: null },
});

test('the same kind of app and network is noted once', () => {
  const recent = [entry('81.2.69.142')];
  expect(isNoted(entry('81.2.69.142'), [])).toBe(true);
  for (const like of ['81.2.69.142', '81.2.69.1']) expect(isNoted(entry(like), recent)).toBe(false);
  expect(isNoted(entry('81.2.70.1'), recent)).toBe(true);
  expect(isNoted(entry('81.2.69.142', 'WEB'), recent)).toBe(true);
});

test('however they differ, so many stand for an hour', () => {
  const recent = Array.from({ length: mostLegacyRefusals }, (_, at) => entry(`10.0.${at}.1`));
  expect(isNoted(entry('81.2.69.142'), recent)).toBe(false);
  expect(isNoted(entry('81.2.69.142'), recent.slice(1))).toBe(true);
});
