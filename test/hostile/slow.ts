// Attacks that take their time: what a hostile client begins and does not end. All are begun at once, and each has to be over by
// itself: cut, or answered.

import { setTimeout as sleep } from 'node:timers/promises';
import { connectRaw, dataFrame, headersFrame, type RawHttp2 } from '../support/raw-http2.ts';
import { openRaw, type Peer, type RawSocket } from '../support/raw-socket.ts';

export interface Slow {
  readonly name: string;
  /** Whether it is over. */
  isOver(): boolean;
  close(): void;
}

const connectionsEach = 10;
const streamsEach = 100;
const check = '/grpc.health.v1.Health/Check';
const start = (path: string, type: string) => `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\n`;

const attacks: Readonly<Record<string, (peer: Peer) => Omit<Slow, 'name'>>> = {
  silence: (peer) => overHttp1(peer, async () => {}),
  'HTTP/1.1 headers': (peer) => overHttp1(peer, (raw) => drip(raw, start(check, 'application/json').repeat(10))),
  'an HTTP/1.1 body': (peer) =>
    overHttp1(peer, async (raw) => {
      await raw.send(`${start(check, 'application/json')}content-length: 1000\r\n\r\n`);
      await drip(raw, ' '.repeat(1_000));
    }),
  'an HTTP/1.1 body in chunks': (peer) =>
    overHttp1(peer, async (raw) => {
      await raw.send(`${start(check, 'application/json')}transfer-encoding: chunked\r\n\r\n`);
      await drip(raw, '1\r\n \r\n'.repeat(1_000));
    }),
  'the form of a page': (peer) =>
    overHttp1(peer, async (raw) => {
      await raw.send(`${start('/deny?token=x', 'application/x-www-form-urlencoded')}content-length: 1000\r\n\r\n`);
      await drip(raw, 'a'.repeat(1_000));
    }),
  'HTTP/2 that asks for nothing': (peer) => untilClosed(connectRaw(peer)),
  'HTTP/2 headers': (peer) => {
    const raw = connectRaw(peer);
    const whole = headersFrame(1, check, { 'x-long': 'a'.repeat(100) }, { more: true });
    void raw.opened.then(() =>
      drip(
        raw,
        [...whole].map((byte) => Buffer.of(byte)),
      ),
    );
    return untilClosed(raw);
  },
  'HTTP/2 bodies': (peer) => {
    const raw = connectRaw(peer);
    const streams = Array.from({ length: streamsEach }, (_, index) => 2 * index + 1);
    void raw.opened.then(async () => {
      await raw.send(...streams.map((stream) => headersFrame(stream, check)));
      await drip(
        raw,
        Array.from({ length: 1_000 }, () => Buffer.concat(streams.map((id) => dataFrame(id, Buffer.of(0))))),
      );
    });
    const answered = () =>
      new Set(raw.frames().flatMap(({ type, stream }) => (type === 'headers' || type === 'reset' ? [stream] : [])));
    return { isOver: () => raw.isClosed() || answered().size === streamsEach, close: raw.close };
  },
};

export function beginSlowOnes(peer: Peer): readonly Slow[] {
  return Object.entries(attacks).flatMap(([name, begin]) =>
    Array.from({ length: connectionsEach }, () => ({ name, ...begin(peer) })),
  );
}

const untilClosed = ({ isClosed, close }: RawHttp2) => ({ isOver: isClosed, close });

/** Over once it is answered, or cut. */
function overHttp1(peer: Peer, attack: (raw: RawSocket) => Promise<void>): Omit<Slow, 'name'> {
  const raw = openRaw({ ...peer, alpn: 'http/1.1' });
  void raw.opened.then(() => attack(raw));
  return { isOver: () => raw.isClosed() || raw.received().length > 0, close: raw.close };
}

/** Sends the pieces one by one, a second each. */
async function drip(raw: RawSocket | RawHttp2, pieces: Iterable<string | Buffer>): Promise<void> {
  for (const piece of pieces) {
    if (raw.isClosed()) return;
    await raw.send(Buffer.from(piece as Buffer));
    await sleep(1_000, undefined, { ref: false });
  }
}
