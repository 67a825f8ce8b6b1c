// The session checker before a server that does what a test says: tokens, clocks, keys, and the end of a checker.

import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { refusal } from '../../support/refusal.ts';
import {
  audience,
  checkerOf,
  createMovedClock,
  firstKey,
  invalid,
  namedKey,
  newSession,
  patience,
  publicBytes,
  secondKey,
  signedBy,
  startServer,
  tokenOf,
  unavailable,
  withHeader,
} from './support.ts';

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
