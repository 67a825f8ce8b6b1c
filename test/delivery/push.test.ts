// Pushes handed over to servers that speak APNs and FCM: what each answer means to who sent it, whatever the service. It knows no
// jobs: who calls decides on retries.

import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApnsRegistration, type ApnsSettings, createApnsSender } from '../../server/delivery/apns.ts';
import { createFcmSender, type FcmSettings } from '../../server/delivery/fcm.ts';
import type { Push, PushSender } from '../../server/delivery/push.ts';
import type { PushRegistration } from '../../server/domain/device.ts';
import { type ApnsServer, apnsAnswers, startApnsServer } from '../support/apns-server.ts';
import { selfSigned } from '../support/certificate.ts';
import { eventually } from '../support/eventually.ts';
import { type FcmServer, fcmAnswers, startFcmServer } from '../support/fcm-server.ts';
import { freePort } from '../support/free-port.ts';
import { times } from '../support/stand-in.ts';

const requestTimeoutMs = 400;
const now = () => new Date();
const since = new Date('2026-01-02T03:04:05.678Z');
const topic = 'com.example.app';

const newToken = () => randomBytes(32).toString('hex');
const push = (more: Partial<Push> = {}): Push => ({
  id: randomUUID(),
  collapseId: 'challenge-1',
  expireTime: new Date(Date.now() + 300_000),
  notification: { title: 'Sign-in to Example', body: 'Is it you who signs in from Osaka?' },
  urgent: true,
  data: { challenge_id: 'c1', kind: 'sign_in' },
  ...more,
});

function apnsSettings(apns: ApnsServer, more: Partial<ApnsSettings> = {}): ApnsSettings {
  const { keyPem: key, keyId, teamId, host, port, caPem: ca } = apns;
  return {
    key,
    keyId,
    teamId,
    ca,
    production: { host, port },
    sandbox: { host, port },
    requestTimeoutMs,
    now,
    ...more,
  };
}
const onProduction = (token: string): ApnsRegistration => ({
  service: 'APNS',
  token,
  topic,
  environment: 'PRODUCTION',
});

function fcmSettings(server: FcmServer, more: Partial<FcmSettings> = {}): FcmSettings {
  const { project_id, client_email, private_key, private_key_id, token_uri } = server.serviceAccount;
  return {
    projectId: project_id,
    clientEmail: client_email,
    privateKey: private_key,
    privateKeyId: private_key_id,
    tokenUri: token_uri,
    rootUrl: server.rootUrl,
    requestTimeoutMs,
    now,
    ...more,
  };
}

/** A service as the common tests see it. */
interface Service {
  readonly name: string;
  readonly start: () => Promise<Running>;
}
interface Running {
  readonly name: string;
  readonly sender: PushSender;
  register(token: string): PushRegistration;
  behave(token: string, behaviours: readonly Behaviour[]): void;
  /** How often a push to the device was taken. */
  taken(token: string): number;
  dropConnections(): void;
  /** What no answer may contain. */
  secrets(): Iterable<string>;
  /** What `retry` and `refused` are answered. */
  readonly words: { readonly [key in 'accepted' | 'unregistered' | 'retry' | 'credentials' | 'refused']: RegExp };
  stop(): Promise<void>;
}
const behaviours = [
  'unregistered',
  'retry-in-7-s',
  'retry-by-date',
  'retry',
  'credentials',
  'refused',
  'stall',
  'drop-before',
  'drop-after',
] as const;
type Behaviour = (typeof behaviours)[number];

const services: readonly Service[] = [
  {
    name: 'APNs',
    start: async () => {
      const server = await startApnsServer();
      const sender = createApnsSender(apnsSettings(server));
      return {
        name: 'APNs',
        sender: sender as PushSender,
        register: onProduction,
        behave: (token, list) => {
          server.behave(
            token,
            list.map((behaviour) => {
              if (behaviour === 'unregistered') return apnsAnswers.unregistered(since);
              if (behaviour === 'retry-in-7-s') return apnsAnswers.tooManyRequests('7');
              if (behaviour === 'retry-by-date') {
                return apnsAnswers.serviceUnavailable(new Date(Date.now() + 60_000).toUTCString());
              }
              if (behaviour === 'retry') return apnsAnswers.internalServerError;
              if (behaviour === 'credentials') return apnsAnswers.invalidProviderToken;
              if (behaviour === 'refused') return { status: 400, reason: `DeviceTokenNotForTopic ${token}` };
              return behaviour;
            }),
          );
        },
        taken: (token) => server.pushes.filter((taken) => taken.token === token).length,
        dropConnections: server.dropConnections,
        secrets: () => [server.keyPem, ...server.providerTokens],
        words: {
          accepted: /^200$/,
          unregistered: /^410 Unregistered$/,
          retry: /^500 InternalServerError$/,
          credentials: /^403 InvalidProviderToken$/,
          refused: /^400 DeviceTokenNotForTopic \[token\]$/,
        },
        stop: server.stop,
      };
    },
  },
  {
    name: 'FCM',
    start: async () => {
      const server = await startFcmServer();
      const sender = createFcmSender(fcmSettings(server));
      return {
        name: 'FCM',
        sender: sender as PushSender,
        register: (token) => ({ service: 'FCM', token }),
        behave: (token, list) => {
          server.behave(
            token,
            list.map((behaviour) => {
              if (behaviour === 'unregistered') return fcmAnswers.unregistered;
              if (behaviour === 'retry-in-7-s') return fcmAnswers.quotaExceeded('7');
              if (behaviour === 'retry-by-date') {
                return fcmAnswers.unavailable(new Date(Date.now() + 60_000).toUTCString());
              }
              if (behaviour === 'retry') return fcmAnswers.internal;
              if (behaviour === 'credentials') return fcmAnswers.permissionDenied;
              if (behaviour === 'refused') return { ...fcmAnswers.invalidArgument, message: `${token} is no token` };
              return behaviour;
            }),
          );
        },
        taken: (token) => server.pushes.filter((taken) => taken.token === token).length,
        dropConnections: server.dropConnections,
        secrets: () => [server.serviceAccount.private_key, ...server.secrets],
        words: {
          accepted: /^200 projects\/stand-in\/messages\/.+$/,
          unregistered: /^404 UNREGISTERED: Requested entity was not found\.$/,
          retry: /^500 INTERNAL: Internal error encountered\.$/,
          credentials: /^403 PERMISSION_DENIED: Permission .+ denied/,
          refused: /^400 INVALID_ARGUMENT: \[token\] is no token$/,
        },
        stop: server.stop,
      };
    },
  },
];

describe.each(services)('A push by $name', ({ start }) => {
  let service: Running;
  beforeAll(async () => {
    service = await start();
  });
  afterAll(async () => {
    await service.sender.close();
    await service.stop();
  });
  const send = (token: string, more: Partial<Push> = {}) => service.sender.send(service.register(token), push(more));
  const sendTo = async (...list: readonly Behaviour[]) => {
    const token = newToken();
    service.behave(token, list);
    const begun = performance.now();
    const result = await send(token);
    return { token, result, ms: performance.now() - begun };
  };

  test('is accepted, in the words of the service', async () => {
    const { token, result } = await sendTo();
    expect(result).toEqual({ kind: 'accepted', answer: expect.stringMatching(service.words.accepted) });
    expect(service.taken(token)).toBe(1);
  });

  test('to a device that is no longer registered says so', async () => {
    const { result } = await sendTo('unregistered');
    expect(result).toMatchObject({
      kind: 'unregistered',
      answer: expect.stringMatching(service.words.unregistered),
    });
  });

  test('may be tried again after a failure of the service, of which the sender makes no attempt itself', async () => {
    const { token, result, ms } = await sendTo('retry');
    expect(result).toEqual({ kind: 'retry', answer: expect.stringMatching(service.words.retry) });
    expect(service.taken(token)).toBe(0);
    expect(ms).toBeLessThan(requestTimeoutMs);
  });

  test('may be tried again when the service says: after seconds, or at a date', async () => {
    const [seconds, date] = [await sendTo('retry-in-7-s'), await sendTo('retry-by-date')];
    expect(seconds.result).toMatchObject({ kind: 'retry', afterMs: 7_000 });
    expect(seconds.ms).toBeLessThan(requestTimeoutMs);
    expect(date.result.kind === 'retry' && date.result.afterMs).toBeGreaterThan(55_000);
    expect(date.result.kind === 'retry' && date.result.afterMs).toBeLessThanOrEqual(60_000);
  });

  test('that is refused for our own credentials may be tried again: an operator will mend them', async () => {
    const { result } = await sendTo('credentials');
    expect(result).toEqual({ kind: 'retry', answer: expect.stringMatching(service.words.credentials) });
  });

  test('that is refused for itself is final', async () => {
    const { result } = await sendTo('refused');
    expect(result).toEqual({ kind: 'refused', answer: expect.stringMatching(service.words.refused) });
  });

  test('that nobody answers is given up in time, and the next one is accepted', async () => {
    const { token, result, ms } = await sendTo('stall');
    expect(result).toEqual({ kind: 'unreachable', answer: `no answer within ${requestTimeoutMs} ms` });
    expect(ms).toBeLessThan(requestTimeoutMs + 300);
    expect(await send(token)).toMatchObject({ kind: 'accepted' });
  });

  test('that a silent server holds does not fail those beside it', async () => {
    const [stalled, ...others] = [newToken(), newToken(), newToken()];
    service.behave(stalled, ['stall']);
    const first = send(stalled);
    const results = await Promise.all(others.map((token) => send(token)));
    expect(results.map(({ kind }) => kind)).toEqual(['accepted', 'accepted']);
    expect(await first).toMatchObject({ kind: 'unreachable' });
  });

  test.each(['drop-before', 'drop-after'] as const)(
    'whose connection breaks (%s) may have been taken, and the next one is accepted',
    async (behaviour) => {
      const { token, result, ms } = await sendTo(behaviour);
      expect(result.kind).toBe('unreachable');
      expect(result.answer).not.toBe('');
      expect(ms).toBeLessThan(requestTimeoutMs);
      expect(service.taken(token)).toBe(behaviour === 'drop-after' ? 1 : 0);
      expect(await send(token)).toMatchObject({ kind: 'accepted' });
    },
  );

  test('is not lost for a connection that was lost while it was idle', async () => {
    await send(newToken());
    service.dropConnections();
    // The end of a connection has to arrive before anybody can know of it.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await send(newToken())).toMatchObject({ kind: 'accepted' });
  });

  test('is answered without a secret, whatever the answer', async () => {
    for (const behaviour of behaviours) {
      const { token, result } = await sendTo(behaviour);
      for (const secret of [token, ...service.secrets()]) expect(JSON.stringify(result)).not.toContain(secret);
    }
  });

  test('to a token that is no token is an answer like any other', async () => {
    for (const token of ['', 'not/a token', 'line\r\nbreak', 'ポケット']) {
      const result = await send(token);
      // The server that speaks FCM takes any token that is not empty.
      expect(result.kind).toBe(token === '' || service.name === 'APNs' ? 'refused' : 'accepted');
    }
    expect(await send(newToken())).toMatchObject({ kind: 'accepted' });
  });

  test('is no exception after the sender was closed', async () => {
    const other = await start();
    await other.sender.close();
    const result = await other.sender.send(other.register(newToken()), push());
    expect(['unreachable', 'accepted']).toContain(result.kind);
    await other.sender.close();
    await other.stop();
  });
});

describe('By APNs', () => {
  let server: ApnsServer;
  beforeAll(async () => {
    server = await startApnsServer();
  });
  afterAll(() => server.stop());
  /** A sender of this test alone. */
  async function withSender<T>(more: Partial<ApnsSettings>, run: (sender: PushSender<ApnsRegistration>) => Promise<T>) {
    const sender = createApnsSender(apnsSettings(server, more));
    try {
      return await run(sender);
    } finally {
      await sender.close();
    }
  }

  test('a notification has the headers and the payload that Apple documents', async () => {
    const token = newToken();
    const sent = push();
    await withSender({}, (sender) => sender.send(onProduction(token), sent));
    const [taken] = await server.waitFor(token);
    expect(taken).toMatchObject({
      id: sent.id,
      topic,
      pushType: 'alert',
      priority: 10,
      expiration: Math.floor(sent.expireTime.getTime() / 1000),
      collapseId: 'challenge-1',
      payload: {
        aps: {
          alert: sent.notification,
          sound: 'default',
          'mutable-content': 1,
          'interruption-level': 'time-sensitive',
        },
        challenge_id: 'c1',
        kind: 'sign_in',
      },
    });
  });

  test('a notification that is not urgent breaks through nothing', async () => {
    const token = newToken();
    await withSender({}, (sender) => sender.send(onProduction(token), push({ urgent: false })));
    expect((await server.waitFor(token))[0]?.payload['aps']).not.toHaveProperty('interruption-level');
  });

  test('a silent push wakes the app and shows nothing', async () => {
    const token = newToken();
    await withSender({}, (sender) => sender.send(onProduction(token), push({ notification: undefined })));
    expect((await server.waitFor(token))[0]).toMatchObject({
      pushType: 'background',
      priority: 5,
      payload: { aps: { 'content-available': 1 }, challenge_id: 'c1', kind: 'sign_in' },
    });
  });

  test('an app cannot be sent another alert by what is in its data', async () => {
    const token = newToken();
    await withSender({}, (sender) => sender.send(onProduction(token), push({ data: { aps: 'mine' } })));
    expect((await server.waitFor(token))[0]?.payload['aps']).toHaveProperty('alert');
  });

  test('a removed app is told since when', async () => {
    const token = newToken();
    server.behave(token, [apnsAnswers.unregistered(since), apnsAnswers.expiredToken(since)]);
    await withSender({}, async (sender) => {
      expect(await sender.send(onProduction(token), push())).toEqual({
        kind: 'unregistered',
        answer: '410 Unregistered',
        since,
      });
      expect(await sender.send(onProduction(token), push())).toMatchObject({ kind: 'unregistered', since });
    });
  });

  test.each([
    apnsAnswers.badDeviceToken,
    apnsAnswers.deviceTokenNotForTopic,
    apnsAnswers.topicDisallowed,
    apnsAnswers.payloadTooLarge,
  ])('$status $reason is final', async (answer) => {
    const token = newToken();
    server.behave(token, answer);
    const result = await withSender({}, (sender) => sender.send(onProduction(token), push()));
    expect(result).toEqual({ kind: 'refused', answer: `${answer.status} ${answer.reason}` });
  });

  test('a payload beyond 4096 bytes is refused', async () => {
    const data = { long: 'x'.repeat(4096) };
    const result = await withSender({}, (sender) => sender.send(onProduction(newToken()), push({ data })));
    expect(result).toEqual({ kind: 'refused', answer: '413 PayloadTooLarge' });
  });

  test('fifty pushes at once share one connection, and so does one after them', async () => {
    const before = server.connections.made;
    await withSender({ requestTimeoutMs: 5_000 }, async (sender) => {
      const results = await Promise.all(
        Array.from({ length: 50 }, () => sender.send(onProduction(newToken()), push())),
      );
      expect(new Set(results.map(({ kind }) => kind))).toEqual(new Set(['accepted']));
      await sender.send(onProduction(newToken()), push());
    });
    expect(server.connections.made - before).toBe(1);
  });

  test('closing the sender closes its connections', async () => {
    await withSender({}, (sender) => sender.send(onProduction(newToken()), push()));
    await eventually(2_000, () => expect(server.connections.open).toBe(0));
  });

  test('a push that crosses GOAWAY is handed over on the next connection', async () => {
    const token = newToken();
    server.behave(token, ['goaway-before']);
    const before = server.connections.made;
    await withSender({}, async (sender) => {
      expect(await sender.send(onProduction(token), push())).toMatchObject({ kind: 'accepted' });
    });
    expect(server.connections.made - before).toBe(2);
    expect(server.pushes.filter((taken) => taken.token === token)).toHaveLength(1);
  });

  test('a push that GOAWAY turns away again is unreachable with its reason, and the next one is accepted', async () => {
    const token = newToken();
    server.behave(token, times(2, 'goaway-before'));
    await withSender({}, async (sender) => {
      const result = await sender.send(onProduction(token), push());
      expect(result).toMatchObject({ kind: 'unreachable', answer: expect.stringContaining('GOAWAY Shutdown') });
      expect(await sender.send(onProduction(token), push())).toMatchObject({ kind: 'accepted' });
    });
  });

  test('GOAWAY after an answer takes nothing from it, and costs the next push nothing', async () => {
    const token = newToken();
    server.behave(token, ['goaway-after']);
    await withSender({}, async (sender) => {
      for (let sent = 0; sent < 3; sent += 1) {
        expect(await sender.send(onProduction(token), push())).toMatchObject({ kind: 'accepted' });
      }
    });
  });

  test('GOAWAY while idle costs the next push nothing', async () => {
    await withSender({}, async (sender) => {
      await sender.send(onProduction(newToken()), push());
      server.goAway();
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(await sender.send(onProduction(newToken()), push())).toMatchObject({ kind: 'accepted' });
    });
  });

  test.each(['reset', 'reset-quietly'] as const)('a stream that is %s is unreachable at once', async (behaviour) => {
    const token = newToken();
    server.behave(token, [behaviour]);
    await withSender({ requestTimeoutMs: 5_000 }, async (sender) => {
      const begun = performance.now();
      expect(await sender.send(onProduction(token), push())).toMatchObject({ kind: 'unreachable' });
      expect(performance.now() - begun).toBeLessThan(1_000);
      expect(await sender.send(onProduction(token), push())).toMatchObject({ kind: 'accepted' });
    });
  });

  test('a failure of one push does not close the connection below the others', async () => {
    const [failing, slow] = [newToken(), newToken()];
    server.behave(failing, [apnsAnswers.internalServerError]);
    server.behave(slow, ['stall']);
    const before = server.connections.made;
    await withSender({}, async (sender) => {
      const stalled = sender.send(onProduction(slow), push());
      const begun = performance.now();
      expect(await sender.send(onProduction(failing), push())).toMatchObject({ kind: 'retry' });
      expect(performance.now() - begun).toBeLessThan(requestTimeoutMs);
      expect(await sender.send(onProduction(failing), push())).toMatchObject({ kind: 'accepted' });
      expect(server.connections.made - before).toBe(1);
      await stalled;
    });
  });

  test('an expired provider token is signed anew, and the push may be tried again at once', async () => {
    const token = newToken();
    await withSender({}, async (sender) => {
      expect(await sender.send(onProduction(token), push())).toMatchObject({ kind: 'accepted' });
      const before = server.providerTokens.size;
      server.expireProviderTokens();
      const refused = await Promise.all([1, 2, 3].map(() => sender.send(onProduction(token), push())));
      for (const result of refused) {
        expect(result).toEqual({ kind: 'retry', answer: '403 ExpiredProviderToken', afterMs: 0 });
      }
      expect(await sender.send(onProduction(token), push())).toMatchObject({ kind: 'accepted' });
      expect(server.providerTokens.size - before).toBe(1);
    });
  });

  test('a key that Apple does not know is a matter for an operator', async () => {
    const result = await withSender({ keyId: 'OTHERKEY00' }, (sender) => sender.send(onProduction(newToken()), push()));
    expect(result).toEqual({ kind: 'retry', answer: '403 InvalidProviderToken' });
  });

  test('a key that is none is found at the start', () => {
    expect(() => createApnsSender(apnsSettings(server, { key: '-----BEGIN PRIVATE KEY-----\nno\n' }))).toThrow();
  });

  test('the sandbox and production are two servers', async () => {
    const { keyPem, keyId, teamId } = server;
    const sandbox = await startApnsServer({ key: { keyPem, keyId, teamId } });
    const { host, port } = sandbox;
    const [one, other] = [newToken(), newToken()];
    await withSender({ sandbox: { host, port }, ca: server.caPem + sandbox.caPem }, async (sender) => {
      await sender.send(onProduction(one), push());
      await sender.send({ ...onProduction(other), environment: 'SANDBOX' }, push());
    });
    expect(server.pushes.filter(({ token }) => [one, other].includes(token)).map(({ token }) => token)).toEqual([one]);
    expect(sandbox.pushes.map(({ token }) => token)).toEqual([other]);
    await sandbox.stop();
  });

  test('a server that is down is unreachable at once, and reached once it is up', async () => {
    const port = await freePort();
    const certificate = selfSigned();
    await withSender({ production: { host: '127.0.0.1', port }, ca: certificate.cert }, async (sender) => {
      const begun = performance.now();
      expect(await sender.send(onProduction(newToken()), push())).toMatchObject({
        kind: 'unreachable',
        answer: expect.stringContaining('ECONNREFUSED'),
      });
      expect(performance.now() - begun).toBeLessThan(requestTimeoutMs);
      const { keyPem, keyId, teamId } = server;
      const late = await startApnsServer({ port, certificate, key: { keyPem, keyId, teamId } });
      expect(await sender.send(onProduction(newToken()), push())).toMatchObject({ kind: 'accepted' });
      await late.stop();
    });
  });

  test('a server whose certificate is not trusted is sent nothing', async () => {
    await withSender({ ca: selfSigned().cert }, async (sender) => {
      const token = newToken();
      expect(await sender.send(onProduction(token), push())).toMatchObject({
        kind: 'unreachable',
        answer: expect.stringContaining('self-signed certificate'),
      });
      expect(server.attemptsOf(token)).toEqual([]);
    });
  });

  test('a server that takes connections and says nothing is given up in time', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => void sockets.push(socket.on('error', () => {})));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    await withSender({ production: { host: '127.0.0.1', port } }, async (sender) => {
      const begun = performance.now();
      expect(await sender.send(onProduction(newToken()), push())).toMatchObject({ kind: 'unreachable' });
      expect(performance.now() - begun).toBeLessThan(requestTimeoutMs + 300);
      await sender.send(onProduction(newToken()), push());
      expect(sockets).toHaveLength(2);
    });
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  test('a connection that a router forgot is left before a push is lost on it', async () => {
    let mute = false;
    const pairs: Socket[] = [];
    const router = createServer((client) => {
      const behind = connect(server.port, server.host);
      // What is open when the router forgets stays open, and silent.
      const forgotten = () => mute && pairs.indexOf(client) < 2;
      pairs.push(client, behind);
      for (const [from, to] of [
        [client, behind],
        [behind, client],
      ] as const) {
        from.on('error', () => {});
        from.on('data', (chunk) => {
          if (!forgotten()) to.write(chunk);
        });
      }
    });
    router.listen(0, '127.0.0.1');
    await once(router, 'listening');
    const { port } = router.address() as AddressInfo;
    await withSender({ production: { host: '127.0.0.1', port }, heartbeatMs: 40 }, async (sender) => {
      expect(await sender.send(onProduction(newToken()), push())).toMatchObject({ kind: 'accepted' });
      mute = true;
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(await sender.send(onProduction(newToken()), push())).toMatchObject({ kind: 'accepted' });
      expect(pairs).toHaveLength(4);
    });
    for (const socket of pairs) socket.destroy();
    router.close();
  });
});

describe('By FCM', () => {
  let server: FcmServer;
  beforeAll(async () => {
    server = await startFcmServer();
  });
  afterAll(() => server.stop());
  /** A sender of this test alone: it has no access token yet. */
  async function withSender<T>(more: Partial<FcmSettings>, run: (send: SendTo) => Promise<T>) {
    const sender = createFcmSender(fcmSettings(server, more));
    try {
      return await run((token, what = push()) => sender.send({ service: 'FCM', token }, what));
    } finally {
      await sender.close();
    }
  }
  type SendTo = (token: string, what?: Push) => ReturnType<PushSender['send']>;

  test('a notification is the message that Google documents', async () => {
    const token = newToken();
    const sent = push({ expireTime: new Date(Date.now() + 120_500) });
    await withSender({}, (send) => send(token, sent));
    expect((await server.waitFor(token))[0]?.message).toEqual({
      token,
      notification: sent.notification,
      data: { challenge_id: 'c1', kind: 'sign_in', delivery_id: sent.id },
      android: {
        priority: 'HIGH',
        ttl: '120s',
        collapseKey: 'challenge-1',
        notification: { tag: 'challenge-1', defaultSound: true, notificationPriority: 'PRIORITY_MAX' },
      },
    });
  });

  test('a silent push has data and nothing to show', async () => {
    const token = newToken();
    await withSender({}, (send) => send(token, push({ notification: undefined })));
    const message = (await server.waitFor(token))[0]?.message;
    expect(message).not.toHaveProperty('notification');
    expect(message?.android).not.toHaveProperty('notification');
    expect(message?.data).toMatchObject({ challenge_id: 'c1' });
  });

  test.each([
    [-1_000, '0s'],
    [365 * 86_400_000, '2419200s'],
  ])('a push that may wait %i ms waits within the bounds of FCM', async (ms, ttl) => {
    const token = newToken();
    await withSender({}, (send) => send(token, push({ expireTime: new Date(Date.now() + ms) })));
    expect((await server.waitFor(token))[0]?.message.android?.ttl).toBe(ttl);
  });

  test('a token of another sender is final', async () => {
    const token = newToken();
    server.behave(token, fcmAnswers.senderIdMismatch);
    expect(await withSender({}, (send) => send(token))).toEqual({
      kind: 'refused',
      answer: '403 SENDER_ID_MISMATCH: SenderId mismatch',
    });
  });

  test('credentials of a third party are a matter for an operator', async () => {
    const token = newToken();
    server.behave(token, fcmAnswers.thirdPartyAuthError);
    expect(await withSender({}, (send) => send(token))).toMatchObject({
      kind: 'retry',
      answer: expect.stringContaining('401 THIRD_PARTY_AUTH_ERROR'),
    });
  });

  test('a project that is unknown says nothing of the device', async () => {
    expect(await withSender({ projectId: 'other' }, (send) => send(newToken()))).toEqual({
      kind: 'retry',
      answer: '404 NOT_FOUND: Not Found',
    });
  });

  test('a page of HTML is an answer like any other', async () => {
    const token = newToken();
    server.behave(token, 'bad-gateway');
    expect(await withSender({}, (send) => send(token))).toEqual({ kind: 'retry', answer: '502' });
  });

  test('a hundred pushes at once ask for one access token', async () => {
    const before = server.exchanges;
    await withSender({ requestTimeoutMs: 5_000 }, async (send) => {
      server.behaveAtTokenEndpoint([{ slowMs: 100 }]);
      const results = await Promise.all(Array.from({ length: 100 }, () => send(newToken())));
      expect(new Set(results.map(({ kind }) => kind))).toEqual(new Set(['accepted']));
    });
    expect(server.exchanges - before).toBe(1);
  });

  test('pushes one after the other share one connection', async () => {
    const before = server.connections.made;
    await withSender({}, async (send) => {
      for (let sent = 0; sent < 5; sent += 1) await send(newToken());
    });
    // Ask for the access token, send: the same host here.
    expect(server.connections.made - before).toBe(1);
  });

  test.each([
    ['invalid-grant', 'retry', /^token endpoint: 401 invalid_grant: Invalid grant: account not found$/],
    ['unavailable', 'retry', /^token endpoint: 503 temporarily_unavailable: Try again later\.$/],
    ['drop', 'unreachable', /^token endpoint: .*(socket hang up|ECONNRESET)/],
    [{ slowMs: 1_000 }, 'unreachable', /^token endpoint: |^no answer within/],
  ] as const)(
    'a token endpoint that fails (%j) is a value, and the next push asks again',
    async (behaviour, kind, words) => {
      server.behaveAtTokenEndpoint([behaviour]);
      await withSender({}, async (send) => {
        const token = newToken();
        const begun = performance.now();
        expect(await send(token)).toEqual({ kind, answer: expect.stringMatching(words) });
        expect(performance.now() - begun).toBeLessThan(requestTimeoutMs + 300);
        expect(await send(token)).toMatchObject({ kind: 'accepted' });
      });
    },
  );

  test('a token endpoint that is down is a value', async () => {
    const tokenUri = `http://127.0.0.1:${await freePort()}/token`;
    expect(await withSender({ tokenUri }, (send) => send(newToken()))).toMatchObject({
      kind: 'unreachable',
      answer: expect.stringMatching(/^token endpoint: .*ECONNREFUSED/),
    });
  });

  test('an access token is renewed before its end, and until then a failing token endpoint holds up nobody', async () => {
    let ahead = 0;
    const clock = () => new Date(Date.now() + ahead);
    const before = server.exchanges;
    await withSender({ now: clock }, async (send) => {
      const expireTime = new Date(Date.now() + 7_200_000);
      const accepted = async () =>
        expect(await send(newToken(), push({ expireTime }))).toMatchObject({ kind: 'accepted' });
      await accepted();
      await accepted();
      expect(server.exchanges - before).toBe(1);
      ahead = 57 * 60_000;
      server.behaveAtTokenEndpoint(['drop']);
      await accepted();
      await eventually(2_000, () => expect(server.exchanges - before).toBe(2));
    });
  });

  test('an access token that has expired is renewed', async () => {
    const before = server.exchanges;
    await withSender({}, async (send) => {
      server.behaveAtTokenEndpoint([{ expiresIn: 1 }]);
      // Too short a life to be of use twice.
      expect(await send(newToken())).toMatchObject({ kind: 'accepted' });
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      expect(await send(newToken())).toMatchObject({ kind: 'accepted' });
      expect(await send(newToken())).toMatchObject({ kind: 'accepted' });
    });
    expect(server.exchanges - before).toBe(2);
  });

  test('an access token that was revoked is forgotten: the next attempt has a new one', async () => {
    await withSender({}, async (send) => {
      expect(await send(newToken())).toMatchObject({ kind: 'accepted' });
      server.revokeAccessTokens();
      expect(await send(newToken())).toMatchObject({ kind: 'retry', answer: expect.stringContaining('401 UNAUTH') });
      expect(await send(newToken())).toMatchObject({ kind: 'accepted' });
    });
  });

  test('a key that is none is found at the start', () => {
    expect(() => createFcmSender(fcmSettings(server, { privateKey: 'no' }))).toThrow();
  });
});
