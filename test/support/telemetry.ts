// A telemetry for a test, and what reads it as Prometheus and as a collector do.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import { createLog } from '../../server/platform/log.ts';
import { createTelemetry, type Telemetry, type TelemetrySettings } from '../../server/platform/telemetry.ts';

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Prometheus' text format, 0.0.4. Throws at whatever is not of it. */
export function parse(text: string): { readonly samples: Sample[]; readonly types: ReadonlyMap<string, string> } {
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

export async function startTelemetry(settings: Partial<TelemetrySettings> = {}): Promise<Telemetry> {
  const telemetry = await createTelemetry({
    otlpUrl: undefined,
    serviceName: 'countersign',
    log: createLog('silent'),
    ...settings,
  });
  onTestFinished(() => telemetry.close());
  return telemetry;
}

export async function scrape(telemetry: Telemetry) {
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

/** As a collector's OTLP/HTTP receiver keeps it. */
export interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly code?: number; readonly message?: string };
}

export interface Collector {
  readonly url: string;
  readonly spans: readonly OtlpSpan[];
  readonly bodies: readonly string[];
  /** The only one of that name. */
  named(name: string): OtlpSpan;
}

/** @param takes whether it answers what it is sent. */
export async function startCollector(takes = true): Promise<Collector> {
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

export async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

export const attributesOf = (span: OtlpSpan) =>
  Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
