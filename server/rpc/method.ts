// What the handlers of unary calls and of streams have in common. It must not know either.

import type { Interceptor } from '@connectrpc/connect';
import { compressedFlag, compressionNegotiate, encodeEnvelope } from '@connectrpc/connect/protocol';
import type { LimitFunction } from 'p-limit';
import { acceptCompression, type Compression } from './body.ts';
import { headerNames, type ToConnectError, type Wire } from './wire.ts';

export interface MethodOptions {
  /** Outermost first. One that replaces `contextValues` must carry over what was in them. */
  readonly interceptors: readonly Interceptor[];
  /** Gives whatever was thrown its code and details. */
  readonly toConnectError: ToConnectError;
  /** Bound of a message in bytes, as sent and decompressed. */
  readonly readMaxBytes: number;
  /** ms in which a body with one message has to be there. */
  readonly bodyTimeoutMs: number;
  /** Lets messages be decompressed, a few at once: a bomb of a hundred bytes takes a megabyte until it is refused. */
  readonly decompressing: LimitFunction;
}

export type Next = Parameters<Interceptor>[0];

/** Below it, in bytes, compressing costs more than it saves; Connect's own default. */
export const compressMinBytes = 1024;

/** Which compression the request has, and which one its answer gets. */
export function negotiate(wire: Wire, header: Headers) {
  const names = headerNames[wire.stream ? 'connect-stream' : wire.protocol];
  return compressionNegotiate(
    acceptCompression,
    header.get(names.encoding),
    header.get(names.acceptEncoding),
    names.acceptEncoding,
  );
}

export async function enveloped(output: Uint8Array, compression: Compression | null): Promise<Uint8Array> {
  if (compression === null || output.byteLength < compressMinBytes) return encodeEnvelope(0, output);
  return encodeEnvelope(compressedFlag, await compression.compress(output));
}

export function copyHeaders(from: Headers, to: Headers): void {
  if (from === to) return;
  for (const name of [...to.keys()]) to.delete(name);
  from.forEach((value, name) => {
    to.append(name, value);
  });
}
