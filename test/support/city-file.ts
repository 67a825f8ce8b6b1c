// The smallest city database in MaxMind's format: a good file that knows no address. For servers whose places nobody asks.

/** MaxMind DB 2.0: a search tree of one node that leads nowhere, 16 zero bytes, no data, the metadata. */
export function emptyCityFile(buildTime = new Date(1_780_000_000_000)): Buffer {
  const nodeCount = 1;
  const node = Buffer.from([0, 0, nodeCount, 0, 0, nodeCount]);
  const metadata = map({
    binary_format_major_version: unsigned16(2),
    binary_format_minor_version: unsigned16(0),
    build_epoch: unsigned64(Math.floor(buildTime.getTime() / 1_000)),
    database_type: text('Nowhere-City'),
    description: map({ en: text('Knows no address') }),
    ip_version: unsigned16(6),
    languages: Buffer.from([0x00, 0x04]),
    node_count: unsigned32(nodeCount),
    record_size: unsigned16(24),
  });
  return Buffer.concat([node, Buffer.alloc(16), Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1'), metadata]);
}

function map(entries: Readonly<Record<string, Buffer>>): Buffer {
  const parts = Object.entries(entries).flatMap(([key, value]) => [text(key), value]);
  return Buffer.concat([Buffer.from([(7 << 5) | Object.keys(entries).length]), ...parts]);
}

/** At most 28 bytes: longer ones carry their length apart. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  if (bytes.length > 28) throw new Error(`${value} is too long for this writer`);
  return Buffer.concat([Buffer.from([(2 << 5) | bytes.length]), bytes]);
}

function unsigned16(value: number): Buffer {
  return Buffer.from([(5 << 5) | 2, value >> 8, value & 0xff]);
}

function unsigned32(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = (6 << 5) | 4;
  bytes.writeUInt32BE(value, 1);
  return bytes;
}

function unsigned64(value: number): Buffer {
  const bytes = Buffer.alloc(10);
  // Extended type: the byte after the control byte says 7 + 2 = 9, uint64.
  bytes[0] = 8;
  bytes[1] = 2;
  bytes.writeBigUInt64BE(BigInt(value), 2);
  return bytes;
}
