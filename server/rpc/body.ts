// The bytes of a request: the whole of it, or gRPC's envelopes, within bounds; and messages from them. It must not know
// methods or answers.

import type { Readable } from 'node:stream';
import { type DescMessage, fromBinary, fromJsonString, type Message } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { compressedFlag } from '@connectrpc/connect/protocol';
import { compressionBrotli, compressionGzip } from '@connectrpc/connect-node';
import type { RunningCall } from './running-call.ts';
import { headerNames, unreadable, type Wire } from './wire.ts';

export const acceptCompression = [compressionGzip, compressionBrotli];
export type Compression = (typeof acceptCompression)[number];

export interface Received {
  readonly data: Uint8Array;
  readonly compressed: boolean;
}

/** Takes the pieces of a body as they come. Throws where there are too many, or where they make no sense. */
export interface Sink {
  push(piece: Buffer): void;
  end(): Received;
}

/** Reads a body to its end, unless the call ends before, or `timeoutMs` pass. */
export function readBody(body: Readable, sink: Sink, call: RunningCall, timeoutMs: number): Promise<Received> {
  return new Promise((resolve, reject) => {
    const settle = (how: () => void) => {
      clearTimeout(timer);
      call.onEnd = undefined;
      body.off('data', onData);
      body.off('end', onEnd);
      // Else it would seem to flow, with nobody to take what comes, and never be resumed.
      body.pause();
      how();
    };
    const attempt = (work: () => void) => {
      try {
        work();
      } catch (reason) {
        settle(() => reject(reason));
      }
    };
    const onData = (piece: Buffer) => attempt(() => sink.push(piece));
    const onEnd = () =>
      attempt(() => {
        const received = sink.end();
        settle(() => resolve(received));
      });
    const timer = setTimeout(
      () => settle(() => reject(new ConnectError('the body took too long', Code.DeadlineExceeded))),
      timeoutMs,
    );
    call.onEnd = (reason) => settle(() => reject(reason));
    if (call.ended !== undefined) {
      call.onEnd(call.ended);
      return;
    }
    body.on('data', onData);
    body.on('end', onEnd);
  });
}

/** The whole body, at most `maxBytes` of it. It is put together as it comes: a promised length reserves nothing. */
export function wholeBody(declared: number, maxBytes: number): Sink {
  assertSize(declared, maxBytes);
  const pieces: Buffer[] = [];
  let size = 0;
  return {
    push: (piece) => {
      size += piece.byteLength;
      assertSize(size, maxBytes);
      pieces.push(piece);
    },
    end: () => ({ data: joined(pieces), compressed: true }),
  };
}

/** The one message of a body: 1 byte of flags, 4 of length, then the message. */
export function oneEnvelope(maxBytes: number): Sink {
  const pieces: Buffer[] = [];
  let size = 0;
  let expected: number | undefined;
  return {
    push: (piece) => {
      size += piece.byteLength;
      pieces.push(piece);
      if (expected === undefined && size >= headBytes) {
        const length = joined(pieces).readUInt32BE(1);
        assertSize(length, maxBytes);
        expected = headBytes + length;
      }
      if (expected !== undefined && size > expected) {
        throw new ConnectError('protocol error: received more than one message', Code.Unimplemented);
      }
    },
    end: () => {
      if (size === 0) throw new ConnectError('protocol error: missing message', Code.Unimplemented);
      if (size !== expected) throw new ConnectError('protocol error: incomplete envelope', Code.InvalidArgument);
      return opened(joined(pieces));
    },
  };
}

/** The messages of a body, one after the other as they come. The connection is left alone when it is left. */
export async function* envelopes(body: Readable, call: RunningCall, maxBytes: number): AsyncGenerator<Received> {
  const pieces = body.iterator({ destroyOnReturn: false });
  let rest: Buffer = Buffer.alloc(0);
  for (;;) {
    while (rest.byteLength >= headBytes) {
      const length = rest.readUInt32BE(1);
      assertSize(length, maxBytes);
      if (rest.byteLength < headBytes + length) break;
      yield opened(rest.subarray(0, headBytes + length));
      rest = rest.subarray(headBytes + length);
    }
    const next = await call.unlessEnded(pieces.next());
    if (next.done) break;
    rest = Buffer.concat([rest, next.value]);
  }
  if (rest.byteLength > 0) throw new ConnectError('protocol error: incomplete envelope', Code.InvalidArgument);
}

const headBytes = 5;

function opened(envelope: Buffer): Received {
  const compressed = (envelope.readUInt8(0) & compressedFlag) === compressedFlag;
  return { data: envelope.subarray(headBytes), compressed };
}

/** Decompresses what was received, and decodes it. */
export async function decode(
  desc: DescMessage,
  received: Received,
  wire: Wire,
  compression: Compression | null,
  maxBytes: number,
): Promise<Message> {
  const bytes =
    received.compressed && (compression !== null || wire.framed)
      ? await decompress(received.data, wire, compression, maxBytes)
      : received.data;
  try {
    if (wire.binary) return fromBinary(desc, bytes);
    // Fatal, so that invalid UTF-8 is refused like in binary, and not replaced; a password would silently be another.
    const json = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    // A field that is not known is a typing error, and may be one that takes something back: {"trust_devices": false}.
    return fromJsonString(desc, json);
  } catch (reason) {
    throw unreadable(reason, desc.typeName);
  }
}

async function decompress(
  data: Uint8Array,
  wire: Wire,
  compression: Compression | null,
  maxBytes: number,
): Promise<Uint8Array> {
  if (compression === null) {
    const header = headerNames[wire.protocol].encoding;
    throw new ConnectError(`protocol error: compressed message without ${header}`, Code.InvalidArgument);
  }
  try {
    return await compression.decompress(data, maxBytes);
  } catch (reason) {
    throw unreadable(reason, `${compression.name} stream`);
  }
}

function joined(pieces: Buffer[]): Buffer {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
}

function assertSize(size: number, maxBytes: number): void {
  if (size > maxBytes) {
    throw new ConnectError(`the message is larger than ${maxBytes} bytes`, Code.ResourceExhausted);
  }
}
