import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bundledCityFiles, openPlaces, type Places, type PlacesOptions } from '../../server/location/places.ts';

const geoip = fileURLToPath(new URL('../../../shared/geoip/', import.meta.url));
const missing = !existsSync(geoip);
const city = join(geoip, 'GeoIP2-City-Test.mmdb');
const liteCity = join(geoip, 'GeoLite2-City-Test.mmdb');
const enterprise = join(geoip, 'GeoIP2-Enterprise-Test.mmdb');
const connectionType = join(geoip, 'GeoIP2-Connection-Type-Test.mmdb');
const asn = join(geoip, 'GeoLite2-ASN-Test.mmdb');
const anonymousIp = join(geoip, 'GeoIP2-Anonymous-IP-Test.mmdb');

const log = { info: vi.fn(), warn: vi.fn() };
const opened: Places[] = [];

async function places(options: Partial<PlacesOptions>): Promise<Places> {
  const result = await openPlaces({ cityFiles: [], log, ...options });
  opened.push(result);
  return result;
}

afterEach(() => {
  for (const each of opened.splice(0)) each.close();
  vi.clearAllMocks();
});

// An address that says nothing, whatever a file claims to know of it.
const nowhere = [
  '10.0.0.1',
  '172.16.0.1',
  '192.168.1.1',
  '127.0.0.1',
  '169.254.1.1',
  '100.64.0.1',
  '192.0.2.1',
  '198.51.100.1',
  '203.0.113.1',
  '0.0.0.0',
  '255.255.255.255',
  '224.0.0.1',
  '240.0.0.1',
  '::',
  '::1',
  'fe80::1',
  'fc00::1',
  'ff02::1',
  '2001:db8::1',
  '::ffff:10.0.0.1',
  // An IPv4 address within, which is not the caller's: IPv4-compatible, 6to4, Teredo, NAT64.
  '::81.2.69.142',
  '::5102:458e',
  '2002:5102:458e::1',
  '2001:0:5102:458e::1',
  '64:ff9b::5102:458e',
  '',
  'unknown',
  '8.8.8',
  '8.8.8.8:53',
  '010.8.8.8',
  '300.1.1.1',
  '8.8.8.8%eth0',
  '::ffff:010.8.8.8',
  '[2001:630:212::1]',
];
const nothing = { place: undefined, connectionType: undefined, network: undefined, anonymous: [] };

describe.skipIf(missing)('with MaxMind’s files (skipped where ../shared/geoip is absent)', () => {
  it('the known addresses are where they are known to be', async () => {
    const { locate } = await places({ cityFiles: [city] });
    expect(locate('81.2.69.142')).toEqual({
      place: {
        city: 'London',
        region: 'England',
        country: 'United Kingdom',
        countryCode: 'GB',
        latitude: 51.5142,
        longitude: -0.0931,
        accuracyRadiusKm: 10,
        source: 'GeoIP2-City 2026-02-04',
      },
      connectionType: undefined,
      network: undefined,
      anonymous: [],
    });
    expect(locate('2.125.160.216').place).toMatchObject({ city: 'Boxford', countryCode: 'GB', accuracyRadiusKm: 100 });
    expect(locate('89.160.20.112').place).toMatchObject({ city: 'Linköping', countryCode: 'SE' });
    expect(locate('175.16.199.0').place).toMatchObject({ city: 'Changchun', countryCode: 'CN' });
  });

  it('a record without a city is a country, without coordinates', async () => {
    const { locate } = await places({ cityFiles: [city] });
    expect(locate('2001:218::1').place).toEqual({
      city: '',
      region: '',
      country: 'Japan',
      countryCode: 'JP',
      latitude: undefined,
      longitude: undefined,
      accuracyRadiusKm: undefined,
      source: 'GeoIP2-City 2026-02-04',
    });
  });

  it('an IPv4-mapped IPv6 address is the IPv4 one', async () => {
    const { locate } = await places({ cityFiles: [city] });
    expect(locate('::ffff:81.2.69.142')).toEqual(locate('81.2.69.142'));
    expect(locate('::ffff:5102:458e')).toEqual(locate('81.2.69.142'));
  });

  it('an address that says nothing has no place', async () => {
    const { locate } = await places({
      cityFiles: [city],
      connectionTypeFile: connectionType,
      asnFile: asn,
      anonymousIpFile: anonymousIp,
    });
    for (const ip of nowhere) expect(locate(ip), ip).toEqual(nothing);
    expect(log.warn).not.toHaveBeenCalled();
  });

  it('names are in the reader’s language where the file has it, else English', async () => {
    const { locate } = await places({ cityFiles: [city] });
    const names = (ip: string, locale: string): (string | undefined)[] => {
      const { place } = locate(ip, locale);
      return [place?.city, place?.region, place?.country];
    };
    expect(names('81.2.69.142', 'ru')).toEqual(['Лондон', 'England', 'Великобритания']);
    expect(names('81.2.69.142', 'ru-KZ')).toEqual(['Лондон', 'England', 'Великобритания']);
    expect(names('81.2.69.142', 'pt')).toEqual(['Londres', 'Inglaterra', 'Reino Unido']);
    expect(names('175.16.199.0', 'zh-CN')).toEqual(['长春', '吉林', '中国']);
    // Traditional is not simplified; the country's name is Intl's, since the file has none.
    expect(names('89.160.20.112', 'zh-TW')).toEqual(['Linköping', 'Östergötland County', '瑞典']);
    expect(names('81.2.69.142', 'pl')).toEqual(['London', 'England', 'Wielka Brytania']);
    expect(names('81.2.69.142', '*not a tag*')).toEqual(['London', 'England', 'United Kingdom']);
    expect(names('81.2.69.142', 'constructor')).toEqual(['London', 'England', 'United Kingdom']);
  });

  it('the connection type comes from its own file, or from an Enterprise one', async () => {
    const own = await places({ cityFiles: [city], connectionTypeFile: connectionType });
    expect(own.locate('1.0.1.1').connectionType).toBe('CELLULAR');
    expect(own.locate('80.214.0.1').connectionType).toBe('CELLULAR');
    expect(own.locate('1.0.0.1').connectionType).toBe('CABLE_DSL');
    expect(own.locate('81.2.69.142').connectionType).toBeUndefined();
    const from = await places({ cityFiles: [enterprise] });
    expect(from.locate('89.160.20.112')).toMatchObject({ place: { city: 'Linköping' }, connectionType: 'CORPORATE' });
    // Where both know the address, the file that is made for the question answers.
    const both = await places({ cityFiles: [enterprise], connectionTypeFile: connectionType });
    expect(from.locate('216.160.83.56').connectionType).toBe('CABLE_DSL');
    expect(both.locate('216.160.83.56').connectionType).toBe('CORPORATE');
  });

  it('the network comes from its own file, or from an Enterprise one', async () => {
    const own = await places({ cityFiles: [enterprise], asnFile: asn });
    expect(own.locate('1.128.0.1').network).toEqual({ number: 1221, organization: 'Telstra Pty Ltd' });
    expect(own.locate('81.2.69.142').network).toBeUndefined();
    const from = await places({ cityFiles: [enterprise] });
    expect(from.locate('89.160.20.112').network).toEqual({ number: 29518, organization: 'Bredband2 AB' });
    // Where both know the address, the file that is made for the question answers.
    expect(from.locate('75.209.24.0').network?.number).toBe(14671);
    expect(own.locate('75.209.24.0').network?.number).toBe(6167);
    const without = await places({ cityFiles: [city] });
    expect(without.locate('89.160.20.112').network).toBeUndefined();
  });

  it('what hides the caller comes from an Anonymous-IP file, and is nothing without one', async () => {
    const { locate } = await places({ cityFiles: [city], anonymousIpFile: anonymousIp });
    expect(locate('1.2.0.1').anonymous).toEqual(['VPN']);
    expect(locate('81.2.69.1').anonymous).toEqual(['VPN', 'HOSTING', 'PUBLIC_PROXY', 'RESIDENTIAL_PROXY', 'TOR_EXIT']);
    expect(locate('8.8.8.8').anonymous).toEqual([]);
    const without = await places({ cityFiles: [city] });
    expect(without.locate('1.2.0.1').anonymous).toEqual([]);
  });

  it('the first file that knows an address answers', async () => {
    const { locate } = await places({ cityFiles: [enterprise, liteCity] });
    expect(locate('89.160.20.112').place?.source).toBe('GeoIP2-Enterprise 2026-05-29');
    expect(locate('81.2.69.142').place?.source).toBe('GeoLite2-City 2026-02-04');
  });
});

describe.skipIf(missing)('a configured file (skipped where ../shared/geoip is absent)', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'places-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('that is not usable is refused by its path, with what is wrong and what it takes', async () => {
    const whole = await readFile(city);
    const cases: [name: string, bytes: Uint8Array | undefined, why: string][] = [
      ['absent.mmdb', undefined, 'no such file'],
      ['empty.mmdb', new Uint8Array(), 'it is empty'],
      ['text.mmdb', Buffer.from('hello'), 'no MaxMind-format file'],
      ['cut.mmdb', whole.subarray(0, whole.length / 2), 'cut off'],
      ['headless.mmdb', whole.subarray(5_000), 'it is damaged'],
      ['packed.mmdb', gzipSync(whole), 'it is compressed'],
      ['other.mmdb', await readFile(connectionType), 'it holds GeoIP2-Connection-Type'],
    ];
    for (const [name, bytes, why] of cases) {
      const path = join(folder, name);
      if (bytes !== undefined) await writeFile(path, bytes);
      const refusal = expect(places({ cityFiles: [path] }), name).rejects;
      await refusal.toThrow(path);
      await expect(places({ cityFiles: [path] }), name).rejects.toThrow(why);
      await expect(places({ cityFiles: [path] }), name).rejects.toThrow('it takes a complete, unpacked city database');
    }
    const others = { connectionTypeFile: 'connection-type', asnFile: 'ASN', anonymousIpFile: 'anonymous-IP' };
    for (const [option, kind] of Object.entries(others)) {
      const refusal = new RegExp(`it holds GeoIP2-City; it takes .* ${kind} database .* such as \\S+\\.mmdb$`);
      await expect(places({ cityFiles: [city], [option]: city })).rejects.toThrow(refusal);
    }
  });

  it('that is replaced is taken up, and one that is truncated or wrong is not', async () => {
    const path = join(folder, 'city.mmdb');
    const next = join(folder, 'next.mmdb');
    await copyFile(city, path);
    const { locate } = await places({ cityFiles: [path], checkEveryMs: 10 });
    const source = (): string | undefined => locate('81.2.69.142').place?.source;
    expect(source()).toBe('GeoIP2-City 2026-02-04');

    // Over the old file in place, cut off.
    await truncate(path, 10_000);
    await vi.waitFor(() => expect(log.warn).toHaveBeenCalledTimes(1), 5_000);
    expect(source()).toBe('GeoIP2-City 2026-02-04');

    // By name, the wrong kind.
    await copyFile(connectionType, next);
    await rename(next, path);
    await vi.waitFor(() => expect(log.warn).toHaveBeenCalledTimes(2), 5_000);
    expect(source()).toBe('GeoIP2-City 2026-02-04');

    await rm(path);
    await vi.waitFor(() => expect(log.warn).toHaveBeenCalledTimes(3), 5_000);
    expect(source()).toBe('GeoIP2-City 2026-02-04');

    await copyFile(liteCity, next);
    await rename(next, path);
    await vi.waitFor(() => expect(source()).toBe('GeoLite2-City 2026-02-04'), 5_000);
    expect(log.info).toHaveBeenCalledTimes(1);
  });
});

describe('the city data that comes with the install', () => {
  it('knows both address families, and says whose it is and from when', async () => {
    const { locate } = await places({ cityFiles: bundledCityFiles() });
    expect(locate('8.8.8.8').place).toMatchObject({
      city: 'Mountain View',
      region: 'California',
      country: 'United States',
      countryCode: 'US',
      latitude: Math.fround(37.422),
      accuracyRadiusKm: undefined,
      source: expect.stringMatching(/^DBIP-City-Lite \d{4}-\d\d-\d\d$/),
    });
    expect(locate('2001:630:212::1', 'de').place).toMatchObject({
      city: 'Cambridge',
      country: 'Vereinigtes Königreich',
      source: expect.stringMatching(/^DBIP-City-Lite \d{4}-\d\d-\d\d$/),
    });
    // The file says "Berlin (Bezirk Mitte)".
    expect(locate('141.20.1.1').place?.city).toBe('Berlin');
    for (const ip of nowhere) expect(locate(ip).place, ip).toBeUndefined();
    expect(log.warn).not.toHaveBeenCalled();
  });
});
