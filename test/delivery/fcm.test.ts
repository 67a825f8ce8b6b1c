// What only Google's service has: its message, its answers, and the access tokens of its senders.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFcmSender, type FcmSettings } from '../../server/delivery/fcm.ts';
import type { Push, PushSender } from '../../server/delivery/push.ts';
import { eventually } from '../support/eventually.ts';
import { type FcmServer, fcmAnswers, startFcmServer } from '../support/fcm-server.ts';
import { freePort } from '../support/free-port.ts';
import { fcmSettings, newToken, push, requestTimeoutMs } from './push-senders.ts';

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
