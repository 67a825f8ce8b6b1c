// countersign.internal.v1.Sessions: message → flow → message; and the same keys as JWKS (RFC 7517, RFC 8037).

import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { RevocationReason, type Sessions } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import type { Deps } from '../flows/accounts.ts';
import { introspect, revokeSessions, signingKeys } from '../flows/sessions.ts';
import type { Handler } from './exchange.ts';

export function sessions(deps: Deps): Partial<ServiceImpl<typeof Sessions>> {
  return {
    async introspectSession({ accessToken }) {
      const found = await introspect(deps, accessToken);
      if (!found.active) return { active: false };
      const { session, passwordChangeRequired } = found.record;
      return {
        active: true,
        accountId: session.accountId,
        deviceId: session.deviceId,
        sessionId: session.sessionId,
        amr: [...session.amr],
        expireTime: timestampFromDate(found.expireTime),
        passwordChangeRequired,
      };
    },
    async revokeSessions({ accountId, deviceId, sessionId, reason }) {
      const cause = reason === RevocationReason.PASSWORD_CHANGED ? 'PASSWORD_CHANGED' : 'REVOKED';
      return { revokedSessions: await revokeSessions(deps, accountId, { deviceId, sessionId }, cause) };
    },
    getSigningKeys() {
      const keys = signingKeys(deps).map(({ keyId, publicKey }) => ({
        keyId,
        algorithm: 'EdDSA',
        publicKey: Uint8Array.from(publicKey),
      }));
      return { signingKeys: keys };
    },
  };
}

/** `/.well-known/jwks.json`. */
export function jwks(deps: Deps): Handler {
  const keys = () =>
    JSON.stringify({
      keys: signingKeys(deps).map(({ keyId, publicKey }) => ({
        kty: 'OKP',
        crv: 'Ed25519',
        use: 'sig',
        alg: 'EdDSA',
        kid: keyId,
        x: Buffer.from(publicKey).toString('base64url'),
      })),
    });
  const header = { 'content-type': 'application/jwk-set+json', 'cache-control': 'public, max-age=300' };
  return (exchange) => {
    const allowed = exchange.method === 'GET' || exchange.method === 'HEAD';
    exchange.answer({
      status: allowed ? 200 : 405,
      header: new Headers(allowed ? header : { ...header, allow: 'GET, HEAD' }),
      body: Buffer.from(exchange.method === 'GET' ? keys() : ''),
    });
  };
}
