// One call with a stream of messages, in all three protocols: what it answers goes out as it comes. It stands in for
// Connect's own handlers for the same reasons as unary.ts, and because an open stream shall cost little memory. It must not
// know any service.

import type { Readable } from 'node:stream';
import {
  create,
  type DescMethod,
  type DescMethodStreaming,
  type Message,
  toBinary,
  toJsonString,
} from '@bufbuild/protobuf';
import type { MethodImpl, StreamResponse } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { endStreamFlag, endStreamToJson } from '@connectrpc/connect/protocol-connect';
import { setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import { trailerFlag, trailerSerialize } from '@connectrpc/connect/protocol-grpc-web';
import { type Compression, decode, envelopes, oneEnvelope, readBody } from './body.ts';
import type { Exchange } from './exchange.ts';
import { copyHeaders, enveloped, type MethodOptions, type Next, negotiate } from './method.ts';
import { contextOf, type RunningCall } from './running-call.ts';
import { headerNames, refusal, type Wire } from './wire.ts';

export type StreamHandler = (call: RunningCall, wire: Wire, exchange: Exchange) => Promise<void>;

/** A handler of `method`, which streams in at least one direction. Every failure is answered, if not by a whole answer. */
export function createStreamHandler(
  method: DescMethodStreaming,
  impl: MethodImpl<DescMethod>,
  options: MethodOptions,
): StreamHandler {
  const { toConnectError, readMaxBytes } = options;
  const path = `/${method.parent.typeName}/${method.name}`;
  const run = options.interceptors.reduceRight((next: Next, intercept) => intercept(next), innermost(method, impl));

  const answer = async (call: RunningCall, wire: Wire, exchange: Exchange, messages: AsyncIterable<Message>) => {
    const { context } = call;
    const compression = negotiate(wire, context.requestHeader).response;
    const response = (await run(call.ask({ stream: true, method, message: messages }))) as StreamResponse;
    copyHeaders(response.header, context.responseHeader);
    copyHeaders(response.trailer, context.responseTrailer);
    // An implementation that streams begins with the first message that is asked of it.
    call.throwIfEnded();
    const items = response.message[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { done, value } = await call.unlessEnded(items.next());
        if (!exchange.headersSent) begin(wire, exchange, context.responseHeader, compression);
        if (done) return;
        const taken = exchange.write(await enveloped(encode(method, wire, value as Message), compression));
        if (taken !== undefined) await call.unlessEnded(taken);
      }
    } finally {
      // What it still waits for, the signal ends; nobody waits for that.
      items.return?.().catch(() => {});
    }
  };

  return async (call, wire, exchange) => {
    const { context } = call;
    const { requestHeader: header, responseHeader, responseTrailer } = context;
    try {
      const compression = negotiate(wire, header);
      if (compression.error) throw compression.error;
      const read = (received: Parameters<typeof decode>[1]) =>
        decode(method.input, received, wire, compression.request, options);
      const messages =
        method.methodKind === 'server_streaming'
          ? once(await read(await readBody(exchange.body, oneEnvelope(readMaxBytes), call, options.bodyTimeoutMs)))
          : each(exchange.body, call, readMaxBytes, read);
      call.throwIfEnded();
      await answer(call, wire, exchange, messages);
      call.throwIfAskedToEnd();
      end(wire, exchange, responseTrailer);
    } catch (reason) {
      if (exchange.left) return;
      const error = toConnectError(call.reasonOf(reason), { path, header });
      if (!exchange.headersSent) {
        exchange.answer(refusal(wire, error, responseHeader, responseTrailer));
        return;
      }
      end(wire, exchange, responseTrailer, error);
    } finally {
      call.done();
    }
  };
}

function innermost(method: DescMethodStreaming, impl: MethodImpl<DescMethod>): Next {
  return async (req) => {
    const context = contextOf(req);
    if (!req.stream) throw new Error(`${method.name} is a stream`);
    const of = { stream: true, method, service: method.parent } as const;
    const answer = { header: context.responseHeader, trailer: context.responseTrailer };
    const implementation = impl as (input: unknown, context: unknown) => unknown;
    if (method.methodKind === 'client_streaming') {
      const message = (await implementation(req.message, context)) as Message;
      return { ...of, ...answer, message: once(create(method.output, message)) };
    }
    const input = method.methodKind === 'server_streaming' ? await only(req.message) : req.message;
    const messages = implementation(input, context) as AsyncIterable<Message>;
    return { ...of, ...answer, message: created(method, messages) };
  };
}

async function* once<T>(message: T): AsyncGenerator<T> {
  yield message;
}

async function* each(
  body: Readable,
  call: RunningCall,
  maxBytes: number,
  read: (received: Parameters<typeof decode>[1]) => Promise<Message>,
): AsyncGenerator<Message> {
  for await (const received of envelopes(body, call, maxBytes)) yield await read(received);
}

async function only(messages: AsyncIterable<Message>): Promise<Message | undefined> {
  for await (const message of messages) return message;
  return undefined;
}

/** Lazily, without a generator of its own: an open stream holds on to each. */
function created(method: DescMethod, messages: AsyncIterable<Message>): AsyncIterable<Message> {
  return {
    [Symbol.asyncIterator]() {
      const items = messages[Symbol.asyncIterator]();
      return {
        next: async () => {
          const item = await items.next();
          return item.done ? item : { done: false, value: create(method.output, item.value) };
        },
        return: async () => (await items.return?.()) ?? { done: true, value: undefined },
      };
    },
  };
}

function encode(method: DescMethod, wire: Wire, message: Message): Uint8Array {
  return wire.binary
    ? toBinary(method.output, message)
    : new TextEncoder().encode(toJsonString(method.output, message));
}

function begin(wire: Wire, exchange: Exchange, header: Headers, compression: Compression | null): void {
  const names = headerNames[wire.stream ? 'connect-stream' : wire.protocol];
  if (compression) header.set(names.encoding, compression.name);
  exchange.begin(200, header, wire.protocol === 'grpc');
}

/** Says how it went: gRPC in trailers, the others in a last envelope. */
function end(wire: Wire, exchange: Exchange, trailer: Headers, error?: Parameters<typeof setTrailerStatus>[1]): void {
  switch (wire.protocol) {
    case 'grpc':
      exchange.end(undefined, setTrailerStatus(trailer, error));
      return;
    case 'grpc-web':
      exchange.end(encodeEnvelope(trailerFlag, trailerSerialize(setTrailerStatus(trailer, error))), undefined);
      return;
    case 'connect': {
      const last = endStreamToJson(trailer, error, undefined);
      exchange.end(encodeEnvelope(endStreamFlag, new TextEncoder().encode(JSON.stringify(last))), undefined);
    }
  }
}
