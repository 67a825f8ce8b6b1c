// What Prometheus reads and what a collector gets, as they get it: the text is parsed, the spans come over HTTP.

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createLog } from '../../server/platform/log.ts';
import { attributesOf, scrape, startCollector, startTelemetry } from '../support/telemetry.ts';

describe('metrics', () => {
  test('are well-formed text, in which counters add up over scrapes', async () => {
    const telemetry = await startTelemetry();
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
    const telemetry = await startTelemetry();
    const task = 'a "quoted" \\ task\nof two lines';
    telemetry.observeJobs(async () => [{ task, waiting: 1, oldestSeconds: 0.5, dead: 0 }]);
    expect((await scrape(telemetry)).value('countersign_jobs_waiting', { task })).toBe(1);
  });

  test('tell of the process and of open streams', async () => {
    const telemetry = await startTelemetry();
    let open = 3;
    telemetry.observeOpenStreams({ devices: () => open, revocations: () => open + 1 });
    await sleep(100);
    const { value, types } = await scrape(telemetry);
    expect(value('countersign_open_streams')).toBe(3);
    expect(value('countersign_open_revocation_streams')).toBe(4);
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
    const telemetry = await startTelemetry();
    telemetry.observeJobs(async () => [{ task: 'deliver', waiting: 1, oldestSeconds: 1, dead: 0 }]);
    const scrapes = await Promise.all([scrape(telemetry), scrape(telemetry), scrape(telemetry)]);
    expect(scrapes.map((seen) => seen.value('countersign_jobs_waiting'))).toEqual([1, 1, 1]);
  });

  test('leave the jobs out while they cannot be read, and serve the rest in time', async () => {
    const telemetry = await startTelemetry();
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

describe('traces', () => {
  test('reach a collector: one within another, and a job within the call that decided it', async () => {
    const collector = await startCollector();
    const telemetry = await startTelemetry({ otlpUrl: `${collector.url}/` });
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
    const telemetry = await startTelemetry({ otlpUrl: collector.url });
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
    const telemetry = await startTelemetry({ otlpUrl: collector.url });
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
    const telemetry = await startTelemetry({ otlpUrl: collector.url });
    await telemetry.span('last', {}, async () => {});
    await telemetry.close();
    expect(collector.spans.map(({ name }) => name)).toEqual(['last']);
  });

  test('for a collector that is not there, or does not answer, break nothing and hold nothing up', async () => {
    const silent = await startCollector(false);
    const urls = ['http://127.0.0.1:9', silent.url];
    const lose = async (otlpUrl: string) => {
      const lines: string[] = [];
      const telemetry = await startTelemetry({
        otlpUrl,
        log: createLog('debug', { write: (line) => lines.push(line) }),
      });
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
    const telemetry = await startTelemetry();
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
