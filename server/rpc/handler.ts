// From a node request to the RPC it names and back: exact paths, content types, the gate in front of the body, CORS.
// It must not know any service or rule; they come in as options.

import type { ServerResponse } from 'node:http';
import { constants } from 'node:http2';
import type { DescMethod, DescMethodUnary } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ContextValues,
  createConnectRouter,
  createContextValues,
  createServiceImplSpec,
  type Interceptor,
  type MethodImpl,
  type StreamRequest,
} from '@connectrpc/connect';
import type { UniversalHandlerFn, UniversalServerRequest } from '@connectrpc/connect/protocol';
import { universalResponseToNodeResponse } from '@connectrpc/connect-node';
import type { Logger } from 'pino';
import type { Cors } from './cors.ts';
import type { NodeHandler, NodeRequest, NodeResponse } from './listener.ts';
import { acceptCompression, createUnaryHandler } from './unary.ts';
import {
  type Answer,
  headerNames,
  plainRefusal,
  refusal,
  type ToConnectError,
  timeoutOf,
  unreadable,
  type Wire,
  wireOf,
} from './wire.ts';

export interface RequestHandlerOptions {
  readonly routes: (router: ConnectRouter) => void;
  /** Outermost first. */
  readonly interceptors: readonly Interceptor[];
  /** Gives whatever was thrown its code and details; every error that leaves has passed through it, once. */
  readonly toConnectError: ToConnectError;
  /** The gate: asked before the body is read. What it returns is the call's answer, as it is. */
  readonly admit?: (method: DescMethod, header: Headers) => ConnectError | undefined;
  /**
   * The headers that every answer carries, refusals included; `method` is undefined where the path names none. Called
   * once a request, before `admit`; what it sets in `header`, such as a request id, the interceptors see.
   */
  readonly answerHeaders?: (method: DescMethod | undefined, header: Headers) => Iterable<readonly [string, string]>;
  /** What interceptors and implementations find in the context of a call, such as the peer's address. */
  readonly contextValues?: (req: NodeRequest) => ContextValues;
  /** Bound of a message in bytes, as sent and decompressed. */
  readonly readMaxBytes: number;
  readonly cors?: Cors;
  /** Handlers of paths that are no RPC. They see every method. */
  readonly http?: ReadonlyMap<string, NodeHandler>;
  /** Ends open streams, so that a graceful stop need not wait for them. Unary calls finish. */
  readonly shutdownSignal?: AbortSignal;
  /** ms in which the body of a call with one request message has to be there. */
  readonly bodyTimeoutMs?: number;
  readonly log: Pick<Logger, 'debug' | 'error'>;
}

interface Rpc {
  readonly method: DescMethod;
  /** Unary calls answer in whole, streams through Connect's own handler. */
  readonly unary?: (req: UniversalServerRequest, wire: Wire) => Promise<Answer>;
  readonly stream?: UniversalHandlerFn;
}

const defaultBodyTimeoutMs = 30_000;

/** ms in which a client has to take a whole answer, and after any answer to end its own side; else the call is cut. */
const answerTimeoutMs = 60_000;

export function createRequestHandler(options: RequestHandlerOptions): NodeHandler {
  const { toConnectError, admit, answerHeaders, cors, log } = options;
  const bodyTimeoutMs = options.bodyTimeoutMs ?? defaultBodyTimeoutMs;
  const rpcs = collectRpcs(options);

  async function serve(req: NodeRequest, res: NodeResponse): Promise<void> {
    const path = req.url?.split('?', 1)[0] ?? '';
    for (const [name, value] of cors?.answerHeaders(req.headers.origin) ?? []) res.setHeader(name, value);
    if (req.method === 'OPTIONS' && req.headers['access-control-request-method'] !== undefined) {
      const headers = cors?.preflightHeaders(req.headers.origin);
      if (headers) {
        send(req, res, { status: 204, header: new Headers([...headers]) });
        return;
      }
    }
    const plain = options.http?.get(path);
    if (plain) {
      plain(req, res);
      return;
    }

    const rpc = rpcs.get(path);
    const header = webHeaders(req);
    const extra = [...(answerHeaders?.(rpc?.method, header) ?? [])];
    const answer = (one: Answer) => {
      for (const [name, value] of extra) one.header.set(name, value);
      send(req, res, one);
    };
    const typed = (message: string) => toConnectError(new ConnectError(message, Code.Unimplemented), { path, header });
    const refuse = (status: number, message: string, headers?: Record<string, string>) =>
      answer(plainRefusal(status, typed(message), new Headers(headers)));

    const wire = wireOf(header.get('content-type'));
    if (rpc === undefined) {
      const message = `no such RPC here: ${path}`;
      if (wire === undefined || wire.protocol === 'connect') return refuse(404, message);
      return answer(refusal(wire, typed(message)));
    }
    const { method } = rpc;
    if (req.method !== 'POST') return refuse(405, `${method.name} takes POST only`, { allow: 'POST' });
    const isStream = method.methodKind !== 'unary';
    if (wire === undefined || (wire.protocol === 'connect' && wire.stream !== isStream)) {
      const json = isStream ? 'application/connect+json' : 'application/json';
      return refuse(415, `${method.name} takes ${json}, its proto twin, application/grpc or application/grpc-web`);
    }
    if (method.methodKind === 'bidi_streaming' && req.httpVersionMajor < 2) {
      // A client that expects both directions at once would hang on an open connection.
      return refuse(505, `${method.name} needs HTTP/2`, { connection: 'close' });
    }
    const refused = admit?.(method, header);
    if (refused) return answer(refusal(wire, refused));

    const { request, ended } = universalRequest(req, res, header, {
      // Several request messages may come at any time; one has to come.
      bodyTimeoutMs: isStream && method.methodKind !== 'server_streaming' ? undefined : bodyTimeoutMs,
      contextValues: options.contextValues?.(req) ?? createContextValues(),
    });
    if (rpc.unary) {
      const whole = await rpc.unary(request, wire);
      // Nobody is left to answer, and nothing went wrong here.
      if (!ended()) answer(whole);
      return;
    }
    if (rpc.stream) {
      const timeout = timeoutOf(wire, header);
      // One longer than a timer can hold: Connect's handler would end the call at once.
      if (!timeout.error && timeout.timeoutMs === undefined) header.delete(headerNames[wire.protocol].timeout);
      const response = await rpc.stream(request);
      for (const [name, value] of extra) response.header?.set(name, value);
      whenSent(req, res, () => discardRest(req, res));
      await universalResponseToNodeResponse(response, res);
    }
  }

  return (req, res) => {
    res.on('error', (error: Error) => log.debug({ err: error }, 'an answer could not be written'));
    serve(req, res)
      .catch((reason) => {
        if (res.writableEnded || ('stream' in req ? req.stream.closed : req.socket.destroyed)) {
          log.debug({ err: reason }, 'the client left before its answer');
          return;
        }
        log.error({ err: reason, path: req.url }, 'a request failed outside its handler');
        if (res.headersSent) cut(req);
        else
          send(req, res, plainRefusal(500, toConnectError(reason, { path: req.url ?? '', header: webHeaders(req) })));
      })
      .catch(() => cut(req));
  };
}

/** Registers the routes: unary methods with our own handler, streaming ones with Connect's. */
function collectRpcs(options: RequestHandlerOptions): ReadonlyMap<string, Rpc> {
  const rpcs = new Map<string, Rpc>();
  const streams = createConnectRouter({
    interceptors: [typedErrors(options.toConnectError), ...options.interceptors],
    readMaxBytes: options.readMaxBytes,
    acceptCompression,
    // As unary calls do, and unlike Connect, which skips them.
    jsonOptions: { ignoreUnknownFields: false },
    ...(options.shutdownSignal && { shutdownSignal: options.shutdownSignal }),
  });
  const add = (method: DescMethod, impl: MethodImpl<DescMethod>) => {
    const path = `/${method.parent.typeName}/${method.name}`;
    if (rpcs.has(path)) throw new Error(`${path} is routed twice`);
    if (method.methodKind === 'unary') {
      const unary = createUnaryHandler({
        ...options,
        method: method as DescMethodUnary,
        impl: impl as MethodImpl<DescMethodUnary>,
      });
      rpcs.set(path, { method, unary });
      return;
    }
    streams.rpc(method, impl);
    const stream = streams.handlers.at(-1);
    if (stream) rpcs.set(path, { method, stream });
  };
  const router: ConnectRouter = {
    handlers: streams.handlers,
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
  options.routes(router);
  return rpcs;
}

/** Types what a streaming call throws, at its start or in the middle. Connect decodes its messages inside of this. */
function typedErrors(toConnectError: ToConnectError): Interceptor {
  return (next) => async (req) => {
    const typed = (reason: unknown) => toConnectError(reason, { path: new URL(req.url).pathname, header: req.header });
    try {
      const response = await next(req.stream ? { ...req, message: readable(req) } : req);
      if (!response.stream) return response;
      return { ...response, message: mapErrors(response.message, typed) };
    } catch (reason) {
      throw typed(reason);
    }
  };
}

function readable({ message, method }: StreamRequest): StreamRequest['message'] {
  return mapErrors(message, (reason) => unreadable(reason, method.input.typeName));
}

async function* mapErrors<T>(items: AsyncIterable<T>, map: (reason: unknown) => ConnectError): AsyncGenerator<T> {
  try {
    yield* items;
  } catch (reason) {
    throw map(reason);
  }
}

function webHeaders(req: NodeRequest): Headers {
  const header = new Headers();
  for (const [name, value] of Object.entries(req.headers)) {
    if (value === undefined || name.startsWith(':')) continue;
    for (const one of Array.isArray(value) ? value : [value]) header.append(name, one);
  }
  return header;
}

interface CallOptions {
  readonly bodyTimeoutMs: number | undefined;
  readonly contextValues: ContextValues;
}

/** The request as Connect's handlers take it. Its signal is aborted when the client goes before its answer. */
function universalRequest(req: NodeRequest, res: NodeResponse, header: Headers, options: CallOptions) {
  const controller = new AbortController();
  res.once('close', () => {
    if (!res.writableEnded) controller.abort(new ConnectError('the client ended the call', Code.Canceled));
  });
  const scheme = 'encrypted' in req.socket && req.socket.encrypted ? 'https' : 'http';
  const authority = 'authority' in req ? req.authority : req.headers.host;
  const url = `${scheme}://${authority ?? 'localhost'}${req.url}`;
  const request: UniversalServerRequest = {
    httpVersion: req.httpVersion,
    method: 'POST',
    // The client wrote it; who parses it may fail on it, so a broken one is left out here, once.
    url: URL.canParse(url) ? url : `${scheme}://localhost${req.url}`,
    header,
    body: bodyOf(req, options.bodyTimeoutMs),
    signal: controller.signal,
    contextValues: options.contextValues,
  };
  return { request, ended: () => controller.signal.aborted };
}

/** The request's bytes as they come. Unlike the stream's own iterator it leaves the connection alone when it is left. */
async function* bodyOf(req: NodeRequest, timeoutMs: number | undefined): AsyncGenerator<Uint8Array> {
  const chunks = req.iterator({ destroyOnReturn: false });
  const late = Promise.withResolvers<never>();
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => late.reject(new ConnectError('the body took too long', Code.DeadlineExceeded)), timeoutMs);
  try {
    for (;;) {
      const next = await Promise.race([chunks.next(), late.promise]);
      if (next.done) return;
      yield next.value;
    }
  } catch (reason) {
    if (reason instanceof ConnectError) throw reason;
    throw new ConnectError('the client ended the call', Code.Canceled, undefined, undefined, reason);
  } finally {
    clearTimeout(timer);
  }
}

/** Writes a whole answer. Without a body its headers end it: HTTP/2 then needs no further frame. */
function send(req: NodeRequest, response: NodeResponse, answer: Answer): void {
  // HTTP/2's response class follows HTTP/1.1's here, but TypeScript can't call the overloads of both.
  const res = response as ServerResponse;
  cutIfOpen(req, res);
  whenSent(req, res, () => discardRest(req, res));
  res.statusCode = answer.status;
  answer.header.forEach((value, name) => {
    res.setHeader(name, value);
  });
  if (answer.trailer) {
    // Written apart from its end, or HTTP/1.1 would choose a content length, beside which there are no trailers.
    res.write(answer.body ?? new Uint8Array());
    res.addTrailers(Object.fromEntries(answer.trailer));
    res.end();
  } else if (answer.body) {
    res.end(answer.body);
  } else {
    res.end();
  }
}

function whenSent(req: NodeRequest, res: NodeResponse, then: () => void): void {
  if ('stream' in req) req.stream.once('finish', then);
  else res.once('finish', then);
}

/**
 * Takes what a refused call still sends off the wire, so that the next call on its connection is read. An HTTP/2 stream
 * could be reset instead, but clients that are still writing then miss the answer (connect-node does).
 */
function discardRest(req: NodeRequest, res: NodeResponse): void {
  if (req.readableEnded) return;
  cutIfOpen(req, res);
  // An iterator that was left while it waited still listens; nothing flows as long as somebody does.
  req.removeAllListeners('readable');
  req.resume();
}

/** Cuts the call unless both sides have ended it in time. */
function cutIfOpen(req: NodeRequest, res: NodeResponse): void {
  const timer = setTimeout(() => cut(req), answerTimeoutMs);
  res.once('close', () => clearTimeout(timer));
}

/** Breaks a request off without an answer. */
export function cut(req: NodeRequest): void {
  if ('stream' in req) req.stream.close(constants.NGHTTP2_CANCEL);
  else req.destroy();
}
