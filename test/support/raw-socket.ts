// A connection on loopback, in cleartext or TLS, whose bytes a test writes itself, and whose end it can wait for.

import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface Peer {
  readonly port: number;
  /** Whether it speaks TLS; its certificate is not looked at. */
  readonly tls?: boolean;
  /** An address of 127.0.0.0/8 to come from. */
  readonly from?: string;
}

export interface RawSocket {
  /** Resolves when the system has taken the bytes, or the connection is over. */
  send(...bytes: (Buffer | string)[]): Promise<void>;
  /** How many bytes the peer's system has taken. */
  taken(): number;
  /** What came so far; of more than 1 MiB, the first. */
  received(): Buffer;
  readonly opened: Promise<void>;
  /** Resolves when the connection is over, however it ended. */
  readonly closed: Promise<void>;
  isClosed(): boolean;
  /** Reads no more, so that the peer can't write any more. */
  stopReading(): void;
  /** Says that nothing more is sent. */
  end(): void;
  close(): void;
}

const keptBytes = 1024 * 1024;

export function openRaw({ port, tls = false, from, alpn }: Peer & { readonly alpn: 'h2' | 'http/1.1' }): RawSocket {
  const to = { port, host: '127.0.0.1', noDelay: true, ...(from === undefined ? {} : { localAddress: from }) };
  const socket: Socket = tls ? connectTls({ ...to, ALPNProtocols: [alpn], rejectUnauthorized: false }) : connectTcp(to);
  let pieces: Buffer[] = [];
  let size = 0;
  socket.on('data', (piece) => {
    if (size > keptBytes) return;
    pieces.push(piece);
    size += piece.length;
  });
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const opened = new Promise<void>((resolve) => {
    socket.once(tls ? 'secureConnect' : 'connect', () => resolve());
    socket.once('close', () => resolve());
  });
  return {
    send: (...bytes) =>
      new Promise((resolve) => {
        if (socket.destroyed) resolve();
        else socket.write(Buffer.concat(bytes.map((each) => Buffer.from(each as Buffer))), () => resolve());
      }),
    taken: () => socket.bytesWritten - socket.writableLength,
    received: () => {
      if (pieces.length > 1) pieces = [Buffer.concat(pieces)];
      return pieces[0] ?? Buffer.alloc(0);
    },
    opened,
    closed,
    isClosed: () => socket.destroyed,
    stopReading: () => socket.pause(),
    end: () => socket.end(),
    close: () => socket.destroy(),
  };
}
