// From a request to the RPC that it names and back: exact paths, content types, the gate in front of the body, CORS. It must
// not know any service or rule; they come in as options.

import type { DescMethod, DescMethodStreaming, DescMethodUnary } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ContextValues,
  createContextValues,
  createServiceImplSpec,
  type MethodImpl,
} from '@connectrpc/connect';
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import type { Cors } from './cors.ts';
import type { Exchange, Handler } from './exchange.ts';
import type { MethodOptions } from './method.ts';
import { RunningCall } from './running-call.ts';
import { createStreamHandler, type StreamHandler } from './streaming.ts';
import { createUnaryHandler, type UnaryHandler } from './unary.ts';
import { contentTypeOf, plainRefusal, refusal, timeoutOf, type Wire, wireOf } from './wire.ts';

export interface RequestHandlerOptions extends Omit<MethodOptions, 'bodyTimeoutMs' | 'decompressing'> {
  readonly routes: (router: ConnectRouter) => void;
  /** The bounds of methods whose messages may be larger than `readMaxBytes`. */
  readonly largerMessages?: ReadonlyMap<DescMethod, number>;
  /** The gate: asked before the body is read. What it returns is the call's answer, as it is. */
  readonly admit?: (method: DescMethod, header: Headers) => ConnectError | undefined;
  /**
   * The headers that every answer carries, refusals included; `method` is undefined where the path names none. Called
   * once a request, before `admit`; what it sets in `header`, such as a request id, the interceptors see.
   */
  readonly answerHeaders?: (method: DescMethod | undefined, header: Headers) => Iterable<readonly [string, string]>;
  /** What interceptors and implementations find in the context of a call, such as the peer's address. */
  readonly contextValues?: (exchange: Exchange) => ContextValues;
  readonly cors?: Cors;
  /** Handlers of paths that are no RPC. They see every method. */
  readonly http?: ReadonlyMap<string, Handler>;
  /** Ends open streams, so that a graceful stop need not wait for them. Unary calls finish. */
  readonly shutdownSignal?: AbortSignal;
  /** ms in which the body of a call with one request message has to be there. Default 30 s. */
  readonly bodyTimeoutMs?: number;
  readonly log: Pick<Logger, 'debug' | 'error'>;
}

interface Rpc {
  readonly method: DescMethod;
  /** Unary calls answer in whole, streams piece by piece. */
  readonly unary?: UnaryHandler;
  readonly stream?: StreamHandler;
}

const defaultBodyTimeoutMs = 30_000;
const decompressedAtOnce = 8;
const serverStops = new ConnectError('the server stops', Code.Unavailable);
const clientLeft = new ConnectError('the client ended the call', Code.Canceled);

export function createRequestHandler(options: RequestHandlerOptions): Handler {
  const { toConnectError, admit, answerHeaders, cors, log } = options;
  const rpcs = collectRpcs({
    ...options,
    bodyTimeoutMs: options.bodyTimeoutMs ?? defaultBodyTimeoutMs,
    decompressing: pLimit(decompressedAtOnce),
  });
  const openStreams = new Set<RunningCall>();
  options.shutdownSignal?.addEventListener('abort', () => {
    // Their implementations end; what they have said until then goes out.
    for (const call of openStreams) call.askToEnd(serverStops);
  });

  async function serve(exchange: Exchange): Promise<void> {
    const path = exchange.target.split('?', 1)[0] ?? '';
    const { headers } = exchange;
    exchange.addHeaders(cors?.answerHeaders(headers.origin) ?? []);
    if (exchange.method === 'OPTIONS' && headers['access-control-request-method'] !== undefined) {
      const preflight = cors?.preflightHeaders(headers.origin);
      if (preflight) {
        exchange.answer({ status: 204, header: new Headers([...preflight]) });
        return;
      }
    }
    const plain = options.http?.get(path);
    if (plain) {
      plain(exchange);
      return;
    }

    const rpc = rpcs.get(path);
    const header = webHeaders(headers);
    exchange.addHeaders(answerHeaders?.(rpc?.method, header) ?? []);
    const typed = (message: string) => toConnectError(new ConnectError(message, Code.Unimplemented), { path, header });
    const refuse = (status: number, message: string, more?: Record<string, string>) =>
      exchange.answer(plainRefusal(status, typed(message), new Headers(more)));

    const wire = wireOf(header.get('content-type'));
    if (rpc === undefined) {
      const message = `no such RPC here: ${path}`;
      if (wire === undefined || wire.protocol === 'connect') return refuse(404, message);
      return exchange.answer(refusal(wire, typed(message)));
    }
    const { method } = rpc;
    if (exchange.method !== 'POST') return refuse(405, `${method.name} takes POST only`, { allow: 'POST' });
    const isStream = method.methodKind !== 'unary';
    if (wire === undefined || (wire.protocol === 'connect' && wire.stream !== isStream)) {
      const json = isStream ? 'application/connect+json' : 'application/json';
      return refuse(415, `${method.name} takes ${json}, its proto twin, application/grpc or application/grpc-web`);
    }
    if (method.methodKind === 'bidi_streaming' && exchange.httpVersion !== '2.0') {
      // A client that expects both directions at once would hang on an open connection.
      return refuse(505, `${method.name} needs HTTP/2`, { connection: 'close' });
    }
    const refused = admit?.(method, header);
    if (refused) return exchange.answer(refusal(wire, refused));

    const call = begin(exchange, method, wire, header, options.contextValues?.(exchange) ?? createContextValues());
    if (rpc.unary) {
      const whole = await rpc.unary(call, wire, exchange.body);
      // Else nobody is left to answer, and nothing went wrong here.
      if (!exchange.left) exchange.answer(whole);
      return;
    }
    openStreams.add(call);
    if (options.shutdownSignal?.aborted) call.askToEnd(serverStops);
    // Not awaited here, so that an open stream does not hold on to what was needed to find its way.
    exchange.forgetHeaders();
    return rpc.stream?.(call, wire, exchange).finally(() => openStreams.delete(call));
  }

  return (exchange) => {
    serve(exchange)
      .catch((reason) => {
        if (exchange.left) {
          log.debug({ err: reason }, 'the client left before its answer');
          return;
        }
        // Without its query, which may hold a link's secret.
        const path = exchange.target.split('?', 1)[0] ?? '';
        log.error({ err: reason, path }, 'a request failed outside its handler');
        if (exchange.headersSent) exchange.cut();
        else {
          const request = { path, header: webHeaders(exchange.headers) };
          exchange.answer(plainRefusal(500, toConnectError(reason, request)));
        }
      })
      .catch(() => exchange.cut());
  };
}

function begin(
  exchange: Exchange,
  method: DescMethod,
  wire: Wire,
  requestHeader: Headers,
  values: ContextValues,
): RunningCall {
  const timeout = timeoutOf(wire, requestHeader);
  const base = `${exchange.encrypted ? 'https' : 'http'}://`;
  const url = `${base}${exchange.authority ?? 'localhost'}${exchange.target}`;
  const call = new RunningCall({
    method,
    protocolName: wire.protocol,
    // The client wrote it; who parses it may fail on it, so a broken one is left out here, once.
    url: URL.canParse(url) ? url : `${base}localhost${exchange.target}`,
    requestHeader,
    responseHeader: new Headers({ 'content-type': contentTypeOf(wire) }),
    values,
    timeoutMs: timeout.timeoutMs,
  });
  if (timeout.error) call.end(timeout.error);
  exchange.onLeave = () => call.end(clientLeft);
  return call;
}

/** Registers the routes. */
function collectRpcs(common: RequestHandlerOptions & MethodOptions): ReadonlyMap<string, Rpc> {
  const rpcs = new Map<string, Rpc>();
  const add = (method: DescMethod, impl: MethodImpl<DescMethod>) => {
    const options = { ...common, readMaxBytes: common.largerMessages?.get(method) ?? common.readMaxBytes };
    const path = `/${method.parent.typeName}/${method.name}`;
    if (rpcs.has(path)) throw new Error(`${path} is routed twice`);
    rpcs.set(
      path,
      method.methodKind === 'unary'
        ? { method, unary: createUnaryHandler(method as DescMethodUnary, impl as MethodImpl<DescMethodUnary>, options) }
        : { method, stream: createStreamHandler(method as DescMethodStreaming, impl, options) },
    );
  };
  const router: ConnectRouter = {
    handlers: [],
    service: (service, implementation) => {
      for (const spec of Object.values(createServiceImplSpec(service, implementation).methods)) {
        add(spec.method, spec.impl as MethodImpl<DescMethod>);
      }
      return router;
    },
    rpc: (method, impl) => {
      add(method, impl as MethodImpl<DescMethod>);
      return router;
    },
  };
  common.routes(router);
  return rpcs;
}

function webHeaders(headers: Exchange['headers']): Headers {
  const header = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(':')) continue;
    for (const one of Array.isArray(value) ? value : [value]) header.append(name, one);
  }
  return header;
}
