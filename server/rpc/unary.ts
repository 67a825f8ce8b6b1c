// One unary call, in all three protocols: read, decode, run, encode. It stands in for Connect's own unary handlers, which
// render what goes wrong before the interceptors untyped. It must not know any service, nor sockets.

import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  fromJsonString,
  toBinary,
  toJsonString,
} from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  createContextKey,
  createContextValues,
  createHandlerContext,
  type HandlerContext,
  type Interceptor,
  type MethodImpl,
  type UnaryResponse,
} from '@connectrpc/connect';
import {
  assertByteStreamRequest,
  compressedFlag,
  compressionNegotiate,
  encodeEnvelope,
  type UniversalServerRequest,
} from '@connectrpc/connect/protocol';
import { trailerMux } from '@connectrpc/connect/protocol-connect';
import { grpcStatusOk, headerGrpcStatus } from '@connectrpc/connect/protocol-grpc';
import { trailerFlag, trailerSerialize } from '@connectrpc/connect/protocol-grpc-web';
import { compressionBrotli, compressionGzip } from '@connectrpc/connect-node';
import {
  type Answer,
  contentTypeOf,
  headerNames,
  refusal,
  type ToConnectError,
  timeoutOf,
  unreadable,
  type Wire,
} from './wire.ts';

export interface UnaryOptions {
  readonly method: DescMethodUnary;
  readonly impl: MethodImpl<DescMethodUnary>;
  /** Outermost first. One that replaces `contextValues` must carry over what was in them. */
  readonly interceptors: readonly Interceptor[];
  /** Gives whatever was thrown its code and details. */
  readonly toConnectError: ToConnectError;
  /** Bound of a message in bytes, as sent and decompressed. */
  readonly readMaxBytes: number;
}

type Next = Parameters<Interceptor>[0];

export const acceptCompression = [compressionGzip, compressionBrotli];

/** Below it, in bytes, compressing costs more than it saves; Connect's own default. */
const compressMinBytes = 1024;

/** Finds the call's context again where the interceptors end; so they are applied once a method, not once a call. */
const callKey = createContextKey<HandlerContext | undefined>(undefined);

/** What `context.signal` says after a call. A constant: a DOMException for each call is a tenth of its cost. */
const callEnded = new ConnectError('the call has ended', Code.Canceled);

/**
 * A handler of `method` in the three protocols. It never rejects for what a caller or the implementation did: every
 * failure is passed through `toConnectError` and answered. What interceptors and the implementation put in the response
 * headers reaches the client on errors too.
 */
export function createUnaryHandler(
  options: UnaryOptions,
): (req: UniversalServerRequest, wire: Wire) => Promise<Answer> {
  const { method, toConnectError, readMaxBytes } = options;
  const path = `/${method.parent.typeName}/${method.name}`;
  const run = options.interceptors.reduceRight((next: Next, intercept) => intercept(next), innermost(options));

  return async (req, wire) => {
    const names = headerNames[wire.protocol];
    const timeout = timeoutOf(wire, req.header);
    const compression = compressionNegotiate(
      acceptCompression,
      req.header.get(names.encoding),
      req.header.get(names.acceptEncoding),
      names.acceptEncoding,
    );
    const context = createHandlerContext({
      method,
      service: method.parent,
      protocolName: wire.protocol,
      requestMethod: req.method,
      requestHeader: req.header,
      url: req.url,
      requestSignal: req.signal,
      contextValues: req.contextValues ?? createContextValues(),
      responseHeader: { 'content-type': contentTypeOf(wire) },
      ...(timeout.timeoutMs !== undefined && { timeoutMs: timeout.timeoutMs }),
    });
    context.values.set(callKey, context);
    let answer: Answer;
    try {
      if (compression.error) throw compression.error;
      if (timeout.error) throw timeout.error;
      assertByteStreamRequest(req);
      const declared = wire.protocol === 'connect' ? Number(req.header.get('content-length') ?? 0) : 0;
      assertSize(declared, readMaxBytes);
      const received = await unlessAborted(
        wire.protocol === 'connect' ? readAll(req.body, readMaxBytes) : readEnvelope(req.body, readMaxBytes),
        context.signal,
      );
      const bytes = await decompress(received, wire, compression.request, readMaxBytes);
      const message = decode(method.input, bytes, wire.binary);
      context.signal.throwIfAborted();

      const response = (await run({
        stream: false,
        method,
        message,
        service: method.parent,
        requestMethod: req.method,
        url: req.url,
        signal: context.signal,
        header: context.requestHeader,
        contextValues: context.values,
      })) as UnaryResponse;
      copyHeaders(response.header, context.responseHeader);
      copyHeaders(response.trailer, context.responseTrailer);
      const output = wire.binary
        ? toBinary(method.output, response.message)
        : new TextEncoder().encode(toJsonString(method.output, response.message));
      answer = await success(wire, output, compression.response, context);
    } catch (reason) {
      const error = toConnectError(abortReason(reason, context.signal), { path, header: req.header });
      answer = refusal(wire, error, context.responseHeader, context.responseTrailer);
      if (wire.protocol === 'connect' && answer.body) {
        answer = { ...answer, body: await compressBody(answer.body, compression.response, answer.header) };
      }
    } finally {
      context.abort(callEnded);
    }
    return answer;
  };
}

/** Where the interceptors end and the implementation is called. */
function innermost({ method, impl }: UnaryOptions): Next {
  return async (req) => {
    const context = req.contextValues.get(callKey);
    if (context === undefined || req.stream) throw new Error(`an interceptor lost the call of ${method.name}`);
    const message = await impl(req.message, {
      ...context,
      requestHeader: req.header,
      signal: req.signal,
      values: req.contextValues,
    });
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

type Compression = (typeof acceptCompression)[number];
interface Received {
  readonly data: Uint8Array;
  readonly compressed: boolean;
}

async function success(
  wire: Wire,
  output: Uint8Array,
  compression: Compression | null,
  context: HandlerContext,
): Promise<Answer> {
  const { responseHeader: header, responseTrailer: trailer } = context;
  if (wire.protocol === 'connect') {
    const body = await compressBody(output, compression, header);
    return { status: 200, header: trailerMux(header, trailer), body };
  }
  if (compression) header.set(headerNames.grpc.encoding, compression.name);
  trailer.set(headerGrpcStatus, grpcStatusOk);
  const small = !compression || output.byteLength < compressMinBytes;
  const message = small
    ? encodeEnvelope(0, output)
    : encodeEnvelope(compressedFlag, await compression.compress(output));
  if (wire.protocol === 'grpc') return { status: 200, header, body: message, trailer };
  const end = encodeEnvelope(trailerFlag, trailerSerialize(trailer));
  return { status: 200, header, body: Buffer.concat([message, end]) };
}

async function compressBody(body: Uint8Array, compression: Compression | null, header: Headers): Promise<Uint8Array> {
  if (!compression || body.byteLength < compressMinBytes) return body;
  header.set(headerNames.connect.encoding, compression.name);
  return compression.compress(body);
}

/** The whole body, at most `maxBytes` of it. It is put together as it comes: a promised length reserves nothing. */
async function readAll(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Received> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    assertSize(size, maxBytes);
    chunks.push(chunk);
  }
  return { data: joined(chunks), compressed: true };
}

/** The one message of a gRPC or gRPC-Web body: 1 byte of flags, 4 of length, then the message. */
async function readEnvelope(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Received> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  let expected: number | undefined;
  for await (const chunk of body) {
    size += chunk.byteLength;
    chunks.push(chunk);
    if (expected === undefined && size >= 5) {
      const length = joined(chunks).readUInt32BE(1);
      assertSize(length, maxBytes);
      expected = 5 + length;
    }
    if (expected !== undefined && size > expected) {
      throw new ConnectError('protocol error: received extra input message for unary method', Code.Unimplemented);
    }
  }
  if (size === 0) {
    throw new ConnectError('protocol error: missing input message for unary method', Code.Unimplemented);
  }
  if (size !== expected) throw new ConnectError('protocol error: incomplete envelope', Code.InvalidArgument);
  const envelope = joined(chunks);
  return { data: envelope.subarray(5), compressed: (envelope.readUInt8(0) & compressedFlag) === compressedFlag };
}

function joined(chunks: Uint8Array[]): Buffer {
  const [only] = chunks;
  return chunks.length === 1 && Buffer.isBuffer(only) ? only : Buffer.concat(chunks);
}

function assertSize(size: number, maxBytes: number): void {
  if (size > maxBytes) {
    throw new ConnectError(`the message is larger than ${maxBytes} bytes`, Code.ResourceExhausted);
  }
}

async function decompress(
  received: Received,
  wire: Wire,
  compression: Compression | null,
  maxBytes: number,
): Promise<Uint8Array> {
  if (!received.compressed || (compression === null && wire.protocol === 'connect')) return received.data;
  if (compression === null) {
    throw new ConnectError(
      `protocol error: compressed message without ${headerNames[wire.protocol].encoding}`,
      Code.InvalidArgument,
    );
  }
  try {
    return await compression.decompress(received.data, maxBytes);
  } catch (reason) {
    throw unreadable(reason, `${compression.name} stream`);
  }
}

function decode(desc: DescMessage, bytes: Uint8Array, binary: boolean) {
  try {
    if (binary) return fromBinary(desc, bytes);
    // Fatal, so that invalid UTF-8 is refused like in binary, and not replaced; a password would silently be another.
    const json = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    // A field that is not known is a typing error, and may be one that takes something back: {"trust_devices": false}.
    return fromJsonString(desc, json);
  } catch (reason) {
    throw unreadable(reason, desc.typeName);
  }
}

/** `promise`, or the signal's reason as soon as it is aborted: a body that never comes must not hold a call. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Platform code that was stopped by the signal throws an AbortError of its own; the deadline or the client was why. */
function abortReason(reason: unknown, signal: AbortSignal): unknown {
  return signal.aborted && reason instanceof Error && reason.name === 'AbortError' ? signal.reason : reason;
}

function copyHeaders(from: Headers, to: Headers): void {
  if (from === to) return;
  for (const name of [...to.keys()]) to.delete(name);
  from.forEach((value, name) => {
    to.append(name, value);
  });
}
