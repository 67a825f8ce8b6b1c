// One unary call, in all three protocols: read, decode, run, encode. It stands in for Connect's own unary handlers, which
// render what goes wrong before the interceptors untyped. It must not know any service, nor sockets.

import type { Readable } from 'node:stream';
import { create, type DescMethodUnary, toBinary, toJsonString } from '@bufbuild/protobuf';
import type { HandlerContext, MethodImpl, UnaryResponse } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { trailerMux } from '@connectrpc/connect/protocol-connect';
import { grpcStatusOk, headerGrpcStatus } from '@connectrpc/connect/protocol-grpc';
import { trailerFlag, trailerSerialize } from '@connectrpc/connect/protocol-grpc-web';
import { type Compression, decode, oneEnvelope, readBody, wholeBody } from './body.ts';
import type { Answer } from './exchange.ts';
import { compressMinBytes, copyHeaders, enveloped, type MethodOptions, type Next, negotiate } from './method.ts';
import { contextOf, type RunningCall } from './running-call.ts';
import { headerNames, refusal, type Wire } from './wire.ts';

export type UnaryHandler = (call: RunningCall, wire: Wire, body: Readable) => Promise<Answer>;

/**
 * A handler of `method` in the three protocols. It never rejects for what a caller or the implementation did: every
 * failure is passed through `toConnectError` and answered. What interceptors and the implementation put in the response
 * headers reaches the client on errors too.
 */
export function createUnaryHandler(
  method: DescMethodUnary,
  impl: MethodImpl<DescMethodUnary>,
  options: MethodOptions,
): UnaryHandler {
  const { toConnectError, readMaxBytes, bodyTimeoutMs } = options;
  const path = `/${method.parent.typeName}/${method.name}`;
  const run = options.interceptors.reduceRight((next: Next, intercept) => intercept(next), innermost(method, impl));

  return async (call, wire, body) => {
    const { context } = call;
    const header = context.requestHeader;
    const compression = negotiate(wire, header);
    try {
      if (compression.error) throw compression.error;
      const sink = wire.framed
        ? oneEnvelope(readMaxBytes)
        : wholeBody(Number(header.get('content-length') ?? 0), readMaxBytes);
      const received = await readBody(body, sink, call, bodyTimeoutMs);
      const message = await decode(method.input, received, wire, compression.request, options);
      call.throwIfEnded();

      const response = (await run(call.ask({ stream: false, method, message }))) as UnaryResponse;
      copyHeaders(response.header, context.responseHeader);
      copyHeaders(response.trailer, context.responseTrailer);
      const output = wire.binary
        ? toBinary(method.output, response.message)
        : new TextEncoder().encode(toJsonString(method.output, response.message));
      return await success(wire, output, compression.response, context);
    } catch (reason) {
      const error = toConnectError(call.reasonOf(reason), { path, header });
      const answer = refusal(wire, error, context.responseHeader, context.responseTrailer);
      if (wire.framed || answer.body === undefined) return answer;
      return { ...answer, body: await compressBody(answer.body, compression.response, answer.header) };
    } finally {
      call.done();
    }
  };
}

/** Where the interceptors end and the implementation is called. */
function innermost(method: DescMethodUnary, impl: MethodImpl<DescMethodUnary>): Next {
  return async (req) => {
    const context = contextOf(req);
    if (req.stream) throw new Error(`${method.name} is no stream`);
    const message = await impl(req.message, context);
    return {
      stream: false,
      method,
      service: method.parent,
      message: create(method.output, message),
      header: context.responseHeader,
      trailer: context.responseTrailer,
    };
  };
}

async function success(
  wire: Wire,
  output: Uint8Array,
  compression: Compression | null,
  { responseHeader: header, responseTrailer: trailer }: HandlerContext,
): Promise<Answer> {
  if (!wire.framed) {
    const body = await compressBody(output, compression, header);
    return { status: 200, header: trailerMux(header, trailer), body };
  }
  if (compression) header.set(headerNames.grpc.encoding, compression.name);
  trailer.set(headerGrpcStatus, grpcStatusOk);
  const message = await enveloped(output, compression);
  if (wire.protocol === 'grpc') return { status: 200, header, body: message, trailer };
  const end = encodeEnvelope(trailerFlag, trailerSerialize(trailer));
  return { status: 200, header, body: Buffer.concat([message, end]) };
}

async function compressBody(body: Uint8Array, compression: Compression | null, header: Headers): Promise<Uint8Array> {
  if (!compression || body.byteLength < compressMinBytes) return body;
  header.set(headerNames.connect.encoding, compression.name);
  return compression.compress(body);
}
