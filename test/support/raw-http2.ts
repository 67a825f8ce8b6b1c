// HTTP/2 by hand (RFC 9113): frames in the order and the packets that a test wants, which no client would send.

import { connect, type Socket } from 'node:net';

const types = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7 };
const acknowledged = 1;
const endHeaders = 4;
const endStream = 1;

export const noError = 0;
export const cancel = 8;

/** A frame that came. */
export interface Frame {
  readonly type: keyof typeof types | undefined;
  readonly stream: number;
  readonly payload: Buffer;
}

export interface RawHttp2 {
  /** Every frame so far that the other side sent. */
  readonly frames: readonly Frame[];
  /** Sends frames in one packet. */
  send(...frames: Buffer[]): void;
  close(): void;
}

/** A connection, to a port or one that there is, whose streams may be sent `window` bytes before we allow more, which we never do. */
export function connectRaw(to: number | Socket, window = 65_535): RawHttp2 {
  const socket = typeof to === 'number' ? connect({ port: to, host: '127.0.0.1', noDelay: true }) : to;
  socket.on('error', () => {});
  const frames: Frame[] = [];
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= headBytes && rest.length >= headBytes + rest.readUIntBE(0, 3)) {
      const end = headBytes + rest.readUIntBE(0, 3);
      const type = (Object.keys(types) as (keyof typeof types)[]).find((name) => types[name] === rest[3]);
      frames.push({ type, stream: rest.readUInt32BE(5), payload: rest.subarray(headBytes, end) });
      rest = rest.subarray(end);
    }
  });
  const settings = Buffer.alloc(6);
  // SETTINGS_INITIAL_WINDOW_SIZE
  settings.writeUInt16BE(4, 0);
  settings.writeUInt32BE(window, 2);
  socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(types.settings, 0, 0, settings)]));
  return {
    frames,
    send: (...frames) => void socket.write(Buffer.concat(frames)),
    close: () => socket.destroy(),
  };
}

export function headersFrame(stream: number, path: string, more: Readonly<Record<string, string>> = {}): Buffer {
  const fields = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': path,
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    ...more,
  };
  // Literals that are not indexed (RFC 7541, 6.2.2).
  const block = Object.entries(fields).flatMap(([name, value]) => [
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
  return frame(types.headers, endHeaders, stream, Buffer.concat(block));
}

export function dataFrame(stream: number, data: Uint8Array, last = false): Buffer {
  return frame(types.data, last ? endStream : 0, stream, data);
}

export function resetFrame(stream: number, code: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(code);
  return frame(types.reset, 0, stream, payload);
}

/** The answer to a PING. */
export function pongFrame({ payload }: Frame): Buffer {
  return frame(types.ping, acknowledged, 0, payload);
}

const headBytes = 9;

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUIntBE(payload.byteLength, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
