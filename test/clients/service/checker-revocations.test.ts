// The session checker when sessions are revoked, and when its stream or its server is not there or not to be believed.

import { once } from 'node:events';
import { createServer } from 'node:net';
import { Code } from '@connectrpc/connect';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CountersignError } from '../../../clients/errors.ts';
import { createAuthority, thisMachine } from '../../support/certificate.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/free-port.ts';
import { refusal } from '../../support/refusal.ts';
import type { SessionsServer } from '../../support/sessions-server.ts';
import {
  checkerOf,
  createMovedClock,
  invalid,
  newSession,
  patience,
  serviceToken,
  startServer,
  tokenOf,
  unavailable,
} from './support.ts';

/** Once the stream is tried again, nothing more comes over the one that was cut. */
const tried = ({ calls }: SessionsServer) => eventually(patience, () => expect(calls.streams).toBeGreaterThan(1));

describe('a revoked session', () => {
  test('is refused with its cause, and whoever listens is told once', async () => {
    const server = await startServer();
    const checker = checkerOf(server);
    const told: string[] = [];
    checker.onRevoked(({ sessionId, cause }) => told.push(`${sessionId} ${cause}`));
    const deaf = checker.onRevoked(() => told.push('deaf'));
    deaf();
    await checker.ready(patience);
    const [goes, stays] = [newSession(), newSession()];
    const [gone, good] = [tokenOf(goes), tokenOf(stays)];
    await Promise.all([checker.check(gone), checker.check(good)]);
    server.revoke(goes, 'PASSWORD_CHANGED');
    await eventually(patience, () => expect(told).toEqual([`${goes} PASSWORD_CHANGED`]));
    expect(await refusal(checker.check(gone))).toMatchObject(invalid('PASSWORD_CHANGED'));
    expect(await refusal(checker.check(tokenOf(goes)))).toMatchObject(invalid('PASSWORD_CHANGED'));
    expect(await refusal(checker.check(gone, { fresh: true }))).toMatchObject(invalid('PASSWORD_CHANGED'));
    await checker.check(good);
    // Opened again, the stream tells it again.
    server.cutStreams();
    await eventually(patience, () => expect(server.calls.streams).toBe(2));
    server.revoke(newSession());
    await eventually(patience, () => expect(told).toHaveLength(2));
    expect(server.calls.introspections).toBe(0);
  });

  test('from before the checker was there is refused', async () => {
    const server = await startServer();
    const goes = newSession();
    server.revoke(goes);
    const checker = checkerOf(server);
    await checker.ready(patience);
    expect(await refusal(checker.check(tokenOf(goes)))).toMatchObject(invalid('DEVICE_REMOVED'));
  });

  test('is refused though more were revoked than are remembered: older tokens are asked for', async () => {
    const server = await startServer();
    const checker = checkerOf(server, { rememberedRevocations: 2 });
    await checker.ready(patience);
    const ids = Array.from({ length: 6 }, newSession);
    const issuedAt = Date.now() - 200_000;
    const tokens = ids.map((id) => tokenOf(id, { issuedAt }));
    const good = tokenOf(newSession(), { issuedAt });
    for (const id of ids) server.revoke(id, 'REVOKED', Date.now() - 150_000);
    const recent = newSession();
    server.revoke(recent, 'SIGNED_OUT');
    await eventually(patience, async () => {
      expect(await refusal(checker.check(tokenOf(recent)))).toMatchObject(invalid('SIGNED_OUT'));
    });
    expect(server.calls.introspections).toBe(0);
    for (const token of tokens) expect((await refusal(checker.check(token))).reason).toBe('SESSION_INVALID');
    await checker.check(good);
    expect(server.calls.introspections).toBeGreaterThanOrEqual(6);
    // Of newer ones everything is known.
    const asked = server.calls.introspections;
    await checker.check(tokenOf(newSession()));
    expect(server.calls.introspections).toBe(asked);
  });

  test('is refused at once where freshness is asked for, before any stream has told', async () => {
    const server = await startServer();
    const checker = checkerOf(server);
    await checker.ready(patience);
    server.does.streams = 'refuse';
    server.cutStreams();
    const goes = newSession();
    const token = tokenOf(goes);
    await checker.check(token, { fresh: true });
    server.revoke(goes);
    expect(await refusal(checker.check(token, { fresh: true }))).toMatchObject(invalid('EXPIRED'));
    expect(server.calls.introspections).toBe(2);
  });
});

test('a token that the server has called inactive is not let in again, however little the stream tells', async () => {
  const server = await startServer();
  const checker = checkerOf(server);
  await checker.ready(patience);
  const goes = newSession();
  const token = tokenOf(goes);
  await checker.check(token);
  server.endSilently(goes);
  await checker.check(token);
  for (const fresh of [true, false, true]) {
    expect(await refusal(checker.check(token, { fresh }))).toMatchObject(invalid('EXPIRED'));
  }
  expect(server.calls.introspections).toBe(1);
});

describe('a checker whose stream is down', () => {
  test('asks for each call, refuses who is gone and lets in who is not; later it needs not ask any more', async () => {
    const server = await startServer();
    const checker = checkerOf(server);
    await checker.ready(patience);
    const [goes, stays] = [newSession(), newSession()];
    const [gone, good] = [tokenOf(goes), tokenOf(stays)];
    await Promise.all([checker.check(gone), checker.check(good)]);

    server.does.streams = 'refuse';
    server.cutStreams();
    await tried(server);
    server.revoke(goes);
    expect(await refusal(checker.check(gone))).toMatchObject(invalid('EXPIRED'));
    await checker.check(good);
    expect(server.calls.introspections).toBe(2);

    server.does.streams = 'open';
    await eventually(patience, async () =>
      expect(await refusal(checker.check(gone))).toMatchObject(invalid('DEVICE_REMOVED')),
    );
    const asked = server.calls.introspections;
    await checker.check(good);
    expect(server.calls.introspections).toBe(asked);
  });

  test('goes by what it knows while that is new enough, where the server can not be asked either', async () => {
    const server = await startServer();
    const clock = createMovedClock();
    const checker = checkerOf(server, {}, clock);
    await checker.ready(patience);
    const goes = newSession();
    const told = new Promise<void>((resolve) => void checker.onRevoked(() => resolve()));
    server.revoke(goes);
    await told;
    const [gone, good] = [tokenOf(goes), tokenOf(newSession())];
    await server.goDown();
    await checker.check(good);
    expect(await refusal(checker.check(gone))).toMatchObject(invalid('DEVICE_REMOVED'));
    expect(await refusal(checker.check(good, { fresh: true }))).toMatchObject(unavailable);
    clock.advance(5_001);
    expect(await refusal(checker.check(good))).toMatchObject(unavailable);
  });
});

describe('a checker that has not heard for too long', () => {
  test('counts what the server says of itself: one that can not read its database knows nothing new', async () => {
    const server = await startServer();
    const clock = createMovedClock();
    const checker = checkerOf(server, {}, clock);
    await checker.ready(patience);
    server.does.stalenessMs = 60_000;
    const told = new Promise<void>((resolve) => void checker.onRevoked(() => resolve()));
    server.revoke(newSession());
    // With it, everything of before has been read.
    await told;
    clock.advance(6_000);
    const token = tokenOf(newSession());
    await checker.check(token);
    expect(server.calls.introspections).toBe(1);
    expect(checker.staleness()).toBeGreaterThan(5_000);
    server.does.introspect = 'fail';
    expect(await refusal(checker.check(token))).toMatchObject(unavailable);
    server.does.stalenessMs = 0;
    await eventually(patience, () => expect(checker.staleness()).toBeLessThan(5_000));
    await checker.check(token);
    expect(server.calls.introspections).toBe(2);
  });

  test('lets nobody in while the server fails, is silent, or is down', async () => {
    const server = await startServer();
    const clock = createMovedClock();
    const checker = checkerOf(server, { timeoutMs: 300 }, clock);
    await checker.ready(patience);
    const token = tokenOf(newSession());
    await checker.check(token);
    server.does.streams = 'refuse';
    server.cutStreams();
    await tried(server);
    clock.advance(5_001);
    for (const introspect of ['fail', 'hang'] as const) {
      server.does.introspect = introspect;
      const refused = await refusal(checker.check(token));
      expect(refused).toMatchObject(unavailable);
      expect(refused.retryAfter).toBeGreaterThan(0);
    }
    await server.goDown();
    expect(await refusal(checker.check(token))).toMatchObject(unavailable);
    expect(await refusal(checker.check(token, { fresh: true }))).toMatchObject(unavailable);
    await server.comeBack();
    server.does.introspect = 'answer';
    server.does.streams = 'open';
    await eventually(patience, () => checker.check(token));
  });

  test('asks once for what is asked at once of one token, and apart where freshness is asked for', async () => {
    const server = await startServer();
    server.does.streams = 'refuse';
    const checker = checkerOf(server);
    const [one, two] = [tokenOf(newSession()), tokenOf(newSession())];
    await Promise.all([checker.check(one), checker.check(two)]);
    expect(server.calls.introspections).toBe(2);
    await Promise.all(Array.from({ length: 40 }, (_, index) => checker.check(index % 2 === 0 ? one : two)));
    expect(server.calls.introspections).toBe(4);
    await Promise.all(Array.from({ length: 5 }, () => checker.check(one, { fresh: true })));
    expect(server.calls.introspections).toBe(9);
  });

  test('hears of a stream that is open and says nothing that it is none', { timeout: 90_000 }, async () => {
    const server = await startServer();
    const problems: string[] = [];
    const checker = checkerOf(server, { onProblem: ({ rawMessage }) => problems.push(rawMessage) });
    await checker.ready(patience);
    server.does.stalenessMs = undefined;
    await eventually(patience, () => expect(server.calls.streams).toBe(2));
    expect(problems).toContain('the stream fell silent');
    await checker.check(tokenOf(newSession()));
  });
});

describe('a server that is not there', () => {
  test('at the start: nobody gets in, ready says why, and all is well once it is there', async () => {
    const server = await startServer();
    await server.goDown();
    const checker = checkerOf(server);
    const token = tokenOf(newSession());
    expect(await refusal(checker.check(token))).toMatchObject(unavailable);
    expect(checker.staleness()).toBe(Number.POSITIVE_INFINITY);
    const late = await refusal(checker.ready(50));
    expect(late).toMatchObject(unavailable);
    await server.comeBack();
    await checker.ready(patience);
    await checker.check(token);
  });

  test('that never answers does not hold a call for longer than the time-out', async () => {
    const port = await freePort();
    const silent = createServer((socket) => void socket.on('error', () => {})).listen(port, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => void silent.close());
    const checker = checkerOf({ url: `http://127.0.0.1:${port}` }, { timeoutMs: 200 });
    expect(await refusal(checker.check(tokenOf(newSession())))).toMatchObject(unavailable);
    await checker.close();
  });

  test('that does not take the service token: ready says so at once, calls are refused as unavailable', async () => {
    const server = await startServer();
    const problems: CountersignError[] = [];
    const options = { serviceToken: `not-${serviceToken}`, onProblem: (each: CountersignError) => problems.push(each) };
    const checker = checkerOf(server, options);
    expect(await refusal(checker.ready(patience))).toMatchObject({ code: Code.Unauthenticated });
    expect(await refusal(checker.check(tokenOf(newSession())))).toMatchObject(unavailable);
    expect(problems[0]?.code).toBe(Code.Unauthenticated);
    server.does.serviceToken = options.serviceToken;
    await eventually(patience, () => checker.check(tokenOf(newSession())));
  });
});

describe('a listener that speaks TLS and asks for certificates', () => {
  const authority = createAuthority();
  const { cert: ca } = authority;
  const listener = { ...authority.issue(thisMachine), ca, requestCert: true, rejectUnauthorized: true };

  test('is called with the certificate of this service, a replaced one from the next connection on', async () => {
    const server = await startServer(listener);
    let mine = createAuthority().issue({ dns: ['shop.internal'] });
    const tls = {
      ca,
      get cert() {
        return mine.cert;
      },
      get key() {
        return mine.key;
      },
    };
    const checker = checkerOf(server, { tls });
    const token = tokenOf(newSession());
    expect(await refusal(checker.check(token))).toMatchObject(unavailable);
    mine = authority.issue({ dns: ['shop.internal'] });
    await checker.ready(patience);
    await checker.check(token, { fresh: true });
  });

  test('is not believed with a certificate of an authority that is not known', async () => {
    const server = await startServer(listener);
    const checker = checkerOf(server, { tls: authority.issue({ dns: ['shop.internal'] }) });
    expect(await refusal(checker.check(tokenOf(newSession())))).toMatchObject(unavailable);
    expect(server.calls).toEqual({ keys: 0, introspections: 0, streams: 0 });
  });
});
