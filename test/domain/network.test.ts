import { describe, expect, it } from 'vitest';
import { networkOf, subnetOf } from '../../server/domain/network.ts';

describe('the subnet that calls are counted by', () => {
  it.each([
    ['203.0.113.9', '203.0.113.9/32'],
    ['::ffff:203.0.113.9', '203.0.113.9/32'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:0:3:4:5:6', '2001:db8:1::/64'],
    ['2001:db8:0:2::', '2001:db8:0:2::/64'],
    ['fe80::1%eth0', 'fe80::/64'],
    ['', 'unknown'],
  ])('of %s is %s', (ip, subnet) => {
    expect(subnetOf(ip)).toBe(subnet);
  });
});

describe('the network that guesses are counted by', () => {
  it.each([
    ['203.0.113.9', '203.0.113.0/24'],
    ['203.0.113.255', '203.0.113.0/24'],
    ['0.0.0.0', '0.0.0.0/24'],
    ['2001:db8:1::5', '2001:db8:1::/48'],
    ['2001:db8:1:ffff:1:2:3:4', '2001:db8:1::/48'],
    ['2001:0DB8:0001:0000::', '2001:db8:1::/48'],
    ['2001:db8::', '2001:db8::/48'],
    ['2001:0:1:2:3:4:5:6', '2001:0:1::/48'],
    ['::1', '::/48'],
    ['::', '::/48'],
    ['fe80::1%eth0', 'fe80::/48'],
  ])('of %s is %s', (ip, network) => {
    expect(networkOf(ip)).toBe(network);
  });

  it('is one for an address written as IPv4 and as IPv4-mapped IPv6, so nobody has two budgets', () => {
    for (const mapped of ['::ffff:203.0.113.9', '::FFFF:cb00:7109', '0:0:0:0:0:ffff:203.0.113.9']) {
      expect(networkOf(mapped)).toBe('203.0.113.0/24');
    }
  });

  it('is one for everything that is no address', () => {
    const nonsense = [
      '',
      'unknown',
      '1.2.3',
      '1.2.3.256',
      '1.2.3.4.5',
      '010.0.0.1',
      '1.2.3.4/8',
      '1.2.3.4:80',
      '[::1]',
      ':::',
      '1::2::3',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '1:2:3:4::5:6:7:8',
      '1.2.3.4::',
      '12345::',
      'g::',
      ':1::',
      ' 1.2.3.4',
    ];
    for (const text of nonsense) expect(networkOf(text), text).toBe('unknown');
  });
});
