// A server of countersign.internal.v1.Sessions that does what a test says: which keys there are, which sessions are over, what it
// tells and whether it answers at all. It speaks the real protocol, and knows no checker.

import { once } from 'node:events';
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type SecureServerOptions,
  type ServerHttp2Session,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import {
  Sessions,
  type WatchRevocationsResponse,
  WatchRevocationsResponseSchema,
} from '../../gen/countersign/internal/v1/sessions_pb.ts';
import type { KeyEntry } from '../../server/platform/key-entries.ts';
import { keyRingOf } from '../../server/platform/key-ring.ts';
import { createAccessTokens } from '../../server/platform/keys.ts';

export interface SessionsServer {
  readonly url: string;
  /** How often each was called. */
  readonly calls: { keys: number; introspections: number; streams: number };
  /** What it does; a test sets it. */
  readonly does: {
    keys: readonly KeyEntry[];
    introspect: 'answer' | 'fail' | 'hang';
    /** Whether a stream may be opened; those that are open stay. */
    streams: 'open' | 'refuse';
    /** What each keep-alive says; undefined: none comes. */
    stalenessMs: number | undefined;
    /** The service token that it takes. */
    serviceToken: string;
  };
  /** Ends a session, and tells it on the streams that are open. */
  revoke(sessionId: string, cause?: string, revokeTime?: number): void;
  /** Ends one without a word on any stream. */
  endSilently(sessionId: string): void;
  /** Breaks the streams that are open. */
  cutStreams(): void;
  /** Takes no more connections, and cuts those that there are. */
  goDown(): Promise<void>;
  /** Listens again, on the same port. */
  comeBack(): Promise<void>;
}

const keepAliveMs = 20;

export async function startSessionsServer(
  keys: readonly KeyEntry[],
  serviceToken: string,
  tls?: SecureServerOptions,
): Promise<SessionsServer> {
  const calls = { keys: 0, introspections: 0, streams: 0 };
  const does: SessionsServer['does'] = { keys, introspect: 'answer', streams: 'open', stalenessMs: 0, serviceToken };
  const revocations: WatchRevocationsResponse[] = [];
  const ended = new Set<string>();
  let streams = new AbortController();

  const accessTokens = createAccessTokens(
    keyRingOf(() => does.keys),
    { issuer: '', audience: '', lifetimeMs: 300_000 },
  );
  const authorize = (header: Headers) => {
    if (header.get('authorization') !== `Bearer ${does.serviceToken}`) {
      throw new ConnectError('no such service token', Code.Unauthenticated);
    }
  };
  const known = (which: 'caughtUp' | 'keepAlive', stalenessMs: number) =>
    create(WatchRevocationsResponseSchema, {
      event: { case: which, value: { staleness: durationFromMs(stalenessMs) } },
    });
  const routes = (router: ConnectRouter) =>
    router.service(Sessions, {
      getSigningKeys: (_, { requestHeader }) => {
        calls.keys += 1;
        authorize(requestHeader);
        const publicKeys = accessTokens.publicKeys(new Date());
        return {
          signingKeys: publicKeys.map(({ keyId, publicKey }) => ({
            keyId,
            algorithm: 'EdDSA',
            publicKey: Uint8Array.from(publicKey),
          })),
        };
      },
      introspectSession: async ({ accessToken }, { requestHeader, signal }) => {
        calls.introspections += 1;
        authorize(requestHeader);
        if (does.introspect === 'hang') await once(signal, 'abort');
        if (does.introspect === 'fail') throw new ConnectError('no database', Code.Unavailable);
        const { sid } = JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString());
        // Long enough that what is asked at once meets.
        await sleep(20);
        return { active: !ended.has(sid) };
      },
      watchRevocations: async function* (_, { requestHeader, signal }) {
        calls.streams += 1;
        authorize(requestHeader);
        if (does.streams === 'refuse') throw new ConnectError('not now', Code.Unavailable);
        const end = AbortSignal.any([signal, streams.signal]);
        let told = revocations.length;
        yield* [...revocations];
        yield known('caughtUp', does.stalenessMs ?? 0);
        for (;;) {
          await sleep(keepAliveMs);
          if (end.aborted) throw new ConnectError('the stream was cut', Code.Unavailable);
          const news = revocations.slice(told);
          told += news.length;
          yield* news;
          if (does.stalenessMs !== undefined) yield known('keepAlive', does.stalenessMs);
        }
      },
    });

  let connections: Set<ServerHttp2Session>;
  let server: Http2Server | Http2SecureServer;
  const listen = async (port: number) => {
    connections = new Set();
    const adapter = connectNodeAdapter({ routes });
    server = tls ? createSecureServer(tls, adapter) : createServer(adapter);
    server.on('session', (session: ServerHttp2Session) => {
      connections.add(session);
      session.on('error', () => {});
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const cutStreams = () => {
    streams.abort();
    streams = new AbortController();
  };
  const port = await listen(0);
  return {
    url: tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`,
    calls,
    does,
    revoke: (sessionId, cause = 'DEVICE_REMOVED', revokeTime = Date.now()) => {
      ended.add(sessionId);
      const value = { accountId: 'anna', deviceId: 'phone', sessionId, cause, revokeTime: timestampFromMs(revokeTime) };
      revocations.push(create(WatchRevocationsResponseSchema, { event: { case: 'revocation', value } }));
    },
    endSilently: (sessionId) => void ended.add(sessionId),
    cutStreams,
    goDown: async () => {
      const closed = once(server, 'close');
      server.close();
      cutStreams();
      for (const session of connections) session.destroy();
      await closed;
    },
    comeBack: async () => {
      await listen(port);
    },
  };
}
