// Calls in numbers and traces: each counted once by how it ended, whoever refused it, and what /metrics answers.

import { setTimeout as sleep } from 'node:timers/promises';
import { Code, createClient, type Interceptor } from '@connectrpc/connect';
import { afterEach, describe, expect, test } from 'vitest';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { DomainError } from '../../server/domain/errors.ts';
import type { Telemetry } from '../../server/platform/telemetry.ts';
import { toConnectError } from '../../server/rpc/errors.ts';
import { measureCalls, measureEarlyRefusals, metrics } from '../../server/rpc/metrics.ts';
import { attributesOf, type OtlpSpan, parse, scrape, startCollector, startTelemetry } from '../support/telemetry.ts';
import { serve, transportOf } from './serve.ts';

const refused = () => new DomainError({ reason: 'RATE_LIMITED', retryAfterMs: 1_000 });

describe('calls', () => {
  let stopped = new AbortController();
  afterEach(() => {
    stopped = new AbortController();
  });

  /** Health behind the interceptor, with what it does by the service's name that it is asked for. */
  async function serveMeasured(telemetry: Telemetry, from: 'public' | 'internal') {
    const early = measureEarlyRefusals(telemetry, [Health]);
    const typeErrors: Interceptor = (next) => (req) =>
      next(req).catch((thrown) => {
        throw toConnectError(thrown);
      });
    return serve({
      interceptors: [measureCalls(telemetry, from), typeErrors],
      http: new Map([['/metrics', metrics(telemetry)]]),
      shutdownSignal: stopped.signal,
      toConnectError: (thrown, { path }) => {
        const error = toConnectError(thrown);
        if (error !== thrown) early.unread(path, error);
        return error;
      },
      health: {
        check: ({ service }) => {
          if (service === 'refused') throw refused();
          return { status: Status.SERVING };
        },
        async *watch({ service }, { signal }) {
          yield { status: Status.SERVING };
          if (service === 'refused') throw refused();
          if (service === 'open') await new Promise((resolve) => signal.addEventListener('abort', resolve));
        },
      },
    });
  }

  const counts = async (telemetry: Telemetry) =>
    Object.fromEntries(
      (await scrape(telemetry))
        .all('countersign_rpc_duration_seconds_count')
        .map(({ labels, value }) => [`${labels['rpc']} ${labels['status']}`, value]),
    );

  test('are counted by RPC and status, refusals before the interceptors too, and paths of strangers as one', async () => {
    const telemetry = await startTelemetry();
    const { url } = await serveMeasured(telemetry, 'public');
    const client = createClient(Health, transportOf('Connect over HTTP/1.1', url));
    await client.check({});
    await client.check({});
    await expect(client.check({ service: 'refused' })).rejects.toThrow();
    const post = (path: string, body: string) =>
      fetch(`${url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    await post('/grpc.health.v1.Health/Check', '{');
    await post('/grpc.health.v1.Health/Chick', '{}');
    await post('/secret-1234', '{}');
    const all = await counts(telemetry);
    expect(all).toEqual({
      'grpc.health.v1.Health/Check ok': 2,
      'grpc.health.v1.Health/Check resource_exhausted': 1,
      'grpc.health.v1.Health/Check invalid_argument': 1,
      'unknown unimplemented': 2,
    });
  });

  test('that stream are counted when they have ended, by how', async () => {
    const telemetry = await startTelemetry();
    const { url } = await serveMeasured(telemetry, 'public');
    const client = createClient(Health, transportOf('gRPC over HTTP/2', url));
    const read = async (service: string, options = {}) => {
      for await (const _ of client.watch({ service }, options)) if (service === 'left') return;
    };
    await read('');
    await expect(read('refused')).rejects.toThrow();
    // Only the server knows of this deadline: a client that does would hang up first now and then.
    await expect(read('open', { headers: { 'grpc-timeout': '100m' } })).rejects.toThrow();
    const left = new AbortController();
    const leaving = read('open', { signal: left.signal });
    await sleep(100);
    expect((await counts(telemetry))['grpc.health.v1.Health/Watch canceled']).toBeUndefined();
    left.abort();
    await expect(leaving).rejects.toThrow();
    await expect
      .poll(() => counts(telemetry))
      .toEqual({
        'grpc.health.v1.Health/Watch ok': 1,
        'grpc.health.v1.Health/Watch resource_exhausted': 1,
        'grpc.health.v1.Health/Watch deadline_exceeded': 1,
        'grpc.health.v1.Health/Watch canceled': 1,
      });

    // It is told to come again elsewhere; nothing went wrong here, so no alarm counts it.
    const stopping = expect(read('open')).rejects.toMatchObject({ code: Code.Unavailable });
    await sleep(100);
    stopped.abort();
    await stopping;
    expect((await counts(telemetry))['grpc.health.v1.Health/Watch ok']).toBe(2);
  });

  test('are read at /metrics, by GET and HEAD only', async () => {
    const telemetry = await startTelemetry();
    const { url } = await serveMeasured(telemetry, 'internal');
    const got = await fetch(`${url}/metrics`);
    expect([got.status, got.headers.get('cache-control')]).toEqual([200, 'no-store']);
    parse(await got.text());
    const head = await fetch(`${url}/metrics`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect(head.headers.get('content-type')).toBe(got.headers.get('content-type'));
    const posted = await fetch(`${url}/metrics`, { method: 'POST', body: 'x' });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  test('from inside continue their trace; from outside they begin their own and name the other', async () => {
    const collector = await startCollector();
    const telemetry = await startTelemetry({ otlpUrl: collector.url });
    const [trace, parent] = ['c'.repeat(32), 'd'.repeat(16)];
    const headers = { traceparent: `00-${trace}-${parent}-01` };
    const seen = async (from: 'public' | 'internal', service: string) => {
      const { url } = await serveMeasured(telemetry, from);
      const before = collector.spans.length;
      const client = createClient(Health, transportOf('gRPC over HTTP/2', url));
      await client.check({ service }, { headers }).catch(() => {});
      await expect.poll(() => collector.spans.length, { timeout: 10_000 }).toBe(before + 1);
      return collector.spans[before] as OtlpSpan;
    };
    const internal = await seen('internal', '');
    expect(internal).toMatchObject({
      traceId: trace,
      parentSpanId: parent,
      kind: 2,
      name: 'grpc.health.v1.Health/Check',
    });
    expect(attributesOf(internal)).toEqual({
      'rpc.system': 'connect_rpc',
      'rpc.service': 'grpc.health.v1.Health',
      'rpc.method': 'Check',
    });
    const external = await seen('public', 'refused');
    expect(external.traceId).not.toBe(trace);
    expect(external.parentSpanId).toBeFalsy();
    expect(external.links).toMatchObject([{ traceId: trace, spanId: parent }]);
    expect(attributesOf(external)).toMatchObject({ 'rpc.status': 'resource_exhausted' });
    // A refusal is an answer.
    expect(external.status.code ?? 0).toBe(0);
  });
});
