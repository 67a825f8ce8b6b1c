// What is measured of calls, and where Prometheus reads it: `/metrics`. It must not know any service or rule, nor how a
// number or a span is kept.

import type { DescMethod, DescService } from '@bufbuild/protobuf';
import { Code, ConnectError, type Interceptor, type StreamResponse } from '@connectrpc/connect';
import { codeToString } from '@connectrpc/connect/protocol-connect';
import type { RunningSpan, Telemetry } from '../platform/telemetry.ts';
import { toConnectError } from './errors.ts';
import type { Handler } from './exchange.ts';

/** `/metrics`, for the internal listener. */
export function metrics(telemetry: Pick<Telemetry, 'prometheus'>): Handler {
  const common = { 'cache-control': 'no-store' };
  const textType = 'text/plain; charset=utf-8';
  return (exchange) => {
    const answer = (status: number, header: Record<string, string>, body = '') => {
      if (exchange.left) return;
      exchange.answer({ status, header: new Headers({ ...common, ...header }), body: Buffer.from(body) });
    };
    if (exchange.method !== 'GET' && exchange.method !== 'HEAD') {
      answer(405, { 'content-type': textType, allow: 'GET, HEAD' });
      return;
    }
    telemetry.prometheus().then(
      ({ contentType, body }) => answer(200, { 'content-type': contentType }, exchange.method === 'GET' ? body : ''),
      () => answer(503, { 'content-type': textType }),
    );
  };
}

type Measures = Pick<Telemetry, 'rpc' | 'tracing' | 'span'>;
type Next = Parameters<Interceptor>[0];
type Request = Parameters<Next>[0];

/**
 * The outermost interceptor: records how long each RPC took and how it went; with traces on, within a span. A stream is
 * recorded when it has ended; its span is of its opening only, as one that stays open would hold on to it.
 *
 * @param from `internal` callers are ours, and a call continues their trace. A `public` one begins its own: it names the
 * trace that it came with, so that strangers neither choose what is sampled nor pass for a part of something else.
 */
export function measureCalls(telemetry: Measures, from: 'public' | 'internal'): Interceptor {
  return (next) => {
    const call = telemetry.tracing ? traced(telemetry, from, next) : next;
    return async (req) => {
      const begin = performance.now();
      try {
        const response = await call(req);
        if (response.stream) return { ...response, message: measured(telemetry, req, begin, response.message) };
        telemetry.rpc(nameOf(req.method), 'ok', (performance.now() - begin) / 1_000);
        return response;
      } catch (thrown) {
        telemetry.rpc(nameOf(req.method), statusOf(thrown), (performance.now() - begin) / 1_000);
        throw thrown;
      }
    };
  };
}

export interface EarlyRefusals {
  /** A call that the gate refused by its headers. */
  atGate(method: DescMethod, error: ConnectError): void;
  /** A request to `path` that never became a call: no such RPC, or a body that can't be read. */
  unread(path: string, error: ConnectError): void;
}

/** Records what is refused before the interceptors. Paths that name none of `services`' RPCs are all `unknown`. */
export function measureEarlyRefusals(
  telemetry: Pick<Telemetry, 'rpc'>,
  services: readonly DescService[],
): EarlyRefusals {
  const methods = new Map(
    services.flatMap((service) => service.methods).map((method) => [`/${nameOf(method)}`, method]),
  );
  const record = (rpc: string, error: ConnectError) => telemetry.rpc(rpc, statusOf(error), 0);
  return {
    atGate: (method, error) => record(nameOf(method), error),
    unread: (path, error) => {
      const method = methods.get(path);
      // Of a stream, what ends it later comes by here too, and is measured where it runs.
      if (method === undefined || method.methodKind === 'unary') record(method ? nameOf(method) : 'unknown', error);
    },
  };
}

function traced(telemetry: Measures, from: 'public' | 'internal', next: Next): Next {
  return async (req) => {
    const { typeName } = req.service;
    const attributes = { 'rpc.system': 'connect_rpc', 'rpc.service': typeName, 'rpc.method': req.method.name };
    const came = req.header.get('traceparent') ?? undefined;
    const outcome = await telemetry.span(
      nameOf(req.method),
      attributes,
      async (span) => {
        try {
          return { response: await next(req) };
        } catch (thrown) {
          describe(span, thrown);
          return { thrown };
        }
      },
      { kind: 'server', ...(from === 'internal' ? { parent: came } : { link: came }) },
    );
    if ('thrown' in outcome) throw outcome.thrown;
    return outcome.response;
  };
}

/** Codes that are a server's fault; a refusal is an answer like another (OpenTelemetry's conventions for gRPC servers). */
const faults: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unimplemented,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

function describe(span: RunningSpan, thrown: unknown): void {
  const status = statusOf(thrown);
  span.set('rpc.status', status);
  if (!(thrown instanceof ConnectError) || faults.has(thrown.code)) span.fail(status);
}

/** The messages as they are, noting their end. Without a generator: an open stream holds on to each. */
function measured(
  telemetry: Measures,
  req: Request,
  begin: number,
  messages: StreamResponse['message'],
): StreamResponse['message'] {
  let over = false;
  const record = (status: string) => {
    if (over) return;
    over = true;
    telemetry.rpc(nameOf(req.method), status, (performance.now() - begin) / 1_000);
  };
  return {
    [Symbol.asyncIterator]: () => {
      const items = messages[Symbol.asyncIterator]();
      return {
        next: async () => {
          try {
            const item = await items.next();
            if (item.done) record(req.signal.aborted ? endedBy(req.signal.reason) : 'ok');
            return item;
          } catch (thrown) {
            record(statusOf(thrown));
            throw thrown;
          }
        },
        return: async () => {
          if (!over) record(req.signal.aborted ? statusOf(req.signal.reason) : 'canceled');
          return (await items.return?.()) ?? { done: true, value: undefined };
        },
      };
    },
  };
}

/** An implementation that the signal has stopped ends quietly; but the last word of a server that stops is a good end. */
function endedBy(reason: unknown): string {
  const status = statusOf(reason);
  return status === 'unavailable' ? 'ok' : status;
}

const nameOf = (method: DescMethod) => `${method.parent.typeName}/${method.name}`;

/** By the code that it leaves with. */
function statusOf(thrown: unknown): string {
  return codeToString(toConnectError(thrown).code);
}
