// A DNS server over UDP (RFC 1035) that knows texts of some names; it stands in for that of the internet. It must not know what they
// mean.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';

export interface DnsServer {
  /** `host:port`. */
  readonly address: string;
  /** The texts of names, in lower case; every other name does not exist. */
  readonly texts: Map<string, readonly string[]>;
  stop(): Promise<void>;
}

const typeTxt = 16;
const headBytes = 12;
/** 4.1.1: a name that does not exist. */
const nxdomain = 3;

export async function startDnsServer(): Promise<DnsServer> {
  const texts = new Map<string, readonly string[]>();
  const socket = createSocket('udp4');
  socket.on('message', (query, { address, port }) => socket.send(answer(query, texts), port, address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    texts,
    stop: async () => {
      socket.close();
      await once(socket, 'close');
    },
  };
}

function answer(query: Buffer, texts: ReadonlyMap<string, readonly string[]>): Buffer {
  // 4.1.2: labels, each behind its length, up to an empty one; then the type and the class.
  const labels: string[] = [];
  let at = headBytes;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const question = query.subarray(headBytes, at + 5);
  const known = texts.get(labels.join('.').toLowerCase());
  const found = query.readUInt16BE(at + 1) === typeTxt ? (known ?? []) : [];
  const head = Buffer.alloc(headBytes);
  query.copy(head, 0, 0, 2);
  // A response, by who has authority, to a question that wanted recursion.
  head.writeUInt16BE(0x8580 | (known === undefined ? nxdomain : 0), 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(found.length, 6);
  return Buffer.concat([head, question, ...found.map(record)]);
}

/** 4.1.3, with a pointer to the name of the question; 3.3.14: strings of up to 255 bytes. */
function record(text: string): Buffer {
  const parts = (text.match(/.{1,255}/gs) ?? ['']).map((part) =>
    Buffer.concat([Buffer.from([part.length]), Buffer.from(part, 'latin1')]),
  );
  const data = Buffer.concat(parts);
  const head = Buffer.from([0xc0, headBytes, 0, typeTxt, 0, 1, 0, 0, 0, 0, data.length >> 8, data.length & 255]);
  return Buffer.concat([head, data]);
}
