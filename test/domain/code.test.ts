// Codes out of a MAC: each as likely as any other, and none says anything of another.

import { createHmac } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Channel } from '../../server/domain/challenge.ts';
import { codeFromMac, codeInput } from '../../server/domain/code.ts';

const key = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex');
const macOf = (challengeId: string, channel: Channel, under: Uint8Array = key) =>
  createHmac('sha256', under).update(codeInput(challengeId, channel)).digest();

// printf 'countersign code v1\0000197a3c2-…-0123456789ab\000EMAIL' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0001…1f
// and its first 8 bytes as a number in Python.
test.each([
  ['0197a3c2-5b00-7abc-8def-0123456789ab', 'EMAIL', '594369', '981594369'],
  ['0197a3c2-5b00-7abc-8def-0123456789ab', 'APP', '597779', '129597779'],
  ['0197a3c2-5b00-7abc-8def-00000000039d', 'EMAIL', '000815', '393000815'],
] as const)('the codes of %s on %s are those that OpenSSL and Python compute', (id, channel, six, nine) => {
  expect(codeFromMac(macOf(id, channel), 6)).toBe(six);
  expect(codeFromMac(macOf(id, channel), 9)).toBe(nine);
});

test('a MAC is read from where it lies in its buffer', () => {
  const mac = macOf('0197a3c2-5b00-7abc-8def-0123456789ab', 'EMAIL');
  const shifted = Buffer.concat([Buffer.alloc(5, 0xff), mac]).subarray(5);
  expect(codeFromMac(shifted, 6)).toBe('594369');
});

const extremes = [
  ['00'.repeat(32), '000000', '000000000'],
  ['ff'.repeat(32), '551615', '709551615'],
  [`${'00'.repeat(7)}07${'ff'.repeat(24)}`, '000007', '000000007'],
] as const;
test.each(extremes)('the MAC %s gives all its digits, zeros in front too', (mac, six, nine) => {
  expect(codeFromMac(Buffer.from(mac, 'hex'), 6)).toBe(six);
  expect(codeFromMac(Buffer.from(mac, 'hex'), 9)).toBe(nine);
});

describe('a million challenges', () => {
  const count = 1_000_000;
  /** How often each of 1,000 values came up in each three digits of the codes, by the place of those digits. */
  const six = [new Uint32Array(1000), new Uint32Array(1000)];
  const nine = [new Uint32Array(1000), new Uint32Array(1000), new Uint32Array(1000)];
  let sameOnBothChannels = 0;
  let sameUnderOtherKey = 0;
  let sameAsBefore = 0;

  beforeAll(() => {
    const random = seeded(20_261_124);
    const otherKey = Buffer.alloc(32, 0xa5);
    let before = '';
    for (let made = 0; made < count; made++) {
      const id = uuid(random);
      const mac = macOf(id, 'EMAIL');
      const code = codeFromMac(mac, 6);
      tally(six, code);
      tally(nine, codeFromMac(mac, 9));
      // A tenth is enough to see codes that go together.
      if (made % 10 === 0) {
        sameOnBothChannels += Number(codeFromMac(macOf(id, 'APP'), 6).slice(0, 3) === code.slice(0, 3));
        sameUnderOtherKey += Number(codeFromMac(macOf(id, 'EMAIL', otherKey), 6).slice(0, 3) === code.slice(0, 3));
      }
      sameAsBefore += Number(before === code.slice(0, 3));
      before = code.slice(0, 3);
    }
  }, 180_000);

  test.each([
    ['first', 6, six[0]],
    ['last', 6, six[1]],
    ['first', 9, nine[0]],
    ['middle', 9, nine[1]],
    ['last', 9, nine[2]],
  ])('the %s three of %i digits are uniform', (_place, _digits, seen = new Uint32Array()) => {
    // Pearson's chi-square of 999 degrees of freedom: outside of 840 to 1,180 in less than 1 of 5,000 cases.
    const expected = count / 1000;
    const chiSquare = seen.reduce((sum, each) => sum + (each - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeGreaterThan(840);
    expect(chiSquare).toBeLessThan(1180);
  });

  test('another challenge, channel or key gives a code that has nothing to do with it', () => {
    // Three digits agree by chance once in 1,000: 100 ± 10 of 100,000, and 1,000 ± 32 of a million.
    expect(sameOnBothChannels).toBeGreaterThan(60);
    expect(sameOnBothChannels).toBeLessThan(140);
    expect(sameUnderOtherKey).toBeGreaterThan(60);
    expect(sameUnderOtherKey).toBeLessThan(140);
    expect(sameAsBefore).toBeGreaterThan(870);
    expect(sameAsBefore).toBeLessThan(1130);
  });
});

function tally(seen: readonly Uint32Array[], code: string): void {
  for (const [place, counts] of seen.entries()) {
    const value = Number(code.slice(3 * place, 3 * place + 3));
    counts[value] = (counts[value] ?? 0) + 1;
  }
}

/** 32 random bits at a time, the same ones in every run: Marsaglia's xorshift32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

function uuid(random: () => number): string {
  const hex = Array.from({ length: 4 }, () => random().toString(16).padStart(8, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
}
