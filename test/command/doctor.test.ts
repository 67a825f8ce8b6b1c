// The doctor, before a deployment in which everything is good, and before each in which one thing is broken.

import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashServiceToken } from '../../server/platform/service-tokens.ts';
import { apnsAnswers } from '../support/apns-server.ts';
import { type Certificate, createAuthority, selfSigned, thisMachine } from '../support/certificate.ts';
import { emptyCityFile } from '../support/city-file.ts';
import { type DirectoryStandIn, startDirectoryStandIn } from '../support/directory-stand-in.ts';
import { type DnsServer, startDnsServer } from '../support/dns-server.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { type PushServers, startPushServers } from '../support/push.ts';
import { ensureRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { countersign, errorOf, jsonOf } from './run.ts';

interface Finding {
  readonly check: string;
  readonly status: string;
  readonly message: string;
  readonly mend: string;
}

const day = 86_400_000;
const keyOf = (name: string, bytes = randomBytes(32)) => `${name}:${bytes.toString('base64')}`;
const signingKey = keyOf('sign');
const login = { user: 'mailer', password: 's3cret/mail-word' };

let server: TestServer;
let mail: MailServer;
let push: PushServers;
let dns: DnsServer;
let directory: DirectoryStandIn;
/** Takes connections, and never says a word. */
let silent: Server;
/** What the listeners show. */
let listener: Certificate;
let folder: string;
let env: Record<string, string>;
const silentSockets = new Set<Socket>();

async function file(name: string, content: string | Uint8Array): Promise<string> {
  await writeFile(join(folder, name), content);
  return join(folder, name);
}

beforeAll(async () => {
  const certificate = selfSigned();
  listener = createAuthority().issue({ ...thisMachine, to: new Date(Date.now() + 60 * day) });
  silent = createServer((socket) => silentSockets.add(socket)).listen(0, '127.0.0.1');
  [server, mail, push, dns, directory, folder] = await Promise.all([
    startTestServer({ COUNTERSIGN_SIGNING_KEYS: signingKey }),
    startMailServer({ login, certificate }),
    startPushServers(),
    startDnsServer(),
    startDirectoryStandIn(),
    mkdtemp(join(tmpdir(), 'countersign-doctor-')),
    once(silent, 'listening'),
  ]);
  const dkim = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const published = dkim.publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  dns.texts.set('mail2026._domainkey.example.com', [`v=DKIM1; k=rsa; p=${published}`]);
  dns.texts.set('other._domainkey.example.com', ['v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A']);
  dns.texts.set('example.com', ['v=spf1 ip4:192.0.2.1 -all', 'something else']);
  dns.texts.set('_dmarc.example.com', ['v=DMARC1; p=reject']);
  dns.texts.set('_dmarc.example.org', ['v=DMARC1; p=none']);
  dns.texts.set('example.org', ['v=spf1 +all']);
  const hashes = ['password', 'letmein'].map((each) => createHash('sha1').update(each).digest('hex').toUpperCase());
  env = {
    COUNTERSIGN_MODE: 'production',
    COUNTERSIGN_PUBLIC_URL: server.publicUrl,
    DATABASE_URL: server.databaseUrl,
    COUNTERSIGN_DIRECTORY_URL: directory.url,
    // By the name that its certificate is for.
    SMTP_URL: mail.url.replace('smtp://127.0.0.1', `smtp://mailer:${encodeURIComponent(login.password)}@localhost`),
    NODE_EXTRA_CA_CERTS: await file('mail-ca.pem', certificate.cert),
    COUNTERSIGN_MAIL_FROM: 'Countersign <no-reply@example.com>',
    COUNTERSIGN_DKIM_KEY: await file('dkim.pem', dkim.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
    COUNTERSIGN_DKIM_DOMAIN: 'example.com',
    COUNTERSIGN_DKIM_SELECTOR: 'mail2026',
    COUNTERSIGN_CODE_KEYS: keyOf('code'),
    COUNTERSIGN_SIGNING_KEYS: signingKey,
    COUNTERSIGN_SERVICE_TOKENS: `billing:accounts:${Buffer.from(hashServiceToken('a token of billing')).toString('hex')}`,
    COUNTERSIGN_GEOIP_CITY: await file('city.mmdb', emptyCityFile(new Date(Date.now() - 3 * day))),
    COUNTERSIGN_BREACHED_PASSWORDS: await file('breached.txt', `${hashes.sort().join('\n')}\n`),
    COUNTERSIGN_PUBLIC_TLS_CERT: await file('listener.pem', listener.cert),
    COUNTERSIGN_PUBLIC_TLS_KEY: await file('listener.key', listener.key),
    ...push.env,
  };
});
afterAll(async () => {
  for (const socket of silentSockets) socket.destroy();
  silent?.close();
  await Promise.all([server?.stop(), mail?.stop(), push?.stop(), dns?.stop(), directory?.stop()]);
  await rm(folder, { recursive: true, force: true });
});

const examine = (settings: Readonly<Record<string, string>>, ...options: readonly string[]) =>
  countersign(['doctor', '--dns', dns.address, ...options], { env: settings });
const findingsOf = (ended: Awaited<ReturnType<typeof examine>>) =>
  jsonOf<{ readonly findings: readonly Finding[] }>(ended).findings;

/** Nothing that a server must not know of another is in what the doctor says. */
function expectNoSecrets(text: string): void {
  for (const secret of [
    login.password,
    encodeURIComponent(login.password),
    signingKey.split(':')[1] ?? '',
    'PRIVATE KEY',
  ]) {
    expect(text).not.toContain(secret);
  }
}

test('where everything is good, all checks say so, in words and as JSON', async () => {
  const asJson = await examine(env, '--json');
  expect(findingsOf(asJson).filter(({ status }) => status === 'fail' || status === 'warn')).toEqual([]);
  expect(asJson).toMatchObject({ code: 0, stderr: '' });
  const ok = findingsOf(asJson).flatMap(({ check, status }) => (status === 'ok' ? [check] : []));
  expect([...new Set(ok)]).toEqual([
    'settings',
    'proxies',
    'database',
    'directory',
    'mail',
    'mail-dns',
    'apns',
    'fcm',
    'places',
    'breached-passwords',
    'keys',
    'service-tokens',
    'tls',
    'public-url',
  ]);
  const { code, stdout, stderr } = await examine(env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^ok {4}mail +SMTP_URL: localhost:\d+ answers over TLS and lets us in$/m);
  const besides = /take up to (\d+) more \| 20 \|/.exec(await readFile('README.md', 'utf8'))?.[1];
  expect(stdout).toContain(` replicas of up to ${20 + Number(besides)}\n`);
  expect(stdout).toMatch(/^ok {4}mail-dns +the DKIM key is published at mail2026\._domainkey\.example\.com$/m);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: no colours where there is no terminal.
  expect(stdout).not.toMatch(/\x1b/);
  expectNoSecrets(asJson.stdout + stdout);
  expect(push.fcm.pushes).toEqual([]);
});

/** What is broken, how, and what the doctor says of it. */
type Case = readonly [
  what: string,
  change: () => Readonly<Record<string, string | undefined>>,
  check: string,
  status: string,
  message: RegExp,
];

/** A pair of files for the internal listener. */
function internalCertificate(name: string, to: Date): Readonly<Record<string, string>> {
  const { cert, key } = createAuthority().issue({ ...thisMachine, to });
  const paths = [join(folder, `${name}.pem`), join(folder, `${name}.key`)] as const;
  writeFileSync(paths[0], cert);
  writeFileSync(paths[1], key);
  return { COUNTERSIGN_INTERNAL_TLS_CERT: paths[0], COUNTERSIGN_INTERNAL_TLS_KEY: paths[1] };
}

function waitingKeys(): string {
  const path = join(folder, 'waiting-keys');
  writeFileSync(path, `${keyOf('late')}:29990101T000000Z\n`);
  return path;
}

const secretUrl = (port: number | string) => `postgres://anna:s3cret-word@127.0.0.1:${port}/countersign`;
const ofDatabase = (name: string) => Object.assign(new URL(server.databaseUrl), { pathname: `/${name}` }).href;
const portOfSilent = () => (silent.address() as AddressInfo).port;
const sameKey = keyOf('same');
const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');

const cases: readonly Case[] = [
  [
    'a setting that is missing',
    () => ({ COUNTERSIGN_CODE_KEYS: undefined }),
    'settings',
    'fail',
    /COUNTERSIGN_CODE_KEYS is missing: .+ or COUNTERSIGN_CODE_KEYS_FILE, /,
  ],
  [
    'a setting that is wrong',
    () => ({ COUNTERSIGN_CODE_DIGITS: '3' }),
    'settings',
    'fail',
    /COUNTERSIGN_CODE_DIGITS takes/,
  ],
  [
    'a typing error',
    () => ({ COUNTERSIGN_CODE_DIGIT: '6' }),
    'settings',
    'warn',
    /nothing reads COUNTERSIGN_CODE_DIGIT$/,
  ],
  [
    "the command's own token",
    () => ({ COUNTERSIGN_SERVICE_TOKEN: 'a-token-of-the-command' }),
    'settings',
    'warn',
    /^COUNTERSIGN_SERVICE_TOKEN is for development/,
  ],
  [
    'a mail password that is not percent-encoded',
    () => ({ SMTP_URL: 'smtp://mailer:s3cret%ss@127.0.0.1' }),
    'settings',
    'fail',
    /^SMTP_URL takes .*percent-encoded/,
  ],
  [
    'proxies that are everybody',
    () => ({ COUNTERSIGN_TRUSTED_PROXIES: '0.0.0.0/0' }),
    'proxies',
    'fail',
    /anybody can claim/,
  ],
  ['a proxy elsewhere', () => ({ COUNTERSIGN_PROXY_ENDS_TLS: 'yes' }), 'proxies', 'warn', /loopback only/],
  ['no database', () => ({ DATABASE_URL: secretUrl(1) }), 'database', 'fail', /can't be reached at 127\.0\.0\.1:1/],
  ['a silent database', () => ({ DATABASE_URL: secretUrl(portOfSilent()) }), 'database', 'fail', /can't be reached/],
  [
    'a database of another name',
    () => ({ DATABASE_URL: `${server.databaseUrl}x` }),
    'database',
    'fail',
    /does not exist/,
  ],
  [
    'no Redis',
    () => ({ REDIS_URL: 'redis://:s3cret-word@127.0.0.1:1' }),
    'redis',
    'fail',
    /can't be used at 127\.0\.0\.1:1: .*ECONNREFUSED/,
  ],
  [
    'a silent Redis',
    () => ({ REDIS_URL: `redis://:s3cret-word@127.0.0.1:${portOfSilent()}` }),
    'redis',
    'fail',
    /can't be used at .*tim/i,
  ],
  [
    'no way past a pooler',
    () => ({ COUNTERSIGN_DATABASE_DIRECT_URL: secretUrl(1) }),
    'database',
    'fail',
    /^COUNTERSIGN_DATABASE_DIRECT_URL: PostgreSQL can't be reached/,
  ],
  [
    'a way past a pooler that there is not',
    () => ({ COUNTERSIGN_DATABASE_DIRECT_URL: server.databaseUrl }),
    'database',
    'warn',
    /DATABASE_URL leads to PostgreSQL itself/,
  ],
  [
    'a way past a pooler to another database',
    () => ({ COUNTERSIGN_DATABASE_DIRECT_URL: ofDatabase('postgres') }),
    'database',
    'fail',
    /do not lead to the same place/,
  ],
  [
    'no read replica',
    () => ({ COUNTERSIGN_DATABASE_REPLICA_URL: secretUrl(1) }),
    'database',
    'fail',
    /^COUNTERSIGN_DATABASE_REPLICA_URL: PostgreSQL can't be reached/,
  ],
  [
    'a read replica that is none',
    () => ({ COUNTERSIGN_DATABASE_REPLICA_URL: server.databaseUrl }),
    'database',
    'warn',
    /leads to no standby/,
  ],
  [
    'more connections than there are',
    () => ({ COUNTERSIGN_DATABASE_POOL: '1000' }),
    'database',
    'warn',
    /one replica takes up to 1015/,
  ],
  [
    'no directory',
    () => ({ COUNTERSIGN_DIRECTORY_URL: 'http://127.0.0.1:1' }),
    'directory',
    'fail',
    /127\.0\.0\.1:1 can't be used: .*ECONNREFUSED/,
  ],
  ['no mail server', () => ({ SMTP_URL: 'smtp://127.0.0.1:1' }), 'mail', 'fail', /ECONNREFUSED/],
  [
    'a silent fallback',
    () => ({ SMTP_FALLBACK_URL: `smtp://127.0.0.1:${portOfSilent()}` }),
    'mail',
    'fail',
    /SMTP_FALLBACK_URL: .*[Gg]reeting/,
  ],
  [
    'a wrong mail password',
    () => ({ SMTP_URL: env['SMTP_URL']?.replace('mail-word', 'mail-wrong') }),
    'mail',
    'fail',
    /535/,
  ],
  ['a certificate of nobody', () => ({ NODE_EXTRA_CA_CERTS: undefined }), 'mail', 'fail', /self-signed certificate/],
  [
    'a login that nobody asks for',
    () => ({ SMTP_URL: server.mail.url.replace('smtp://', 'smtp://a:b@') }),
    'mail',
    'warn',
    /takes no login/,
  ],
  ['another DKIM key', () => ({ COUNTERSIGN_DKIM_SELECTOR: 'other' }), 'mail-dns', 'fail', /is another DKIM key/],
  [
    'a DKIM key that nobody published',
    () => ({ COUNTERSIGN_DKIM_SELECTOR: 'none' }),
    'mail-dns',
    'fail',
    /not published at none\._domainkey/,
  ],
  [
    'another domain than that of DKIM',
    () => ({ COUNTERSIGN_MAIL_FROM: 'a@example.org' }),
    'mail-dns',
    'warn',
    /signed for example\.com/,
  ],
  [
    'SPF that lets everybody send',
    () => ({ COUNTERSIGN_MAIL_FROM: 'a@example.org' }),
    'mail-dns',
    'warn',
    /lets everybody send/,
  ],
  [
    'DMARC that asks for nothing',
    () => ({ COUNTERSIGN_MAIL_FROM: 'a@mail.example.org' }),
    'mail-dns',
    'warn',
    /_dmarc\.example\.org is none/,
  ],
  ['no APNs', () => ({ COUNTERSIGN_APNS_ADDRESS: '127.0.0.1:1' }), 'apns', 'fail', /can't be reached/],
  [
    'an APNs key of another id',
    () => ({ COUNTERSIGN_APNS_KEY_ID: 'ZZZZZZZZZZ' }),
    'apns',
    'fail',
    /403 InvalidProviderToken/,
  ],
  [
    'an APNs of another authority',
    () => ({ COUNTERSIGN_APNS_CA: env['NODE_EXTRA_CA_CERTS'] }),
    'apns',
    'fail',
    /can't be reached.*certificate/,
  ],
  ['no FCM', () => ({ COUNTERSIGN_FCM_URL: 'http://127.0.0.1:1/' }), 'fcm', 'fail', /can't be reached/],
  [
    'no city file',
    () => ({ COUNTERSIGN_GEOIP_CITY: '/nowhere.mmdb' }),
    'places',
    'fail',
    /COUNTERSIGN_GEOIP_CITY: .*ENOENT/,
  ],
  [
    'a breached list that is none',
    () => ({ COUNTERSIGN_BREACHED_PASSWORDS: 'package.json' }),
    'breached-passwords',
    'fail',
    /no SHA-1/,
  ],
  [
    'a key that can be guessed',
    () => ({ COUNTERSIGN_CODE_KEYS: keyOf('one', Buffer.alloc(32, 1)) }),
    'keys',
    'fail',
    /key one, is not random/,
  ],
  [
    'a key of letters',
    () => ({ COUNTERSIGN_CODE_KEYS: keyOf('abc', Buffer.from('abcdefghijklmnopqrstuvwxyz012345')) }),
    'keys',
    'fail',
    /not random/,
  ],
  [
    'one key for two things',
    () => ({ COUNTERSIGN_CODE_KEYS: sameKey, COUNTERSIGN_SIGNING_KEYS: sameKey }),
    'keys',
    'fail',
    /the same as/,
  ],
  [
    'an empty service token',
    () => ({ COUNTERSIGN_SERVICE_TOKENS: `x:legacy:${hashOf('')}` }),
    'service-tokens',
    'fail',
    /of x is empty/,
  ],
  [
    'a caller by its certificate, where none is asked for',
    () => ({ COUNTERSIGN_SERVICE_TOKENS: 'router.example.org:sessions:certificate' }),
    'service-tokens',
    'warn',
    /nobody is let in as router\.example\.org$/,
  ],
  [
    'a file of service tokens that is none',
    () => ({ COUNTERSIGN_SERVICE_TOKENS: undefined, COUNTERSIGN_SERVICE_TOKENS_FILE: 'package.json' }),
    'settings',
    'fail',
    /COUNTERSIGN_SERVICE_TOKENS_FILE takes/,
  ],
  [
    'a certificate that is over',
    () => internalCertificate('over', new Date(Date.now() - day)),
    'tls',
    'fail',
    /COUNTERSIGN_INTERNAL_TLS_CERT, .*over\.pem, is over since/,
  ],
  [
    'a certificate that ends soon',
    () => internalCertificate('soon', new Date(Date.now() + 5.5 * day)),
    'tls',
    'warn',
    /COUNTERSIGN_INTERNAL_TLS_CERT, .*soon\.pem, ends in 5 days/,
  ],
  [
    'a certificate for another name',
    () => ({ COUNTERSIGN_PUBLIC_URL: 'https://auth.invalid' }),
    'tls',
    'warn',
    /COUNTERSIGN_PUBLIC_TLS_CERT is not for auth\.invalid/,
  ],
  [
    'a file of keys whose time has not come',
    () => ({ COUNTERSIGN_CODE_KEYS: undefined, COUNTERSIGN_CODE_KEYS_FILE: waitingKeys() }),
    'keys',
    'warn',
    /COUNTERSIGN_CODE_KEYS: the time of no key has come, and late is used/,
  ],
  [
    'no server at the public URL',
    () => ({ COUNTERSIGN_PUBLIC_URL: 'http://127.0.0.1:1' }),
    'public-url',
    'fail',
    /can't be read/,
  ],
  [
    'a silent server there',
    () => ({ COUNTERSIGN_PUBLIC_URL: `http://127.0.0.1:${portOfSilent()}` }),
    'public-url',
    'fail',
    /time/,
  ],
  [
    'a path without a server',
    () => ({ COUNTERSIGN_PUBLIC_URL: `${server.publicUrl}/x` }),
    'public-url',
    'fail',
    /answers 404/,
  ],
  [
    'another server',
    () => ({ COUNTERSIGN_PUBLIC_URL: server.publicUrl, COUNTERSIGN_SIGNING_KEYS: keyOf('mine') }),
    'public-url',
    'fail',
    /none of our signing keys/,
  ],
  [
    'a replica with older keys',
    () => ({ COUNTERSIGN_PUBLIC_URL: server.publicUrl, COUNTERSIGN_SIGNING_KEYS: `${signingKey},${keyOf('next')}` }),
    'public-url',
    'warn',
    /lacks our signing keys next/,
  ],
];

/** Cases that break different checks, and need different settings, share a run: the checks must not know of each other. */
function inRounds(): readonly (readonly Case[])[] {
  const rounds: { readonly taken: Set<string>; readonly cases: Case[] }[] = [];
  for (const each of cases) {
    const needs = [`check ${each[2]}`, ...Object.keys(each[1]())];
    let round = rounds.find(({ taken }) => !needs.some((name) => taken.has(name)));
    if (round === undefined) {
      round = { taken: new Set(), cases: [] };
      rounds.push(round);
    }
    for (const name of needs) round.taken.add(name);
    round.cases.push(each);
  }
  return rounds.map((round) => round.cases);
}

describe('what is broken is told, with what to mend, and without secrets', () => {
  const runs = new Map<Case, Awaited<ReturnType<typeof examine>>>();
  beforeAll(async () => {
    const limit = pLimit(2);
    const rounds = inRounds().map((round) =>
      limit(async () => {
        const changes = Object.assign({}, ...round.map(([, change]) => change())) as Record<string, string | undefined>;
        const changed = Object.entries({ ...env, ...changes }).filter(
          (entry): entry is [string, string] => entry[1] !== undefined,
        );
        const ended = await examine(Object.fromEntries(changed), '--json');
        for (const each of round) runs.set(each, ended);
      }),
    );
    await Promise.all(rounds);
  });

  test.each(cases.map((each) => [each[0], each] as const))('%s', (_what, each) => {
    const [, , check, status, message] = each;
    const ended = runs.get(each);
    if (ended === undefined) throw new Error('it was not run');
    const findings = findingsOf(ended);
    const told = findings.filter((finding) => finding.check === check && finding.status === status);
    expect(told.map((finding) => finding.message)).toEqual(expect.arrayContaining([expect.stringMatching(message)]));
    expect(told.every(({ mend }) => mend !== '')).toBe(true);
    const failed = findings.some((finding) => finding.status === 'fail');
    expect(ended.code).toBe(failed ? 1 : 0);
    if (failed) expect(errorOf(ended)).toMatchObject({ exitCode: 1 });
    expect(ended.stdout + ended.stderr).not.toContain('s3cret');
    expectNoSecrets(ended.stdout + ended.stderr);
  });
});

test('what the push services say of our credentials is told apart from what they say of a device', async () => {
  const { apns, fcm } = push;
  apns.behave('doctor', apnsAnswers.serviceUnavailable());
  fcm.behaveAtTokenEndpoint(['invalid-grant', 'unavailable', 'ok']);
  const look = () => examine(env, '--only', 'apns,fcm', '--json');
  const refused = findingsOf(await look());
  expect(refused.filter(({ check }) => check === 'fcm')).toMatchObject([
    { status: 'fail', message: expect.stringContaining('401 invalid_grant') },
  ]);
  const ill = findingsOf(await look());
  expect(ill.filter(({ check }) => check === 'fcm')).toMatchObject([{ status: 'warn' }]);
  fcm.behave('countersign-doctor', { status: 403, canonical: 'PERMISSION_DENIED', message: 'no permission' });
  expect(findingsOf(await look()).filter(({ check }) => check === 'fcm')).toMatchObject([{ status: 'fail' }]);
  fcm.behave('countersign-doctor', {
    status: 400,
    canonical: 'INVALID_ARGUMENT',
    code: 'INVALID_ARGUMENT',
    message: 'no token',
  });
  expect(findingsOf(await look()).filter(({ check }) => check === 'fcm')).toMatchObject([{ status: 'ok' }]);
});

test('a city file is told to be old', async () => {
  const ages = [
    [40, 'warn', /40 days old$/],
    [100, 'warn', /100 days old$/],
    [20, 'ok', /20 days old$/],
  ] as const;
  for (const [days, status, message] of ages) {
    const path = await file(`city-${days}.mmdb`, emptyCityFile(new Date(Date.now() - days * day)));
    const [city] = findingsOf(await examine({ ...env, COUNTERSIGN_GEOIP_CITY: path }, '--only', 'places', '--json'));
    expect(city).toMatchObject({ status, message: expect.stringMatching(message) });
  }
});

test('in the database, missing months and migrations of another release are told', async () => {
  const look = async () => findingsOf(await examine(env, '--only', 'database', '--json'));
  const worst = async () => (await look()).filter(({ status }) => status !== 'ok');
  const now = new Date();
  const month = (offset: number) => {
    const start = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset, 1));
    return `login_event_${start.toISOString().slice(0, 7).replace('-', '_')}`;
  };
  await server.query(`alter table login_event detach partition ${month(1)}`);
  expect(await worst()).toMatchObject([{ status: 'warn', message: expect.stringContaining(month(1)) }]);
  await server.query(`alter table login_event detach partition ${month(0)}`);
  expect(await worst()).toMatchObject([{ status: 'fail', message: expect.stringContaining(month(0)) }]);

  await server.query(`insert into countersign_migrations (name) values ('9999-of-tomorrow')`);
  expect((await worst()).map(({ message }) => message).join()).toContain('9999-of-tomorrow');
  await server.query(`delete from countersign_migrations where name in ('9999-of-tomorrow', '0006-unusual-checks')`);
  expect((await worst()).map(({ message }) => message).join()).toContain('migrations are to come: 0006-unusual-checks');
});

describe.skipIf(!(await ensureRedis()))('Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis('s3cret/word');
  });
  afterAll(() => redis?.discard());
  const look = async (url: string) => {
    const settings = { REDIS_URL: url, COUNTERSIGN_CALLS_COUNTED_BY: 'server' };
    const ended = await examine({ ...env, ...settings }, '--only', 'redis', '--json');
    expect(ended.stdout + ended.stderr).not.toContain('s3cret');
    return findingsOf(ended);
  };

  test('is tried: its version, what is published there, and that calls can be counted', async () => {
    expect(await look(redis.url)).toMatchObject([
      { status: 'ok', message: expect.stringMatching(/^Redis \d+\.\S+ lets us in$/) },
      { status: 'ok', message: 'what replicas tell each other there is heard' },
      { status: 'ok', message: 'calls can be counted there' },
    ]);
    expect(await redis.command('dbsize')).toBe(0);
  });

  test('that does not let us in, or not do what we have to, is told with what it needs', async () => {
    expect(await look(redis.url.replace('word', 'wrong'))).toMatchObject([
      { status: 'fail', message: expect.stringContaining('WRONGPASS'), mend: expect.stringContaining('password') },
    ]);
    const url = Object.assign(new URL(redis.url), { username: 'few' }).href;
    await redis.command('acl', 'setuser', 'few', 'on', '>s3cret/word', '+info', '+subscribe', '&*');
    expect(await look(url)).toMatchObject([
      { status: 'ok' },
      { status: 'fail', mend: expect.stringContaining('countersign:*') },
      { status: 'fail', mend: expect.stringContaining('countersign:*') },
    ]);
  });
});

test('without settings it looks at development; what it does not know it says, too', async () => {
  const { code, stdout } = await countersign(['doctor', '--only', 'settings,database,mail,apns,keys'], {});
  expect(code).toBe(0);
  expect(stdout).toMatch(/^warn {2}settings +COUNTERSIGN_MODE is development$/m);
  expect(stdout).toMatch(/^skip {2}database /m);
  const wrong = await countersign(['doctor', '--only', 'everything']);
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('settings, proxies, database') });
});

test('DNS that does not answer says nothing of our mail, and the record to publish is told', async () => {
  const args = ['doctor', '--dns', `127.0.0.1:${portOfSilent()}`, '--only', 'mail-dns', '--json'];
  const ended = await countersign(args, { env });
  expect(ended.code).toBe(0);
  expect(findingsOf(ended).map(({ status }) => status)).toEqual(['skip', 'skip', 'skip']);
  const key = await readFile(join(folder, 'dkim.pem'), 'utf8');
  expect(ended.stdout).toMatch(/publish as TXT at mail2026\._domainkey\.example\.com: v=DKIM1; k=rsa; p=MII/);
  expect(ended.stdout).not.toContain(key.split('\n')[1]);
});
