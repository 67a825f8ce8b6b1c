// The load: gRPC calls over bare HTTP/2 sessions, the same for whoever answers them. Requests come encoded, and an answer
// is decoded only by who needs it.

import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';

export type CallHeaders = Readonly<Record<string, string>>;

export interface GrpcClient {
  /** The one message of the answer. Fails where the status is another than OK. */
  call(path: string, headers: CallHeaders, frame: Buffer): Promise<Buffer>;
  /** The status of the answer, whatever it is. */
  status(path: string, headers: CallHeaders, frame: Buffer): Promise<number>;
  /** Opens a stream and reads it until it is closed here; `onEnd` is told of any other end. */
  watch(
    path: string,
    headers: CallHeaders,
    frame: Buffer,
    onMessage: (message: Buffer) => void,
    onEnd: (status: number) => void,
  ): { close(): void };
  close(): void;
}

/** A message as gRPC puts it on the wire: 1 byte of flags, 4 of length, then the message. */
export function frameOf<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Buffer {
  return framed(toBinary(schema, create(schema, init)));
}

export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.byteLength);
  frame.writeUInt32BE(message.byteLength, 1);
  frame.set(message, 5);
  return frame;
}

const headBytes = 5;

/** Several sessions, as several callers have; calls take them in turn. */
export function connectGrpc(url: string, sessions = 4): GrpcClient {
  const open: ClientHttp2Session[] = [];
  for (let index = 0; index < sessions; index++) {
    const session = connect(url);
    // A call that it breaks fails by itself.
    session.on('error', () => {});
    session.unref();
    open.push(session);
  }
  let turn = 0;
  const begin = (path: string, headers: CallHeaders, frame: Buffer): ClientHttp2Stream => {
    turn = (turn + 1) % sessions;
    const session = open[turn];
    if (session === undefined) throw new Error('no session');
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc+proto',
      te: 'trailers',
      ...headers,
    });
    stream.end(frame);
    return stream;
  };
  const ask = (path: string, headers: CallHeaders, frame: Buffer): Promise<{ status: number; body: Buffer }> =>
    new Promise((resolve, reject) => {
      const stream = begin(path, headers, frame);
      let status = -1;
      let body: Buffer | undefined;
      const noteStatus = (fields: Readonly<Record<string, unknown>>) => {
        const value = fields['grpc-status'];
        if (value !== undefined) status = Number(value);
      };
      stream.on('response', noteStatus);
      stream.on('trailers', noteStatus);
      stream.on('data', (chunk: Buffer) => {
        body = body === undefined ? chunk : Buffer.concat([body, chunk]);
      });
      stream.on('error', reject);
      stream.on('close', () => {
        if (status < 0) reject(new Error(`${path} ended without a status`));
        else resolve({ status, body: body ?? Buffer.alloc(0) });
      });
    });
  return {
    async call(path, headers, frame) {
      const { status, body } = await ask(path, headers, frame);
      if (status !== 0) throw new Error(`${path} was refused with status ${status}`);
      return body.subarray(headBytes);
    },
    async status(path, headers, frame) {
      return (await ask(path, headers, frame)).status;
    },
    watch(path, headers, frame, onMessage, onEnd) {
      const stream = begin(path, headers, frame);
      let closed = false;
      let status = -1;
      let rest: Buffer = Buffer.alloc(0);
      stream.on('response', (fields) => {
        if (fields['grpc-status'] !== undefined) status = Number(fields['grpc-status']);
      });
      stream.on('trailers', (fields) => {
        status = Number(fields['grpc-status']);
      });
      stream.on('data', (chunk: Buffer) => {
        rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
        while (rest.length >= headBytes && rest.length >= headBytes + rest.readUInt32BE(1)) {
          const end = headBytes + rest.readUInt32BE(1);
          onMessage(rest.subarray(headBytes, end));
          rest = rest.subarray(end);
        }
      });
      stream.on('error', () => {});
      stream.on('close', () => {
        if (!closed) onEnd(status);
      });
      return {
        close: () => {
          closed = true;
          stream.close();
        },
      };
    },
    close() {
      for (const session of open) session.destroy();
    },
  };
}
