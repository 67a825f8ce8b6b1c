// The address a call came from, believed only as far as our own proxies vouch for it. This file knows no request.

import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Networks whose `x-forwarded-for` counts. */
export type TrustedProxies = readonly (readonly [Address, number])[];

const LOOPBACK = ['127.0.0.0/8', '::1/128'];

/**
 * Reads a comma-separated list of addresses, CIDR networks and the word `loopback`; '' trusts nobody.
 * @throws Error that names the entry and says what the setting takes.
 */
export function parseTrustedProxies(text: string): TrustedProxies {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .flatMap((entry) => (entry === 'loopback' ? LOOPBACK : [entry]))
    .map(parseNetwork);
}

/**
 * The client's address in its canonical form (IPv4 dotted, IPv6 as in RFC 5952, without port and zone), '' when unknown.
 *
 * `remoteAddress` is the TCP peer. `forwardedFor` is `x-forwarded-for`, repeated headers in their order; it counts only
 * when the peer is trusted, and is read from the right, past trusted hops: everything left of the first untrusted hop is
 * what that hop claims. An entry that is no address ends the reading, and the hop that passed it on is the answer.
 */
export function clientAddress(
  remoteAddress: string | undefined,
  forwardedFor: string | readonly string[] | null | undefined,
  trusted: TrustedProxies,
): string {
  let known = parseAddress(remoteAddress ?? '');
  if (known === undefined) return '';
  const header = typeof forwardedFor === 'string' ? forwardedFor : (forwardedFor ?? []).join(',');
  const hops = header === '' ? [] : header.split(',');
  while (isTrusted(known, trusted)) {
    const hop = hops.pop();
    const next = hop === undefined ? undefined : parseHop(hop.trim());
    if (next === undefined) break;
    known = next;
  }
  return known.toString();
}

function isTrusted(address: Address, trusted: TrustedProxies): boolean {
  return trusted.some(([network, bits]) => network.kind() === address.kind() && address.match([network, bits]));
}

// Proxies write `1.2.3.4:567` and `[::1]:567` too.
function parseHop(hop: string): Address | undefined {
  const withPort = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d{1,5})?$/.exec(hop);
  const bracketed = withPort?.[1];
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? parseAddress(bracketed) : undefined;
  return parseAddress(withPort?.[2] ?? hop);
}

/**
 * Reads an address, without its zone; an IPv4-mapped IPv6 address is the IPv4 one. Undefined where it is none: node:net
 * decides, since ipaddr.js alone also takes `0x7f.1`, and octal parts.
 */
export function parseAddress(text: string): Address | undefined {
  if (isIP(text) === 0) return undefined;
  // ipaddr.js takes `::1.2.3.4` for the IPv4-mapped `::ffff:1.2.3.4`, and does not take `0::1.2.3.4` for it.
  return ipaddr.process(text.replace(/%.*$/s, '').replace(/^::(?=\d+\.)/, '0::'));
}

function parseNetwork(entry: string): readonly [Address, number] {
  const [text = '', prefix, ...rest] = entry.split('/');
  const family = isIP(text);
  const width = family === 4 ? 32 : 128;
  const bits = prefix === undefined ? width : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  const address = parseAddress(text);
  if (address === undefined || rest.length > 0 || !(bits <= width)) throw notANetwork(entry);
  if (family === 4 || address.kind() === 'ipv6') return [address, bits];
  // An IPv4-mapped network is the IPv4 one; wider than /96 it would hold more than mapped addresses.
  if (bits < 96) throw notANetwork(entry);
  return [address, bits - 96];
}

function notANetwork(entry: string): Error {
  return new Error(
    `"${entry}" is no network; it takes addresses, networks like 10.0.0.0/8 or fd00::/8, and the word loopback, separated by commas`,
  );
}
