// What one address may do at the edge: calls, costly ones, connections.

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { hasHaproxy, ways } from '../support/edge.ts';
import { eventually } from '../support/eventually.ts';
import { errorOf } from '../support/plain-calls.ts';
import { expectAsTheServer, expectPage, verification, verifyCode, watchDevice } from './answers.ts';
import { edgeOver, replicaThat } from './for-a-test.ts';
import { gate, openTls, proxyLine, rawRequest, send, sendAs, sendRaw } from './http.ts';

const hasIt = await hasHaproxy();

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
