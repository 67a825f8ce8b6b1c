// Attacks that are over in seconds: what a hostile client sends as fast as it can. They must not know whom they meet, a bare
// replica or the edge.

import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import {
  blockFrame,
  cancel,
  connectRaw,
  continuationFrame,
  dataFrame,
  headersFrame,
  literals,
  pingFrame,
  priorityFrame,
  type RawHttp2,
  resetFrame,
  settingsFrame,
  unknownFrame,
  windowFrame,
} from '../support/raw-http2.ts';
import { openRaw, type Peer, type RawSocket } from '../support/raw-socket.ts';

/** Its connections were cut, or what they send is not taken any more, or all of it was sent. */
export type Fate = 'cut' | 'stalled' | 'sent';

export interface Flood {
  readonly name: string;
  /** Whether it has to be stopped, or may be sent whole, as it does no harm. */
  readonly ends: 'stopped' | 'any';
  /** @param patienceMs how long the end of one that has to be stopped is waited for: a busy peer may read it later. */
  run(peer: Peer, patienceMs: number): Promise<Fate>;
}

const check = '/grpc.health.v1.Health/Check';
const reflection = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';

/** Sends what `make` makes for each number, `atOnce` in a packet, as long as it is taken. */
async function pour(raw: RawHttp2, count: number, atOnce: number, make: (index: number) => Buffer): Promise<void> {
  for (let sent = 0; sent < count && !raw.isClosed(); sent += atOnce) {
    await raw.send(...Array.from({ length: atOnce }, (_, index) => make(sent + index)));
  }
}

/** Waits until so many calls were answered: who leaves before that takes his work along. */
async function answers(raw: RawHttp2, count: number): Promise<void> {
  while (!raw.isClosed() && raw.frames().filter(({ type }) => type === 'headers' || type === 'reset').length < count) {
    await sleep(20);
  }
}

const stalledMs = 2_000;

async function fateOf(raw: RawHttp2 | RawSocket, sending: Promise<void>, patienceMs = 0): Promise<Fate> {
  let sent = false;
  sending = sending.then(() => {
    sent = true;
  });
  // As long as it is taken at all, however slowly, it goes on.
  for (let taken = -1; !sent && !raw.isClosed() && raw.taken() !== taken; ) {
    taken = raw.taken();
    await Promise.race([sending, sleep(stalledMs, undefined, { ref: false })]);
  }
  if (sent) await Promise.race([raw.closed, sleep(patienceMs, undefined, { ref: false })]);
  return raw.isClosed() ? 'cut' : sent ? 'sent' : 'stalled';
}

/** Over one connection. */
function overHttp2(
  name: string,
  ends: Flood['ends'],
  attack: (raw: RawHttp2) => Promise<void>,
  window?: number,
): Flood {
  return {
    name,
    ends,
    run: async (peer, patienceMs) => {
      const raw = connectRaw(peer, window);
      try {
        await raw.opened;
        return await fateOf(raw, attack(raw), ends === 'stopped' ? patienceMs : 0);
      } finally {
        raw.close();
      }
    },
  };
}

function overHttp1(name: string, attack: (raw: RawSocket) => Promise<void>): Flood {
  return {
    name,
    ends: 'any',
    run: async (peer) => {
      const raw = openRaw({ ...peer, alpn: 'http/1.1' });
      try {
        await raw.opened;
        return await fateOf(raw, attack(raw));
      } finally {
        raw.close();
      }
    },
  };
}

/** The number of the client's stream. */
const nth = (index: number) => 2 * index + 1;

const zeros = Buffer.alloc(48 * 1024 * 1024);
const bombs = { gzip: gzipSync(zeros), br: brotliCompressSync(zeros) };

function envelope(flags: number, declared: number, data: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(declared, 1);
  return Buffer.concat([head, data]);
}

/** An entry of the dynamic table of 4,000 bytes, then references to it (index 62) of a byte each. */
const hpackBomb = () =>
  Buffer.concat([
    literals([
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', check],
      [':authority', 'localhost'],
    ]),
    Buffer.of(0x40, 1),
    Buffer.from('x'),
    Buffer.of(127, 0xa1, 0x1e),
    Buffer.alloc(4_000, 'a'),
    Buffer.alloc(12_000, 0x80 | 62),
  ]);

export const floods: readonly Flood[] = [
  // CVE-2023-44487
  overHttp2('rapid reset', 'stopped', (raw) =>
    pour(raw, 200_000, 100, (index) =>
      Buffer.concat([headersFrame(nth(index), check), resetFrame(nth(index), cancel)]),
    ),
  ),
  // CVE-2025-8671: the client makes the server reset.
  overHttp2('resets that the server makes', 'stopped', (raw) =>
    pour(raw, 200_000, 100, (index) => Buffer.concat([headersFrame(nth(index), check), windowFrame(nth(index), 0)])),
  ),
  // CVE-2024-27316
  overHttp2('CONTINUATION flood', 'stopped', async (raw) => {
    await raw.send(headersFrame(1, check, {}, { more: true }));
    await pour(raw, 100_000, 100, (index) => continuationFrame(1, literals([[`x-${index}`, 'a'.repeat(100)]])));
  }),
  overHttp2('empty CONTINUATION flood', 'stopped', async (raw) => {
    await raw.send(headersFrame(1, check, {}, { more: true }));
    await pour(raw, 200_000, 1_000, () => continuationFrame(1, new Uint8Array()));
  }),
  // CVE-2019-9515
  overHttp2('SETTINGS flood, not read', 'stopped', (raw) => {
    raw.stopReading();
    return pour(raw, 1_000_000, 1_000, () => settingsFrame([[4, 65_535]]));
  }),
  overHttp2('SETTINGS flood, read', 'any', (raw) => pour(raw, 50_000, 100, () => settingsFrame([[4, 65_535]]))),
  // CVE-2019-9512
  overHttp2('PING flood, not read', 'stopped', (raw) => {
    raw.stopReading();
    return pour(raw, 1_000_000, 1_000, pingFrame);
  }),
  overHttp2('PING flood, read', 'any', (raw) => pour(raw, 50_000, 100, pingFrame)),
  // CVE-2019-9518
  overHttp2('empty DATA flood', 'stopped', async (raw) => {
    await raw.send(headersFrame(1, check));
    await pour(raw, 100_000, 100, () => dataFrame(1, new Uint8Array()));
  }),
  // CVE-2019-9513
  overHttp2('PRIORITY flood', 'any', (raw) => pour(raw, 100_000, 1_000, (index) => priorityFrame(nth(index)))),
  overHttp2('WINDOW_UPDATE flood', 'any', (raw) => pour(raw, 50_000, 1_000, () => windowFrame(0, 1))),
  overHttp2('flood of frames that nobody knows', 'any', (raw) => pour(raw, 100_000, 1_000, unknownFrame)),
  overHttp2('header bomb of HPACK', 'any', async (raw) => {
    for (let index = 0; index < 200 && !raw.isClosed(); index++) await raw.send(blockFrame(nth(index), hpackBomb()));
  }),
  overHttp2('10,000 headers a request', 'any', async (raw) => {
    const block = literals(Array.from({ length: 1_000 }, (_, index) => [`x${index}`, '']));
    for (let index = 0; index < 50 && !raw.isClosed(); index++) {
      await raw.send(headersFrame(nth(index), check, {}, { more: true }));
      for (let frame = 0; frame < 10; frame++) await raw.send(continuationFrame(nth(index), block, frame === 9));
    }
  }),
  overHttp2('cookies of 64 KB', 'any', async (raw) => {
    const crumbs = literals(Array.from({ length: 30 }, () => ['cookie', `a=${'b'.repeat(500)}`] as const));
    for (let index = 0; index < 100 && !raw.isClosed(); index++) {
      await raw.send(headersFrame(nth(index), check, {}, { more: true }));
      for (let frame = 0; frame < 4; frame++) await raw.send(continuationFrame(nth(index), crumbs, frame === 3));
    }
  }),
  overHttp2(
    'answers that nobody takes',
    'any',
    async (raw) => {
      const page = (index: number) => headersFrame(nth(index), '/reset?token=x', { ':method': 'GET' }, { last: true });
      await pour(raw, 250, 50, page);
      await answers(raw, 100);
    },
    0,
  ),
  overHttp2('5,000 calls at once on a connection', 'any', (raw) =>
    pour(raw, 5_000, 500, (index) =>
      Buffer.concat([headersFrame(nth(index), check), dataFrame(nth(index), envelope(0, 0, Buffer.alloc(0)), true)]),
    ),
  ),
  overHttp2('gRPC messages that lie about their length', 'any', (raw) =>
    pour(raw, 1_000, 50, (index) =>
      Buffer.concat([
        headersFrame(nth(index), index % 2 === 0 ? check : reflection),
        dataFrame(
          nth(index),
          envelope(0, [0xffffffff, 1, 60_000, 0x7fffffff][index % 4] ?? 0, Buffer.alloc(200)),
          true,
        ),
      ]),
    ),
  ),
  ...(['gzip', 'br'] as const).map((encoding) =>
    overHttp2(`200 bombs of 48 MB in ${encoding}`, 'any', async (raw) => {
      const bomb = envelope(1, bombs[encoding].length, bombs[encoding]);
      for (let index = 0; index < 200 && !raw.isClosed(); index++) {
        const id = nth(index);
        await raw.send(headersFrame(id, index % 2 === 0 ? check : reflection, { 'grpc-encoding': encoding }));
        for (let at = 0; at < bomb.length; at += 16_000)
          await raw.send(dataFrame(id, bomb.subarray(at, at + 16_000), at + 16_000 >= bomb.length));
      }
      await answers(raw, 100);
    }),
  ),
  ...(['content-length: 4294967296\r\n\r\n', 'transfer-encoding: chunked\r\n\r\nffffffff\r\n'] as const).map((head) =>
    overHttp1(`a body of 4 GB by ${head.startsWith('c') ? 'content-length' : 'one chunk'}`, async (raw) => {
      await raw.send(`POST ${check} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${head}`);
      const piece = Buffer.alloc(64 * 1024, ' ');
      for (let sent = 0; sent < 400 && !raw.isClosed(); sent++) await raw.send(piece);
    }),
  ),
  overHttp1('10,000 calls in a pipe that nobody reads', async (raw) => {
    raw.stopReading();
    const call = `POST ${check} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`;
    for (let sent = 0; sent < 10_000; sent += 100) await raw.send(call.repeat(100));
  }),
];
