// countersign.internal.v1.Sessions: message → flow → message; and the same keys as JWKS (RFC 7517, RFC 8037).

import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import {
  RevocationReason,
  type Sessions,
  type WatchRevocationsResponseSchema,
} from '../../gen/countersign/internal/v1/sessions_pb.ts';
import type { Deps } from '../flows/accounts.ts';
import type { RevocationEvent } from '../flows/ports.ts';
import { introspect, listSessions, revokeSessions, signingKeys, watchRevocations } from '../flows/sessions.ts';
import { cutOf, serviceOf } from './call.ts';
import { accountSessionToProto, readerOf } from './convert.ts';
import type { Handler } from './exchange.ts';
import { localeOf } from './locale.ts';
import { idTokens, pageSize } from './pages.ts';

const positions = idTokens('sessions');

export function sessions(deps: Deps): ServiceImpl<typeof Sessions> {
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
    async listSessions(request, { requestHeader }) {
      const before = positions.read(request.pageToken) ?? null;
      const { sessions, next } = await listSessions(deps, request.accountId, before, pageSize(request.pageSize));
      const reader = readerOf(deps, { locale: localeOf(requestHeader) });
      return {
        sessions: sessions.map((session) => accountSessionToProto(session, reader)),
        nextPageToken: positions.write(next),
      };
    },
    async *watchRevocations(_request, context) {
      const { name } = serviceOf(context.values);
      for await (const event of watchRevocations(deps, name, { signal: context.signal, cut: cutOf(context) })) {
        yield eventToProto(event);
      }
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

function eventToProto(event: RevocationEvent): MessageInitShape<typeof WatchRevocationsResponseSchema> {
  if (event.kind !== 'revoked') {
    return { event: { case: event.kind, value: { staleness: durationFromMs(Math.ceil(event.stalenessMs)) } } };
  }
  const { revokeTime, ...revocation } = event.revocation;
  return { event: { case: 'revocation', value: { ...revocation, revokeTime: timestampFromDate(revokeTime) } } };
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
