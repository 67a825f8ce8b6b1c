// What becomes of a request at the edge: how large and slow it may be, what a replica learns of it, and what is noted of it.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCors } from '../../server/rpc/cors.ts';
import { type Edge, hasHaproxy, startEdge } from '../support/edge.ts';
import { eventually } from '../support/eventually.ts';
import { errorOf } from '../support/plain-calls.ts';
import { gate, openTls, rawRequest, send, sendRaw } from './http.ts';
import { type Replica, startReplica } from './stand-in.ts';

const hasIt = await hasHaproxy();

describe.skipIf(!hasIt)('bodies and headers', () => {
  let edge: Edge;
  let replica: Replica;
  beforeAll(async () => {
    replica = await startReplica();
    const parameters = { requestTimeout: '1s', bodyTimeout: '1s' };
    const env = {
      COUNTERSIGN_ALLOWED_ORIGINS: 'https://a.example.com,https://b.example.com:8443',
      COUNTERSIGN_MINIMUM_CLIENT_VERSION: '2.5,ios=2.6,android=3.0-beta.1+7',
    };
    edge = (await startEdge({ replicas: [replica.address], parameters, env })) as Edge;
  });
  afterAll(async () => {
    await edge?.stop();
    await replica?.stop();
  });
  const path = '/countersign.v1.TwoStepAuth/SignIn';

  test('a body that is larger than any message is refused before it is sent', async () => {
    const request = rawRequest(path).replace('content-length: 2', 'content-length: 65542');
    const answer = await sendRaw(edge, request);
    expect([answer.status, errorOf(answer.body)]).toMatchObject([
      400,
      { code: 'invalid_argument', reason: 'REQUEST_INVALID' },
    ]);
    const asGrpc = await send(
      edge,
      { ':path': path, 'content-type': 'application/grpc', 'content-length': 65542 },
      'x',
    ).catch(() => undefined);
    // Its stream may be reset before its answer is read.
    expect([undefined, '3']).toContain(asGrpc?.headers['grpc-status']);
    expect(replica.calls).toEqual([]);
    expect((await send(edge, { ':path': path }, 'x'.repeat(65_541))).status).toBe(200);
  });

  test('a body that does not come is not waited for, and reaches no replica', async () => {
    const before = replica.calls.length;
    const answer = await sendRaw(edge, rawRequest(path).slice(0, -1));
    expect([answer.status, errorOf(answer.body).reason]).toEqual([504, 'DEADLINE_EXCEEDED']);
    expect(replica.calls).toHaveLength(before);
  });

  test('headers that do not come, and silence, are not waited for', async () => {
    for (const said of [
      '',
      'POST / HTTP/1.1\r\nhost: a\r\nx-',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0',
    ]) {
      const socket = await openTls(edge);
      socket.write(said);
      socket.resume();
      await Promise.race([
        new Promise((resolve) => socket.once('close', resolve)),
        sleep(10_000).then(() => Promise.reject(new Error(`still open after ${JSON.stringify(said)}`))),
      ]);
    }
  });

  test('more headers than a call has are refused', async () => {
    const before = replica.calls.length;
    const many = Array.from({ length: 100 }, (_, number) => `x-${number}: 1`);
    expect((await sendRaw(edge, rawRequest(path, many))).status).toBe(400);
    expect((await sendRaw(edge, rawRequest(path, [`x-long: ${'a'.repeat(17_000)}`]))).status).toBe(400);
    await expect(send(edge, { ':path': path, 'x-long': 'a'.repeat(17_000) })).rejects.toThrow();
    expect(replica.calls).toHaveLength(before);
  });

  test('a page of an allowed origin reads the refusal, any other does not', async () => {
    const nowhere = { ':path': '/nowhere' };
    for (const origin of ['https://a.example.com', 'https://b.example.com:8443']) {
      const { headers } = await send(edge, { ...nowhere, origin });
      const wanted = createCors([origin]).answerHeaders(origin);
      for (const [name, value] of wanted) expect([name, headers[name]]).toEqual([name, value]);
    }
    for (const origin of ['https://c.example.com', 'https://a.example.com.evil.example', 'null', undefined]) {
      const { headers } = await send(edge, { ...nowhere, ...(origin && { origin }) });
      expect(headers['access-control-allow-origin']).toBeUndefined();
      expect(headers['vary']).toBe('Origin');
    }
  });

  test.each([
    ['ios', '2.6'],
    ['android', '3.0-beta.1+7'],
    ['web', '2.5'],
    ['toaster', '2.5'],
    ['', '2.5'],
  ])('names the minimum for %s', async (platform, minimum) => {
    const { headers } = await send(edge, { ':path': '/nowhere', 'countersign-client-platform': platform });
    expect(headers['countersign-minimum-version']).toBe(minimum);
  });

  test('a replica learns who calls from the edge alone', async () => {
    const forged = {
      'x-forwarded-for': '203.0.113.9',
      'X-Forwarded-For': '203.0.113.10',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
      'x-real-ip': '203.0.113.9',
      forwarded: 'for=203.0.113.9',
      via: '1.1 evil',
      'true-client-ip': '203.0.113.9',
      'countersign-account': 'someone',
      'countersign-client-version-': '1',
      'x-countersign-edge': 'yes',
      x_forwarded_for: '203.0.113.9',
    };
    const kept = { ...gate, authorization: 'Bearer token', 'accept-language': 'de', 'x-request-id': 'mine-1' };
    const before = replica.calls.length;
    const { 'X-Forwarded-For': _, ...once } = forged;
    const overHttp2 = await send(edge, { ':path': path, ...once, ...kept });
    const lines = Object.entries({
      ...forged,
      ...kept,
      ...Object.fromEntries(Object.keys(gate).map((name) => [name, ''])),
    })
      .filter(([, value]) => value !== '')
      .map(([name, value]) => `${name}: ${value}`);
    const request = rawRequest(path, lines).replace(
      'connection: close',
      'connection: close, x-forwarded-for, authorization',
    );
    await sendRaw(edge, request);
    await sendRaw(edge, rawRequest(path, ['x-request-id: "}{']));
    expect(overHttp2.headers['x-countersign-edge']).toBeUndefined();
    const [second, first, third] = [replica.calls[before + 1], replica.calls[before], replica.calls[before + 2]];
    for (const headers of [first, second]) {
      expect(headers).toMatchObject({ ...kept, 'x-forwarded-for': '127.0.0.1' });
      for (const name of Object.keys(once)) if (name !== 'x-forwarded-for') expect(headers).not.toHaveProperty(name);
    }
    expect(third?.['x-request-id']).toMatch(/^[\w-]{36}$/);
  });

  test('the log has a line a call, without secrets', async () => {
    const token = 's3cret-word';
    await send(edge, { ':path': `${path}?token=${token}`, authorization: `Bearer ${token}` });
    await send(edge, { ':path': `/${token}`, 'x-request-id': 'the-one-in-the-log' });
    await send(edge, { ':path': '/deny?token=s3cret-word', ':method': 'GET', referer: token, 'user-agent': token }, '');
    const lines = await eventually(10_000, () => {
      const calls = edge
        .log()
        .split('\n')
        .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));
      expect(calls.at(-1)).toMatchObject({ asks: '/deny' });
      return calls;
    });
    expect(lines.at(-2)).toMatchObject({
      asks: 'unknown',
      status: 404,
      from: '127.0.0.1',
      requestId: 'the-one-in-the-log',
    });
    expect(lines.at(-3)).toMatchObject({
      asks: path,
      status: 200,
      replica: `connect/${replica.address}`,
      http: 'HTTP/2.0',
    });
    expect(Math.abs(Date.parse(lines.at(-1).time) - Date.now())).toBeLessThan(3_600_000);
    expect(edge.log()).not.toContain(token);
  });

  test('cleartext and TLS before 1.2 are not spoken', async () => {
    await expect(fetch(`http://127.0.0.1:${edge.port}/`)).rejects.toThrow();
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const;
    await expect(openTls(edge, old)).rejects.toThrow(/alert/);
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await openTls(edge, {
        minVersion: version,
        maxVersion: version,
        ALPNProtocols: ['h2', 'http/1.1'],
      });
      expect([socket.getProtocol(), socket.alpnProtocol]).toEqual([version, 'h2']);
      socket.destroy();
    }
  });
});
