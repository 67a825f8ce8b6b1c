// An HTTP/2 server over TLS that speaks APNs as Apple documents it, and keeps what it takes; it stands in for Apple's. It must not
// know what is pushed.
//
// Apple's documents: [send] "Sending notification requests to APNs", [answers] "Handling notification responses from APNs",
// [token] "Establishing a token-based connection to APNs".

import { createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  constants,
  createSecureServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import { type Certificate, selfSigned } from './certificate.ts';
import { type Arrival, arrivedNow, createArrivals, createScript } from './stand-in.ts';

export type ApnsBehaviour =
  /** [answers] 200. */
  | 'ok'
  /** [answers] Any status with its `reason`; `timestamp` in milliseconds, with a 410. */
  | {
      readonly status: number;
      readonly reason: string;
      readonly timestamp?: number;
      /** RFC 9110, 10.2.3, as it is sent. */
      readonly retryAfter?: string;
    }
  /** Taken, and never answered. No document promises an answer. */
  | 'stall'
  /** RFC 9113, 5.4.2: RST_STREAM with INTERNAL_ERROR instead of an answer. */
  | 'reset'
  /** The same with NO_ERROR, of which many clients hear nothing. */
  | 'reset-quietly'
  /** The connection breaks before the push is taken. */
  | 'drop-before'
  /** The push is taken, and the connection breaks before the answer. */
  | 'drop-after'
  /** [answers] "JSON data may be included in the GOAWAY frame"; RFC 9113, 6.8: this push was not processed. */
  | 'goaway-before'
  /** The same after the answer: this push was the last one of the connection. */
  | 'goaway-after';

/** [answers] Table of error strings. */
export const apnsAnswers = {
  badDeviceToken: { status: 400, reason: 'BadDeviceToken' },
  deviceTokenNotForTopic: { status: 400, reason: 'DeviceTokenNotForTopic' },
  topicDisallowed: { status: 400, reason: 'TopicDisallowed' },
  forbidden: { status: 403, reason: 'Forbidden' },
  invalidProviderToken: { status: 403, reason: 'InvalidProviderToken' },
  expiredProviderToken: { status: 403, reason: 'ExpiredProviderToken' },
  payloadTooLarge: { status: 413, reason: 'PayloadTooLarge' },
  internalServerError: { status: 500, reason: 'InternalServerError' },
  unregistered: (since: Date) => ({ status: 410, reason: 'Unregistered', timestamp: since.getTime() }),
  expiredToken: (since: Date) => ({ status: 410, reason: 'ExpiredToken', timestamp: since.getTime() }),
  tooManyRequests: (retryAfter?: string) => ({
    status: 429,
    reason: 'TooManyRequests',
    ...(retryAfter === undefined ? {} : { retryAfter }),
  }),
  serviceUnavailable: (retryAfter?: string) => ({
    status: 503,
    reason: 'ServiceUnavailable',
    ...(retryAfter === undefined ? {} : { retryAfter }),
  }),
} as const satisfies Record<string, ApnsBehaviour | ((...args: never[]) => ApnsBehaviour)>;

export interface ApnsPush extends Arrival {
  readonly token: string;
  /** `apns-id`. */
  readonly id: string;
  readonly topic: string;
  readonly pushType: string;
  readonly priority: number;
  /** Seconds since 1970; 0 where it is absent. */
  readonly expiration: number;
  readonly collapseId: string | undefined;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly headers: IncomingHttpHeaders;
}

/** One request, whatever became of it. */
export interface ApnsAttempt extends Arrival {
  readonly token: string;
  /** `200`, `410 Unregistered`, or the name of a behaviour without an answer. */
  readonly outcome: string;
}

/** What a provider signs its tokens with. */
export interface ApnsKey {
  /** The text of the .p8 file. */
  readonly keyPem: string;
  readonly keyId: string;
  readonly teamId: string;
}

export interface ApnsServerOptions {
  /** Default: a new one. Give the sandbox the key of production. */
  readonly key?: ApnsKey;
  /** Default: a new one. Give a server that comes back the one it had. */
  readonly certificate?: Certificate;
  /** Default: any free one. */
  readonly port?: number;
  readonly onPush?: (push: ApnsPush) => void;
}

export interface ApnsServer extends ApnsKey {
  readonly host: string;
  readonly port: number;
  /** The authority of its certificate. */
  readonly caPem: string;
  /** How pushes to a device are answered from now on; of a list each holds once. */
  behave(token: string, behaviour: ApnsBehaviour | readonly ApnsBehaviour[]): void;
  /** Every push that was taken, answered or not. */
  readonly pushes: readonly ApnsPush[];
  readonly attempts: readonly ApnsAttempt[];
  attemptsOf(token: string): readonly ApnsAttempt[];
  /** The pushes to a device, once there are `count`. */
  waitFor(token: string, count?: number): Promise<readonly ApnsPush[]>;
  /** The connections so far, and those that are open. */
  readonly connections: { readonly made: number; readonly open: number };
  /** The provider tokens seen so far; secrets, like the key. */
  readonly providerTokens: ReadonlySet<string>;
  /** [answers] ExpiredProviderToken to every provider token seen so far. */
  expireProviderTokens(): void;
  /** Breaks every connection. */
  dropConnections(): void;
  /** [answers] Ends every connection with GOAWAY, which answers the pushes under way. */
  goAway(): void;
  stop(): Promise<void>;
}

/** [send] "The maximum payload size is 4 KB". */
const longestPayload = 4096;
/** [send] `apns-collapse-id` "must not exceed 64 bytes". */
const longestCollapseId = 64;
/** [token] "no more than one hour old". */
const oldestTokenSeconds = 3600;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function generateApnsKey(): ApnsKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { keyPem, keyId: 'ABC123DEFG', teamId: 'DEF123GHIJ' };
}

export async function startApnsServer(options: ApnsServerOptions = {}): Promise<ApnsServer> {
  const host = '127.0.0.1';
  const { keyPem, keyId, teamId } = options.key ?? generateApnsKey();
  const publicKey = createPublicKey(keyPem);
  const certificate = options.certificate ?? selfSigned();
  const script = createScript<ApnsBehaviour>('ok');
  const pushes = createArrivals<ApnsPush>('pushes', ({ token }) => token);
  const attempts = createArrivals<ApnsAttempt>('attempts', ({ token }) => token);
  const sessions = new Set<ServerHttp2Session>();
  const sockets = new Map<number, Socket>();
  const providerTokens = new Set<string>();
  const expired = new Set<string>();
  const verified = new Map<string, number>();
  let made = 0;

  /** [answers] The reasons of 403; nothing where the token is good. */
  const refusalOf = async (authorization: string | undefined): Promise<string | undefined> => {
    const jwt = /^bearer (.+)$/i.exec(authorization ?? '')?.[1];
    if (jwt === undefined) return 'MissingProviderToken';
    providerTokens.add(jwt);
    if (expired.has(jwt)) return 'ExpiredProviderToken';
    try {
      let issued = verified.get(jwt);
      if (issued === undefined) {
        // [token] `alg` and `kid` in the header, `iss` and `iat` in the claims.
        const { payload } = await jwtVerify(jwt, publicKey, {
          algorithms: ['ES256'],
          issuer: teamId,
          requiredClaims: ['iat'],
        });
        if (decodeProtectedHeader(jwt).kid !== keyId) return 'InvalidProviderToken';
        issued = payload.iat ?? 0;
        verified.set(jwt, issued);
      }
      return Math.abs(Date.now() / 1000 - issued) > oldestTokenSeconds ? 'ExpiredProviderToken' : undefined;
    } catch {
      return 'InvalidProviderToken';
    }
  };

  const answer = async (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, body: Buffer): Promise<void> => {
    const { session } = stream;
    const path = String(headers[':path']);
    const token = /^\/3\/device\/([^/]*)$/.exec(path)?.[1];
    const id = one(headers, 'apns-id') ?? randomUUID().toUpperCase();
    const refused = await faultOf(headers, body, token, () => refusalOf(headers.authorization));
    const behaviour = refused ?? script.next(token ?? '');
    const outcome =
      typeof behaviour === 'object'
        ? `${behaviour.status} ${behaviour.reason}`
        : behaviour === 'ok'
          ? '200'
          : behaviour;
    attempts.add({ token: token ?? '', outcome, ...arrivedNow() });

    const take = () => {
      const push: ApnsPush = {
        token: token ?? '',
        id,
        topic: one(headers, 'apns-topic') ?? '',
        pushType: one(headers, 'apns-push-type') ?? '',
        priority: Number(one(headers, 'apns-priority') ?? 10),
        expiration: Number(one(headers, 'apns-expiration') ?? 0),
        collapseId: one(headers, 'apns-collapse-id'),
        payload: JSON.parse(body.toString('utf8')) as Readonly<Record<string, unknown>>,
        headers,
        ...arrivedNow(),
      };
      pushes.add(push);
      options.onPush?.(push);
    };
    const accept = () => stream.respond({ ':status': 200, 'apns-id': id }, { endStream: true });
    const goaway = (lastStream: number) =>
      session?.goaway(constants.NGHTTP2_NO_ERROR, lastStream, Buffer.from(JSON.stringify({ reason: 'Shutdown' })));

    if (typeof behaviour === 'object') {
      const { status, reason, timestamp, retryAfter } = behaviour;
      stream.respond({
        ':status': status,
        'apns-id': id,
        'content-type': 'application/json',
        ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
      });
      stream.end(JSON.stringify({ reason, ...(timestamp === undefined ? {} : { timestamp }) }));
      return;
    }
    switch (behaviour) {
      case 'ok':
        take();
        accept();
        break;
      case 'stall':
        take();
        break;
      case 'reset':
        stream.close(constants.NGHTTP2_INTERNAL_ERROR);
        break;
      case 'reset-quietly':
        stream.close(constants.NGHTTP2_NO_ERROR);
        break;
      case 'drop-before':
        drop(session);
        break;
      case 'drop-after':
        take();
        drop(session);
        break;
      case 'goaway-before':
        // Node can't name stream 0 as the last one: 8.7 says the same of the first stream.
        goaway(Math.max(0, (stream.id ?? 1) - 2));
        stream.close(constants.NGHTTP2_REFUSED_STREAM);
        break;
      case 'goaway-after':
        take();
        accept();
        goaway(stream.id ?? 0);
        break;
      default:
        behaviour satisfies never;
    }
  };

  const drop = (session: Http2Session | undefined) => sockets.get(session?.socket.remotePort ?? -1)?.destroy();

  const server = createSecureServer({
    cert: certificate.cert,
    key: certificate.key,
    settings: { maxConcurrentStreams: 1000 },
  });
  server.on('connection', (socket: Socket) => {
    const port = socket.remotePort ?? 0;
    sockets.set(port, socket);
    socket.once('close', () => sockets.delete(port));
  });
  server.on('session', (session) => {
    made += 1;
    sessions.add(session);
    session.on('error', () => {});
    session.once('close', () => sessions.delete(session));
  });
  // A client that leaves in the middle, or trusts another authority, is none of a test's failures.
  server.on('sessionError', () => {});
  server.on('tlsClientError', () => {});
  server.on('stream', (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('end', () => {
      // A payload that is no JSON: no answer of the table fits, and no client of ours sends it.
      answer(stream, headers, Buffer.concat(chunks)).catch(() => drop(stream.session));
    });
  });
  server.listen(options.port ?? 0, host);
  await once(server, 'listening');

  return {
    host,
    port: (server.address() as AddressInfo).port,
    caPem: certificate.cert,
    keyPem,
    keyId,
    teamId,
    behave: script.behave,
    pushes: pushes.all,
    attempts: attempts.all,
    attemptsOf: attempts.to,
    waitFor: pushes.waitFor,
    get connections() {
      return { made, open: sessions.size };
    },
    providerTokens,
    expireProviderTokens: () => {
      for (const jwt of providerTokens) expired.add(jwt);
    },
    dropConnections: () => {
      for (const socket of sockets.values()) socket.destroy();
    },
    goAway: () => {
      const reason = Buffer.from(JSON.stringify({ reason: 'Shutdown' }));
      for (const session of sessions) session.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1, reason);
    },
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets.values()) socket.destroy();
      await closed;
    },
  };
}

/** [send] and [answers]: what is wrong with a request, in the words of the table. */
async function faultOf(
  headers: IncomingHttpHeaders,
  body: Buffer,
  token: string | undefined,
  credentials: () => Promise<string | undefined>,
): Promise<Extract<ApnsBehaviour, object> | undefined> {
  if (headers[':method'] !== 'POST') return { status: 405, reason: 'MethodNotAllowed' };
  if (token === undefined) return { status: 404, reason: 'BadPath' };
  if (token === '') return { status: 400, reason: 'MissingDeviceToken' };
  const refusal = await credentials();
  if (refusal !== undefined) return { status: 403, reason: refusal };
  if (!/^[0-9a-f]+$/i.test(token)) return { status: 400, reason: 'BadDeviceToken' };
  if (one(headers, 'apns-topic') === undefined) return { status: 400, reason: 'MissingTopic' };
  if (!uuid.test(one(headers, 'apns-id') ?? randomUUID())) return { status: 400, reason: 'BadMessageId' };
  if (!/^\d+$/.test(one(headers, 'apns-expiration') ?? '0')) return { status: 400, reason: 'BadExpirationDate' };
  const pushType = one(headers, 'apns-push-type') ?? 'alert';
  if (!['alert', 'background'].includes(pushType)) return { status: 400, reason: 'InvalidPushType' };
  const priority = one(headers, 'apns-priority') ?? '10';
  // [send] Of a background push "it is an error to use priority 10".
  if (!['1', '5', '10'].includes(priority) || (pushType === 'background' && priority === '10')) {
    return { status: 400, reason: 'BadPriority' };
  }
  if (Buffer.byteLength(one(headers, 'apns-collapse-id') ?? '') > longestCollapseId) {
    return { status: 400, reason: 'BadCollapseId' };
  }
  if (body.byteLength === 0) return { status: 400, reason: 'PayloadEmpty' };
  return body.byteLength > longestPayload ? apnsAnswers.payloadTooLarge : undefined;
}

function one(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
