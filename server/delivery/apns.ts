// Push by Apple's service, over HTTP/2 by node-apn. Takes a push and a registration, and returns what APNs said; it must not
// know what the push is about.

import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import { constants } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { Notification, Provider } from '@parse/node-apn';
import type { PushRegistration } from '../domain/device.ts';
import { fitForRecord, retryAfter, wordsOf } from './answers.ts';
import type { Handover } from './handover.ts';
import type { Push, PushSender } from './push.ts';

export type ApnsRegistration = Extract<PushRegistration, { service: 'APNS' }>;

export interface ApnsHost {
  readonly host: string;
  readonly port: number;
}

export interface ApnsSettings {
  /** The text of the .p8 file: an EC P-256 private key in PKCS #8 PEM. */
  readonly key: string;
  readonly keyId: string;
  readonly teamId: string;
  /** Default: api.push.apple.com:443. */
  readonly production?: ApnsHost | undefined;
  /** Default: api.sandbox.push.apple.com:443. */
  readonly sandbox?: ApnsHost | undefined;
  /** PEM of the authorities to trust instead of Node's. */
  readonly ca?: string | undefined;
  /** How long a push may take from request to answer, a connection that has to be made included. Default: 5000. */
  readonly requestTimeoutMs?: number | undefined;
  /** How often an open connection is asked for a sign of life; one that gave none by the next time is left. Default: 30000. */
  readonly heartbeatMs?: number | undefined;
  readonly now: () => Date;
}

/**
 * One connection for each of Apple's environments, made with the first push and kept; a lost one is made anew with the next.
 * @throws if the key is none.
 */
export function createApnsSender(settings: ApnsSettings): PushSender<ApnsRegistration> {
  const environments = {
    PRODUCTION: createEnvironment(settings.production ?? { host: 'api.push.apple.com', port: 443 }, settings),
    SANDBOX: createEnvironment(settings.sandbox ?? { host: 'api.sandbox.push.apple.com', port: 443 }, settings),
  };
  return {
    send: async (registration, push) => {
      const outcome = await environments[registration.environment].send(registration, push);
      return handover(outcome, registration.token, settings.now());
    },
    close: async () => {
      await Promise.all(Object.values(environments).map((environment) => environment.close()));
    },
  };
}

/** What came of a request: an answer, or words for why there is none. */
type Outcome =
  | { readonly status: number; readonly retryAfter: string | undefined; readonly body: string }
  | {
      readonly failure: string;
      /** Whether it is certain that APNs did not look at it. */
      readonly untouched: boolean;
    };

interface Environment {
  send(registration: ApnsRegistration, push: Push): Promise<Outcome>;
  close(): Promise<void>;
}

/** The parts of node-apn's client that its types leave out. */
interface NodeApnClient {
  session?: ClientHttp2Session;
  /** What it resolves to is part of what `Provider.send` reports as sent. */
  request(session: Requester, ...rest: readonly unknown[]): Promise<object>;
}
interface Requester {
  request(headers: OutgoingHttpHeaders): ClientHttp2Stream;
}

function createEnvironment({ host, port }: ApnsHost, settings: ApnsSettings): Environment {
  const timeoutMs = settings.requestTimeoutMs ?? 5_000;
  const provider = new Provider({
    // Signed again after 55 minutes, or when APNs says that it has expired. Apple wants it between 20 and 60.
    token: { key: settings.key, keyId: settings.keyId, teamId: settings.teamId },
    address: host,
    port,
    ...(settings.ca === undefined ? {} : { ca: [settings.ca] }),
    // Who calls decides on retries.
    connectionRetryLimit: 0,
    // Off: it begins again with every byte, and leaves the next push to the same silent connection.
    requestTimeout: 0,
    // As good as off: its pings notice no silence.
    heartBeat: 2 ** 31 - 1,
  });
  const { client } = provider as unknown as { readonly client: NodeApnClient };
  const watch = watcher(settings.heartbeatMs ?? 30_000);
  const request = client.request.bind(client);
  // Every outcome is returned, none thrown: from what is thrown node-apn drops Retry-After (which it looks for under a name in
  // capitals, and so never finds) and the reason of a 500; and after a 500 it waits until the whole connection is idle.
  client.request = async (connected, ...rest) => {
    const session = connected as ClientHttp2Session;
    const last = watch(session);
    return { outcome: await attempt(session, (listening) => request(listening, ...rest), timeoutMs, last) };
  };

  const once = async (registration: ApnsRegistration, push: Push): Promise<Outcome> => {
    try {
      // node-apn puts it into the path as it is.
      const token = encodeURIComponent(registration.token);
      const { sent, failed } = await provider.send(notificationOf(registration, push), token);
      const [result] = [...sent, ...failed] as readonly { readonly outcome?: Outcome; readonly error?: unknown }[];
      return result?.outcome ?? { failure: wordsOf(result?.error ?? 'no connection'), untouched: false };
    } catch (error) {
      return { failure: wordsOf(error), untouched: false };
    }
  };
  return {
    send: async (registration, push) => {
      const outcome = await once(registration, push);
      // Apple ends connections as it likes: what crossed its GOAWAY was not handed over yet. The next connection takes it.
      return 'failure' in outcome && outcome.untouched ? once(registration, push) : outcome;
    },
    close: async () => {
      const { session } = client;
      // Its callback does not come where the session had been destroyed before.
      void provider.shutdown();
      if (session === undefined || session.destroyed) return;
      const closed = new Promise((resolve) => session.once('close', resolve));
      await Promise.race([closed, sleep(timeoutMs, undefined, { ref: false })]);
    },
  };
}

function notificationOf(registration: ApnsRegistration, push: Push): Notification {
  const notification = new Notification();
  notification.id = push.id;
  notification.topic = registration.topic;
  notification.collapseId = push.collapseId;
  notification.expiry = Math.floor(push.expireTime.getTime() / 1000);
  notification.payload = { ...push.data };
  if (push.notification === undefined) {
    // "Pushing background updates to your App": nothing but content-available, and priority 5.
    notification.pushType = 'background';
    notification.priority = 5;
    notification.aps = { 'content-available': 1 };
  } else {
    const { title, body } = push.notification;
    notification.pushType = 'alert';
    notification.priority = 10;
    notification.aps = {
      alert: { title, body },
      sound: 'default',
      // So that an extension of the app may act on it before it is shown.
      'mutable-content': 1,
      ...(push.urgent ? { 'interruption-level': 'time-sensitive' } : {}),
    };
  }
  return notification;
}

/** One request, with its own deadline. Never throws. */
async function attempt(
  session: ClientHttp2Session,
  ask: (listening: Requester) => Promise<object>,
  timeoutMs: number,
  last: LastWords,
): Promise<Outcome> {
  const heard: { status: number | undefined; retryAfter: string | undefined; body: string } = {
    status: undefined,
    retryAfter: undefined,
    body: '',
  };
  let stream: ClientHttp2Stream | undefined;
  const { promise: ended, resolve: end } = Promise.withResolvers<string>();
  const listening: Requester = {
    request: (headers) => {
      const opened = session.request(headers);
      stream = opened;
      opened.on('response', (answer: IncomingHttpHeaders) => {
        heard.status = Number(answer[':status']);
        heard.retryAfter = answer['retry-after'];
      });
      opened.on('data', (chunk: Buffer | string) => {
        heard.body += chunk;
      });
      // The last resort: a stream that was reset with NO_ERROR ends without a word to node-apn.
      opened.once('close', () => setImmediate(end, 'the stream was closed'));
      return opened;
    },
  };
  const deadline = setTimeout(() => {
    end(`no answer within ${timeoutMs} ms`);
    stream?.close(constants.NGHTTP2_CANCEL);
    leave(session, timeoutMs);
  }, timeoutMs);
  ask(listening).then(
    () => end(''),
    (thrown: unknown) => end(wordsOf(isRecord(thrown) ? (thrown['error'] ?? thrown) : thrown)),
  );
  const words = await ended;
  clearTimeout(deadline);
  const { status, body } = heard;
  if (status !== undefined) return { status, retryAfter: heard.retryAfter, body };
  // RFC 9113, 8.7: "prior to any processing", as are the streams beyond the last one that GOAWAY names (6.8).
  const untouched =
    stream?.rstCode === constants.NGHTTP2_REFUSED_STREAM ||
    (stream?.id ?? 0) > (last.stream ?? Number.POSITIVE_INFINITY);
  return { failure: [words, last.words].filter(Boolean).join('; '), untouched };
}

/** The next push makes a connection of its own, while those under way on this one may still be answered. */
function leave(session: ClientHttp2Session, graceMs: number): void {
  session.close();
  setTimeout(() => session.destroy(), graceMs).unref();
}

/** What is known of why a session ended. */
interface LastWords {
  words?: string;
  /** The last stream that APNs will have processed. */
  stream?: number;
}

/** Asks each session that it is shown for signs of life: one that a router forgot looks open until a push is lost on it. */
function watcher(heartbeatMs: number): (session: ClientHttp2Session) => LastWords {
  const known = new WeakMap<ClientHttp2Session, LastWords>();
  return (session) => {
    const found = known.get(session);
    if (found !== undefined) return found;
    const last: LastWords = {};
    known.set(session, last);
    session.on('goaway', (code: number, stream: number, data?: Uint8Array) => {
      // "JSON data may be included in the GOAWAY frame", with the same `reason` as in an answer. It may be said twice.
      const { reason } = reasonIn(Buffer.from(data ?? []).toString('utf8'));
      if (reason !== undefined) last.words = `GOAWAY ${reason}`;
      else last.words ??= `GOAWAY ${code}`;
      last.stream = stream;
    });
    let waiting = false;
    const heartbeat = setInterval(() => {
      if (session.connecting || session.destroyed) return;
      if (waiting) {
        last.words ??= `no sign of life within ${heartbeatMs} ms`;
        session.destroy();
        return;
      }
      waiting = true;
      session.ping(() => {
        waiting = false;
      });
    }, heartbeatMs).unref();
    session.once('close', () => clearInterval(heartbeat));
    return last;
  };
}

/** Apple's table, "Handling notification responses from APNs", for who must do what. */
function handover(outcome: Outcome, token: string, now: Date): Handover {
  if ('failure' in outcome) return { kind: 'unreachable', answer: fitForRecord(outcome.failure, token) };
  const { status } = outcome;
  const { reason, timestamp } = reasonIn(outcome.body);
  const answer = fitForRecord(reason === undefined ? String(status) : `${status} ${reason}`, token);
  if (status === 200) return { kind: 'accepted', answer };
  // Unregistered or ExpiredToken; the timestamp is in milliseconds, and of when APNs last found that the token is invalid.
  if (status === 410) {
    return { kind: 'unregistered', answer, ...(timestamp === undefined ? {} : { since: new Date(timestamp) }) };
  }
  // By now node-apn has signed a new provider token.
  if (reason === 'ExpiredProviderToken') return { kind: 'retry', answer, afterMs: 0 };
  // 403 is about our own credentials, which an operator will mend.
  if (status === 403 || status === 429 || status >= 500) {
    return { kind: 'retry', answer, ...retryAfter(outcome.retryAfter, now) };
  }
  return { kind: 'refused', answer };
}

function reasonIn(body: string): { readonly reason?: string; readonly timestamp?: number } {
  try {
    const parsed: unknown = JSON.parse(body);
    if (!isRecord(parsed)) return {};
    const { reason, timestamp } = parsed;
    return {
      ...(typeof reason === 'string' ? { reason } : {}),
      ...(typeof timestamp === 'number' ? { timestamp } : {}),
    };
  } catch {
    return {};
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
