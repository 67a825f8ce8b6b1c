// What only Apple's service has: its headers and payloads, its connections, its keys and its two environments.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApnsRegistration, type ApnsSettings, createApnsSender } from '../../server/delivery/apns.ts';
import type { PushSender } from '../../server/delivery/push.ts';
import { type ApnsServer, apnsAnswers, startApnsServer } from '../support/apns-server.ts';
import { selfSigned } from '../support/certificate.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { times } from '../support/stand-in.ts';
import { apnsSettings, newToken, onProduction, push, requestTimeoutMs, since, topic } from './push-senders.ts';

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
