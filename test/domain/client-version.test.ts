// The order of client versions, against SemVer 2.0.0 and beyond it: one to four numbers.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ClientVersion, compareClientVersions, parseClientVersion } from '../../server/domain/client-version.ts';

function parsed(text: string): ClientVersion {
  const version = parseClientVersion(text);
  if (version === undefined) throw new Error(`${text} is no version`);
  return version;
}

const compare = (a: string, b: string) => Math.sign(compareClientVersions(parsed(a), parsed(b)));

test.each([
  // SemVer 2.0.0, 11.
  ['1.0.0', '2.0.0', '2.1.0', '2.1.1'],
  ['1.0.0-alpha', '1.0.0-alpha.1', '1.0.0-alpha.beta', '1.0.0-beta', '1.0.0-beta.2', '1.0.0-beta.11', '1.0.0-rc.1'],
  // Numbers are numbers: 2.10 is newer than 2.9.
  ['2', '2.2.9', '2.3-0', '2.3-beta', '2.3', '2.3.0.1', '2.3.1', '2.9', '2.10.0-beta+7', '2.10', '10.0'],
  ['2.3.0.1-rc', '2.3.0.1', '2.3.0.2', '2.3.1.0'],
  // Longer than a double is exact.
  ['1.0-9007199254740992', '1.0-9007199254740993', '1.0-90071992547409930', '1.0-a'],
])('each of %s … is below the next', (...versions) => {
  for (const [index, version] of versions.entries()) {
    for (const later of versions.slice(index + 1)) {
      expect([version, later, compare(version, later)]).toEqual([version, later, -1]);
      expect([later, version, compare(later, version)]).toEqual([later, version, 1]);
    }
  }
});

test.each([
  ['2.3', '2.3.0'],
  ['2.3', '2.3.0.0'],
  ['2', '2.0'],
  ['2.3-beta', '2.3.0-beta'],
  ['2.3+7', '2.3+8'],
  ['2.10.0-beta+7', '2.10-beta'],
  ['02.03', '2.3'],
])('%s and %s are the same version', (a, b) => {
  expect(compare(a, b)).toBe(0);
  expect(compare(b, a)).toBe(0);
});

test.each([
  '',
  ' ',
  '2.3 ',
  ' 2.3',
  '2.3\n',
  'v2.3',
  '2.',
  '.3',
  '2..3',
  '2.3.1.4.5',
  '-1',
  '2.-3',
  '+7',
  '2.3-',
  '2.3+',
  '2.3-a..b',
  '2.3-01',
  '2.3-béta',
  '2.3+a+b',
  '2.x',
  '2,3',
  '٢.٣',
  '0x2.3',
  '1e3',
  '1234567890',
  '2.99999999999999999999',
  `2.3-${'a'.repeat(61)}`,
])('%j is no version', (text) => {
  expect(parseClientVersion(text)).toBeUndefined();
});

test.each(['999999999.999999999.999999999.999999999', `2.3-${'a'.repeat(60)}`])(
  '%s is one, the largest there is',
  (text) => {
    expect(parseClientVersion(text)?.text).toBe(text);
  },
);

describe('over any versions', () => {
  const number = fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 999_999_999 })).map(String);
  const identifier = fc.oneof(
    fc.nat({ max: 12 }).map(String),
    fc.bigInt({ min: 0n, max: 10n ** 20n }).map(String),
    fc.stringMatching(/^[0-9A-Za-z-]{0,3}[A-Za-z-]$/),
  );
  const suffix = fc.tuple(
    fc.array(identifier, { maxLength: 2 }).map((all) => (all.length === 0 ? '' : `-${all.join('.')}`)),
    fc.constantFrom('', '+7', '+build.007'),
  );
  const versionOf = (least: number, most: number) =>
    fc
      .tuple(fc.array(number, { minLength: least, maxLength: most }), suffix)
      .map(([numbers, [pre, build]]) => `${numbers.join('.')}${pre}${build}`)
      .filter((text) => text.length <= 64);

  test('the order is total: reflexive, antisymmetric and transitive', () => {
    const version = versionOf(1, 4);
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(compare(a, a)).toBe(0);
        expect(compare(a, b) + compare(b, a)).toBe(0);
        const [low, middle, high] = [a, b, c].sort(compare) as [string, string, string];
        expect(compare(low, middle)).toBeLessThanOrEqual(0);
        expect(compare(middle, high)).toBeLessThanOrEqual(0);
        expect(compare(low, high)).toBe(Math.min(compare(low, middle), compare(middle, high)));
      }),
      { numRuns: 2_000 },
    );
  });

  test('three numbers compare as SemVer says', () => {
    const version = versionOf(3, 3);
    fc.assert(
      fc.property(version, version, (a, b) => {
        expect([a, b, compare(a, b)]).toEqual([a, b, precedence(a, b)]);
      }),
      { numRuns: 5_000 },
    );
  });
});

/** SemVer 2.0.0, 11, written down once more, another way: a version as a list of comparable items. */
function precedence(a: string, b: string): number {
  const [left, right] = [items(a), items(b)];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const [one, other] = [left[index], right[index]];
    // "A larger set of pre-release fields has a higher precedence."
    if (one === undefined || other === undefined) return one === undefined ? -1 : 1;
    if (one.rank !== other.rank) return one.rank < other.rank ? -1 : 1;
    if (one.value !== other.value) return one.value < other.value ? -1 : 1;
  }
  return 0;
}

function items(version: string): { rank: number; value: bigint | string }[] {
  const [release = ''] = version.split('+');
  const dash = release.indexOf('-');
  const core = dash < 0 ? release : release.slice(0, dash);
  const pre = dash < 0 ? undefined : release.slice(dash + 1).split('.');
  return [
    ...core.split('.').map((number) => ({ rank: 0, value: BigInt(number) })),
    // Numbers below words, and both below no pre-release at all.
    ...(pre?.map((identifier) =>
      /^\d+$/.test(identifier) ? { rank: 0, value: BigInt(identifier) } : { rank: 1, value: identifier },
    ) ?? [{ rank: 2, value: '' }]),
  ];
}
