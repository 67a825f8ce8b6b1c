// The networks that guesses and calls are counted by: an address alone is too cheap to change. This file knows no headers.

/**
 * The network that guesses are counted by: the IPv4 /24 or IPv6 /48 of an address, as `203.0.113.0/24` or `2001:db8:1::/48`
 * (product rule: one customer's line holds a whole /48 at most). An IPv4-mapped IPv6 address counts as its IPv4, a zone is
 * ignored, and what is no address is `unknown`: all of those share one budget.
 */
export const networkOf = (ip: string): string => prefixOf(ip, 3, 3);

/** The same of calls: the IPv4 address, as `203.0.113.9/32`, or the IPv6 /64, which one machine has to itself. */
export const subnetOf = (ip: string): string => prefixOf(ip, 4, 4);

/** The first of the 4 octets or 8 groups of an address. */
function prefixOf(ip: string, octetCount: number, groupCount: number): string {
  const octets = ipv4Octets(ip);
  if (octets !== undefined) return ipv4Prefix(octets, octetCount);
  const groups = ipv6Groups(ip.replace(/%.*$/s, ''));
  if (groups === undefined) return 'unknown';
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups;
  if (f === 0xffff && a + b + c + d + e === 0) return ipv4Prefix([g >> 8, g & 0xff, h >> 8, h & 0xff], octetCount);
  const prefix = groups.slice(0, groupCount).map((group) => group.toString(16));
  while (prefix.at(-1) === '0') prefix.pop();
  return `${prefix.join(':')}::/${groupCount * 16}`;
}

function ipv4Prefix(octets: readonly number[], count: number): string {
  return `${octets.map((octet, index) => (index < count ? octet : 0)).join('.')}/${count * 8}`;
}

// Four decimal parts and nothing else: 010.0.0.1 is 8.0.0.1 to one parser and 10.0.0.1 to another.
function ipv4Octets(ip: string): number[] | undefined {
  const parts = ip.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part))) return undefined;
  const octets = parts.map(Number);
  return octets.every((octet) => octet <= 255) ? octets : undefined;
}

// RFC 4291, section 2.2: eight groups, `::` once for one or more zero groups, and a dotted quad as the last two.
function ipv6Groups(ip: string): number[] | undefined {
  const sides = ip.split('::');
  if (sides.length > 2) return undefined;
  const head = groupsOf(sides[0] ?? '', sides.length === 1);
  const tail = groupsOf(sides[1] ?? '', true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (sides.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function groupsOf(side: string, mayEndDotted: boolean): number[] | undefined {
  if (side === '') return [];
  const groups: number[] = [];
  const parts = side.split(':');
  for (const [index, part] of parts.entries()) {
    const octets = mayEndDotted && index === parts.length - 1 ? ipv4Octets(part) : undefined;
    if (octets !== undefined) {
      const [a = 0, b = 0, c = 0, d = 0] = octets;
      groups.push(a * 256 + b, c * 256 + d);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}
