import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientAddress, parseTrustedProxies } from '../../server/platform/client-address.ts';
import { iphone, startTestServer, type TestServer } from '../support/server.ts';

const trusted = parseTrustedProxies('loopback, 10.0.0.0/8, 192.0.2.7, fd00::/8');

describe('the client’s address', () => {
  it.each<[what: string, peer: string | undefined, forwarded: string | string[] | null, client: string]>([
    ['no proxy', '203.0.113.9', null, '203.0.113.9'],
    ['one proxy', '127.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['two proxies', '127.0.0.1', '203.0.113.9, 10.1.2.3', '203.0.113.9'],
    ['a single trusted address', '192.0.2.7', '203.0.113.9', '203.0.113.9'],
    ['an IPv6 proxy', 'fd12::1', '2001:DB8:0::1', '2001:db8::1'],
    ['an IPv6 proxy behind an IPv4 one', '127.0.0.1', '203.0.113.9, fd12::1', '203.0.113.9'],
    ['an IPv4 proxy behind an IPv6 one', '::1', '2001:db8::1, 10.1.2.3', '2001:db8::1'],
    ['a proxy on a socket of both families', '::ffff:10.1.2.3', '203.0.113.9', '203.0.113.9'],
    ['a proxy that is named as IPv4-mapped', '127.0.0.1', '203.0.113.9, ::ffff:10.1.2.3', '203.0.113.9'],
    ['proxies that are named with ports', '127.0.0.1', '203.0.113.9, 10.1.2.3:443, [fd12::1]:443', '203.0.113.9'],
    ['a proxy with a zone', 'fd12::1%eth0', '203.0.113.9', '203.0.113.9'],
    ['a chain of all kinds', '::1', '203.0.113.9:5, [fd12::1]:443, 192.0.2.7, ::ffff:a01:203', '203.0.113.9'],
    ['a proxy that says nothing', '127.0.0.1', null, '127.0.0.1'],
    ['a proxy that says nothing, in words', '127.0.0.1', '', '127.0.0.1'],
    ['only trusted hops', '127.0.0.1', '10.0.0.9, 10.0.0.8', '10.0.0.9'],
    ['repeated headers, in their order', '127.0.0.1', ['198.51.100.1', '203.0.113.9, 10.0.0.8'], '203.0.113.9'],
    ['repeated headers of which one is a proxy’s', '127.0.0.1', ['203.0.113.9', '10.0.0.8', '10.0.0.9'], '203.0.113.9'],
    ['repeated headers that node has joined', '127.0.0.1', '198.51.100.1, 203.0.113.9, 10.0.0.8', '203.0.113.9'],
    ['an empty header before the proxy’s', '127.0.0.1', ['', '203.0.113.9'], '203.0.113.9'],
    ['empty elements before the proxy’s', '127.0.0.1', ', ,203.0.113.9', '203.0.113.9'],
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
    ['a trusted IPv4 in an IPv4-compatible peer', '::127.0.0.1', '198.51.100.1', '::7f00:1'],
    ['a trusted IPv4 in an IPv4-compatible entry', '127.0.0.1', '198.51.100.1, ::10.0.0.1', '::a00:1'],
    ['a trusted IPv4 in a 6to4 entry', '127.0.0.1', '198.51.100.1, 2002:a00:1::', '2002:a00:1::'],
    ['an IPv6 header sent straight to us', '2001:db8::9', '198.51.100.1', '2001:db8::9'],
    ['a header from next to a trusted address', '192.0.2.8', '198.51.100.1', '192.0.2.8'],
    ['a header from next to a trusted network', '11.0.0.0', '198.51.100.1', '11.0.0.0'],
    ['IPv4-mapped entries put in front', '127.0.0.1', '::ffff:127.0.0.1, ::ffff:203.0.113.9', '203.0.113.9'],
    ['repeated headers of its own', '127.0.0.1', ['198.51.100.1', '10.0.0.1', '203.0.113.9'], '203.0.113.9'],
    ['an empty header behind the proxy’s', '127.0.0.1', ['198.51.100.1', ''], '127.0.0.1'],
    ['an empty element behind a trusted hop', '127.0.0.1', '198.51.100.1,, 10.0.0.8', '10.0.0.8'],
    ['empty elements alone', '127.0.0.1', ', ,', '127.0.0.1'],
    ['a port without an address', '127.0.0.1', '198.51.100.1, :443', '127.0.0.1'],
    ['an address with half a port', '127.0.0.1', '198.51.100.1, 10.0.0.8:', '127.0.0.1'],
    ['an address with two ports', '127.0.0.1', '198.51.100.1, 10.0.0.8:1:2', '127.0.0.1'],
    ['an address with words for a port', '127.0.0.1', '198.51.100.1, 10.0.0.8:http', '127.0.0.1'],
    ['IPv4 in brackets', '127.0.0.1', '198.51.100.1, [10.0.0.8]:443', '127.0.0.1'],
    ['a bracket that stays open', '127.0.0.1', '198.51.100.1, [fd12::1', '127.0.0.1'],
    ['brackets with more behind them', '127.0.0.1', '198.51.100.1, [fd12::1]443', '127.0.0.1'],
    ['empty brackets', '127.0.0.1', '198.51.100.1, []:443', '127.0.0.1'],
    ['IPv4 with a zone', '127.0.0.1', '198.51.100.1, 10.0.0.8%eth0', '127.0.0.1'],
    ['IPv6 of nine groups', '127.0.0.1', '198.51.100.1, fd12:1:2:3:4:5:6:7:8', '127.0.0.1'],
    ['IPv6 with two gaps', '127.0.0.1', '198.51.100.1, fd12::1::2', '127.0.0.1'],
    ['IPv4-mapped with octal parts', '127.0.0.1', '198.51.100.1, ::ffff:012.0.0.8', '127.0.0.1'],
    ['IPv4 as one number', '127.0.0.1', '198.51.100.1, 2130706433', '127.0.0.1'],
    ['a part beyond 255', '127.0.0.1', '198.51.100.1, 10.0.0.256', '127.0.0.1'],
    ['full-width digits', '127.0.0.1', '198.51.100.1, １０.0.0.8', '127.0.0.1'],
    ['blanks within', '127.0.0.1', '198.51.100.1, 10.0. 0.8', '127.0.0.1'],
    ['another separator', '127.0.0.1', '198.51.100.1; 10.0.0.8', '127.0.0.1'],
    ['the syntax of Forwarded', '127.0.0.1', 'for=198.51.100.1', '127.0.0.1'],
    ['quotes', '127.0.0.1', '"198.51.100.1"', '127.0.0.1'],
    ['a name', '127.0.0.1', '198.51.100.1, localhost', '127.0.0.1'],
    ['a line break', '127.0.0.1', '198.51.100.1\r\n10.0.0.8', '127.0.0.1'],
    ['a zero byte', '127.0.0.1', '198.51.100.1\0', '127.0.0.1'],
  ])('is not moved by %s', (_, peer, forwarded, client) => {
    expect(clientAddress(peer, forwarded, trusted)).toBe(client);
  });

  it.each([
    ['203.0.113.9:4567', '203.0.113.9'],
    ['[2001:db8::1]:4567', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[fe80::1%eth0]:4567', 'fe80::1'],
    ['2001:db8::203.0.113.9', '2001:db8::cb00:7109'],
    ['::ffff:cb00:7109', '203.0.113.9'],
    ['0:0:0:0:0:FFFF:203.0.113.9', '203.0.113.9'],
    ['::203.0.113.9', '::cb00:7109'],
    ['0::203.0.113.9', '::cb00:7109'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['[::ffff:203.0.113.9]:80', '203.0.113.9'],
    ['  203.0.113.9\t', '203.0.113.9'],
  ])('has one way to be written: %s', (written, client) => {
    expect(clientAddress('::ffff:127.0.0.1', written, trusted)).toBe(client);
  });

  it('is the peer’s where nobody is trusted', () => {
    expect(clientAddress('127.0.0.1', '203.0.113.9', parseTrustedProxies(''))).toBe('127.0.0.1');
  });

  it('is read at once from a header of any length', () => {
    const started = performance.now();
    for (const part of ['198.51.100.1,', '10.0.0.1,', '1', '[', ':', ',', '%', 'a b ']) {
      const long = part.repeat(1_000_000 / part.length);
      expect(clientAddress('127.0.0.1', `${long},203.0.113.9`, trusted)).toBe('203.0.113.9');
      expect(clientAddress('127.0.0.1', `198.51.100.1,${long}`, trusted)).toMatch(/^(127\.0\.0\.1|198\.51\.100\.1)$/);
    }
    expect(performance.now() - started).toBeLessThan(10_000);
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

  it('take an IPv4-compatible network as the IPv6 one that it is', () => {
    const compatible = parseTrustedProxies('::10.0.0.0/104');
    expect(clientAddress('10.9.9.9', '203.0.113.9', compatible)).toBe('10.9.9.9');
    expect(clientAddress('::10.9.9.9', '203.0.113.9', compatible)).toBe('203.0.113.9');
  });

  it('take a network by any of its addresses, and all of IPv4', () => {
    expect(clientAddress('10.9.9.9', '203.0.113.9', parseTrustedProxies('10.1.2.3/8'))).toBe('203.0.113.9');
    expect(clientAddress('8.8.8.8', '203.0.113.9', parseTrustedProxies('0.0.0.0/0'))).toBe('203.0.113.9');
    expect(clientAddress('2001:db8::1', '203.0.113.9', parseTrustedProxies('0.0.0.0/0'))).toBe('2001:db8::1');
  });
});

describe('the client’s address at a listener', () => {
  let server: TestServer;
  let distrustful: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
    distrustful = await startTestServer({ COUNTERSIGN_TRUSTED_PROXIES: '192.0.2.7' }, server);
  });
  afterAll(async () => {
    await distrustful.stop();
    await server.stop();
  });

  const signIn = '/countersign.v1.TwoStepAuth/SignIn';
  const needed = {
    'content-type': 'application/json',
    'countersign-client-version': '2.3',
    'countersign-client-platform': 'ios',
  };
  type Headers = Readonly<Record<string, string | string[]>>;

  /** Each value of a list is sent as a header of its own, in either version. */
  const callers: Readonly<Record<string, (url: string, headers: Headers, body: string) => Promise<void>>> = {
    'HTTP/1.1': async (url, headers, body) => {
      const call = request(`${url}${signIn}`, { method: 'POST', agent: false, headers: { ...needed, ...headers } });
      call.end(body);
      const [answer] = await once(call, 'response');
      answer.resume();
      await once(answer, 'end');
    },
    'HTTP/2': async (url, headers, body) => {
      const session = connect(url);
      const call = session.request({ ':method': 'POST', ':path': signIn, ...needed, ...headers });
      call.end(body);
      call.resume();
      await once(call, 'close');
      session.close();
    },
  };

  /** Where a sign-in with these headers came from, as its account's activity notes it. */
  async function notedAddress(at: TestServer, version: string, headers: Headers): Promise<unknown> {
    const { accountId, email } = await server.createAccount();
    const body = JSON.stringify({ email, password: 'wrong', device: { ...iphone, platform: 'PLATFORM_IOS' } });
    await callers[version]?.(at.publicUrl, headers, body);
    const noted = await server.query(`select origin->>'ipAddress' as address from login_event where account_id = $1`, [
      accountId,
    ]);
    return noted.map(({ address }) => address).join();
  }

  describe.each(Object.keys(callers))('over %s', (version) => {
    it.each<[what: string, headers: Headers, address: string]>([
      ['what the trusted proxy says', { 'x-forwarded-for': '203.0.113.9' }, '203.0.113.9'],
      ['not what stands before it', { 'x-forwarded-for': '198.51.100.1, 203.0.113.9' }, '203.0.113.9'],
      ['not a header before the proxy’s', { 'x-forwarded-for': ['198.51.100.1', '203.0.113.9'] }, '203.0.113.9'],
      ['the same past a trusted hop', { 'x-forwarded-for': ['203.0.113.9', '127.0.0.2, ::1'] }, '203.0.113.9'],
      ['one that is IPv4-mapped and has a port', { 'x-forwarded-for': '[::ffff:203.0.113.9]:443' }, '203.0.113.9'],
      ['IPv6', { 'x-forwarded-for': ['rubbish', '2001:DB8::0001'] }, '2001:db8::1'],
      ['the peer’s for rubbish', { 'x-forwarded-for': ['203.0.113.9', 'rubbish'] }, '127.0.0.1'],
      ['the peer’s for Forwarded', { forwarded: 'for=203.0.113.9' }, '127.0.0.1'],
      [
        'the peer’s for headers that only other proxies write',
        { 'x-real-ip': '203.0.113.9', 'true-client-ip': '203.0.113.9', 'cf-connecting-ip': '203.0.113.9' },
        '127.0.0.1',
      ],
    ])('is %s', async (_, headers, address) => {
      expect(await notedAddress(server, version, headers)).toBe(address);
    });

    it('is the peer’s, whatever it says, where another proxy is trusted', async () => {
      const headers = { 'x-forwarded-for': ['203.0.113.9', '127.0.0.1'], forwarded: 'for=203.0.113.9' };
      expect(await notedAddress(distrustful, version, headers)).toBe('127.0.0.1');
    });
  });
});
