// HTTP/2 by hand (RFC 9113): frames in the order and the packets that a test wants, which no client would send.

import { openRaw, type Peer, type RawSocket } from './raw-socket.ts';

const types = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
};
const ack = 1;
const endHeaders = 4;
const endStream = 1;

export const noError = 0;
export const cancel = 8;

/** A frame as it came. */
export interface Frame {
  readonly type: keyof typeof types | undefined;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export interface RawHttp2 extends Omit<RawSocket, 'send'> {
  /** Sends frames in one packet; resolves when the system has taken them. */
  send(...frames: Buffer[]): Promise<void>;
  /** What came so far; the whole ones. */
  frames(): readonly Frame[];
}

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** A connection whose streams may be sent `window` bytes before we allow more, which we never do. */
export function connectRaw(to: number | Peer, window = 65_535): RawHttp2 {
  const peer = typeof to === 'number' ? { port: to } : to;
  const socket = openRaw({ ...peer, alpn: 'h2' });
  // SETTINGS_INITIAL_WINDOW_SIZE
  void socket.send(preface, settingsFrame([[4, window]]));
  return { ...socket, frames: () => framesIn(socket.received()) };
}

function framesIn(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  const names = Object.entries(types) as [keyof typeof types, number][];
  for (let at = 0; at + headBytes <= bytes.length; ) {
    const end = at + headBytes + bytes.readUIntBE(at, 3);
    if (end > bytes.length) break;
    const type = names.find(([, code]) => code === bytes[at + 3])?.[0];
    const payload = bytes.subarray(at + 9, end);
    frames.push({ type, flags: bytes[at + 4] ?? 0, stream: bytes.readUInt32BE(at + 5), payload });
    at = end;
  }
  return frames;
}

export interface HeadersOptions {
  /** Nothing follows: the request has no body. */
  readonly last?: boolean;
  /** Its headers go on in CONTINUATION frames. */
  readonly more?: boolean;
}

/** Of a gRPC call, unless `more` says otherwise; a pseudo-header that is empty there is left out. */
export function headersFrame(
  stream: number,
  path: string,
  more: Readonly<Record<string, string>> = {},
  options: HeadersOptions = {},
): Buffer {
  const fields = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': path,
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    ...more,
  };
  const sent = Object.entries(fields).filter(([name, value]) => !(name.startsWith(':') && value === ''));
  return blockFrame(stream, literals(sent), options);
}

/** Headers as a block that is encoded already. */
export function blockFrame(
  stream: number,
  block: Uint8Array,
  { last = false, more = false }: HeadersOptions = {},
): Buffer {
  return frame(types.headers, (last ? endStream : 0) | (more ? 0 : endHeaders), stream, block);
}

export function continuationFrame(stream: number, block: Uint8Array, last = false): Buffer {
  return frame(types.continuation, last ? endHeaders : 0, stream, block);
}

/** Literals that are not indexed (RFC 7541, 6.2.2). */
export function literals(fields: Iterable<readonly [name: string, value: string]>): Buffer {
  const string = (text: string) => {
    const bytes = Buffer.from(text, 'latin1');
    return [integer(bytes.length), bytes];
  };
  return Buffer.concat([...fields].flatMap(([name, value]) => [Buffer.of(0), ...string(name), ...string(value)]));
}

/** With a prefix of 7 bits (RFC 7541, 5.1). */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.of(value);
  const bytes = [127];
  for (let rest = value - 127; ; rest >>= 7) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 127) | 128);
  }
}

export function dataFrame(stream: number, data: Uint8Array, last = false): Buffer {
  return frame(types.data, last ? endStream : 0, stream, data);
}

export function resetFrame(stream: number, code: number): Buffer {
  return frame(types.reset, 0, stream, word(code));
}

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(6 * settings.length);
  for (const [index, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  }
  return frame(types.settings, 0, 0, payload);
}

export const pingFrame = (): Buffer => frame(types.ping, 0, 0, new Uint8Array(8));
export const windowFrame = (stream: number, by: number): Buffer => frame(types.window, 0, stream, word(by));
export const priorityFrame = (stream: number): Buffer =>
  frame(types.priority, 0, stream, Buffer.concat([word(0), Buffer.of(1)]));
/** Of a type that nobody knows, and everybody skips. */
export const unknownFrame = (): Buffer => frame(0xee, 0, 0, new Uint8Array());

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** The answer to a PING. */
export function pongFrame({ payload }: Frame): Buffer {
  return frame(types.ping, ack, 0, payload);
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
