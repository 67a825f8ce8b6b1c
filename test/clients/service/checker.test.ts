// The session checker before a server that does what a test says: who gets in, who does not, and how often the server is asked.

import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CountersignError } from '../../../clients/errors.ts';
import { createAuthority, thisMachine } from '../../support/certificate.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/free-port.ts';
import { refusal } from '../../support/refusal.ts';
import type { SessionsServer } from '../../support/sessions-server.ts';
import {
  audience,
  checkerOf,
  createMovedClock,
  firstKey,
  namedKey,
  newSession,
  publicBytes,
  secondKey,
  serviceToken,
  signedBy,
  startServer,
  tokenOf,
  withHeader,
} from './support.ts';

const invalid = (cause: string) => ({
  reason: 'SESSION_INVALID',
  code: Code.Unauthenticated,
  reasonMetadata: { cause },
});
const unavailable = { reason: 'DEPENDENCY_UNAVAILABLE', code: Code.Unavailable };
const patience = 20_000;

/** Once the stream is tried again, nothing more comes over the one that was cut. */
const tried = ({ calls }: SessionsServer) => eventually(patience, () => expect(calls.streams).toBeGreaterThan(1));

describe('a good token', () => {
  test('is checked without the server, again and again', async () => {
    const server = await startServer();
    const checker = checkerOf(server);
    await checker.ready(patience);
    const sessionId = newSession();
    const issuedAt = Date.now();
    const token = tokenOf(sessionId, { issuedAt });
    for (let round = 0; round < 3; round++) {
      expect(await checker.check(token)).toEqual({
        accountId: 'anna',
        deviceId: 'phone',
        sessionId,
        amr: ['pwd', 'otp'],
        expireTime: new Date(Math.floor(issuedAt / 1_000) * 1_000 + 300_000),
      });
    }
    expect(server.calls).toEqual({ keys: 1, introspections: 0, streams: 1 });
  });

  test('of more callers than are remembered is good all the same', async () => {
    const checker = checkerOf(await startServer(), { rememberedTokens: 4 });
    await checker.ready(patience);
    const ids = Array.from({ length: 20 }, newSession);
    for (let round = 0; round < 2; round++) {
      for (const id of ids) expect((await checker.check(tokenOf(id))).sessionId).toBe(id);
    }
  });

  test('expires, by the clock of this service and its tolerance', async () => {
    const server = await startServer();
    const [strict, lenient] = [createMovedClock(), createMovedClock()];
    const checker = checkerOf(server, { maxStalenessMs: Number.POSITIVE_INFINITY }, strict);
    const tolerant = checkerOf(server, { maxStalenessMs: Number.POSITIVE_INFINITY, clockToleranceMs: 60_000 }, lenient);
    const token = tokenOf(newSession());
    await Promise.all([checker.check(token), tolerant.check(token)]);
    strict.advance(301_000);
    lenient.advance(301_000);
    expect(await refusal(checker.check(token))).toMatchObject(invalid('EXPIRED'));
    await tolerant.check(token);
    lenient.advance(60_000);
    expect(await refusal(tolerant.check(token))).toMatchObject(invalid('EXPIRED'));
  });
});

describe('a clock that is behind the server’s', () => {
  test('by more than a minute does not decide about new tokens: the server is asked, and somebody is told', async () => {
    const server = await startServer();
    const problems: string[] = [];
    const clock = createMovedClock();
    const checker = checkerOf(server, { onProblem: ({ rawMessage }) => problems.push(rawMessage) }, clock);
    await checker.ready(patience);
    const issuedAt = Date.now() + 120_000;
    const [good, over] = [newSession(), newSession()];
    server.endSilently(over);
    const token = tokenOf(good, { issuedAt });
    await checker.check(token);
    await checker.check(token);
    expect(await refusal(checker.check(tokenOf(over, { issuedAt })))).toMatchObject(invalid('EXPIRED'));
    expect(server.calls.introspections).toBe(3);
    expect(problems).toEqual(Array(2).fill('a token comes from the future: the clock here is behind'));
    server.does.introspect = 'fail';
    expect(await refusal(checker.check(token))).toMatchObject(unavailable);
    // Put right, it decides again.
    clock.advance(120_000);
    await eventually(patience, () => checker.check(token));
  });

  test('by less decides', async () => {
    const server = await startServer();
    const checker = checkerOf(server);
    await checker.ready(patience);
    await checker.check(tokenOf(newSession(), { issuedAt: Date.now() + 30_000 }));
    expect(server.calls.introspections).toBe(0);
  });
});

describe('what no server has signed for this service', () => {
  const good = tokenOf('victim');
  const [head, payload, signature] = good.split('.') as [string, string, string];
  const bent = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
  const hmac = (secret: Uint8Array | string) => (signed: Buffer) =>
    createHmac('sha256', secret).update(signed).digest();
  const pem = `-----BEGIN PUBLIC KEY-----\n${Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), publicBytes(firstKey)]).toString('base64')}\n-----END PUBLIC KEY-----\n`;
  const cases: Record<string, string | undefined> = {
    none: undefined,
    'an empty one': '',
    garbage: 'garbage',
    'three dots': '...',
    'a header that is no JSON': `${Buffer.from('{').toString('base64url')}.${payload}.${signature}`,
    'a header that is null': `${Buffer.from('null').toString('base64url')}.${payload}.${signature}`,
    'a payload that is no JSON': withPayload('not JSON'),
    'a payload that is a list': withPayload('[]'),
    'a payload without a session': withPayload(JSON.stringify({ iss: 'https://login.example.com', aud: audience })),
    'no signature': `${head}.${payload}.`,
    'no signature at all': `${head}.${payload}`,
    'a bent signature': `${head}.${payload}.${bent}`,
    'a signature with padding': `${good}==`,
    'two lines': `${good}\n`,
    "another's payload": `${head}.${tokenOf('thief').split('.')[1]}.${signature}`,
    'alg none': withHeader(good, { alg: 'none' }, () => Buffer.alloc(0)),
    'alg none with a signature': withHeader(good, { alg: 'none' }, signedBy(firstKey)),
    'HS256 with the public key': withHeader(good, { alg: 'HS256' }, hmac(publicBytes(firstKey))),
    'HS256 with the public key as PEM': withHeader(good, { alg: 'HS256' }, hmac(pem)),
    'another name of the algorithm': withHeader(good, { alg: 'eddsa' }, signedBy(firstKey)),
    'another type': withHeader(good, { typ: 'JWT' }, signedBy(firstKey)),
    'no type': withHeader(good, { typ: undefined }, signedBy(firstKey)),
    'a critical extension': withHeader(good, { crit: ['b64'], b64: false }, signedBy(firstKey)),
    'a key of its own': withHeader(
      good,
      { jwk: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicBytes(secondKey)).toString('base64url') } },
      signedBy(secondKey),
    ),
    'no key id': withHeader(good, { kid: undefined }, signedBy(firstKey)),
    'a key id that is no text': withHeader(good, { kid: { toString: 'first' } }, signedBy(firstKey)),
    "another key under a known key's id": withHeader(good, {}, signedBy(secondKey)),
    'another audience': tokenOf('victim', { audience: 'bank' }),
    'another issuer': tokenOf('victim', { issuer: 'https://evil.example.com' }),
    'a token of a megabyte': `${head}.${'A'.repeat(1_000_000)}.${signature}`,
  };

  test.each(Object.entries(cases))('is refused: %s', async (_, token) => {
    const server = await startServer();
    const checker = checkerOf(server);
    await checker.ready(patience);
    await checker.check(good);
    for (const fresh of [false, true]) {
      expect(await refusal(checker.check(token, { fresh }))).toMatchObject(invalid('UNKNOWN'));
    }
    expect(server.calls).toEqual({ keys: 1, introspections: 0, streams: 1 });
  });

  test('does not make the server be asked when the stream is down, nor does an expired one', async () => {
    const server = await startServer();
    server.does.streams = 'refuse';
    const checker = checkerOf(server);
    await checker.check(good);
    expect(server.calls.introspections).toBe(1);
    for (const token of Object.values(cases)) await refusal(checker.check(token));
    const old = tokenOf(newSession(), { issuedAt: Date.now() - 400_000 });
    expect(await refusal(checker.check(old))).toMatchObject(invalid('EXPIRED'));
    const oldest = tokenOf(newSession(), { issuedAt: Date.now() - 400_000, key: namedKey('gone since', 8) });
    expect(await refusal(checker.check(oldest))).toMatchObject(invalid('EXPIRED'));
    expect(server.calls).toMatchObject({ keys: 1, introspections: 1 });
  });

  function withPayload(text: string): string {
    const signed = `${head}.${Buffer.from(text).toString('base64url')}`;
    return `${signed}.${signedBy(firstKey)(Buffer.from(signed)).toString('base64url')}`;
  }
});

describe('keys', () => {
  test('one that a token names before we know it is asked for', async () => {
    const server = await startServer();
    const clock = createMovedClock();
    const checker = checkerOf(server, {}, clock);
    await checker.ready(patience);
    server.does.keys = [secondKey, firstKey];
    clock.advance(3_000);
    const [one, two] = [tokenOf(newSession(), { key: secondKey }), tokenOf(newSession(), { key: secondKey })];
    await Promise.all([checker.check(one), checker.check(two)]);
    await checker.check(tokenOf(newSession()));
    expect(server.calls.keys).toBe(2);
  });

  test('that nobody has are asked for at most every few seconds, however many tokens name one', async () => {
    const server = await startServer();
    const clock = createMovedClock();
    const checker = checkerOf(server, {}, clock);
    await checker.ready(patience);
    for (let burst = 0; burst < 3; burst++) {
      clock.advance(3_000);
      const tokens = Array.from({ length: 50 }, (_, index) =>
        tokenOf(newSession(), { key: namedKey(`nobody's ${burst} ${index}`, 9) }),
      );
      const refusals = await Promise.all(tokens.map((token) => refusal(checker.check(token))));
      for (const each of refusals) expect(each).toMatchObject(invalid('UNKNOWN'));
      for (const token of tokens) await refusal(checker.check(token));
    }
    expect(server.calls).toMatchObject({ keys: 4, introspections: 0 });
  });

  test('one that was taken back is good for no token, seen before or not', async () => {
    const server = await startServer();
    const clock = createMovedClock();
    const checker = checkerOf(server, {}, clock);
    await checker.ready(patience);
    const seen = tokenOf(newSession());
    await checker.check(seen);
    server.does.keys = [secondKey];
    clock.advance(3_000);
    await checker.check(tokenOf(newSession(), { key: secondKey }));
    expect(await refusal(checker.check(seen))).toMatchObject(invalid('UNKNOWN'));
    expect(await refusal(checker.check(tokenOf(newSession())))).toMatchObject(invalid('UNKNOWN'));
  });

  test('the same id with another key voids what the one before has signed', async () => {
    const server = await startServer();
    const clock = createMovedClock();
    const checker = checkerOf(server, {}, clock);
    await checker.ready(patience);
    const seen = tokenOf(newSession());
    await checker.check(seen);
    server.does.keys = [namedKey(firstKey.keyId, 7)];
    clock.advance(3_000);
    await refusal(checker.check(tokenOf(newSession(), { key: secondKey })));
    expect(await refusal(checker.check(seen))).toMatchObject(invalid('UNKNOWN'));
  });

  test('an unknown one is no verdict while the server can not be asked', async () => {
    const server = await startServer();
    const clock = createMovedClock();
    const checker = checkerOf(server, {}, clock);
    await checker.ready(patience);
    await server.goDown();
    clock.advance(3_000);
    const token = tokenOf(newSession(), { key: secondKey });
    expect(await refusal(checker.check(token))).toMatchObject(unavailable);
    expect(await refusal(checker.check(token))).toMatchObject(unavailable);
    await server.comeBack();
  });
});

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

describe('close', () => {
  test('ends what waits, refuses what comes, and leaves the server alone', async () => {
    const server = await startServer();
    server.does.streams = 'refuse';
    server.does.introspect = 'hang';
    const checker = checkerOf(server);
    const token = tokenOf(newSession());
    const waiting = refusal(checker.check(token));
    const notReady = refusal(checker.ready(patience));
    await eventually(patience, () => expect(server.calls.introspections).toBe(1));
    await checker.close();
    expect(await waiting).toMatchObject(unavailable);
    expect(await notReady).toMatchObject(unavailable);
    expect(await refusal(checker.check(token))).toMatchObject(unavailable);
    const { streams, keys } = server.calls;
    await sleep(600);
    expect(server.calls).toMatchObject({ streams, keys });
    await checker.close();
  });

  test('comes with `await using`', async () => {
    const server = await startServer();
    const token = tokenOf(newSession());
    const used = async () => {
      await using checker = checkerOf(server);
      await checker.check(token);
      return checker;
    };
    expect(await refusal((await used()).check(token))).toMatchObject(unavailable);
  });
});
