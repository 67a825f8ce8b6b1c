// How a call's answer looks in gRPC, gRPC-Web and Connect, over the building blocks that Connect exports for it. It must
// not know sockets, methods' rules or why a call is refused.

import { Code, ConnectError } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import * as connect from '@connectrpc/connect/protocol-connect';
import * as grpc from '@connectrpc/connect/protocol-grpc';
import * as grpcWeb from '@connectrpc/connect/protocol-grpc-web';
import type { Answer } from './exchange.ts';

/** Gives whatever was thrown its code and details. What it has made before, it returns as it is. */
export type ToConnectError = (
  reason: unknown,
  request: { readonly path: string; readonly header: Headers },
) => ConnectError;

/** How the caller speaks, as its content type says. `stream` is Connect's own framing of streaming methods. */
export interface Wire {
  readonly protocol: 'grpc' | 'grpc-web' | 'connect';
  readonly binary: boolean;
  readonly stream: boolean;
  /** Whether messages stand in envelopes; Connect's unary calls have none. */
  readonly framed: boolean;
}

/** Longest deadline that is kept, in ms; setTimeout fires at once beyond it. 24 days are no deadline at all. */
const longestTimeoutMs = 2 ** 31 - 1;

/** The wire that a content type names, or undefined where no RPC is spoken in it. gRPC-Web's base64 text is not. */
export function wireOf(contentType: string | null): Wire | undefined {
  const asGrpc = grpc.parseContentType(contentType);
  if (asGrpc) return { protocol: 'grpc', binary: asGrpc.binary, stream: false, framed: true };
  const asWeb = grpcWeb.parseContentType(contentType);
  if (asWeb)
    return asWeb.text ? undefined : { protocol: 'grpc-web', binary: asWeb.binary, stream: false, framed: true };
  const asConnect = connect.parseContentType(contentType);
  return asConnect && { protocol: 'connect', ...asConnect, framed: asConnect.stream };
}

/** How each protocol names its headers; Connect's streams name two of them differently. */
export const headerNames = {
  grpc: { timeout: grpc.headerTimeout, encoding: grpc.headerEncoding, acceptEncoding: grpc.headerAcceptEncoding },
  'grpc-web': {
    timeout: grpcWeb.headerTimeout,
    encoding: grpcWeb.headerEncoding,
    acceptEncoding: grpcWeb.headerAcceptEncoding,
  },
  connect: {
    timeout: connect.headerTimeout,
    encoding: connect.headerUnaryEncoding,
    acceptEncoding: connect.headerUnaryAcceptEncoding,
  },
  'connect-stream': {
    timeout: connect.headerTimeout,
    encoding: connect.headerStreamEncoding,
    acceptEncoding: connect.headerStreamAcceptEncoding,
  },
} as const;

/** The caller's time-out in ms, from now. A longer one than a timer can hold counts as none. */
export function timeoutOf(
  wire: Wire,
  header: Headers,
): {
  timeoutMs?: number;
  error?: ConnectError | undefined;
} {
  const parse = wire.protocol === 'connect' ? connect.parseTimeout : grpc.parseTimeout;
  const parsed = parse(header.get(headerNames[wire.protocol].timeout), Number.MAX_SAFE_INTEGER);
  return parsed.timeoutMs !== undefined && parsed.timeoutMs > longestTimeoutMs ? {} : parsed;
}

export function contentTypeOf(wire: Wire): string {
  switch (wire.protocol) {
    case 'grpc':
      return wire.binary ? grpc.contentTypeProto : grpc.contentTypeJson;
    case 'grpc-web':
      return wire.binary ? grpcWeb.contentTypeProto : grpcWeb.contentTypeJson;
    case 'connect':
      if (wire.stream) return wire.binary ? connect.contentTypeStreamProto : connect.contentTypeStreamJson;
      return wire.binary ? connect.contentTypeUnaryProto : connect.contentTypeUnaryJson;
  }
}

/** The answer that ends a call with an error, with what the call had already put in its headers and trailers. */
export function refusal(wire: Wire, error: ConnectError, header = new Headers(), trailer = new Headers()): Answer {
  switch (wire.protocol) {
    case 'grpc': {
      // Trailers-only: one frame, its reader needs no second, and the headers stand where clients look on errors.
      const all = grpc.setTrailerStatus(merged(header, trailer), error);
      all.set('content-type', contentTypeOf(wire));
      all.delete(grpc.headerEncoding);
      return { status: 200, header: all };
    }
    case 'grpc-web': {
      header.set('content-type', contentTypeOf(wire));
      const status = grpcWeb.trailerSerialize(grpc.setTrailerStatus(trailer, error));
      return { status: 200, header, body: encodeEnvelope(grpcWeb.trailerFlag, status) };
    }
    case 'connect': {
      if (wire.stream) {
        header.set('content-type', contentTypeOf(wire));
        const end = connect.endStreamToJson(trailer, error, undefined);
        const body = encodeEnvelope(connect.endStreamFlag, new TextEncoder().encode(JSON.stringify(end)));
        return { status: 200, header, body };
      }
      return plainRefusal(connect.codeToHttpStatus(error.code), error, connect.trailerMux(header, trailer));
    }
  }
}

/** An error for whoever speaks plain HTTP, in Connect's JSON form. */
export function plainRefusal(status: number, error: ConnectError, header = new Headers()): Answer {
  const body = connect.errorToJsonBytes(error, undefined);
  const all = merged(header, error.metadata);
  all.set('content-type', connect.contentTypeUnaryJson);
  return { status, header: all, body };
}

/**
 * The framework's error for bytes that are no message, as the caller's mistake that it is. Connect calls some of them
 * internal, and quotes the body, where a password may stand.
 */
export function unreadable(reason: unknown, typeName: string): ConnectError {
  if (reason instanceof ConnectError && reason.code !== Code.Internal) return reason;
  return new ConnectError(`the body is not a valid ${typeName}`, Code.InvalidArgument);
}

function merged(first: Headers, second: Headers): Headers {
  const all = new Headers(first);
  second.forEach((value, name) => {
    all.set(name, value);
  });
  return all;
}
