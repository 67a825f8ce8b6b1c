// What Prometheus reads and what a collector gets, as they get it: the text is parsed, the spans come over HTTP.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, type Interceptor } from '@connectrpc/connect';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { DomainError } from '../../server/domain/errors.ts';
import { createLog } from '../../server/platform/log.ts';
import { createTelemetry, type Telemetry, type TelemetrySettings } from '../../server/platform/telemetry.ts';
import { toConnectError } from '../../server/rpc/errors.ts';
import { measureCalls, measureEarlyRefusals, metrics } from '../../server/rpc/metrics.ts';
import { serve, transportOf } from '../rpc/serve.ts';

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Prometheus' text format, 0.0.4. Throws at whatever is not of it. */
function parse(text: string): { readonly samples: Sample[]; readonly types: ReadonlyMap<string, string> } {
  const types = new Map<string, string>();
  const helps = new Set<string>();
  const samples: Sample[] = [];
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, kind, about = '', words = ''] = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      if (helps.has(about)) throw new Error(`two HELP of ${about}`);
      helps.add(about);
    } else if (kind === 'TYPE') {
      if (!/^(counter|gauge|histogram)$/.test(words) || types.has(about)) throw new Error(line);
      types.set(about, words);
    } else {
      samples.push(parseSample(line, types));
    }
  }
  expect([...helps].sort()).toEqual([...types.keys()].sort());
  return { samples, types };
}

function parseSample(line: string, types: ReadonlyMap<string, string>): Sample {
  const [, name = '', braces = '', value = ''] =
    /^([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\]|\\[\\n"])*",?)*)\})? (\S+)$/.exec(line) ?? [];
  const family = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
  if (!types.has(family)) throw new Error(`no TYPE before: ${line}`);
  const labels = [...braces.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\[\\n"])*)"/g)].map(([, label = '', text = '']) => [
    label,
    text.replace(/\\([\\n"])/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped)),
  ]);
  const number = value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value);
  if (Number.isNaN(number)) throw new Error(`no number: ${line}`);
  return { name, labels: Object.fromEntries(labels), value: number };
}

async function start(settings: Partial<TelemetrySettings> = {}): Promise<Telemetry> {
  const telemetry = await createTelemetry({
    otlpUrl: undefined,
    serviceName: 'countersign',
    log: createLog('silent'),
    ...settings,
  });
  onTestFinished(() => telemetry.close());
  return telemetry;
}

async function scrape(telemetry: Telemetry) {
  const { contentType, body } = await telemetry.prometheus();
  expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/);
  const { samples, types } = parse(body);
  const all = (name: string, labels: Record<string, string> = {}) =>
    samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
    );
  return { all, types, value: (name: string, labels?: Record<string, string>) => all(name, labels)[0]?.value };
}

describe('metrics', () => {
  test('are well-formed text, in which counters add up over scrapes', async () => {
    const telemetry = await start();
    const first = await scrape(telemetry);
    expect(first.value('countersign_delivery_total', { channel: 'fcm', outcome: 'gave_up' })).toBe(0);

    telemetry.delivery.count('email', 'accepted');
    telemetry.delivery.count('email', 'accepted');
    telemetry.delivery.count('apns', 'unregistered');
    telemetry.delivery.handedOver('email', 0.02);
    telemetry.delivery.handedOver('email', 1_000);
    await scrape(telemetry);
    telemetry.delivery.count('email', 'accepted');

    const { value, all, types } = await scrape(telemetry);
    expect(types.get('countersign_delivery_total')).toBe('counter');
    expect(value('countersign_delivery_total', { channel: 'email', outcome: 'accepted' })).toBe(3);
    expect(value('countersign_delivery_total', { channel: 'apns', outcome: 'unregistered' })).toBe(1);
    expect(types.get('countersign_delivery_handover_seconds')).toBe('histogram');
    expect(value('countersign_delivery_handover_seconds_count', { channel: 'email' })).toBe(2);
    expect(value('countersign_delivery_handover_seconds_sum', { channel: 'email' })).toBeCloseTo(1_000.02);
    const buckets = all('countersign_delivery_handover_seconds_bucket', { channel: 'email' });
    expect(buckets.map(({ value }) => value)).toEqual(buckets.map(({ value }) => value).sort((a, b) => a - b));
    expect(buckets.find(({ labels }) => labels['le'] === '0.01')?.value).toBe(0);
    expect(buckets.find(({ labels }) => labels['le'] === '0.025')?.value).toBe(1);
    expect(buckets.at(-1)).toMatchObject({ labels: { le: '+Inf' }, value: 2 });
  });

  test('escape what a label holds', async () => {
    const telemetry = await start();
    const task = 'a "quoted" \\ task\nof two lines';
    telemetry.observeJobs(async () => [{ task, waiting: 1, oldestSeconds: 0.5, dead: 0 }]);
    expect((await scrape(telemetry)).value('countersign_jobs_waiting', { task })).toBe(1);
  });

  test('tell of the process and of open streams', async () => {
    const telemetry = await start();
    let open = 3;
    telemetry.observeOpenStreams(() => open);
    await sleep(100);
    const { value, types } = await scrape(telemetry);
    expect(value('countersign_open_streams')).toBe(3);
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(10e6);
    expect(types.get('process_cpu_seconds_total')).toBe('counter');
    expect(value('process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(value('process_start_time_seconds')).toBeLessThanOrEqual(Date.now() / 1_000);
    expect(value('nodejs_eventloop_delay_p99_seconds')).toBeGreaterThanOrEqual(0);

    open = 0;
    await sleep(100);
    const until = performance.now() + 300;
    while (performance.now() < until);
    await sleep(50);
    const busy = await scrape(telemetry);
    expect(busy.value('countersign_open_streams')).toBe(0);
    expect(busy.value('nodejs_eventloop_delay_p99_seconds')).toBeGreaterThan(0.2);
  });

  test('of scrapes at once are whole in each', async () => {
    const telemetry = await start();
    telemetry.observeJobs(async () => [{ task: 'deliver', waiting: 1, oldestSeconds: 1, dead: 0 }]);
    const scrapes = await Promise.all([scrape(telemetry), scrape(telemetry), scrape(telemetry)]);
    expect(scrapes.map((seen) => seen.value('countersign_jobs_waiting'))).toEqual([1, 1, 1]);
  });

  test('leave the jobs out while they cannot be read, and serve the rest in time', async () => {
    const telemetry = await start();
    const jobs = [{ task: 'deliver', waiting: 7, oldestSeconds: 2.5, dead: 1 }];
    let reads = 0;
    let read = async () => jobs;
    telemetry.observeJobs(() => {
      reads += 1;
      return read();
    });
    telemetry.rpc('a.B/C', 'ok', 0.004);
    const seen = async () => {
      const { all, value } = await scrape(telemetry);
      expect(value('countersign_rpc_duration_seconds_count', { rpc: 'a.B/C', status: 'ok' })).toBe(1);
      const gauges = ['countersign_jobs_waiting', 'countersign_jobs_oldest_age_seconds', 'countersign_jobs_dead'];
      return gauges.flatMap((name) => all(name, { task: 'deliver' }).map(({ value }) => value));
    };
    expect(await seen()).toEqual([7, 2.5, 1]);

    read = async () => {
      throw new Error('PostgreSQL is away');
    };
    expect(await seen()).toEqual([]);

    const { promise, resolve } = Promise.withResolvers<typeof jobs>();
    read = () => promise;
    reads = 0;
    for (let scrapes = 0; scrapes < 2; scrapes++) {
      const begin = performance.now();
      expect(await seen()).toEqual([]);
      expect(performance.now() - begin).toBeLessThan(2_500);
    }
    expect(reads).toBe(1);

    resolve(jobs);
    await promise;
    read = async () => [{ task: 'deliver', waiting: 0, oldestSeconds: 0, dead: undefined as unknown as number }];
    await sleep(0);
    expect(await seen()).toEqual([0, 0]);
  });
});

/** As a collector's OTLP/HTTP receiver keeps it. */
interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly code?: number; readonly message?: string };
}

interface Collector {
  readonly url: string;
  readonly spans: readonly OtlpSpan[];
  readonly bodies: readonly string[];
  /** The only one of that name. */
  named(name: string): OtlpSpan;
}

/** @param takes whether it answers what it is sent. */
async function startCollector(takes = true): Promise<Collector> {
  const spans: OtlpSpan[] = [];
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    if (!takes) return;
    expect([request.method, request.url, request.headers['content-type']]).toEqual([
      'POST',
      '/v1/traces',
      'application/json',
    ]);
    let body = '';
    for await (const piece of request.setEncoding('utf8')) body += piece;
    bodies.push(body);
    for (const { scopeSpans } of JSON.parse(body).resourceSpans)
      for (const scope of scopeSpans) spans.push(...scope.spans);
    response.setHeader('content-type', 'application/json').end('{"partialSuccess":{}}');
  });
  const port = await listening(server);
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    bodies,
    named: (name) => {
      const found = spans.filter((span) => span.name === name);
      if (found.length !== 1) throw new Error(`${found.length} spans named ${name}`);
      return found[0] as OtlpSpan;
    },
  };
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

const attributesOf = (span: OtlpSpan) =>
  Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

describe('traces', () => {
  test('reach a collector: one within another, and a job within the call that decided it', async () => {
    const collector = await startCollector();
    const telemetry = await start({ otlpUrl: `${collector.url}/` });
    expect(telemetry.traceparent()).toBeUndefined();
    const fromJob = await telemetry.span('outer', { 'countersign.channel': 'email' }, async () => {
      await sleep(1);
      return telemetry.span('inner', {}, async (span) => {
        span.set('countersign.outcome', 'accepted');
        return telemetry.traceparent();
      });
    });
    expect(fromJob).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/);
    await telemetry.span('job', {}, async () => {}, { kind: 'consumer', parent: fromJob });
    await telemetry.close();
    const [outer, inner, job] = [collector.named('outer'), collector.named('inner'), collector.named('job')];
    expect(outer.parentSpanId).toBeFalsy();
    expect(inner).toMatchObject({ traceId: outer.traceId, parentSpanId: outer.spanId });
    expect(job).toMatchObject({ traceId: outer.traceId, parentSpanId: inner.spanId, kind: 5 });
    expect(attributesOf(outer)).toEqual({ 'countersign.channel': 'email' });
    expect(attributesOf(inner)).toEqual({ 'countersign.outcome': 'accepted' });
    expect(collector.bodies[0]).toContain('{"key":"service.name","value":{"stringValue":"countersign"}}');
  });

  test('of what failed name the kind of failure, not its words', async () => {
    const collector = await startCollector();
    const telemetry = await start({ otlpUrl: collector.url });
    const failing = telemetry.span('failing', {}, async () => {
      throw new RangeError('the code 123456 of anna@example.com');
    });
    await expect(failing).rejects.toThrow('123456');
    await telemetry.close();
    const span = collector.named('failing');
    expect(span.status).toEqual({ code: 2 });
    expect(attributesOf(span)).toEqual({ 'error.type': 'RangeError' });
    expect(collector.bodies.join()).not.toMatch(/123456|anna@/);
  });

  test('begin anew where a parent makes no sense, and are not sampled where it was not', async () => {
    const collector = await startCollector();
    const telemetry = await start({ otlpUrl: collector.url });
    const trace = 'a'.repeat(32);
    const broken = [
      '',
      'nonsense',
      `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`,
      `00-${trace}-${'0'.repeat(16)}-01`,
      `ff-${trace}-${'b'.repeat(16)}-01`,
      `00-${trace}-${'b'.repeat(16)}-01-more`,
      `00-${trace.toUpperCase()}-${'b'.repeat(16)}-01`,
    ];
    for (const [index, parent] of broken.entries())
      await telemetry.span(`broken ${index}`, {}, async () => {}, { parent });
    await telemetry.span('later', {}, async () => {}, { parent: `01-${trace}-${'b'.repeat(16)}-03-more` });
    const unsampled = `00-${trace}-${'b'.repeat(16)}-00`;
    const left = await telemetry.span('unsampled', {}, async () => telemetry.traceparent(), { parent: unsampled });
    expect(left).toMatch(new RegExp(`^00-${trace}-[\\da-f]{16}-00$`));
    await telemetry.close();
    expect(collector.named('later')).toMatchObject({ traceId: trace, parentSpanId: 'b'.repeat(16) });
    for (const index of broken.keys()) {
      const span = collector.named(`broken ${index}`);
      expect(span.parentSpanId).toBeFalsy();
      expect(span.traceId).not.toBe(trace);
    }
    expect(collector.spans.map(({ name }) => name)).not.toContain('unsampled');
  });

  test('that ended are sent before it closes', async () => {
    const collector = await startCollector();
    const telemetry = await start({ otlpUrl: collector.url });
    await telemetry.span('last', {}, async () => {});
    await telemetry.close();
    expect(collector.spans.map(({ name }) => name)).toEqual(['last']);
  });

  test('for a collector that is not there, or does not answer, break nothing and hold nothing up', async () => {
    const silent = await startCollector(false);
    const urls = ['http://127.0.0.1:9', silent.url];
    const lose = async (otlpUrl: string) => {
      const lines: string[] = [];
      const telemetry = await start({ otlpUrl, log: createLog('debug', { write: (line) => lines.push(line) }) });
      const begin = performance.now();
      for (let spans = 0; spans < 20_000; spans++) await telemetry.span('lost', {}, async () => {});
      expect(performance.now() - begin).toBeLessThan(5_000);
      await sleep(1_500);
      const closing = performance.now();
      await telemetry.close();
      expect(performance.now() - closing).toBeLessThan(2_500);
      await expect.poll(() => lines.length, { timeout: 10_000 }).toBeGreaterThan(0);
      await sleep(500);
      expect(lines).toEqual([expect.stringMatching(/"level":"debug".*collector/)]);
    };
    await Promise.all(urls.map(lose));
  });

  test('that are off cost nothing: work is called, and there is nothing to pass on', async () => {
    const telemetry = await start();
    const work = async () => telemetry.traceparent();
    expect(telemetry.tracing).toBe(false);
    const answer = telemetry.span('off', {}, work, { parent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` });
    expect(await answer).toBeUndefined();

    const rounds = 200_000;
    const begin = performance.now();
    for (let round = 0; round < rounds; round++) void telemetry.span('off', {}, nothingToDo);
    // Measured: 5 ns. A machine that is busy has room.
    expect(((performance.now() - begin) / rounds) * 1e6).toBeLessThan(1_000);
  });
});

const done = Promise.resolve();
const nothingToDo = () => done;

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
    const telemetry = await start();
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
    const telemetry = await start();
    const { url } = await serveMeasured(telemetry, 'public');
    const client = createClient(Health, transportOf('gRPC over HTTP/2', url));
    const read = async (service: string, options = {}) => {
      for await (const _ of client.watch({ service }, options)) if (service === 'left') return;
    };
    await read('');
    await expect(read('refused')).rejects.toThrow();
    await expect(read('open', { timeoutMs: 100 })).rejects.toThrow();
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

    const stopping = read('open');
    await sleep(100);
    stopped.abort();
    await stopping;
    expect((await counts(telemetry))['grpc.health.v1.Health/Watch ok']).toBe(2);
  });

  test('are read at /metrics, by GET and HEAD only', async () => {
    const telemetry = await start();
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
    const telemetry = await start({ otlpUrl: collector.url });
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
