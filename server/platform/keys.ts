// Keys that are outside the database: those that codes are derived with, and those that access tokens are signed with.
// One of a list is used, the others are read, so that a rotation breaks nothing.

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
import { type KeyEntry, successionTime } from './key-entries.ts';
import type { KeyRing } from './key-ring.ts';

/** Codes by HMAC-SHA-256 under the key that a challenge names. */
export function createCodes(keys: KeyRing, digits: number): Codes {
  const derive: Codes['derive'] = (challenge, channel) => {
    const named = keys.entries().find((key) => key.keyId === challenge.codeKeyId);
    if (named === undefined) {
      // Taken out too early, or not yet here: another replica may have it.
      const cause = new Error(`no code key ${challenge.codeKeyId} in COUNTERSIGN_CODE_KEYS or its file`);
      throw new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 1_000 }, { cause });
    }
    const mac = createHmac('sha256', named.key).update(codeInput(challenge.challengeId, channel)).digest();
    return codeFromMac(mac, digits);
  };
  return {
    currentKeyId: (now) => keys.current(now).keyId,
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

/**
 * ms for which a key is published and believed after the last token that was signed with it has ended: the clocks of the
 * replicas are no farther apart.
 */
const clocksApartMs = 60_000;

/** EdDSA JWTs (RFC 8037) under Ed25519 seeds. */
export function createAccessTokens(
  keys: KeyRing,
  { issuer, audience, lifetimeMs }: { readonly issuer: string; readonly audience: string; readonly lifetimeMs: number },
): AccessTokens {
  // By the entry, which is another one once its list has changed.
  const signers = new WeakMap<KeyEntry, Signer>();
  const signerOf = (entry: KeyEntry): Signer => {
    const known = signers.get(entry);
    if (known !== undefined) return known;
    const signer = createSigner(entry);
    signers.set(entry, signer);
    return signer;
  };
  /** When the last token of a key has ended, and it is worth nothing any more. */
  const endOf = (entries: readonly KeyEntry[], entry: KeyEntry): number => {
    const since = successionTime(entries, entry)?.getTime();
    return since === undefined ? Number.POSITIVE_INFINITY : since + lifetimeMs + clocksApartMs;
  };
  const remembered = new Map<string, { readonly entry: KeyEntry; readonly claims: AccessClaims }>();
  return {
    // RFC 7515, 3.1, by hand: jose signs on another thread, whose waking takes longer than the signature.
    sign: (claims) => {
      const { header, privateKey } = signerOf(keys.current(claims.issueTime));
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
      const entries = keys.entries();
      const known = remembered.get(tokenHash);
      if (known !== undefined && entries.includes(known.entry)) return known.claims;
      let entry: KeyEntry | undefined;
      try {
        const { payload } = await jwtVerify(
          token,
          ({ kid }) => {
            entry = entries.find(({ keyId }) => keyId === kid);
            if (entry === undefined) throw new errors.JWKSNoMatchingKey();
            return signerOf(entry).publicKey;
          },
          // Whether it has expired is the session's rule, which may know a better reason.
          { issuer, audience, algorithms: ['EdDSA'], typ: 'at+jwt', currentDate: new Date(0), clockTolerance: 0 },
        );
        const claims = claimsOf(payload);
        if (claims === undefined || entry === undefined) return undefined;
        // Whatever it says: a key that has leaked after its time makes no token that is good. One that only slept is told that
        // it has expired, and is renewed, as long as its key stands in the list.
        const bounded = {
          ...claims,
          expireTime: new Date(Math.min(claims.expireTime.getTime(), endOf(entries, entry))),
        };
        const [oldest] = remembered.size < mostRemembered ? [] : remembered.keys();
        if (oldest !== undefined) remembered.delete(oldest);
        remembered.set(tokenHash, { entry, claims: bounded });
        return bounded;
      } catch (error) {
        if (error instanceof errors.JOSEError) return undefined;
        throw error;
      }
    },
    publicKeys: (now) => {
      const entries = keys.entries();
      const current = keys.current(now);
      return [current, ...entries.filter((entry) => entry !== current && now.getTime() < endOf(entries, entry))].map(
        (entry) => ({ keyId: entry.keyId, publicKey: signerOf(entry).rawPublicKey }),
      );
    },
  };
}

/** What is made of a key once. */
interface Signer {
  /** Of the tokens that it signs, encoded. */
  readonly header: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly rawPublicKey: Uint8Array;
}

function createSigner({ keyId, key }: KeyEntry): Signer {
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Head, key]), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(privateKey);
  return {
    header: base64url({ alg: 'EdDSA', typ: 'at+jwt', kid: keyId }),
    privateKey,
    publicKey,
    rawPublicKey: Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url'),
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
