// What the edge itself answers: as a client of any protocol reads it.

import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { CountersignError } from '../../clients/errors.ts';
import { createCors } from '../../server/rpc/cors.ts';
import { renderDenyPage } from '../../server/rpc/deny-page.ts';
import { refusalToConnectError } from '../../server/rpc/errors.ts';
import { pageHeader } from '../../server/rpc/link-page.ts';
import { renderResetPage } from '../../server/rpc/reset-page.ts';
import { type Edge, type EdgeOptions, hasHaproxy, startEdge, ways } from '../support/edge.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { errorOf } from '../support/plain-calls.ts';
import { connectRaw, dataFrame, headersFrame } from '../support/raw-http2.ts';
import { refusal } from '../support/refusal.ts';
import { type Answer, gate, openTls, proxyLine, rawRequest, send, sendAs, sendRaw } from './http.ts';
import { type Replica, startReplica } from './stand-in.ts';

const hasIt = await hasHaproxy();

async function edgeOver(options: EdgeOptions): Promise<Edge> {
  const edge = await startEdge(options);
  if (edge === undefined) throw new Error('no HAProxy');
  onTestFinished(() => edge.stop());
  return edge;
}

async function replicaThat(...how: Parameters<typeof startReplica>): Promise<Replica> {
  const replica = await startReplica(...how);
  onTestFinished(() => replica.stop());
  return replica;
}

type Way = (typeof ways)[number] & { readonly localAddress?: string };
const verification = { challengeToken: 'no-such-challenge', code: '123456' };
const verifyCode = (edge: Edge, way: Way) => refusal(edge.appClient(way).twoStepAuth.verifyCode(verification));
const watchDevice = (edge: Edge, way: Way) =>
  refusal(
    (async () => {
      for await (const _ of edge.appClient(way).trustedDevices.watchDevice({}));
    })(),
  );

/** What the server would say for the same reason. */
function expectAsTheServer(
  error: CountersignError,
  reason: 'RATE_LIMITED' | 'DEPENDENCY_UNAVAILABLE',
  retryAfterMs: number,
) {
  const ours = new CountersignError(refusalToConnectError({ reason, retryAfterMs }, 'en'));
  const told = ({ reason, code, rawMessage, retryAfter, localizedMessage }: CountersignError) => [
    reason,
    Code[code],
    rawMessage,
    retryAfter,
    localizedMessage,
  ];
  expect(told(error)).toEqual(told(ours));
  expect(error.requestId).toMatch(/^[\w-]{36}$/);
  expect(error.metadata.get('countersign-minimum-version')).toBe('2.3');
}

describe.skipIf(!hasIt)('limits of calls by address', () => {
  test('a stranger calls so often; the rest of a minute is refused, as gRPC, gRPC-Web and Connect read it', async () => {
    const replica = await replicaThat();
    const edge = await edgeOver({
      replicas: [replica.address],
      env: { COUNTERSIGN_STRANGERS_CALLS_PER_ADDRESS: '4', COUNTERSIGN_CALLS_PER_ADDRESS: '7' },
    });
    const from = '127.0.0.2';
    const asStranger = { ':path': '/countersign.v1.TwoStepAuth/VerifyCode', ...gate };
    for (let calls = 0; calls < 4; calls++) {
      await edge.appClient({ json: true, localAddress: from }).twoStepAuth.verifyCode(verification);
    }
    for (const way of ways)
      expectAsTheServer(await verifyCode(edge, { ...way, localAddress: from }), 'RATE_LIMITED', 10_000);
    expect(replica.calls).toHaveLength(4);

    // Who has a session goes on, also to refresh it, to a limit of its own; what was refused does not count.
    const other = edge.appClient({ json: true, localAddress: from }).twoStepAuth;
    await other.getSettings({});
    await other.refreshSession({ refreshToken: 'none' });
    await other.getChallenge(verification);
    for (const way of ways) {
      expectAsTheServer(await watchDevice(edge, { ...way, localAddress: from }), 'RATE_LIMITED', 10_000);
    }
    expect(replica.calls).toHaveLength(7);

    // Another address is another one; and so it stays when the edge is loaded anew.
    expect((await send(edge, asStranger)).status).toBe(200);
    // A process tells the next one what it has counted once it has been up for five seconds.
    await sleep(6_000);
    await edge.reload();
    await eventually(10_000, async () => {
      const metrics = await (await fetch(edge.metricsUrl)).text();
      expect(metrics).toMatch(/haproxy_sticktable_used\{name="calls_of_addresses",[^}]*\} 2/);
    });
    expectAsTheServer(
      await watchDevice(edge, { protocol: 'grpc', json: false, localAddress: from }),
      'RATE_LIMITED',
      10_000,
    );
    expect((await send(edge, asStranger)).status).toBe(200);
  });

  test('in plain HTTP it is a 429 of JSON, whatever the call is in', async () => {
    const replica = await replicaThat();
    const edge = await edgeOver({ replicas: [replica.address], env: { COUNTERSIGN_CALLS_PER_ADDRESS: '1' } });
    const call = { ':path': '/countersign.v1.TwoStepAuth/GetSettings' };
    expect((await send(edge, call)).status).toBe(200);
    for (const type of ['application/json', 'application/proto', 'application/json; charset=utf-8', 'text/html']) {
      const { status, headers, body } = await send(edge, { ...call, 'content-type': type });
      expect([status, headers['content-type'], errorOf(body).reason]).toEqual([
        429,
        'application/json',
        'RATE_LIMITED',
      ]);
    }
    expect((await sendRaw(edge, rawRequest(call[':path']))).status).toBe(429);
    // A page is a call, too.
    expectPage(await send(edge, { ':path': '/deny', ':method': 'GET' }, ''), 429);
  });

  test('what is refused anyway takes nothing of what is costly', async () => {
    const replica = await replicaThat();
    const env = { COUNTERSIGN_STRANGERS_CALLS_PER_ADDRESS: '2' };
    const edge = await edgeOver({ replicas: [replica.address], env });
    const call = { ':path': '/countersign.v1.TwoStepAuth/SignIn' };
    for (const method of ['GET', 'OPTIONS', 'PUT']) {
      expect((await send(edge, { ...call, ':method': method }, '')).status).toBe(404);
    }
    const statuses = [];
    for (let calls = 0; calls < 3; calls++) statuses.push((await send(edge, call)).status);
    expect(statuses).toEqual([200, 200, 429]);
  });

  test('an IPv6 /48 has four times what an address has, however many it has; an IPv4 address has its own', async () => {
    const replica = await replicaThat();
    const env = {
      COUNTERSIGN_EDGE_PROXY_PROTOCOL: 'loopback',
      COUNTERSIGN_CALLS_PER_ADDRESS: '4',
      COUNTERSIGN_STRANGERS_CALLS_PER_ADDRESS: '1',
    };
    const edge = await edgeOver({ replicas: [replica.address], env });
    const call = async (method: string, ipAddress: string) => {
      const request = rawRequest(`/countersign.v1.TwoStepAuth/${method}`);
      return (await sendAs(edge, proxyLine(ipAddress), request)).slice(9, 12);
    };
    for (const [method, limit] of [
      ['SignIn', 4],
      ['GetSettings', 12],
    ] as const) {
      const statuses: string[] = [];
      for (let subnet = 0; subnet <= limit; subnet++) statuses.push(await call(method, `2001:db8:1:${subnet}::1`));
      expect(statuses).toEqual([...Array.from({ length: limit }, () => '200'), '429']);
      expect(await call(method, '2001:db8:2::1')).toBe('200');
      for (let host = 0; host <= limit; host++) {
        expect(await call(method, `198.51.100.${host}`)).toBe('200');
        // As a balancer on an IPv6 socket has them.
        expect(await call(method, `::ffff:203.0.113.${host}`)).toBe('200');
      }
    }
    expect(await call('SignIn', '::ffff:198.51.100.0')).toBe('429');
  });

  test('so many connections of an address are open, and no more', async () => {
    const replica = await replicaThat();
    const env = { COUNTERSIGN_EDGE_CONNECTIONS_PER_ADDRESS: '3' };
    const edge = await edgeOver({ replicas: [replica.address], env });
    const open = [await openTls(edge), await openTls(edge), await openTls(edge)];
    await expect(openTls(edge)).rejects.toThrow();
    const elsewhere = edge.appClient({ json: true, localAddress: '127.0.0.9' });
    await elsewhere.twoStepAuth.getSettings({});
    for (const socket of open) socket.destroy();
  });

  test('an IPv6 /48 opens four times as many, and no more', async () => {
    const replica = await replicaThat();
    const env = { COUNTERSIGN_EDGE_PROXY_PROTOCOL: 'loopback', COUNTERSIGN_EDGE_CONNECTIONS_PER_ADDRESS: '2' };
    const edge = await edgeOver({ replicas: [replica.address], env });
    const call = (ipAddress: string) =>
      sendAs(edge, proxyLine(ipAddress), rawRequest('/countersign.v1.TwoStepAuth/GetSettings'));
    for (let subnet = 0; subnet < 8; subnet++) expect(await call(`2001:db8:1:${subnet}::1`)).toContain('200');
    expect(await call('2001:db8:1:8::1')).toBe('');
    for (const other of ['2001:db8:2::1', '198.51.100.1', '198.51.100.2']) expect(await call(other)).toContain('200');
    // Behind a balancer, they are counted as sessions.
    const metrics = await (await fetch(edge.metricsUrl)).text();
    expect(metrics).toMatch(/haproxy_frontend_denied_sessions_total\{proxy="public"\} 1\n/);
  });
});

/** What a person reads who has come by a link. */
function expectPage({ status, headers, body }: Answer, wanted: number): void {
  const brand = { name: 'Countersign', color: '#1a56db', logoCid: undefined, support: undefined };
  const options = { locale: 'en', brand };
  expect([status, body]).toEqual([wanted, renderDenyPage({ kind: 'unavailable' }, options)]);
  // The one page serves both.
  expect(body).toBe(renderResetPage({ kind: 'unavailable' }, options));
  expect(headers).toMatchObject(pageHeader);
}

describe.skipIf(!hasIt)('a page of an allowed origin', () => {
  const origin = 'https://a.example.com';
  const path = { ':path': '/countersign.v1.TwoStepAuth/GetSettings', origin };
  /** The call as a browser makes it: only after an answer that allows it. */
  const callOfPage = async (edge: Edge) => {
    const asks = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' };
    const preflight = await send(edge, { ...path, ':method': 'OPTIONS', ...asks }, '');
    expect(preflight.status).toBe(204);
    expect(preflight.headers).toMatchObject(Object.fromEntries(createCors([origin]).preflightHeaders(origin) ?? []));
    const { headers, body } = await send(edge, path);
    return [headers['access-control-allow-origin'], errorOf(body).reason];
  };

  test('reads that its calls are limited, after its own preflight, which does not count', async () => {
    const replica = await replicaThat();
    const env = { COUNTERSIGN_ALLOWED_ORIGINS: `https://b.example.com,${origin}`, COUNTERSIGN_CALLS_PER_ADDRESS: '1' };
    const edge = await edgeOver({ replicas: [replica.address], env });
    const preflight = { ...path, ':method': 'OPTIONS' };
    for (let asked = 0; asked < 3; asked++) expect((await send(edge, preflight, '')).status).toBe(204);
    const elsewhere = await send(edge, { ...preflight, origin: 'https://c.example.com' }, '');
    expect([elsewhere.status, elsewhere.headers['access-control-allow-origin']]).toEqual([404, undefined]);
    await edge.appClient({ json: true, localAddress: '127.0.0.2' }).twoStepAuth.getSettings({});
    await callOfPage(edge);
    expect(await callOfPage(edge)).toEqual([origin, 'RATE_LIMITED']);
    expect(replica.calls.map((headers) => headers[':method'])).toEqual(['POST']);
  });

  test('reads that no replica is there', async () => {
    const env = { COUNTERSIGN_ALLOWED_ORIGINS: origin };
    const edge = await edgeOver({ replicas: [`127.0.0.1:${await freePort()}`], env });
    expect(await callOfPage(edge)).toEqual([origin, 'DEPENDENCY_UNAVAILABLE']);
  });
});

describe.skipIf(!hasIt)('over HTTP/2, a call that is refused before its body has come', () => {
  /** The frames of an answer to a call whose message comes later than its headers. */
  const framesOf = async (edge: Edge, path: string) => {
    const raw = connectRaw({ port: edge.port, tls: true });
    onTestFinished(() => raw.close());
    const message = Buffer.alloc(5);
    await raw.send(headersFrame(1, path));
    await sleep(300);
    await raw.send(dataFrame(1, message, true));
    // What makes room for the message may come, too.
    const typesOf = (id: number) =>
      raw.frames().flatMap(({ stream, type = 'window' }) => (stream === id && type !== 'window' ? [type] : []));
    await eventually(10_000, () => expect(typesOf(1)).not.toEqual([]));
    // Whatever else came of it has come before the answer to another.
    await raw.send(headersFrame(3, '/nowhere'), dataFrame(3, message, true));
    await eventually(10_000, () => expect(typesOf(3)).not.toEqual([]));
    return typesOf(1);
  };

  test('is told so, and not reset', async () => {
    const replica = await replicaThat();
    const env = { COUNTERSIGN_CALLS_PER_ADDRESS: '1', COUNTERSIGN_STRANGERS_CALLS_PER_ADDRESS: '1' };
    const edge = await edgeOver({ replicas: [replica.address], env });
    expect(await framesOf(edge, '/nowhere')).toEqual(['headers']);
    expect(await framesOf(edge, '/countersign.v1.TwoStepAuth/SignIn')).toEqual(['headers']);
    expect(replica.calls).toEqual([]);
  });

  test('is told so where no replica is there, a stream too', async () => {
    const edge = await edgeOver({ replicas: [`127.0.0.1:${await freePort()}`] });
    await eventually(10_000, async () => {
      const metrics = await (await fetch(edge.metricsUrl)).text();
      expect(metrics).toMatch(/haproxy_backend_active_servers\{proxy="replicas"\} 0/);
    });
    expect(await framesOf(edge, '/countersign.v1.TwoStepAuth/SignIn')).toEqual(['headers']);
    expect(await framesOf(edge, '/countersign.v1.TrustedDevices/WatchDevice')).toEqual(['headers']);
  });
});

describe.skipIf(!hasIt)('without a replica', () => {
  test('every protocol is told that it is away, and when to come again', async () => {
    const edge = await edgeOver({ replicas: [`127.0.0.1:${await freePort()}`] });
    const look = async () => {
      for (const way of ways) {
        expectAsTheServer(await verifyCode(edge, way), 'DEPENDENCY_UNAVAILABLE', 1_000);
        expectAsTheServer(await watchDevice(edge, way), 'DEPENDENCY_UNAVAILABLE', 1_000);
      }
    };
    // Until it is known to be away, it is tried; after that, it is not.
    await look();
    await eventually(10_000, async () => {
      const metrics = await (await fetch(edge.metricsUrl)).text();
      expect(metrics).toMatch(/haproxy_backend_active_servers\{proxy="replicas"\} 0/);
    });
    await look();
    const page = await send(edge, { ':path': '/deny', ':method': 'GET' }, '');
    expectPage(page, 503);
    expect((await send(edge, { ':path': '/reset?token=a' }, 'token=a')).status).toBe(503);
  });

  test('a call whose replica dies is not made again elsewhere, and HTTP/1.1 is told so', async () => {
    const dying = () => replicaThat((stream) => stream.session?.destroy());
    const replicas = [await dying(), await dying()];
    const edge = await edgeOver({ replicas: replicas.map(({ address }) => address) });
    // Over HTTP/2 HAProxy resets the stream as refused, which says that it may be tried again: a client must not do so by itself.
    for (const way of ways) await verifyCode(edge, way);
    const { status, body } = await sendRaw(edge, rawRequest('/countersign.v1.TwoStepAuth/VerifyCode'));
    expect([status, errorOf(body).reason]).toEqual([503, 'DEPENDENCY_UNAVAILABLE']);
    expect(replicas.flatMap(({ calls }) => calls)).toHaveLength(ways.length + 1);
  });

  test('one that takes no connections is passed over', async () => {
    const replica = await replicaThat();
    const edge = await edgeOver({ replicas: [`127.0.0.1:${await freePort()}`, replica.address] });
    for (let calls = 0; calls < 10; calls++) await edge.appClient({ json: true }).twoStepAuth.getSettings({});
    expect(replica.calls).toHaveLength(10);
  });

  test('one that says that it does not serve gets no more calls, and again when it does', async () => {
    const [one, two] = [await replicaThat(), await replicaThat()];
    const edge = await edgeOver({ replicas: [one.address, two.address] });
    one.serving = false;
    const up = async (count: number) =>
      eventually(10_000, async () => {
        const metrics = await (await fetch(edge.metricsUrl)).text();
        expect(metrics).toContain(`haproxy_backend_active_servers{proxy="replicas"} ${count}`);
      });
    await up(1);
    for (let calls = 0; calls < 10; calls++) await edge.appClient({ json: true }).twoStepAuth.getSettings({});
    expect([one.calls.length, two.calls.length]).toEqual([0, 10]);
    one.serving = true;
    await up(2);
    await eventually(10_000, async () => {
      await edge.appClient({ json: true }).twoStepAuth.getSettings({});
      expect(one.calls.length).toBeGreaterThan(0);
    });
  });
});

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
    if (asGrpc !== undefined) expect(asGrpc.headers['grpc-status']).toBe('3');
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
