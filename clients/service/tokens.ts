// Access tokens (EdDSA JWTs, RFC 8037) read without asking the server: whether one is genuine, and what it says. Whether it has
// expired or its session is over is for others to say.

import type { KeyObject } from 'node:crypto';
import { decodeJwt, errors, jwtVerify } from 'jose';
import type { Keys } from './keys.ts';

/** Who makes a call, as its access token says. */
export interface CheckedSession {
  readonly accountId: string;
  readonly deviceId: string;
  readonly sessionId: string;
  /** How the device was authenticated (RFC 8176): `pwd`, `otp`; and, of our own, `device`, the secret of a trusted device. */
  readonly amr: readonly string[];
  /** When the access token ends. */
  readonly expireTime: Date;
}

export interface GenuineToken {
  readonly session: CheckedSession;
  /** Milliseconds since 1970. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly keyId: string;
  readonly key: KeyObject;
}

/** The longest that IntrospectSession takes. */
const longestToken = 4_096;
/** base64url without padding (RFC 7515, 7.1), and nothing that a lenient reader would pass over: a token is spelled in one way. */
const compact = /^[\w-]+\.[\w-]+\.[\w-]+$/;

const isCompact = (token: string) => token.length <= longestToken && compact.test(token);

/** When a token ends that says so, genuine or not, in milliseconds since 1970; never, where it does not. */
export function claimedExpiry(token: string): number {
  try {
    const { exp } = isCompact(token) ? decodeJwt(token) : {};
    return exp === undefined ? Number.POSITIVE_INFINITY : exp * 1_000;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/**
 * Undefined for what no server of ours has signed for this audience.
 *
 * @throws CountersignError DEPENDENCY_UNAVAILABLE where its key is not here and could not be asked for.
 */
export async function readToken(
  token: string,
  keys: Keys,
  expected: { readonly issuer: string; readonly audience: string },
): Promise<GenuineToken | undefined> {
  if (!isCompact(token)) return undefined;
  let used: Pick<GenuineToken, 'keyId' | 'key'> | undefined;
  try {
    const { payload } = await jwtVerify(
      token,
      async ({ kid = '' }) => {
        const key = await keys.find(kid);
        if (key === undefined) throw new errors.JWKSNoMatchingKey();
        used = { keyId: kid, key };
        return key;
      },
      // As long ago as it gets: an expired token is told from a forged one.
      { ...expected, algorithms: ['EdDSA'], typ: 'at+jwt', currentDate: new Date(0) },
    );
    // Its key may have been taken back meanwhile.
    if (used === undefined || !keys.holds(used.keyId, used.key)) return undefined;
    return claimsOf(payload, used);
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

function claimsOf(
  { sub, sid, did, amr, iat, exp }: Readonly<Record<string, unknown>>,
  signedWith: Pick<GenuineToken, 'keyId' | 'key'>,
): GenuineToken | undefined {
  if (
    typeof sub !== 'string' ||
    typeof sid !== 'string' ||
    typeof did !== 'string' ||
    typeof iat !== 'number' ||
    typeof exp !== 'number' ||
    !Array.isArray(amr)
  ) {
    return undefined;
  }
  const expiresAt = exp * 1_000;
  const session = {
    accountId: sub,
    deviceId: did,
    sessionId: sid,
    amr: Object.freeze(amr.map(String)),
    expireTime: new Date(expiresAt),
  };
  return { ...signedWith, session: Object.freeze(session), issuedAt: iat * 1_000, expiresAt };
}
