// Bearer secrets: how long they are, what of them is kept, and that they name their account.

import { hash } from 'node:crypto';
import { expect, test } from 'vitest';
import { secrets } from '../../server/platform/secrets.ts';

const secretOf = (token: string) => Buffer.from(token.split('.').at(-1) ?? '', 'base64url');
const sha256 = (bytes: Uint8Array) => hash('sha256', bytes, 'hex');

test('a secret has 256 bits, each time others, and only their SHA-256 is for keeping', () => {
  const issued = Array.from({ length: 1_000 }, () => secrets.issue('anna'));
  expect(new Set(issued.map(({ token }) => token)).size).toBe(issued.length);
  const ones = issued.map(({ token, hash: kept }) => {
    const secret = secretOf(token);
    expect(secret).toHaveLength(32);
    expect(Buffer.from(kept).toString('hex')).toBe(sha256(secret));
    expect(secrets.read(token)).toEqual({ accountId: 'anna', hash: kept });
    return secret;
  });
  // Each bit is on in about half of them: seven standard deviations off would be one in 10^11.
  for (let bit = 0; bit < 256; bit++) {
    const on = ones.filter((secret) => ((secret[bit >> 3] ?? 0) >> (bit & 7)) & 1).length;
    expect(Math.abs(on - 500)).toBeLessThan(7 * Math.sqrt(250));
  }
});

test('a refresh token has 128 bits that stay with its session, and 256 that change', () => {
  const first = secrets.issueRefresh('anna');
  const read = secrets.readRefresh(first.token);
  const second = secrets.issueRefresh('anna', read?.family);
  expect(secretOf(first.token)).toHaveLength(48);
  expect(read?.family).toHaveLength(16);
  expect(second.familyHash).toEqual(first.familyHash);
  expect(second.refreshHash).not.toEqual(first.refreshHash);
  expect(secretOf(second.token).subarray(0, 16)).toEqual(secretOf(first.token).subarray(0, 16));
  expect(secretOf(second.token).subarray(16)).not.toEqual(secretOf(first.token).subarray(16));
});
