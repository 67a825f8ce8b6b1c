// The settings of a server, as an operator sees them: what each takes, and exit codes and words where one is wrong.

import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pLimit from 'p-limit';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createAuthority, thisMachine } from '../support/certificate.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { productionEnv, programs } from '../support/processes.ts';
import { settingNames } from '../support/setting-names.ts';

const { serve, endOf } = programs();
let database: TestDatabase;
let mail: MailServer;

beforeAll(async () => {
  [database, mail] = await Promise.all([createDatabase(), startMailServer()]);
});
afterAll(async () => {
  await mail.stop();
  await database.drop();
});

const env = () => productionEnv({ databaseUrl: database.url, smtpUrl: mail.url });

/** A value that each setting does not take, and a part of what it then says that it takes. */
const wrong: Readonly<Record<string, readonly [value: string, takes: string]>> = {
  COUNTERSIGN_MODE: ['staging', 'development or production'],
  COUNTERSIGN_PUBLIC_ADDRESS: ['8080', 'host:port'],
  COUNTERSIGN_INTERNAL_ADDRESS: ['127.0.0.1:99999', 'host:port'],
  COUNTERSIGN_PUBLIC_TLS_CERT: ['package.json', 'PEM file with a certificate'],
  COUNTERSIGN_PUBLIC_TLS_KEY: ['/no/s3cret-word.pem', 'private key of the certificate'],
  COUNTERSIGN_INTERNAL_TLS_CERT: ['/no/s3cret-word.pem', 'PEM file with a certificate'],
  COUNTERSIGN_INTERNAL_TLS_KEY: ['package.json', 'private key of the certificate'],
  COUNTERSIGN_INTERNAL_CLIENT_CA: ['package.json', 'PEM file with the authorities of clients'],
  COUNTERSIGN_PUBLIC_URL: ['ftp://example.com', 'http:// or https://'],
  DATABASE_URL: ['mysql://user:s3cret-word@host/db', 'postgres://'],
  COUNTERSIGN_DATABASE_DIRECT_URL: ['postgres://anna:s3cret-word@one:5432,two:5432/db', 'one host'],
  COUNTERSIGN_DATABASE_REPLICA_URL: ['mysql://user:s3cret-word@host/db', 'postgres://'],
  COUNTERSIGN_DATABASE_POOL: ['1', 'from 2 to 1000'],
  COUNTERSIGN_DATABASE_PATIENCE: ['99ms', 'from 100ms to 30s'],
  REDIS_URL: ['redis://user:s3cret-word@host/db', 'redis:// or rediss://'],
  COUNTERSIGN_REDIS_PREFIX: ['s3cret-word*', 'up to 64 letters, digits'],
  COUNTERSIGN_DIRECTORY_URL: ['grpc://user:s3cret-word@host', 'http:// or https://'],
  COUNTERSIGN_DIRECTORY_TOKEN: ['s3cret-word', '16 to 256 letters, digits'],
  COUNTERSIGN_DIRECTORY_CA: ['package.json', 'PEM file with certificates'],
  COUNTERSIGN_DIRECTORY_PATIENCE: ['31s', 'from 100ms to 30s'],
  SMTP_URL: ['http://user:s3cret-word@host', 'smtp://'],
  SMTP_FALLBACK_URL: ['http://user:s3cret-word@host', 'smtp://'],
  COUNTERSIGN_MAIL_FROM: ['nobody', 'no-reply@example.com'],
  COUNTERSIGN_DKIM_KEY: ['package.json', 'RSA private key'],
  COUNTERSIGN_DKIM_DOMAIN: ['example.com/s3cret-word', 'a domain such as example.com'],
  COUNTERSIGN_DKIM_SELECTOR: ['s3cret-word!', 'a name such as mail2026'],
  COUNTERSIGN_APNS_KEY: ['/no/s3cret-word.p8', '.p8 key file'],
  COUNTERSIGN_APNS_KEY_ID: ['s3cret-word', '10 characters'],
  COUNTERSIGN_APNS_TEAM_ID: ['s3cret-word', '10 characters'],
  COUNTERSIGN_APNS_ADDRESS: ['https://s3cret-word', 'host:port'],
  COUNTERSIGN_APNS_SANDBOX_ADDRESS: ['https://s3cret-word', 'host:port'],
  COUNTERSIGN_APNS_CA: ['/no/s3cret-word.pem', 'PEM file'],
  COUNTERSIGN_FCM_CREDENTIALS: ['package.json', 'JSON key file'],
  COUNTERSIGN_FCM_URL: ['fcm', 'https:// or http://'],
  COUNTERSIGN_EMAIL_CODES: ['never', 'on or first_device or off'],
  COUNTERSIGN_PUSH_CODE: ['nowhere', 'notification or app'],
  COUNTERSIGN_DEV_PUSH: ['yes', '0 or 1'],
  COUNTERSIGN_BRAND_COLOR: ['blue', 'a colour'],
  COUNTERSIGN_BRAND_LOGO: ['package.json', 'PNG, JPEG or GIF'],
  COUNTERSIGN_SUPPORT_CONTACT: ['nobody', 'an e-mail address or a page'],
  OTEL_EXPORTER_OTLP_ENDPOINT: ['collector:4318', 'http:// or https://'],
  COUNTERSIGN_MAILBOX_ADDRESS: ['nowhere', 'host:port'],
  COUNTERSIGN_MAILBOX_SMTP_ADDRESS: [':1025', 'host:port'],
  COUNTERSIGN_CODE_KEYS: ['one:s3cret-word', 'base64 of 32 random bytes'],
  COUNTERSIGN_SIGNING_KEYS: [`a:${'s3cret-word'.repeat(8)}`, 'base64 of 32 random bytes'],
  COUNTERSIGN_CODE_KEYS_FILE: ['/no/s3cret-word.keys', 'the path of a file with keys'],
  COUNTERSIGN_SIGNING_KEYS_FILE: ['package.json', 'the path of a file with keys: entry 1 is not id:base64'],
  COUNTERSIGN_SERVICE_TOKEN: ['s3cret-word!horse,battery', '16 to 256 letters, digits'],
  COUNTERSIGN_INTERNAL_URL: ['127.0.0.1:9090', 'http:// or https://'],
  COUNTERSIGN_SERVICE_TOKENS: ['login:everything:s3cret-word', 'scopes of accounts, sessions, support, legacy'],
  COUNTERSIGN_SERVICE_TOKENS_FILE: ['package.json', 'the path of a file with service tokens: line 1: it takes'],
  COUNTERSIGN_MINIMUM_CLIENT_VERSION: ['two', 'a version such as 2.3'],
  COUNTERSIGN_PENDING_CLIENT_VERSION: ['ios=', 'a version such as 2.3'],
  COUNTERSIGN_UPDATE_URL: ['update', 'a URL'],
  COUNTERSIGN_TRUSTED_PROXIES: ['10.0.0.0/99', 'addresses and networks'],
  COUNTERSIGN_ALLOWED_ORIGINS: ['https://example.com/path', 'origins separated by commas'],
  COUNTERSIGN_REFLECTION: ['true', 'on or off'],
  COUNTERSIGN_CALLS_COUNTED_BY: ['nobody', 'edge or server'],
  COUNTERSIGN_CALLS_PER_ADDRESS: ['0', 'from 1 to 1000000'],
  COUNTERSIGN_STRANGERS_CALLS_PER_ADDRESS: ['many', 'from 1 to 1000000'],
  COUNTERSIGN_CALLS_PER_ACCOUNT: ['-1', 'from 1 to 1000000'],
  COUNTERSIGN_EDGE_ADDRESS: ['8443', 'host:port'],
  COUNTERSIGN_EDGE_REPLICAS: ['10.0.0.1:8080,s3cret word:8080', 'host:port of each replica'],
  COUNTERSIGN_EDGE_METRICS_ADDRESS: ['127.0.0.1:99999', 'host:port'],
  COUNTERSIGN_EDGE_PROXY_PROTOCOL: ['yes', 'no, or the balancers'],
  COUNTERSIGN_EDGE_CONNECTIONS: ['9', 'from 10 to 1000000'],
  COUNTERSIGN_EDGE_CONNECTIONS_PER_ADDRESS: ['2001', 'from 1 to 2000'],
  COUNTERSIGN_EDGE_USER: ['s3cret word', 'the name of a user'],
  COUNTERSIGN_CONNECTIONS: ['9', 'from 10 to 1000000'],
  COUNTERSIGN_HASHES_AT_ONCE: ['4', 'from 1 to 3'],
  COUNTERSIGN_DRAIN_DELAY: ['6s', 'from 0s to 5s'],
  COUNTERSIGN_LOG_LEVEL: ['loud', 'debug or info or warn or error or silent'],
  COUNTERSIGN_PROXY_ENDS_TLS: ['maybe', 'yes or no'],
  COUNTERSIGN_DIRECTORY_CLEARTEXT: ['1', 'yes or no'],
  COUNTERSIGN_CODE_DIGITS: ['5', 'from 6 to 9'],
  COUNTERSIGN_CODE_LIFETIME: ['11m', 'from 1m to 10m'],
  COUNTERSIGN_CODE_ATTEMPTS: ['11', 'from 1 to 10'],
  COUNTERSIGN_CODE_SENDS: ['0', 'from 1 to 20'],
  COUNTERSIGN_CODE_SHOWN_WITHIN: ['6m', 'from 1s to 5m'],
  COUNTERSIGN_CHALLENGES_PER_HOUR: ['many', 'a whole number'],
  COUNTERSIGN_WRONG_CODES_BEFORE_WAIT: ['101', 'from 1 to 100'],
  COUNTERSIGN_WRONG_CODES_BEFORE_LOCK: ['101', 'from 1 to 100'],
  COUNTERSIGN_WRONG_CODE_FIRST_WAIT: ['1', 'a duration'],
  COUNTERSIGN_WRONG_CODE_LONGEST_WAIT: ['25h', 'from 1s to 24h'],
  COUNTERSIGN_PASSWORD_GUESSES_PER_NETWORK: ['1001', 'from 1 to 1000'],
  COUNTERSIGN_PASSWORD_GUESSES_PER_DEVICE: ['-1', 'from 1 to 1000'],
  COUNTERSIGN_PASSWORD_GUESS_WINDOW: ['2h', 'from 1m to 1h'],
  COUNTERSIGN_PASSWORD_GUESSES_PER_HOUR: ['0x10', 'a whole number'],
  COUNTERSIGN_PASSWORD_RESETS_PER_HOUR: ['101', 'from 1 to 100'],
  COUNTERSIGN_STEP_UP_ON: ['new_country,new_device', 'new_country, impossible_travel, anonymous_network'],
  COUNTERSIGN_REPEAT_WINDOW: ['11m', 'from 1s to 10m'],
  COUNTERSIGN_REFRESH_GRACE: ['6m', 'from 0s to 5m'],
  COUNTERSIGN_ACCESS_TOKEN_LIFETIME: ['9s', 'from 10s to 1h'],
  COUNTERSIGN_SESSION_IDLE: ['366d', 'from 1m to 365d'],
  COUNTERSIGN_SESSION_LIFETIME: ['5 days', 'a duration'],
  COUNTERSIGN_TRUST_IDLE: ['731d', 'from 1m to 730d'],
  COUNTERSIGN_TRUSTED_DEVICES: ['101', 'from 1 to 100'],
  COUNTERSIGN_ACTIVITY_RETENTION: ['12h', 'from 1d to 3650d'],
  COUNTERSIGN_AUDIT_RETENTION: ['3651d', 'from 1d to 3650d'],
  COUNTERSIGN_RESEND_WAITS: ['30s,soon', 'durations separated by commas'],
};
const takesAnyText = [
  'COUNTERSIGN_DATA_DIR',
  'COUNTERSIGN_BRAND_NAME',
  'COUNTERSIGN_TOKEN_ISSUER',
  'COUNTERSIGN_TOKEN_AUDIENCE',
  'COUNTERSIGN_GEOIP_CITY',
  'COUNTERSIGN_GEOIP_CONNECTION_TYPE',
  'COUNTERSIGN_GEOIP_ASN',
  'COUNTERSIGN_GEOIP_ANONYMOUS_IP',
  'COUNTERSIGN_BREACHED_PASSWORDS',
  'COUNTERSIGN_EDGE_CERTIFICATE',
  'COUNTERSIGN_EDGE_REPLICAS_CA',
];
const needed = [
  'COUNTERSIGN_PUBLIC_URL',
  'DATABASE_URL',
  'SMTP_URL',
  'COUNTERSIGN_MAIL_FROM',
  'COUNTERSIGN_CODE_KEYS',
  'COUNTERSIGN_SIGNING_KEYS',
  'COUNTERSIGN_SERVICE_TOKENS',
];

describe('settings', () => {
  test('each one that there is is tried here', () => {
    expect(settingNames()).toEqual([...Object.keys(wrong), ...takesAnyText].sort());
  });

  const limit = pLimit(3);
  test.concurrent.each(Object.entries(wrong))(
    '%s: a wrong value is told in one line, and not repeated',
    (name, [value, takes]) =>
      limit(async () => {
        const { code, stderr, stdout } = await endOf({ ...env(), [name]: value });
        expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
        expect(stderr).toMatch(/^countersign: [^\n]+\n$/);
        expect(stderr).toContain(`${name} `);
        expect(stderr).toContain(takes);
        expect(stderr).not.toContain('s3cret-word');
      }),
  );

  test.concurrent.each(needed)('production does not start without %s', (name) =>
    limit(async () => {
      const { [name]: _, ...without } = env();
      for (const settings of [without, { ...without, [name]: '' }]) {
        const { code, stderr } = await endOf(settings);
        expect(code).toBe(78);
        expect(stderr).toMatch(new RegExp(`^countersign: ${name} is missing: production needs [^\\n]+\\n$`));
      }
    }),
  );

  test.each([
    ['COUNTERSIGN_PUBLIC_ADDRESS', '0.0.0.0:0'],
    ['COUNTERSIGN_INTERNAL_ADDRESS', '[::]:0'],
  ])('production refuses to speak cleartext at %s off loopback, unless a proxy ends TLS', async (name, address) => {
    const { code, stderr } = await endOf({ ...env(), [name]: address });
    expect(code).toBe(78);
    expect(stderr).toMatch(new RegExp(`^countersign: ${name} [^\\n]*COUNTERSIGN_PROXY_ENDS_TLS=yes[^\\n]*\\n$`));
    const server = await serve({ ...env(), [name]: address, COUNTERSIGN_PROXY_ENDS_TLS: 'yes' });
    await server.kill();
  });

  describe('in files', () => {
    let folder: string;
    const at = (name: string) => join(folder, name);
    const authority = createAuthority();
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'countersign-settings-'));
      const [one, other] = [authority.issue(thisMachine), authority.issue(thisMachine)];
      await Promise.all([
        writeFile(at('keys'), `a:${Buffer.alloc(32, 1).toString('base64')}\n`),
        writeFile(at('large'), `a:${Buffer.alloc(32, 1).toString('base64')}\n`.padEnd(1024 * 1024 + 1, '#')),
        writeFile(at('cert'), one.cert),
        writeFile(at('key'), one.key),
        writeFile(at('other-key'), other.key),
        writeFile(at('ca'), authority.cert),
      ]);
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    test('production starts with keys in files, and with certificates off loopback; its addresses say https', async () => {
      const { COUNTERSIGN_CODE_KEYS: _, COUNTERSIGN_SIGNING_KEYS: __, ...without } = env();
      const server = await serve({
        ...without,
        COUNTERSIGN_CODE_KEYS_FILE: at('keys'),
        COUNTERSIGN_SIGNING_KEYS_FILE: at('keys'),
        COUNTERSIGN_PUBLIC_ADDRESS: '0.0.0.0:0',
        COUNTERSIGN_PUBLIC_TLS_CERT: at('cert'),
        COUNTERSIGN_PUBLIC_TLS_KEY: at('key'),
        COUNTERSIGN_INTERNAL_ADDRESS: '0.0.0.0:0',
        COUNTERSIGN_INTERNAL_TLS_CERT: at('cert'),
        COUNTERSIGN_INTERNAL_TLS_KEY: at('key'),
      });
      expect([server.publicUrl, server.internalUrl].map((url) => new URL(url).protocol)).toEqual(['https:', 'https:']);
      await server.kill();
    });

    test.each<readonly [string, () => Record<string, string>, string]>([
      [
        'keys both in the setting and in a file',
        () => ({ COUNTERSIGN_CODE_KEYS_FILE: at('keys') }),
        'COUNTERSIGN_CODE_KEYS and COUNTERSIGN_CODE_KEYS_FILE: one of them, not both',
      ],
      [
        'a file of keys that is too large to be one',
        () => ({ COUNTERSIGN_SIGNING_KEYS: '', COUNTERSIGN_SIGNING_KEYS_FILE: at('large') }),
        'COUNTERSIGN_SIGNING_KEYS_FILE takes the path of a file with keys (it is larger than 1 MiB)',
      ],
      [
        'a certificate without its key',
        () => ({ COUNTERSIGN_PUBLIC_TLS_CERT: at('cert') }),
        'COUNTERSIGN_PUBLIC_TLS_KEY is missing: COUNTERSIGN_PUBLIC_TLS_CERT needs it',
      ],
      [
        'a certificate with the key of another',
        () => ({ COUNTERSIGN_INTERNAL_TLS_CERT: at('cert'), COUNTERSIGN_INTERNAL_TLS_KEY: at('other-key') }),
        'COUNTERSIGN_INTERNAL_TLS_CERT takes a certificate that fits COUNTERSIGN_INTERNAL_TLS_KEY: the key is not that of the certificate',
      ],
      [
        'authorities of clients without a certificate of its own',
        () => ({ COUNTERSIGN_INTERNAL_CLIENT_CA: at('ca') }),
        'COUNTERSIGN_INTERNAL_TLS_CERT is missing: COUNTERSIGN_INTERNAL_CLIENT_CA needs it',
      ],
      // Sign-ins would ask a directory of our own, which knows nobody.
      [
        'the token of a directory that is not named',
        () => ({ COUNTERSIGN_DIRECTORY_TOKEN: 's3cret-word-of-some-length' }),
        'COUNTERSIGN_DIRECTORY_URL is missing: COUNTERSIGN_DIRECTORY_TOKEN needs it',
      ],
      [
        'the certificates of a directory that is not named',
        () => ({ COUNTERSIGN_DIRECTORY_CA: at('ca') }),
        'COUNTERSIGN_DIRECTORY_URL is missing: COUNTERSIGN_DIRECTORY_CA needs it',
      ],
      [
        'a certificate for the other listener alone',
        () => ({
          COUNTERSIGN_INTERNAL_ADDRESS: '0.0.0.0:0',
          COUNTERSIGN_PUBLIC_TLS_CERT: at('cert'),
          COUNTERSIGN_PUBLIC_TLS_KEY: at('key'),
        }),
        'COUNTERSIGN_INTERNAL_ADDRESS is not loopback and would speak cleartext: set COUNTERSIGN_INTERNAL_TLS_CERT, or',
      ],
    ])('production does not start with %s', async (_, settings, words) => {
      const { code, stderr } = await endOf({ ...env(), ...settings() });
      expect(code).toBe(78);
      expect(stderr).toContain(`countersign: ${words}`);
      expect(stderr).toMatch(/^[^\n]+\n$/);
    });
  });

  test('production sends no password in cleartext off loopback, unless that is said to be meant, and not of a proxy in front', async () => {
    const name = 'COUNTERSIGN_DIRECTORY_URL';
    for (const COUNTERSIGN_PROXY_ENDS_TLS of ['no', 'yes']) {
      const { code, stderr } = await endOf({
        ...env(),
        COUNTERSIGN_PROXY_ENDS_TLS,
        [name]: 'http://s3cret-word.example.com:50051',
      });
      expect(code).toBe(78);
      expect(stderr).toMatch(new RegExp(`^countersign: ${name} [^\\n]*COUNTERSIGN_DIRECTORY_CLEARTEXT=yes[^\\n]*\\n$`));
      expect(stderr).not.toContain('s3cret-word');
    }
    for (const settings of [
      { [name]: 'http://127.0.0.1:1' },
      { [name]: 'http://[::1]:1' },
      { [name]: 'http://directory.example.com:1', COUNTERSIGN_DIRECTORY_CLEARTEXT: 'yes' },
    ]) {
      const server = await serve({ ...env(), ...settings });
      await server.kill();
    }
  });

  const locationFiles = takesAnyText.filter((name) => name.startsWith('COUNTERSIGN_GEOIP_'));
  test.concurrent.each(locationFiles)('%s: a file that is none is told in one line', (name) =>
    limit(async () => {
      const { code, stderr } = await endOf({ ...env(), [name]: 'package.json' });
      expect(code).toBe(78);
      expect(stderr).toMatch(/^countersign: [^\n]*package\.json can't be used [^\n]+; it takes [^\n]+\n$/);
      expect(stderr).toContain(name);
    }),
  );

  test('production does not take the token of development', async () => {
    const { code, stderr } = await endOf({ ...env(), COUNTERSIGN_SERVICE_TOKEN: 's3cret-word-of-some-length' });
    expect(code).toBe(78);
    expect(stderr).toMatch(/^countersign: COUNTERSIGN_SERVICE_TOKEN [^\n]*COUNTERSIGN_SERVICE_TOKENS\n$/);
    expect(stderr).not.toContain('s3cret');
  });

  test('service tokens may stand in a file instead; one that is none is told in one line', async () => {
    const { COUNTERSIGN_SERVICE_TOKENS: tokens = '', ...settings } = env();
    const path = join(await mkdtemp(join(tmpdir(), 'countersign-tokens-')), 'tokens');
    onTestFinished(() => rm(dirname(path), { recursive: true }));
    const withFile = { ...settings, COUNTERSIGN_SERVICE_TOKENS_FILE: path };
    const refused = async () => {
      const { code, stderr } = await endOf(withFile);
      expect(code).toBe(78);
      return stderr;
    };
    expect(await refused()).toMatch(/^countersign: COUNTERSIGN_SERVICE_TOKENS_FILE takes the path [^\n]*\(ENOENT\)\n$/);
    await writeFile(path, `${tokens}\nlogin:accounts:s3cret-word`);
    const told = await refused();
    expect(told).toMatch(
      /^countersign: COUNTERSIGN_SERVICE_TOKENS_FILE takes the path of a file with service tokens: line 2: it takes name:scope\+scope:[^\n]+\n$/,
    );
    expect(told).not.toContain('s3cret-word');
    await writeFile(path, `# who calls\n${tokens}\n`);
    const server = await serve(withFile);
    await server.service.sessions.getSigningKeys({});
    await server.kill();
  });

  test('a list of breached passwords that is none is told in one line', async () => {
    const { code, stderr } = await endOf({ ...env(), COUNTERSIGN_BREACHED_PASSWORDS: 'package.json' });
    expect(code).toBe(78);
    expect(stderr).toMatch(
      /^countersign: COUNTERSIGN_BREACHED_PASSWORDS: package\.json [^\n]*it takes [^\n]*SHA-1[^\n]*\n$/,
    );
  });

  test.each(['COUNTERSIGN_PUBLIC_ADDRESS', 'COUNTERSIGN_INTERNAL_ADDRESS'])(
    '%s: a taken port is told in one line',
    async (name) => {
      const taken = createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      const address = taken.address();
      const port = typeof address === 'object' ? address?.port : 0;
      const { code, stderr } = await endOf({ ...env(), [name]: `127.0.0.1:${port}` });
      taken.close();
      expect(code).toBe(78);
      expect(stderr).toMatch(new RegExp(`^countersign: ${name} [^\\n]*127\\.0\\.0\\.1:${port} is taken\\n$`));
    },
  );

  test.each([
    ['a wrong password', (url: URL) => Object.assign(url, { password: 's3cret-word' })],
    ['an unknown database', (url: URL) => Object.assign(url, { pathname: '/nowhere' })],
  ])('DATABASE_URL with %s is told in one line', async (_, spoil) => {
    const { code, stderr } = await endOf({ ...env(), DATABASE_URL: spoil(new URL(database.url)).href });
    expect(code).toBe(78);
    expect(stderr).toMatch(/^countersign: DATABASE_URL [^\n]+\n$/);
    expect(stderr).not.toContain('s3cret-word');
  });
});
