// Pushes handed over to servers that speak APNs and FCM: what each answer means to who sent it, whatever the service. It knows no
// jobs: who calls decides on retries.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApnsSender } from '../../server/delivery/apns.ts';
import { createFcmSender } from '../../server/delivery/fcm.ts';
import type { Push, PushSender } from '../../server/delivery/push.ts';
import type { PushRegistration } from '../../server/domain/device.ts';
import { apnsAnswers, startApnsServer } from '../support/apns-server.ts';
import { fcmAnswers, startFcmServer } from '../support/fcm-server.ts';
import { apnsSettings, fcmSettings, newToken, onProduction, push, requestTimeoutMs, since } from './push-senders.ts';

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
