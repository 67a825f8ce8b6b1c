// HTTP/2 by hand (RFC 9113): frames in the order and the packets that a test wants, which no client would send.

import { connect, type Socket } from 'node:net';

const types = { data: 0, headers: 1, reset: 3, settings: 4 };
const endHeaders = 4;
const endStream = 1;

export const noError = 0;
export const cancel = 8;

export interface RawHttp2 {
  /** Sends frames in one packet. */
  send(...frames: Buffer[]): void;
  close(): void;
}

/** A connection whose streams may be sent `window` bytes before we allow more, which we never do. */
export function connectRaw(port: number, window = 65_535): RawHttp2 {
  const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => {});
  socket.resume();
  const settings = Buffer.alloc(6);
  // SETTINGS_INITIAL_WINDOW_SIZE
  settings.writeUInt16BE(4, 0);
  settings.writeUInt32BE(window, 2);
  socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(types.settings, 0, 0, settings)]));
  return {
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

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.byteLength, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
