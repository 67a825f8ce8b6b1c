// What a MaxMind-format file holds, network by network, read by its specification (MaxMind DB File Format, version 2.0) and
// by no library: answers of the service, which uses one, are held against it.

export interface MmdbNetwork {
  /** In CIDR notation; a network in ::/96 as the IPv4 one that it stands for. */
  readonly network: string;
  readonly first: string;
  readonly last: string;
  readonly record: unknown;
}

export interface MmdbFile {
  readonly metadata: Readonly<Record<string, unknown>>;
  /**
   * The networks that have a record, in the order of addresses, but for aliases of IPv4 (::ffff:0:0/96, 2002::/16): all, or
   * one of so many.
   */
  networks(oneOf?: number): Generator<MmdbNetwork>;
}

export function readMmdb(bytes: Buffer): MmdbFile {
  const marker = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
  const metadataStart = bytes.lastIndexOf(marker) + marker.length;
  const metadata = decode(bytes, metadataStart, metadataStart).value as Record<string, unknown>;
  const [nodeCount, recordSize, width] = [
    metadata['node_count'] as number,
    metadata['record_size'] as number,
    metadata['ip_version'] === 4 ? 32 : 128,
  ];
  const treeSize = (nodeCount * recordSize) / 4;

  const child = (node: number, right: boolean): number => {
    const at = (node * recordSize) / 4;
    if (recordSize === 24) return bytes.readUIntBE(at + (right ? 3 : 0), 3);
    if (recordSize === 32) return bytes.readUInt32BE(at + (right ? 4 : 0));
    // 28 bits: the middle byte holds the highest four of both, the left ones first.
    const middle = bytes[at + 3] ?? 0;
    return (right ? middle & 0x0f : middle >> 4) * 2 ** 24 + bytes.readUIntBE(at + (right ? 4 : 0), 3);
  };
  const networkAt = (value: number, bits: bigint, depth: number): MmdbNetwork => {
    const rest = BigInt(width - depth);
    const isV4 = width === 32 || (depth >= 96 && bits >> 32n === 0n);
    const text = isV4 ? ipv4Text : ipv6Text;
    const first = text(bits << rest);
    return {
      network: `${first}/${isV4 && width === 128 ? depth - 96 : depth}`,
      first,
      last: text((bits << rest) | ((1n << rest) - 1n)),
      record: decode(bytes, treeSize + 16, treeSize + value - nodeCount).value,
    };
  };

  let ipv4Root = 0;
  for (let depth = 0; width === 128 && depth < 96 && ipv4Root < nodeCount; depth += 1)
    ipv4Root = child(ipv4Root, false);

  function* networks(oneOf = 1): Generator<MmdbNetwork> {
    const path = new Uint8Array(width);
    const open: [node: number, depth: number, right: boolean][] = [[0, 0, false]];
    for (let [next, seen] = [open.pop(), 0]; next !== undefined; next = open.pop()) {
      const [node, depth, right] = next;
      if (depth > 0) path[depth - 1] = Number(right);
      const isAlias = width === 128 && node === ipv4Root && path.subarray(0, depth).includes(1);
      if (node === nodeCount || isAlias) continue;
      if (node < nodeCount) {
        open.push([child(node, true), depth + 1, true], [child(node, false), depth + 1, false]);
        continue;
      }
      if (seen % oneOf === 0) yield networkAt(node, BigInt(`0b0${path.subarray(0, depth).join('')}`), depth);
      seen += 1;
    }
  }

  return { metadata, networks };
}

function ipv4Text(address: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (address >> shift) & 0xffn).join('.');
}

function ipv6Text(address: bigint): string {
  return address.toString(16).padStart(32, '0').match(/.{4}/g)?.join(':') ?? '';
}

/** A field of a section whose pointers count from `base`, and where the next one is. */
function decode(bytes: Buffer, base: number, start: number): { readonly value: unknown; readonly next: number } {
  const control = bytes.readUInt8(start);
  let at = start + 1;
  const unsigned = (length: number): number => {
    const value = length === 0 ? 0 : bytes.readUIntBE(at, length);
    at += length;
    return value;
  };
  if (control >> 5 === 1) {
    const length = ((control >> 3) & 3) + 1;
    const offset = [0, 2_048, 526_336, 0][length - 1] ?? 0;
    const high = length === 4 ? 0 : (control & 7) * 2 ** (8 * length);
    return { value: decode(bytes, base, base + high + offset + unsigned(length)).value, next: at };
  }
  const type = control >> 5 || 7 + unsigned(1);
  const short = control & 31;
  const size = short < 29 ? short : unsigned(short - 28) + ([29, 285, 65_821][short - 29] ?? 0);

  const field = (): unknown => {
    const { value, next } = decode(bytes, base, at);
    at = next;
    return value;
  };
  const fields = <T>(read: () => T): T[] => Array.from({ length: size }, read);
  const raw = (): Buffer => {
    at += size;
    return bytes.subarray(at - size, at);
  };
  switch (type) {
    case 2:
      return { value: raw().toString('utf8'), next: at };
    case 3:
      return { value: raw().readDoubleBE(), next: at };
    case 5:
    case 6:
      return { value: unsigned(size), next: at };
    case 7:
      return { value: Object.fromEntries(fields(() => [field(), field()] as const)), next: at };
    case 9:
      return { value: Number(`0x0${raw().toString('hex')}`), next: at };
    case 11:
      return { value: fields(field), next: at };
    case 14:
      return { value: size === 1, next: at };
    case 15:
      return { value: raw().readFloatBE(), next: at };
    default:
      throw new Error(`no test has needed type ${type} so far`);
  }
}
