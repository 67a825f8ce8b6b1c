// What the service answers is what the file holds: for every network of MaxMind's test databases, and for addresses all over
// the bundled data. The files are read here by other means than the service's.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { BlockList, isIP } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AsnResponse, type CityResponse, type ConnectionTypeResponse, Reader, type Response } from 'maxmind';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { AnonymousKind, Whereabouts } from '../../server/domain/place.ts';
import { bundledCityFiles, openPlaces, type Places, type PlacesOptions } from '../../server/location/places.ts';
import { type MmdbFile, readMmdb } from '../support/mmdb-networks.ts';

const geoip = fileURLToPath(new URL('../../../shared/geoip/', import.meta.url));
const missing = !existsSync(geoip);

const log = { info: vi.fn(), warn: vi.fn() };
const opened: Places[] = [];

async function locateBy(options: Partial<PlacesOptions>): Promise<Places['locate']> {
  const places = await openPlaces({ cityFiles: [], log, ...options });
  opened.push(places);
  return places.locate;
}

afterEach(() => {
  for (const each of opened.splice(0)) each.close();
  expect(log.warn).not.toHaveBeenCalled();
});

// IANA's registries of special-purpose addresses, IPv4 and IPv6, and the rest of RFC 4291, section 2.4.
const special = new BlockList();
for (const network of [
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24',
  '192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24',
  '203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 ::/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23',
  '2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8',
].flatMap((line) => line.split(' '))) {
  const [address = '', bits] = network.split('/');
  special.addSubnet(address, Number(bits), isIP(address) === 4 ? 'ipv4' : 'ipv6');
}
const isSpecial = (address: string): boolean => special.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');

const nothing: Whereabouts = { place: undefined, connectionType: undefined, network: undefined, anonymous: [] };
const noCoordinates = { latitude: undefined, longitude: undefined, accuracyRadiusKm: undefined };

/** An entry may lack any field. */
type Held<T> = { readonly [K in keyof T]?: T[K] | undefined };
type EnterpriseTraits = Held<ConnectionTypeResponse & AsnResponse>;
type Names = Readonly<Record<string, string>>;

const sourceOf = ({ metadata }: MmdbFile): string =>
  `${metadata['database_type']} ${new Date(Number(metadata['build_epoch']) * 1000).toISOString().slice(0, 10)}`;

/** What an entry of a city database says, in a language that the file has. */
function cityAnswer(record: Held<CityResponse>, language: string, source: string): Whereabouts {
  const { city, subdivisions, country, location } = record;
  const named = (names: object | undefined): string => {
    const all = (names ?? {}) as Names;
    return all[language] ?? all['en'] ?? '';
  };
  const traits = record.traits as EnterpriseTraits | undefined;
  const inCity = named(city?.names) !== '' && {
    latitude: location?.latitude,
    longitude: location?.longitude,
    accuracyRadiusKm: location?.accuracy_radius,
  };
  return {
    ...nothing,
    connectionType: connectionTypeOf(traits?.connection_type),
    network: networkOf(traits),
    place:
      country?.iso_code === undefined
        ? undefined
        : {
            city: named(city?.names),
            region: named(subdivisions?.[0]?.names),
            country:
              (country.names as unknown as Names | undefined)?.[language] ?? intlName(country.iso_code, language),
            countryCode: country.iso_code,
            ...(inCity || noCoordinates),
            source,
          },
  };
}

const intlName = (code: string, language: string): string =>
  new Intl.DisplayNames([language], { type: 'region', fallback: 'none' }).of(code) ?? '';

function connectionTypeOf(name: string | undefined): Whereabouts['connectionType'] {
  if (name === undefined) return undefined;
  return { 'Cable/DSL': 'CABLE_DSL', Cellular: 'CELLULAR', Corporate: 'CORPORATE', Satellite: 'SATELLITE' }[
    name
  ] as Whereabouts['connectionType'];
}

function networkOf(record: EnterpriseTraits | undefined): Whereabouts['network'] {
  const { autonomous_system_number: number, autonomous_system_organization: organization = '' } = record ?? {};
  return number === undefined ? undefined : { number, organization };
}

const flags: Readonly<Record<string, AnonymousKind>> = {
  is_anonymous_vpn: 'VPN',
  is_hosting_provider: 'HOSTING',
  is_public_proxy: 'PUBLIC_PROXY',
  is_residential_proxy: 'RESIDENTIAL_PROXY',
  is_tor_exit_node: 'TOR_EXIT',
};

function anonymousAnswer(record: object): Whereabouts {
  const set = Object.entries(record).flatMap(([flag, value]) => (value === true ? [flag] : []));
  const kinds = Object.keys(flags).flatMap((flag) => (set.includes(flag) ? [flags[flag] as AnonymousKind] : []));
  return { ...nothing, anonymous: kinds.length === 0 && set.includes('is_anonymous') ? ['OTHER'] : kinds };
}

const mmdb = async (name: string): Promise<MmdbFile> => readMmdb(await readFile(join(geoip, name)));

describe.skipIf(missing)('every network of a file (skipped where ../shared/geoip is absent)', () => {
  /** Asks for both ends of every network, and counts the networks. */
  function compare(
    file: MmdbFile,
    locate: Places['locate'],
    answerOf: (record: object) => Whereabouts,
    language = 'en',
  ) {
    let networks = 0;
    const answers: Whereabouts[] = [];
    for (const { network, first, last, record } of file.networks()) {
      networks += 1;
      for (const address of [first, last]) {
        const answer = locate(address, language);
        expect(answer, `${address} of ${network}`).toEqual(isSpecial(address) ? nothing : answerOf(record as object));
        answers.push(answer);
      }
    }
    return { networks, answers };
  }

  const languages = ['de', 'en', 'es', 'fr', 'ja', 'pt-BR', 'ru', 'zh-CN'];

  it.each([
    ['GeoIP2-City-Test.mmdb', 240],
    ['GeoLite2-City-Test.mmdb', 240],
    ['GeoIP2-Enterprise-Test.mmdb', 30],
  ])('says the place that %s holds, in every language of the file', async (name, least) => {
    const file = await mmdb(name);
    const locate = await locateBy({ cityFiles: [join(geoip, name)] });
    const there = new Set<string>();
    for (const { record } of file.networks()) {
      const { city, country, subdivisions } = record as Held<CityResponse>;
      for (const named of [city, country, subdivisions?.[0]]) {
        for (const language of Object.keys(named?.names ?? {})) there.add(language);
      }
    }
    expect([...there].sort()).toEqual(languages);
    for (const language of languages) {
      const { networks, answers } = compare(
        file,
        locate,
        (record) => cityAnswer(record, language, sourceOf(file)),
        language,
      );
      expect(networks).toBeGreaterThanOrEqual(least);
      const count = (has: (place: NonNullable<Whereabouts['place']>) => boolean) =>
        answers.filter(({ place }) => place !== undefined && has(place)).length;
      expect(count(({ city, accuracyRadiusKm }) => city !== '' && accuracyRadiusKm !== undefined)).toBeGreaterThan(20);
      expect(count(({ city }) => city === '')).toBeGreaterThan(5);
      expect(answers.some(({ place }) => place === undefined)).toBe(true);
    }
  });

  it('says the connection type that GeoIP2-Connection-Type holds', async () => {
    const name = 'GeoIP2-Connection-Type-Test.mmdb';
    const { networks, answers } = compare(
      await mmdb(name),
      await locateBy({ connectionTypeFile: join(geoip, name) }),
      (record: Held<ConnectionTypeResponse>) => ({
        ...nothing,
        connectionType: connectionTypeOf(record.connection_type),
      }),
    );
    expect(networks).toBeGreaterThanOrEqual(25);
    expect(new Set(answers.map(({ connectionType }) => connectionType))).toEqual(
      new Set(['CABLE_DSL', 'CELLULAR', 'CORPORATE', 'SATELLITE']),
    );
  });

  it('says the number and the organization that GeoLite2-ASN holds', async () => {
    const name = 'GeoLite2-ASN-Test.mmdb';
    const { networks, answers } = compare(
      await mmdb(name),
      await locateBy({ asnFile: join(geoip, name) }),
      (record) => ({ ...nothing, network: networkOf(record) }),
    );
    expect(networks).toBeGreaterThanOrEqual(400);
    expect(answers.some(({ network }) => network?.organization === '')).toBe(true);
    expect(answers.some(({ network }) => network?.organization === 'Telstra Pty Ltd')).toBe(true);
  });

  it('says what hides it as GeoIP2-Anonymous-IP holds it, and nothing of reserved addresses', async () => {
    const name = 'GeoIP2-Anonymous-IP-Test.mmdb';
    const file = await mmdb(name);
    const locate = await locateBy({ anonymousIpFile: join(geoip, name) });
    const { networks, answers } = compare(file, locate, anonymousAnswer);
    expect(networks).toBeGreaterThanOrEqual(500);
    expect(new Set(answers.flatMap(({ anonymous }) => anonymous))).toEqual(new Set(Object.values(flags)));
    expect([...file.networks()].some(({ first }) => isSpecial(first))).toBe(true);
  });

  it('says it all, where all the files are there', async () => {
    const [city, connectionType, asn, anonymousIp] = [
      'GeoIP2-City-Test.mmdb',
      'GeoIP2-Connection-Type-Test.mmdb',
      'GeoLite2-ASN-Test.mmdb',
      'GeoIP2-Anonymous-IP-Test.mmdb',
    ].map((name) => join(geoip, name));
    const alone = await Promise.all([
      locateBy({ cityFiles: [city ?? ''] }),
      locateBy({ connectionTypeFile: connectionType }),
      locateBy({ asnFile: asn }),
      locateBy({ anonymousIpFile: anonymousIp }),
    ]);
    const locate = await locateBy({
      cityFiles: [city ?? ''],
      connectionTypeFile: connectionType,
      asnFile: asn,
      anonymousIpFile: anonymousIp,
    });
    const files = await Promise.all([city, connectionType, asn, anonymousIp].map((path) => readFile(path ?? '')));
    let several = 0;
    for (const { first } of files.flatMap((bytes) => [...readMmdb(bytes).networks()])) {
      const [a, b, c, d] = alone.map((ask) => ask(first));
      const all = locate(first);
      expect(all, first).toEqual({
        place: a?.place,
        connectionType: b?.connectionType,
        network: c?.network,
        anonymous: d?.anonymous,
      });
      if ([all.place, all.connectionType, all.network, all.anonymous[0]].filter(Boolean).length > 1) several += 1;
    }
    expect(several).toBeGreaterThan(20);
  });

  it('is found by an IPv4-mapped address, and by no other address that has an IPv4 one inside', async () => {
    const names = ['GeoIP2-City-Test.mmdb', 'GeoLite2-ASN-Test.mmdb'] as const;
    const locate = await locateBy({ cityFiles: [join(geoip, names[0])], asnFile: join(geoip, names[1]) });
    const networks = (await Promise.all(names.map(mmdb))).flatMap((file) => [...file.networks()]);
    const isKnown = ({ place, network }: Whereabouts) => place !== undefined || network !== undefined;
    const known = networks.filter(({ first }) => isIP(first) === 4 && isKnown(locate(first)));
    expect(known.length).toBeGreaterThan(100);
    for (const { first } of known) {
      const [a = 0, b = 0, c = 0, d = 0] = first.split('.').map(Number);
      const hex = [a * 256 + b, c * 256 + d].map((group) => group.toString(16)).join(':');
      for (const same of [`::ffff:${first}`, `::ffff:${hex}`, `0:0:0:0:0:FFFF:${first}`]) {
        expect(locate(same), same).toEqual(locate(first));
      }
      // IPv4-compatible, 6to4, Teredo, NAT64, IPv4-translated: the file holds some, and the caller is elsewhere.
      for (const other of [`::${first}`, `0::${first}`, `::${hex}`, `2002:${hex}::1`, `2001:0:${hex}::1`]) {
        expect(locate(other), other).toEqual(nothing);
      }
      for (const other of [`64:ff9b::${first}`, `64:ff9b::${hex}`, `::ffff:0:${first}`]) {
        expect(locate(other), other).toEqual(nothing);
      }
    }
  });
});

describe('the bundled city data', () => {
  it('is what is said of more than 1,000 addresses all over it', async () => {
    const locate = await locateBy({ cityFiles: bundledCityFiles() });
    let [asked, exact] = [0, 0];
    for (const path of bundledCityFiles()) {
      const bytes = await readFile(path);
      const file = readMmdb(bytes);
      const reader = new Reader<Response>(bytes);
      const date = new Date(Number(file.metadata['build_epoch']) * 1000).toISOString().slice(0, 10);
      const nodes = Number(file.metadata['node_count']);
      for (const { network, first, last, record } of file.networks(Math.floor(nodes / 600))) {
        for (const address of new Set([first, last])) {
          const held = reader.get(address) as unknown as FlatRecord | null;
          expect(held, network).toEqual(record);
          asked += 1;
          const { place, ...rest } = locate(address);
          expect(rest, address).toEqual({ connectionType: undefined, network: undefined, anonymous: [] });
          if (held === null || isSpecial(address)) {
            expect(place, address).toBeUndefined();
            continue;
          }
          expect(place, address).toEqual({
            city: expect.any(String),
            region: held.state1,
            country: intlName(held.country_code, 'en'),
            countryCode: held.country_code,
            ...(held.city === '' ? noCoordinates : { latitude: held.latitude, longitude: held.longitude }),
            accuracyRadiusKm: undefined,
            source: `DBIP-City-Lite ${date}`,
          });
          // "Berlin (Bezirk Mitte)" is said without the district, which no address tells.
          if (place?.city === held.city) exact += 1;
          else expect(held.city, address).toMatch(new RegExp(`^${RegExp.escape(place?.city ?? '-')} \\(.*\\)$`));
        }
      }
    }
    expect(asked).toBeGreaterThan(1_000);
    expect(exact).toBeGreaterThan(asked * 0.8);
  });
});

interface FlatRecord {
  readonly city: string;
  readonly country_code: string;
  readonly state1: string;
  readonly latitude: number;
  readonly longitude: number;
}
