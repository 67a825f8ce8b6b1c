import { describe, expect, it } from 'vitest';
import { clientAddress, parseTrustedProxies } from '../../server/platform/client-address.ts';

const trusted = parseTrustedProxies('loopback, 10.0.0.0/8, 192.0.2.7, fd00::/8');

describe('the client’s address', () => {
  it.each<[what: string, peer: string | undefined, forwarded: string | string[] | null, client: string]>([
    ['no proxy', '203.0.113.9', null, '203.0.113.9'],
    ['one proxy', '127.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['two proxies', '127.0.0.1', '203.0.113.9, 10.1.2.3', '203.0.113.9'],
    ['a single trusted address', '192.0.2.7', '203.0.113.9', '203.0.113.9'],
    ['an IPv6 proxy', 'fd12::1', '2001:DB8:0::1', '2001:db8::1'],
    ['a proxy that says nothing', '127.0.0.1', null, '127.0.0.1'],
    ['a proxy that says nothing, in words', '127.0.0.1', '', '127.0.0.1'],
    ['only trusted hops', '127.0.0.1', '10.0.0.9, 10.0.0.8', '10.0.0.9'],
    ['repeated headers, in their order', '127.0.0.1', ['198.51.100.1', '203.0.113.9, 10.0.0.8'], '203.0.113.9'],
    ['no empty repetition', '127.0.0.1', [], '127.0.0.1'],
    ['no address at all', undefined, '203.0.113.9', ''],
    ['a peer that is no address', 'unix:/run/x', '203.0.113.9', ''],
  ])('is known behind %s', (_, peer, forwarded, client) => {
    expect(clientAddress(peer, forwarded, trusted)).toBe(client);
  });

  it.each<[what: string, peer: string, forwarded: string | string[], client: string]>([
    ['a header sent straight to us', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['a trusted address claimed by a stranger', '203.0.113.9', '127.0.0.1', '203.0.113.9'],
    ['an entry put in front of what the proxy adds', '127.0.0.1', '198.51.100.1, 203.0.113.9', '203.0.113.9'],
    ['trusted entries put in front', '127.0.0.1', '10.0.0.1, 127.0.0.1, 203.0.113.9', '203.0.113.9'],
    ['a header of its own before the proxy’s', '127.0.0.1', ['198.51.100.1', '203.0.113.9'], '203.0.113.9'],
    ['rubbish in front', '127.0.0.1', '<script>, 203.0.113.9', '203.0.113.9'],
    ['rubbish behind a trusted hop', '127.0.0.1', '198.51.100.1, rubbish, 10.0.0.8', '10.0.0.8'],
    ['rubbish alone', '127.0.0.1', 'rubbish', '127.0.0.1'],
    ['an obfuscated hop', '127.0.0.1', '198.51.100.1, unknown', '127.0.0.1'],
    ['an empty entry', '127.0.0.1', '198.51.100.1,', '127.0.0.1'],
    ['octal parts', '127.0.0.1', '198.51.100.1, 012.0.0.1', '127.0.0.1'],
    ['hexadecimal parts', '127.0.0.1', '198.51.100.1, 0x0a.0.0.1', '127.0.0.1'],
    ['a short form', '127.0.0.1', '198.51.100.1, 10.1', '127.0.0.1'],
    ['a network for an address', '127.0.0.1', '198.51.100.1, 10.0.0.0/8', '127.0.0.1'],
    ['a trusted IPv4 in a NAT64 address', '64:ff9b::7f00:1', '198.51.100.1', '64:ff9b::7f00:1'],
  ])('is not moved by %s', (_, peer, forwarded, client) => {
    expect(clientAddress(peer, forwarded, trusted)).toBe(client);
  });

  it.each([
    ['203.0.113.9:4567', '203.0.113.9'],
    ['[2001:db8::1]:4567', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['[::ffff:203.0.113.9]:80', '203.0.113.9'],
    ['  203.0.113.9\t', '203.0.113.9'],
  ])('has one way to be written: %s', (written, client) => {
    expect(clientAddress('::ffff:127.0.0.1', written, trusted)).toBe(client);
  });

  it('is the peer’s where nobody is trusted', () => {
    expect(clientAddress('127.0.0.1', '203.0.113.9', parseTrustedProxies(''))).toBe('127.0.0.1');
  });
});

describe('the trusted proxies', () => {
  it.each([
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0/8',
    'fd00::/129',
    'proxy.example',
    '::ffff:10.0.0.0/8',
    '10.0.0.0/8/8',
    '/8',
  ])('refuse %s, and say what they take', (entry) => {
    expect(() => parseTrustedProxies(`loopback,${entry}`)).toThrow(`"${entry}" is no network; it takes addresses`);
  });

  it('take an IPv4-mapped network as the IPv4 one', () => {
    expect(clientAddress('10.9.9.9', '203.0.113.9', parseTrustedProxies('::ffff:10.0.0.0/104'))).toBe('203.0.113.9');
  });

  it('take a network by any of its addresses, and all of IPv4', () => {
    expect(clientAddress('10.9.9.9', '203.0.113.9', parseTrustedProxies('10.1.2.3/8'))).toBe('203.0.113.9');
    expect(clientAddress('8.8.8.8', '203.0.113.9', parseTrustedProxies('0.0.0.0/0'))).toBe('203.0.113.9');
    expect(clientAddress('2001:db8::1', '203.0.113.9', parseTrustedProxies('0.0.0.0/0'))).toBe('2001:db8::1');
  });
});
