// The keys that are outside the database: what changes with a rotation and what does not, and which tokens are believed.

import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { describe, expect, test } from 'vitest';
import type { AccessClaims } from '../../server/flows/ports.ts';
import type { KeyEntry } from '../../server/platform/key-entries.ts';
import { keyRingOf } from '../../server/platform/key-ring.ts';
import { createAccessTokens, createCodes } from '../../server/platform/keys.ts';

const old: KeyEntry = { keyId: 'old', key: Buffer.from(Array.from({ length: 32 }, (_, index) => index)) };
const fresh: KeyEntry = { keyId: 'fresh', key: Buffer.alloc(32, 7) };

const now = new Date('2026-11-24T08:01:00Z');
const codesOf = (keys: readonly KeyEntry[], digits: number) =>
  createCodes(
    keyRingOf(() => keys),
    digits,
  );
const tokensOf = (keys: readonly KeyEntry[] | (() => readonly KeyEntry[])) =>
  createAccessTokens(keyRingOf(typeof keys === 'function' ? keys : () => keys), {
    issuer: 'the issuer',
    audience: 'the audience',
    lifetimeMs: 300_000,
  });

describe('codes', () => {
  const challengeId = '0197a3c2-5b00-7abc-8def-0123456789ab';
  const ofOld = { challengeId, codeKeyId: 'old' };
  const ofFresh = { challengeId, codeKeyId: 'fresh' };

  test('are those that OpenSSL computes under the key that the challenge names', () => {
    // As in test/domain/code.test.ts.
    expect(codesOf([old], 6).derive(ofOld, 'EMAIL')).toBe('594369');
    expect(codesOf([old], 9).derive(ofOld, 'EMAIL')).toBe('981594369');
    expect(codesOf([old], 6).derive(ofOld, 'APP')).toBe('597779');
  });

  test('of the old key are good after a new key has come first, and new challenges use the new one', () => {
    const code = codesOf([old], 6).derive(ofOld, 'EMAIL');
    const rotated = codesOf([fresh, old], 6);
    expect(rotated.currentKeyId(now)).toBe('fresh');
    expect(rotated.derive(ofOld, 'EMAIL')).toBe(code);
    expect(rotated.matches(ofOld, ['EMAIL'], code)).toBe(true);
    expect(rotated.derive(ofFresh, 'EMAIL')).not.toBe(code);
    expect(rotated.matches(ofFresh, ['EMAIL'], code)).toBe(false);
  });

  test('of new challenges are under the next key from its time on', () => {
    const next = { ...fresh, useTime: new Date('2026-11-24T08:01:00Z') };
    const codes = codesOf([old, next], 6);
    expect(codes.currentKeyId(new Date(now.getTime() - 1))).toBe('old');
    expect(codes.currentKeyId(now)).toBe('fresh');
    // By a replica whose clock is ahead.
    expect(codes.derive(ofFresh, 'EMAIL')).toBe(codesOf([fresh], 6).derive(ofFresh, 'EMAIL'));
  });

  test('of a key that is not here can’t be made, and the log is told which', () => {
    const codes = codesOf([fresh], 6);
    for (const use of [() => codes.derive(ofOld, 'EMAIL'), () => codes.matches(ofOld, ['EMAIL'], '594369')]) {
      // Another replica may have it: its caller may try again.
      expect(use).toThrow(expect.objectContaining({ message: 'DEPENDENCY_UNAVAILABLE' }));
      expect(use).toThrow(
        expect.objectContaining({ cause: new Error('no code key old in COUNTERSIGN_CODE_KEYS or its file') }),
      );
    }
  });

  test('match on the channels that were sent, and on no other', () => {
    const codes = codesOf([old], 6);
    const [email, app] = [codes.derive(ofOld, 'EMAIL'), codes.derive(ofOld, 'APP')];
    expect(codes.matches(ofOld, ['EMAIL'], email)).toBe(true);
    expect(codes.matches(ofOld, ['EMAIL'], app)).toBe(false);
    expect(codes.matches(ofOld, ['APP', 'EMAIL'], app)).toBe(true);
    expect(codes.matches(ofOld, ['APP', 'EMAIL'], email)).toBe(true);
    expect(codes.matches(ofOld, [], email)).toBe(false);
  });

  test.each(['', '59436', '5943690', '0594369', '594369 ', '594368', '981594369', '594369'.repeat(4)])(
    'are not matched by %j',
    (presented) => {
      expect(codesOf([old], 6).matches(ofOld, ['EMAIL'], presented)).toBe(false);
    },
  );

  test('need a key', () => {
    expect(() => codesOf([], 6).currentKeyId(now)).toThrow('no key');
  });
});

describe('access tokens', () => {
  const claims: AccessClaims = {
    accountId: 'account-1',
    sessionId: '0197a3c2-5b00-7abc-8def-0123456789ab',
    deviceId: '0197a3c2-5b00-7abc-8def-0123456789ac',
    amr: ['pwd', 'otp'],
    generation: 3,
    issueTime: new Date('2026-11-24T08:00:00Z'),
    expireTime: new Date('2026-11-24T08:05:00Z'),
  };
  const tokens = tokensOf([fresh, old]);

  const jwks = ({ publicKeys }: ReturnType<typeof createAccessTokens>) => ({
    keys: publicKeys(now).map(({ keyId, publicKey }) => ({
      kty: 'OKP',
      crv: 'Ed25519',
      kid: keyId,
      alg: 'EdDSA',
      use: 'sig',
      x: Buffer.from(publicKey).toString('base64url'),
    })),
  });

  /** A token of any header and claims, signed as it says or not at all. */
  const forge = (header: object, payload: object, signature: (input: Buffer) => Buffer) => {
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const input = `${encode(header)}.${encode(payload)}`;
    return `${input}.${signature(Buffer.from(input)).toString('base64url')}`;
  };
  // RFC 8410, 7.
  const privateKey = ({ key }: KeyEntry) => {
    const head = Buffer.from('302e020100300506032b657004220420', 'hex');
    return createPrivateKey({ key: Buffer.concat([head, key]), format: 'der', type: 'pkcs8' });
  };
  const signedByFresh = (input: Buffer) => sign(null, input, privateKey(fresh));
  const header = { alg: 'EdDSA', typ: 'at+jwt', kid: 'fresh' };
  const payload = {
    iss: 'the issuer',
    aud: 'the audience',
    sub: 'account-1',
    sid: claims.sessionId,
    did: claims.deviceId,
    amr: ['pwd'],
    jti: `${claims.sessionId}.1`,
    iat: 1_795_507_200,
    exp: 1_795_507_500,
  };

  test('are read as they were signed, expired or not', async () => {
    expect(await tokens.read(await tokens.sign(claims))).toEqual(claims);
  });

  test('are verified by another library with the published keys', async () => {
    const token = await tokens.sign(claims);
    const { payload: read, protectedHeader } = await jwtVerify(token, createLocalJWKSet(jwks(tokens)), {
      issuer: 'the issuer',
      audience: 'the audience',
      typ: 'at+jwt',
      currentDate: now,
    });
    expect(protectedHeader).toEqual({ alg: 'EdDSA', typ: 'at+jwt', kid: 'fresh' });
    expect(read).toMatchObject({
      iss: 'the issuer',
      aud: 'the audience',
      sub: 'account-1',
      sid: claims.sessionId,
      did: claims.deviceId,
      amr: ['pwd', 'otp'],
      iat: claims.issueTime.getTime() / 1000,
      exp: claims.expireTime.getTime() / 1000,
    });
    const others = tokensOf([{ keyId: 'fresh', key: Buffer.alloc(32, 8) }]);
    await expect(jwtVerify(token, createLocalJWKSet(jwks(others)), { currentDate: now })).rejects.toThrow('signature');
  });

  test('publish the public halves alone, the signing one first', () => {
    expect(tokens.publicKeys(now).map(({ keyId }) => keyId)).toEqual(['fresh', 'old']);
    for (const [index, named] of [fresh, old].entries()) {
      const { x } = createPublicKey(privateKey(named)).export({ format: 'jwk' });
      expect(Buffer.from(tokens.publicKeys(now)[index]?.publicKey ?? []).toString('base64url')).toBe(x);
    }
  });

  test('of the old key are read after a rotation, and no longer once it is taken out', async () => {
    const before = tokensOf([old]);
    const token = await before.sign(claims);
    expect(await tokens.read(token)).toEqual(claims);
    const after = tokensOf([fresh]);
    expect(await after.read(token)).toBeUndefined();
  });

  describe('while keys rotate', () => {
    const next: KeyEntry = { keyId: 'next', key: Buffer.alloc(32, 9), useTime: new Date('2026-11-24T09:00:00Z') };
    const at = (time: string) => new Date(`2026-11-24T${time}Z`);
    const issuedAt = (time: string): AccessClaims => {
      const issueTime = at(time);
      return { ...claims, issueTime, expireTime: new Date(issueTime.getTime() + 300_000) };
    };
    const kidOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;
    const published = ({ publicKeys }: ReturnType<typeof tokensOf>, time: string) =>
      publicKeys(at(time)).map(({ keyId }) => keyId);

    test('the next key is published and believed before its time, and signs from then on', async () => {
      const ring = tokensOf([fresh, next]);
      expect(published(ring, '08:59:59')).toEqual(['fresh', 'next']);
      expect(kidOf(ring.sign(issuedAt('08:59:59')))).toBe('fresh');
      expect(published(ring, '09:00:00')).toEqual(['next', 'fresh']);
      const token = ring.sign(issuedAt('09:00:00'));
      expect(kidOf(token)).toBe('next');
      // By a replica whose clock is behind.
      expect(await tokensOf([fresh, next]).read(token)).toEqual(issuedAt('09:00:00'));
    });

    test('the last token of a key is good to its end; then the key is published no more, and worth nothing', async () => {
      const last = tokensOf([fresh]).sign(issuedAt('08:59:59'));
      const ring = tokensOf([fresh, next]);
      expect(await ring.read(last)).toEqual(issuedAt('08:59:59'));
      // Five minutes of a token, and one for clocks.
      expect(published(ring, '09:05:59')).toEqual(['next', 'fresh']);
      expect(published(ring, '09:06:00')).toEqual(['next']);
      // By who has got hold of the old key.
      for (const time of ['09:03:00', '12:00:00']) {
        const forged = tokensOf([fresh]).sign(issuedAt(time));
        expect((await ring.read(forged))?.expireTime).toEqual(at('09:06:00'));
      }
    });

    test('a token is forgotten with its key, also where another takes the id', async () => {
      let list: readonly KeyEntry[] = [fresh, old];
      const ring = tokensOf(() => list);
      const token = tokensOf([old]).sign(claims);
      expect(await ring.read(token)).toEqual(claims);
      list = [fresh];
      expect(await ring.read(token)).toBeUndefined();
      list = [fresh, { keyId: 'old', key: Buffer.alloc(32, 10) }];
      expect(await ring.read(token)).toBeUndefined();
      list = [fresh, { ...old }];
      expect(await ring.read(token)).toEqual(claims);
      expect(kidOf(ring.sign(claims))).toBe('fresh');
      list = [old];
      expect(kidOf(ring.sign(claims))).toBe('old');
    });

    test('a token that is checked while its key is taken out is not remembered', async () => {
      let list: readonly KeyEntry[] = [fresh, old];
      const ring = tokensOf(() => list);
      const token = tokensOf([old]).sign(claims);
      const checking = ring.read(token);
      list = [fresh];
      await checking;
      expect(await ring.read(token)).toBeUndefined();
    });
  });

  test('are believed where everything is in order, or the forgeries below would prove nothing', async () => {
    expect(await tokens.read(forge(header, payload, signedByFresh))).toMatchObject({ accountId: 'account-1' });
  });

  const publicKey = createPublicKey(privateKey(fresh));
  const confused = (secret: string | Buffer) => (input: Buffer) => createHmac('sha256', secret).update(input).digest();
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  test.each<readonly [string, string]>([
    ['unsigned', forge({ ...header, alg: 'none' }, payload, () => Buffer.alloc(0))],
    ['signed, and said not to be', forge({ ...header, alg: 'none' }, payload, signedByFresh)],
    ['of an empty signature', forge(header, payload, () => Buffer.alloc(0))],
    [
      'by HMAC under the public key as PEM',
      forge({ ...header, alg: 'HS256' }, payload, confused(publicKey.export({ format: 'pem', type: 'spki' }))),
    ],
    [
      'by HMAC under the raw public key',
      forge({ ...header, alg: 'HS256' }, payload, confused(Buffer.from(tokens.publicKeys(now)[0]?.publicKey ?? []))),
    ],
    ['by RSA', forge({ ...header, alg: 'RS256' }, payload, (input) => sign('sha256', input, rsa.privateKey))],
    ['of another algorithm’s name', forge({ ...header, alg: 'Ed25519' }, payload, signedByFresh)],
    ['of a key that is not the one it names', forge({ ...header, kid: 'old' }, payload, signedByFresh)],
    ['of an unknown key', forge({ ...header, kid: 'none' }, payload, signedByFresh)],
    ['of no key', forge({ alg: 'EdDSA', typ: 'at+jwt' }, payload, signedByFresh)],
    [
      'of its own key',
      forge({ ...header, kid: 'x', jwk: publicKey.export({ format: 'jwk' }) }, payload, signedByFresh),
    ],
    ['of another type', forge({ ...header, typ: 'JWT' }, payload, signedByFresh)],
    ['of no type', forge({ alg: 'EdDSA', kid: 'fresh' }, payload, signedByFresh)],
    ['of another issuer', forge(header, { ...payload, iss: 'somebody' }, signedByFresh)],
    ['for another audience', forge(header, { ...payload, aud: 'somebody' }, signedByFresh)],
    ['without an end', forge(header, { ...payload, exp: undefined }, signedByFresh)],
    ['without a session', forge(header, { ...payload, sid: undefined }, signedByFresh)],
    ['without a generation', forge(header, { ...payload, jti: claims.sessionId }, signedByFresh)],
    ['that is none', 'a.b.c'],
    ['that is empty', ''],
  ])('are refused: one %s', async (_what, token) => {
    expect(await tokens.read(token)).toBeUndefined();
  });

  test('are refused when a bit of them was changed', async () => {
    const token = await tokens.sign(claims);
    const [head = '', body = '', signature = ''] = token.split('.');
    const flip = (part: string) => {
      const bytes = Buffer.from(part, 'base64url');
      bytes.writeUInt8(bytes.readUInt8(bytes.length - 5) ^ 1, bytes.length - 5);
      return bytes.toString('base64url');
    };
    for (const changed of [
      `${flip(head)}.${body}.${signature}`,
      `${head}.${flip(body)}.${signature}`,
      `${head}.${body}.${flip(signature)}`,
    ]) {
      expect(await tokens.read(changed)).toBeUndefined();
    }
  });
});
