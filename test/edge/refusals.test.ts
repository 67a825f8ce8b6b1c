// What the edge itself answers where there is no replica, before a body has come, and to a web page: as a client of any protocol reads it.

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createCors } from '../../server/rpc/cors.ts';
import { type Edge, hasHaproxy, ways } from '../support/edge.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { errorOf } from '../support/plain-calls.ts';
import { connectRaw, dataFrame, headersFrame } from '../support/raw-http2.ts';
import { expectAsTheServer, expectPage, verifyCode, watchDevice } from './answers.ts';
import { edgeOver, replicaThat } from './for-a-test.ts';
import { rawRequest, send, sendRaw } from './http.ts';

const hasIt = await hasHaproxy();

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
