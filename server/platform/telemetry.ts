// What happens here, in numbers and spans: metrics as Prometheus reads them, traces to an OTLP collector. It opens no port and
// registers nothing globally; it must not know flows, tables or services, nor anybody's secrets or addresses.

import { AsyncLocalStorage } from 'node:async_hooks';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Meter, Span, SpanContext } from '@opentelemetry/api';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { Logger } from './log.ts';

export interface TelemetrySettings {
  /** Base URL of an OTLP/HTTP collector, such as http://127.0.0.1:4318. Undefined: there are no traces. */
  readonly otlpUrl: string | undefined;
  readonly serviceName: string;
  readonly log: Logger;
}

export interface Telemetry extends Metrics, Traces {
  /** Sends the spans that ended, for at most 2 s. */
  close(): Promise<void>;
}

export const deliveryChannels = ['apns', 'fcm', 'email'] as const;
export type DeliveryChannel = (typeof deliveryChannels)[number];

/** `not_sent`: its message was not needed any more. `gave_up`: no try is left. The others are what a provider answered. */
export const deliveryOutcomes = [
  'accepted',
  'unregistered',
  'retry',
  'refused',
  'unreachable',
  'not_sent',
  'gave_up',
] as const;
export type DeliveryOutcome = (typeof deliveryOutcomes)[number];

/** The jobs of one task, at the moment of a scrape. */
export interface JobStats {
  readonly task: string;
  readonly waiting: number;
  readonly oldestSeconds: number;
  /** Undefined where it would cost too much to know. */
  readonly dead: number | undefined;
}

export interface Metrics {
  /** Everything in Prometheus' text format, within 1.5 s and a little; what could not be read in that time is left out. */
  prometheus(): Promise<{ readonly contentType: string; readonly body: string }>;
  readonly delivery: {
    /** Counts one attempt, or one message that there will be no attempt of. */
    count(channel: DeliveryChannel, outcome: DeliveryOutcome): void;
    /** @param seconds from the decision to send until a provider had it. */
    handedOver(channel: DeliveryChannel, seconds: number): void;
  };
  /**
   * @param rpc `package.Service/Method` of an RPC that there is: a path as a client wrote it would make a series of its own.
   * @param status `ok` or the code as Connect writes it, such as `invalid_argument`.
   */
  rpc(rpc: string, status: string, seconds: number): void;
  /** Has the jobs read at each scrape, one reading at a time. One that fails or takes too long leaves its gauges out. */
  observeJobs(read: () => Promise<readonly JobStats[]>): void;
  /** Whether what is told over each bus is not heard here. */
  observeBuses(isCut: Readonly<Record<string, () => boolean>>): void;
  observeOpenStreams(read: { readonly devices: () => number; readonly revocations: () => number }): void;
}

/** Names only. A new one stands here first: none of a code, a token, a password, an e-mail or IP address. */
export type SpanAttribute =
  | 'rpc.system'
  | 'rpc.service'
  | 'rpc.method'
  | 'rpc.status'
  | 'countersign.account_id'
  | 'countersign.delivery_id'
  | 'countersign.channel'
  | 'countersign.attempt'
  | 'countersign.outcome';
export type SpanAttributes = Readonly<Partial<Record<SpanAttribute, string | number | boolean>>>;

export interface RunningSpan {
  set(name: SpanAttribute, value: string | number | boolean): void;
  /** Marks it as failed, by a kind of failure and not by its message, which may quote anything. */
  fail(kind: string): void;
}

export interface SpanOrigin {
  readonly kind?: 'internal' | 'server' | 'consumer' | 'client';
  /**
   * W3C `traceparent` of the span that this one belongs to, by default the running one. It decides whether this one is
   * sampled, so it comes from our own side. One that can't be read begins a trace.
   */
  readonly parent?: string | undefined;
  /** A `traceparent` from anybody: the span names it, and owes it nothing. */
  readonly link?: string | undefined;
}

export interface Traces {
  /** Whether there are traces; without, a span is a call of `work`. */
  readonly tracing: boolean;
  /** Runs `work` within a span, which ends with it and has failed when it throws. */
  span<T>(
    name: string,
    attributes: SpanAttributes,
    work: (span: RunningSpan) => Promise<T>,
    origin?: SpanOrigin,
  ): Promise<T>;
  /** W3C `traceparent` of the running span, to be put into a job. */
  traceparent(): string | undefined;
}

/** Waits for the packages, which take a tenth of a second to load: beside other waiting of a start, it is not noticed. */
export async function createTelemetry(settings: TelemetrySettings): Promise<Telemetry> {
  const [metrics, traces] = await Promise.all([
    createMetrics(settings.log),
    settings.otlpUrl === undefined ? noTraces : createTraces(settings.otlpUrl, settings.serviceName, settings.log),
  ]);
  return {
    ...metrics,
    ...traces,
    close: async () => {
      metrics.stop();
      await traces.stop();
    },
  };
}

/** Milliseconds that whatever is read at a scrape may take. */
const observeMs = 1_500;
/** Milliseconds between two looks at the event loop. */
const loopResolutionMs = 20;

/** Seconds. A stream may be open for hours, and has no need of more buckets than "long". */
const rpcBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600];
/** Seconds. From a worker that was idle, over a slow mail server, to a provider that was down for a while. */
const handoverBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

async function createMetrics(log: Logger): Promise<Metrics & { stop(): void }> {
  const [{ AggregationTemporality, InstrumentType, MeterProvider, MetricReader }, { PrometheusSerializer }] =
    await Promise.all([import('@opentelemetry/sdk-metrics'), import('@opentelemetry/exporter-prometheus')]);

  /** The exporter's own reader would also make an HTTP server. */
  class Scrape extends MetricReader {
    constructor() {
      super({
        // Cumulative ones would show the last value of what could not be read.
        aggregationTemporalitySelector: (type) =>
          type === InstrumentType.OBSERVABLE_GAUGE ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
      });
    }
    protected override async onShutdown(): Promise<void> {}
    protected override async onForceFlush(): Promise<void> {}
  }

  const reader = new Scrape();
  const meter = new MeterProvider({ readers: [reader] }).getMeter('countersign');
  const serializer = new PrometheusSerializer(undefined, false, undefined, true, true);
  const stopProcess = observeProcess(meter);

  const rpcDuration = meter.createHistogram('countersign_rpc_duration_seconds', {
    description:
      'Time from the first interceptor to the answer of an RPC, by its name and status. A stream counts when it has ended, ' +
      'with the time that it was open. What is refused by its headers or an unreadable body counts as 0 s.',
    advice: { explicitBucketBoundaries: rpcBuckets },
  });
  const deliveries = meter.createCounter('countersign_delivery_total', {
    description:
      'Attempts to hand a message to a provider, by what became of them; and messages that nothing was tried for (not_sent) or will be any more (gave_up).',
  });
  const handover = meter.createHistogram('countersign_delivery_handover_seconds', {
    description: 'Time from the decision to send a message until a provider had it.',
    advice: { explicitBucketBoundaries: handoverBuckets },
  });
  // A rate needs a value from before the first.
  for (const channel of deliveryChannels)
    for (const outcome of deliveryOutcomes) deliveries.add(0, { channel, outcome });

  const scrape = async () => {
    const { resourceMetrics, errors } = await reader.collect({ timeoutMillis: observeMs });
    for (const error of errors) log.debug({ err: error }, 'something is left out of the metrics');
    return {
      contentType: 'text/plain; version=0.0.4; charset=utf-8',
      body: `${serializer.serialize(resourceMetrics).trimEnd()}\n`,
    };
  };
  let scraping: ReturnType<typeof scrape> | undefined;

  return {
    // Two at once would share out the gauges between them.
    prometheus: () => {
      scraping ??= scrape().finally(() => {
        scraping = undefined;
      });
      return scraping;
    },
    delivery: {
      count: (channel, outcome) => deliveries.add(1, { channel, outcome }),
      handedOver: (channel, seconds) => handover.record(Math.max(0, seconds), { channel }),
    },
    rpc: (rpc, status, seconds) => rpcDuration.record(seconds, { rpc, status }),
    observeJobs: (read) => observeJobs(meter, read),
    observeBuses: (isCut) => {
      const description = 'Whether what replicas tell each other over it is not heard here: 1 where it is cut.';
      meter.createObservableGauge('countersign_bus_cut', { description }).addCallback((result) => {
        for (const [bus, cut] of Object.entries(isCut)) result.observe(cut() ? 1 : 0, { bus });
      });
    },
    observeOpenStreams: ({ devices, revocations }) => {
      meter
        .createObservableGauge('countersign_open_streams', { description: 'Streams that apps hold open here.' })
        .addCallback((result) => result.observe(devices()));
      meter
        .createObservableGauge('countersign_open_revocation_streams', {
          description: 'Streams of WatchRevocations that services hold open here.',
        })
        .addCallback((result) => result.observe(revocations()));
    },
    stop: stopProcess,
  };
}

function observeJobs(meter: Meter, read: () => Promise<readonly JobStats[]>): void {
  const waiting = meter.createObservableGauge('countersign_jobs_waiting', {
    description: 'Jobs that are due and that no worker has taken, in the whole deployment.',
  });
  const oldest = meter.createObservableGauge('countersign_jobs_oldest_age_seconds', {
    description: 'How long the oldest of the waiting jobs has been due.',
  });
  const dead = meter.createObservableGauge('countersign_jobs_dead', {
    description: 'Jobs that failed so often that none of them is tried again. Left out while the queue is very long.',
  });
  let reading: ReturnType<typeof read> | undefined;
  meter.addBatchObservableCallback(
    async (result) => {
      // One that hangs must not be joined by another at each scrape.
      reading ??= read().finally(() => {
        reading = undefined;
      });
      for (const stats of await reading) {
        const { task } = stats;
        result.observe(waiting, stats.waiting, { task });
        result.observe(oldest, stats.oldestSeconds, { task });
        if (stats.dead !== undefined) result.observe(dead, stats.dead, { task });
      }
    },
    [waiting, oldest, dead],
  );
}

/** The process, by the names that dashboards know. Returns what ends the watching. */
function observeProcess(meter: Meter): () => void {
  meter
    .createObservableGauge('process_resident_memory_bytes', { description: 'Resident memory size in bytes.' })
    .addCallback((result) => result.observe(process.memoryUsage.rss()));
  meter
    .createObservableCounter('process_cpu_seconds_total', { description: 'User and system CPU time in seconds.' })
    .addCallback((result) => {
      const { user, system } = process.cpuUsage();
      result.observe((user + system) / 1e6);
    });
  meter
    .createObservableGauge('process_start_time_seconds', { description: 'Start of the process, in Unix seconds.' })
    .addCallback((result) => result.observe(performance.timeOrigin / 1_000));
  const loop = monitorEventLoopDelay({ resolution: loopResolutionMs });
  loop.enable();
  meter
    .createObservableGauge('nodejs_eventloop_delay_p99_seconds', {
      description: 'How late the event loop was, at the 99th percentile since the last scrape.',
    })
    .addCallback((result) => {
      if (loop.count === 0) return;
      // It measures from one look to the next.
      result.observe(Math.max(0, loop.percentile(99) / 1e9 - loopResolutionMs / 1_000));
      loop.reset();
    });
  return () => loop.disable();
}

const nothing: RunningSpan = { set: () => {}, fail: () => {} };

const noTraces: Traces & { stop(): Promise<void> } = {
  tracing: false,
  span: (_name, _attributes, work) => work(nothing),
  traceparent: () => undefined,
  stop: async () => {},
};

/** Spans that wait for the collector; those beyond are dropped. */
const mostWaitingSpans = 8_192;
const spansAtOnce = 512;
const sendEveryMs = 1_000;
/** Milliseconds for one batch, with its retries. */
const sendWithinMs = 5_000;
const closeWithinMs = 2_000;
const complainEveryMs = 60_000;

async function createTraces(
  otlpUrl: string,
  serviceName: string,
  log: Logger,
): Promise<Traces & { stop(): Promise<void> }> {
  const [
    { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace },
    { BatchSpanProcessor, TracerProvider },
    exporters,
    resources,
  ] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const url = `${otlpUrl.replace(/\/+$/, '')}/v1/traces`;
  const exporter = new exporters.OTLPTraceExporter({ url, timeoutMillis: sendWithinMs });
  const provider = new TracerProvider({
    resource: resources.resourceFromAttributes({ 'service.name': serviceName }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: complaining(exporter, log),
        maxQueueSize: mostWaitingSpans,
        maxExportBatchSize: spansAtOnce,
        scheduledDelayMillis: sendEveryMs,
        exportTimeoutMillis: sendWithinMs + 1_000,
      }),
    ],
  });
  const tracer = provider.getTracer('countersign');
  // Not OpenTelemetry's context manager, which there is one of in a process.
  const running = new AsyncLocalStorage<Span>();
  const kinds = {
    internal: SpanKind.INTERNAL,
    server: SpanKind.SERVER,
    consumer: SpanKind.CONSUMER,
    client: SpanKind.CLIENT,
  };

  /** `traceparent` of W3C Trace Context, 3.2; of a later version, the part that it shares with the first. */
  const read = (traceparent: string | undefined): SpanContext | undefined => {
    const [, version, traceId = '', spanId = '', flags = '', more] =
      /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/.exec(traceparent ?? '') ?? [];
    if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
    const context = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
    return trace.isSpanContextValid(context) ? context : undefined;
  };

  const contextOf = ({ parent }: SpanOrigin) => {
    if (parent === undefined) {
      const span = running.getStore();
      return span === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, span);
    }
    const context = read(parent);
    return context === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, context);
  };

  return {
    tracing: true,
    span: async (name, attributes, work, origin = {}) => {
      const link = read(origin.link);
      const span = tracer.startSpan(
        name,
        { kind: kinds[origin.kind ?? 'internal'], attributes, links: link === undefined ? [] : [{ context: link }] },
        contextOf(origin),
      );
      const fail = (kind: string) => {
        span.setStatus({ code: SpanStatusCode.ERROR });
        span.setAttribute('error.type', kind);
      };
      try {
        return await running.run(span, () => work({ set: (key, value) => span.setAttribute(key, value), fail }));
      } catch (error) {
        fail(error instanceof Error ? error.name : typeof error);
        throw error;
      } finally {
        span.end();
      }
    },
    traceparent: () => {
      const context = running.getStore()?.spanContext();
      if (context === undefined) return undefined;
      return `00-${context.traceId}-${context.spanId}-0${context.traceFlags & 1}`;
    },
    stop: async () => {
      const flushed = provider.shutdown().catch(() => {});
      await Promise.race([flushed, sleep(closeWithinMs, undefined, { ref: false })]);
      // Where the last batch failed, the provider has left it open.
      exporter.shutdown().catch(() => {});
    },
  };
}

/** The same, with a line in the log when spans are lost, at most once a minute. */
function complaining(exporter: SpanExporter, log: Logger): SpanExporter {
  let quietUntil = 0;
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        if (result.error !== undefined && performance.now() >= quietUntil) {
          quietUntil = performance.now() + complainEveryMs;
          log.debug({ why: result.error.message }, 'the OTLP collector did not take spans; they are dropped');
        }
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}
