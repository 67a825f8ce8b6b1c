// Keys that are outside the database: those that codes are derived with, and those that access tokens are signed with.
// Each list names its keys; the first is used, all are read, so that a rotation breaks nothing.

import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  hash,
  type KeyObject,
  sign,
  timingSafeEqual,
} from 'node:crypto';
import { errors, jwtVerify } from 'jose';
import { codeFromMac, codeInput } from '../domain/code.ts';
import { DomainError } from '../domain/errors.ts';
import type { AccessClaims, AccessTokens, Codes } from '../flows/ports.ts';

/** A key of 32 bytes with its id. */
export interface NamedKey {
  readonly keyId: string;
  readonly key: Uint8Array;
}

/** Codes by HMAC-SHA-256 under the named keys (at least one). */
export function createCodes(keys: readonly NamedKey[], digits: number): Codes {
  const derive: Codes['derive'] = (challenge, channel) => {
    const named = keys.find((key) => key.keyId === challenge.codeKeyId);
    if (named === undefined) {
      // Taken out too early, or not yet here: another replica may have it.
      const cause = new Error(`no code key ${challenge.codeKeyId} in COUNTERSIGN_CODE_KEYS`);
      throw new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 1_000 }, { cause });
    }
    const mac = createHmac('sha256', named.key).update(codeInput(challenge.challengeId, channel)).digest();
    return codeFromMac(mac, digits);
  };
  return {
    currentKeyId: () => first(keys).keyId,
    derive,
    matches: (challenge, channels, presented) => {
      // Every channel is compared, whichever matches, and the length is compared with the rest.
      const given = Buffer.alloc(16);
      given.write(presented);
      return channels.reduce((matched, channel) => {
        const expected = Buffer.alloc(16);
        expected.write(derive(challenge, channel));
        return timingSafeEqual(expected, given) || matched;
      }, false);
    },
  };
}

// PKCS #8 of an Ed25519 key (RFC 8410, 7) up to its 32-byte seed.
const pkcs8Head = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Tokens whose signature is remembered, some 600 bytes each. Verifying one costs as much as ten look-ups in a map. */
const mostRemembered = 10_000;

/** EdDSA JWTs (RFC 8037) under the named Ed25519 seeds (at least one). */
export function createAccessTokens(keys: readonly NamedKey[], issuer: string, audience: string): AccessTokens {
  const pairs = new Map(keys.map(({ keyId, key }) => [keyId, keyPair(key)]));
  const signing = first(keys);
  const privateKey = keyPair(signing.key).privateKey;
  const header = base64url({ alg: 'EdDSA', typ: 'at+jwt', kid: signing.keyId });
  const remembered = new Map<string, AccessClaims>();
  return {
    // RFC 7515, 3.1, by hand: jose signs on another thread, whose waking takes longer than the signature.
    sign: (claims) => {
      const payload = {
        sid: claims.sessionId,
        did: claims.deviceId,
        amr: claims.amr,
        iss: issuer,
        aud: audience,
        sub: claims.accountId,
        // The pair's number within its session: a pair that was given again after a lost answer is void.
        jti: `${claims.sessionId}.${claims.generation}`,
        iat: seconds(claims.issueTime),
        exp: seconds(claims.expireTime),
      };
      const signed = `${header}.${base64url(payload)}`;
      return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}`;
    },
    read: async (token) => {
      // Under its hash, so that no token is kept.
      const tokenHash = hash('sha256', token, 'base64');
      const known = remembered.get(tokenHash);
      if (known !== undefined) return known;
      try {
        const { payload } = await jwtVerify(
          token,
          ({ kid }) => {
            const pair = pairs.get(kid ?? '');
            if (pair === undefined) throw new errors.JWKSNoMatchingKey();
            return pair.publicKey;
          },
          // Whether it has expired is the session's rule, which may know a better reason.
          { issuer, audience, algorithms: ['EdDSA'], typ: 'at+jwt', currentDate: new Date(0), clockTolerance: 0 },
        );
        const claims = claimsOf(payload);
        if (claims !== undefined) {
          const [oldest] = remembered.size < mostRemembered ? [] : remembered.keys();
          if (oldest !== undefined) remembered.delete(oldest);
          remembered.set(tokenHash, claims);
        }
        return claims;
      } catch (error) {
        if (error instanceof errors.JOSEError) return undefined;
        throw error;
      }
    },
    publicKeys: () => keys.map(({ keyId }) => ({ keyId, publicKey: rawPublicKey(pairs.get(keyId)?.publicKey) })),
  };
}

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A NumericDate (RFC 7519, 2). */
const seconds = (time: Date) => Math.floor(time.getTime() / 1000);

function claimsOf(payload: Readonly<Record<string, unknown>>) {
  const { sub, sid, did, amr, jti, iat, exp } = payload;
  const generation = typeof jti === 'string' ? Number(jti.split('.')[1]) : Number.NaN;
  if (
    typeof sub !== 'string' ||
    typeof sid !== 'string' ||
    typeof did !== 'string' ||
    typeof iat !== 'number' ||
    typeof exp !== 'number' ||
    !Array.isArray(amr) ||
    !Number.isSafeInteger(generation)
  ) {
    return undefined;
  }
  return {
    accountId: sub,
    sessionId: sid,
    deviceId: did,
    amr: amr.map(String),
    generation,
    issueTime: new Date(iat * 1000),
    expireTime: new Date(exp * 1000),
  };
}

function keyPair(seed: Uint8Array): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Head, seed]), format: 'der', type: 'pkcs8' });
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

function rawPublicKey(key: KeyObject | undefined): Uint8Array {
  return Buffer.from(key?.export({ format: 'jwk' }).x ?? '', 'base64url');
}

function first(keys: readonly NamedKey[]): NamedKey {
  const [key] = keys;
  if (key === undefined) throw new Error('no key');
  return key;
}
