// The bytes of a request: the whole of it, or gRPC's envelopes, within bounds; and messages from them. It must not know
// methods or answers.

import type { Readable } from 'node:stream';
import { type DescMessage, fromBinary, fromJsonString, type Message } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { compressedFlag } from '@connectrpc/connect/protocol';
import { compressionBrotli, compressionGzip } from '@connectrpc/connect-node';
import type { MethodOptions } from './method.ts';
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
      forget();
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
    const forget = call.onEnd((reason) => settle(() => reject(reason)));
    if (call.ended !== undefined) {
      const { ended } = call;
      settle(() => reject(ended));
      return;
    }
    body.on('data', onData);
    body.on('end', onEnd);
  });
}

/** The whole body, at most `maxBytes` of it. It is put together as it comes: a promised length reserves nothing. */
export function wholeBody(declared: number, maxBytes: number): Sink {
  assertSize(declared, maxBytes);
  const bytes = new Bytes();
  return {
    push: (piece) => {
      assertSize(bytes.size + piece.byteLength, maxBytes);
      bytes.add(piece);
    },
    end: () => ({ data: bytes.taken(), compressed: true }),
  };
}

/** The one message of a body: 1 byte of flags, 4 of length, then the message. */
export function oneEnvelope(maxBytes: number): Sink {
  const bytes = new Bytes();
  let expected: number | undefined;
  return {
    push: (piece) => {
      // What is too long is told so, but not kept.
      bytes.add(piece.subarray(0, headBytes + maxBytes + 1 - bytes.size));
      if (expected === undefined && bytes.size >= headBytes) {
        const length = bytes.taken().readUInt32BE(1);
        assertSize(length, maxBytes);
        expected = headBytes + length;
      }
      if (expected !== undefined && bytes.size > expected) {
        throw new ConnectError('protocol error: received more than one message', Code.Unimplemented);
      }
    },
    end: () => {
      if (bytes.size === 0) throw new ConnectError('protocol error: missing message', Code.Unimplemented);
      if (bytes.size !== expected) throw new ConnectError('protocol error: incomplete envelope', Code.InvalidArgument);
      return opened(bytes.taken());
    },
  };
}

/** The messages of a body, one after the other as they come. The connection is left alone when it is left. */
export async function* envelopes(body: Readable, call: RunningCall, maxBytes: number): AsyncGenerator<Received> {
  const pieces = body.iterator({ destroyOnReturn: false });
  const { signal } = call;
  const bytes = new Bytes();
  for (;;) {
    while (bytes.size >= headBytes) {
      const length = bytes.taken().readUInt32BE(1);
      assertSize(length, maxBytes);
      if (bytes.size < headBytes + length) break;
      const envelope = bytes.taken().subarray(0, headBytes + length);
      bytes.drop(envelope.byteLength);
      yield opened(envelope);
    }
    // Asked to end, it has nothing more to say.
    if (signal.aborted) return;
    const next = await call.unlessEnded(unlessAborted(pieces.next(), signal));
    if (next === undefined || next.done) break;
    bytes.add(next.value);
  }
  if (bytes.size > 0 && !signal.aborted)
    throw new ConnectError('protocol error: incomplete envelope', Code.InvalidArgument);
}

/** `promise`, or undefined once the signal is aborted. It leaves no listener behind, however often it is asked. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const stop = () => resolve(undefined);
    signal.addEventListener('abort', stop);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
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
  { readMaxBytes, decompressing }: Pick<MethodOptions, 'readMaxBytes' | 'decompressing'>,
): Promise<Message> {
  const bytes =
    received.compressed && (compression !== null || wire.framed)
      ? await decompressing(() => decompress(received.data, wire, compression, readMaxBytes))
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

/** Bytes put together as they come, however small the pieces: it takes at most twice what they hold. */
class Bytes {
  #buffer: Buffer = Buffer.alloc(0);
  /** Whether the buffer is ours to write to, and not a piece as it came. */
  #owned = false;
  size = 0;

  add(piece: Buffer): void {
    if (this.size === 0) {
      // Mostly there is only one, which need not be copied.
      this.#buffer = piece;
      this.#owned = false;
    } else {
      if (this.#buffer.byteLength < this.size + piece.byteLength || !this.#owned) this.#grow(piece.byteLength);
      piece.copy(this.#buffer, this.size);
    }
    this.size += piece.byteLength;
  }

  taken(): Buffer {
    return this.#buffer.subarray(0, this.size);
  }

  /** Forgets the first bytes, which nobody writes to after that: what was taken of them stays as it is. */
  drop(count: number): void {
    this.#buffer = this.#buffer.subarray(count);
    this.size -= count;
  }

  #grow(by: number): void {
    const larger = Buffer.allocUnsafe(2 * (this.size + by));
    this.#buffer.copy(larger, 0, 0, this.size);
    this.#buffer = larger;
    this.#owned = true;
  }
}

function assertSize(size: number, maxBytes: number): void {
  if (size > maxBytes) {
    throw new ConnectError(`the message is larger than ${maxBytes} bytes`, Code.ResourceExhausted);
  }
}
