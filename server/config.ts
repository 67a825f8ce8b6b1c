// The environment → one frozen, typed value. Every setting is in one of the tables below; an error names the setting and
// what it takes. Nothing else reads the environment.

import { availableParallelism } from 'node:os';
import type { DkimSettings } from './delivery/email.ts';
import { type ClientVersion, parseClientVersion } from './domain/client-version.ts';
import type { Platform } from './domain/device.ts';
import { platforms } from './domain/device.ts';
import type { Limits } from './domain/limits.ts';
import { type StepUp, stepUpCauses } from './domain/unusual.ts';
import {
  type Address,
  address,
  ConfigError,
  checkedKey,
  duration,
  durations,
  type Environment,
  fileOf,
  hour,
  integer,
  isLoopback,
  matching,
  oneOf,
  privateKeyOf,
  refuse,
  together,
  url,
} from './environment.ts';
import { parseTrustedProxies, type TrustedProxies } from './platform/client-address.ts';
import { parseKeyEntries } from './platform/key-entries.ts';
import type { KeySource } from './platform/key-ring.ts';
import { isBearerToken, parseServiceTokens, type ServiceGrant, serviceTokensForm } from './platform/service-tokens.ts';
import { checkFit, parseCertificates, parsePrivateKey, type TlsFiles } from './platform/tls-files.ts';

export interface Config {
  readonly mode: 'development' | 'production';
  /** Whether a proxy in front ends TLS, so that cleartext off loopback is meant. */
  readonly proxyEndsTls: boolean;
  /** Names like those of our settings that are none: typing errors. */
  readonly unknownSettings: readonly string[];
  readonly publicAddress: Address;
  readonly internalAddress: Address;
  /** Without them a listener speaks cleartext. */
  readonly publicTls: TlsFiles | undefined;
  readonly internalTls: TlsFiles | undefined;
  readonly publicUrl: string;
  readonly dataDir: string;
  readonly databaseUrl: string | undefined;
  readonly databasePoolSize: number;
  readonly databasePatienceMs: number;
  /** Where accounts live, if not beside our own tables. */
  readonly directory: DirectoryConfig | undefined;
  readonly smtpUrl: string | undefined;
  /** Where mail goes when `smtpUrl` does not take it. */
  readonly smtpFallbackUrl: string | undefined;
  readonly mailFrom: string;
  readonly dkim: DkimSettings | undefined;
  readonly apns: ApnsConfig | undefined;
  readonly fcm: FcmConfig | undefined;
  /** Whether a code stands in a push notification, or only in the app. */
  readonly codeInNotification: boolean;
  /** Development: push services of our own. */
  readonly devPush: boolean;
  readonly mailboxAddress: Address;
  readonly mailboxSmtpAddress: Address;
  readonly brandName: string;
  /** `#rrggbb`. */
  readonly brandColor: string;
  readonly brandLogo: BrandLogo | undefined;
  /** An address or a web page. */
  readonly supportContact: string | undefined;
  /** An OTLP/HTTP collector for traces. */
  readonly otlpUrl: string | undefined;
  readonly codeKeys: KeySource | undefined;
  readonly signingKeys: KeySource | undefined;
  readonly tokenIssuer: string;
  readonly tokenAudience: string;
  /** Development: one token with every scope, made at first start where it is not given. */
  readonly developmentServiceToken: string | undefined;
  readonly serviceTokens: readonly ServiceGrant[];
  /** The path of a file in their place. */
  readonly serviceTokensFile: string | undefined;
  readonly minimumVersions: Readonly<Record<Platform, ClientVersion>>;
  readonly pendingVersions: Readonly<Partial<Record<Platform, ClientVersion>>>;
  readonly updateUrls: Readonly<Partial<Record<Platform, string>>>;
  readonly geoipCity: string | undefined;
  readonly geoipConnectionType: string | undefined;
  readonly geoipAsn: string | undefined;
  readonly geoipAnonymousIp: string | undefined;
  /** The path of a list of breached passwords, besides the bundled one. */
  readonly breachedPasswords: string | undefined;
  readonly trustedProxies: TrustedProxies;
  readonly allowedOrigins: readonly string[];
  readonly reflection: boolean;
  readonly hashesAtOnce: number;
  readonly logLevel: string;
  /** What asks even a trusted device for a code. */
  readonly stepUpOn: readonly StepUp[];
  readonly limits: Limits;
}

/** The customer's own system, and how it is reached. */
export interface DirectoryConfig {
  readonly url: string;
  readonly token: string | undefined;
  /** Certificates to trust instead of the system's, PEM. */
  readonly ca: string | undefined;
  /** Whether passwords may go there in cleartext off loopback. */
  readonly cleartext: boolean;
  readonly patienceMs: number;
}

/** Apple's token authentication, and where the service is. */
export interface ApnsConfig {
  /** The .p8 key, PEM. */
  readonly key: string;
  readonly keyId: string;
  readonly teamId: string;
  readonly production: Address;
  readonly sandbox: Address;
  /** Certificates to trust instead of the system's, PEM. */
  readonly ca: string | undefined;
}

/** A Google service account, and where the service is. */
export interface FcmConfig {
  readonly projectId: string;
  readonly clientEmail: string;
  readonly privateKey: string;
  readonly privateKeyId: string | undefined;
  readonly tokenUri: string;
  readonly rootUrl: string | undefined;
}

export interface BrandLogo {
  readonly contentType: string;
  readonly content: Uint8Array;
}

/** The numbers of the product: setting, default, bounds, and where the default comes from. */
const numbers = {
  // NIST SP 800-63B-4, 3.1.3.2: at least 6.
  codeDigits: ['COUNTERSIGN_CODE_DIGITS', 6, 6, 9],
  // NIST SP 800-63B-4, 3.1.3.2: at most 10 minutes.
  challengeLifetimeMs: ['COUNTERSIGN_CODE_LIFETIME', '10m', '1m', '10m'],
  // OWASP, Kratos, better-auth.
  wrongCodesPerChallenge: ['COUNTERSIGN_CODE_ATTEMPTS', 5, 1, 10],
  sendsPerChannel: ['COUNTERSIGN_CODE_SENDS', 5, 1, 20],
  shownWithinMs: ['COUNTERSIGN_CODE_SHOWN_WITHIN', '15s', '1s', '5m'],
  // Against push bombing.
  challengesPerHour: ['COUNTERSIGN_CHALLENGES_PER_HOUR', 10, 1, 1_000],
  wrongCodesBeforeWait: ['COUNTERSIGN_WRONG_CODES_BEFORE_WAIT', 30, 1, 100],
  // NIST SP 800-63B-4, 3.2.2: at most 100.
  wrongCodesBeforeLock: ['COUNTERSIGN_WRONG_CODES_BEFORE_LOCK', 100, 1, 100],
  wrongCodeFirstWaitMs: ['COUNTERSIGN_WRONG_CODE_FIRST_WAIT', '1m', '1s', '1h'],
  wrongCodeLongestWaitMs: ['COUNTERSIGN_WRONG_CODE_LONGEST_WAIT', '1h', '1s', '24h'],
  // OWASP Authentication Cheat Sheet; a trusted device has a budget of its own (OWASP, device cookies).
  passwordGuessesPerNetwork: ['COUNTERSIGN_PASSWORD_GUESSES_PER_NETWORK', 10, 1, 1_000],
  passwordGuessesPerDevice: ['COUNTERSIGN_PASSWORD_GUESSES_PER_DEVICE', 10, 1, 1_000],
  passwordGuessWindowMs: ['COUNTERSIGN_PASSWORD_GUESS_WINDOW', '15m', '1m', '1h'],
  passwordGuessesPerHour: ['COUNTERSIGN_PASSWORD_GUESSES_PER_HOUR', 100, 1, 10_000],
  // Against filling a mailbox.
  passwordResetsPerHour: ['COUNTERSIGN_PASSWORD_RESETS_PER_HOUR', 5, 1, 100],
  repeatWindowMs: ['COUNTERSIGN_REPEAT_WINDOW', '2m', '1s', '10m'],
  refreshGraceMs: ['COUNTERSIGN_REFRESH_GRACE', '60s', '0s', '5m'],
  accessTokenLifetimeMs: ['COUNTERSIGN_ACCESS_TOKEN_LIFETIME', '5m', '10s', '1h'],
  sessionIdleMs: ['COUNTERSIGN_SESSION_IDLE', '30d', '1m', '365d'],
  sessionLifetimeMs: ['COUNTERSIGN_SESSION_LIFETIME', '180d', '1m', '730d'],
  trustIdleMs: ['COUNTERSIGN_TRUST_IDLE', '180d', '1m', '730d'],
  trustedDevicesPerAccount: ['COUNTERSIGN_TRUSTED_DEVICES', 20, 1, 100],
  activityRetentionMs: ['COUNTERSIGN_ACTIVITY_RETENTION', '400d', '1d', '3650d'],
  auditRetentionMs: ['COUNTERSIGN_AUDIT_RETENTION', '400d', '1d', '3650d'],
} as const;

/** What the `countersign` command must know to reach a server: no more, for it may run where no server does. */
export interface CommandConfig {
  /** Where the internal listener is. */
  readonly internalUrl: string | undefined;
  readonly serviceToken: string | undefined;
  readonly dataDir: string;
}

export function readCommandConfig(env: Environment): CommandConfig {
  return {
    internalUrl: url(env, 'COUNTERSIGN_INTERNAL_URL', ['http:', 'https:']),
    serviceToken: bearerToken(env, 'COUNTERSIGN_SERVICE_TOKEN'),
    dataDir: env['COUNTERSIGN_DATA_DIR'] || '.data',
  };
}

/** Reads and checks the whole environment. Throws ConfigError at the first setting that is missing or wrong. */
export function readConfig(given: Environment): Config {
  const config = readSettings(given);
  const [unfit] = config.mode === 'production' ? unfitForProduction(given, config) : [];
  if (unfit !== undefined) throw unfit;
  return config;
}

/** Each setting by itself, and those that only make sense together. Throws ConfigError as `readConfig` does. */
export function readSettings(given: Environment): Config {
  const asked = new Set<string>();
  const env = new Proxy(given, {
    get: (target, name) => {
      asked.add(String(name));
      return typeof name === 'string' ? target[name] : undefined;
    },
  });
  const mode = oneOf(env, 'COUNTERSIGN_MODE', ['development', 'production'], 'development');
  const command = readCommandConfig(env);
  const config: Config = {
    mode,
    proxyEndsTls: oneOf(env, 'COUNTERSIGN_PROXY_ENDS_TLS', ['yes', 'no'], 'no') === 'yes',
    unknownSettings: [],
    publicAddress: address(env, 'COUNTERSIGN_PUBLIC_ADDRESS', '127.0.0.1:8080'),
    internalAddress: address(env, 'COUNTERSIGN_INTERNAL_ADDRESS', '127.0.0.1:9090'),
    publicTls: tls(env, { cert: 'COUNTERSIGN_PUBLIC_TLS_CERT', key: 'COUNTERSIGN_PUBLIC_TLS_KEY' }),
    internalTls: tls(env, {
      cert: 'COUNTERSIGN_INTERNAL_TLS_CERT',
      key: 'COUNTERSIGN_INTERNAL_TLS_KEY',
      clientCa: 'COUNTERSIGN_INTERNAL_CLIENT_CA',
    }),
    publicUrl: url(env, 'COUNTERSIGN_PUBLIC_URL', ['http:', 'https:']) ?? 'http://127.0.0.1:8080',
    dataDir: command.dataDir,
    databaseUrl: url(env, 'DATABASE_URL', ['postgres:', 'postgresql:']),
    databasePoolSize: integer(env, 'COUNTERSIGN_DATABASE_POOL', 20, 2, 1_000),
    databasePatienceMs: duration(env, 'COUNTERSIGN_DATABASE_PATIENCE', '1200ms', '100ms', '30s'),
    directory: directory(env),
    smtpUrl: url(env, 'SMTP_URL', ['smtp:', 'smtps:']),
    smtpFallbackUrl: url(env, 'SMTP_FALLBACK_URL', ['smtp:', 'smtps:']),
    mailFrom: mailFrom(env, 'COUNTERSIGN_MAIL_FROM'),
    dkim: dkim(env),
    apns: apns(env),
    fcm: fcm(env),
    codeInNotification: oneOf(env, 'COUNTERSIGN_PUSH_CODE', ['notification', 'app'], 'notification') === 'notification',
    devPush: oneOf(env, 'COUNTERSIGN_DEV_PUSH', ['0', '1'], '0') === '1',
    mailboxAddress: address(env, 'COUNTERSIGN_MAILBOX_ADDRESS', '127.0.0.1:1080'),
    mailboxSmtpAddress: address(env, 'COUNTERSIGN_MAILBOX_SMTP_ADDRESS', '127.0.0.1:1025'),
    brandName: env['COUNTERSIGN_BRAND_NAME'] || 'Countersign',
    brandColor: matching(env, 'COUNTERSIGN_BRAND_COLOR', /^#[0-9a-f]{6}$/i, 'a colour such as #1a56db') ?? '#1a56db',
    brandLogo: brandLogo(env, 'COUNTERSIGN_BRAND_LOGO'),
    supportContact: matching(
      env,
      'COUNTERSIGN_SUPPORT_CONTACT',
      /^(https:\/\/\S+|[^<>@\s]+@[^<>@\s]+)$/,
      'an e-mail address or a page that begins with https://',
    ),
    otlpUrl: url(env, 'OTEL_EXPORTER_OTLP_ENDPOINT', ['http:', 'https:']),
    codeKeys: keys(env, 'COUNTERSIGN_CODE_KEYS', 'COUNTERSIGN_CODE_KEYS_FILE'),
    signingKeys: keys(env, 'COUNTERSIGN_SIGNING_KEYS', 'COUNTERSIGN_SIGNING_KEYS_FILE'),
    tokenIssuer: env['COUNTERSIGN_TOKEN_ISSUER'] || 'countersign',
    tokenAudience: env['COUNTERSIGN_TOKEN_AUDIENCE'] || 'countersign',
    developmentServiceToken: command.serviceToken,
    serviceTokensFile: serviceTokensFile(env, 'COUNTERSIGN_SERVICE_TOKENS_FILE'),
    serviceTokens: serviceTokens(env, 'COUNTERSIGN_SERVICE_TOKENS', 'COUNTERSIGN_SERVICE_TOKENS_FILE'),
    minimumVersions: minimumVersions(env, 'COUNTERSIGN_MINIMUM_CLIENT_VERSION', '2.3'),
    pendingVersions: perPlatform(env, 'COUNTERSIGN_PENDING_CLIENT_VERSION', version),
    updateUrls: perPlatform(env, 'COUNTERSIGN_UPDATE_URL', webUrl),
    geoipCity: env['COUNTERSIGN_GEOIP_CITY'] || undefined,
    geoipConnectionType: env['COUNTERSIGN_GEOIP_CONNECTION_TYPE'] || undefined,
    geoipAsn: env['COUNTERSIGN_GEOIP_ASN'] || undefined,
    geoipAnonymousIp: env['COUNTERSIGN_GEOIP_ANONYMOUS_IP'] || undefined,
    breachedPasswords: env['COUNTERSIGN_BREACHED_PASSWORDS'] || undefined,
    trustedProxies: trustedProxies(env, 'COUNTERSIGN_TRUSTED_PROXIES', 'loopback'),
    allowedOrigins: allowedOrigins(env, 'COUNTERSIGN_ALLOWED_ORIGINS'),
    reflection: oneOf(env, 'COUNTERSIGN_REFLECTION', ['on', 'off'], 'on') === 'on',
    // Node's thread pool computes them, and checks tokens too: one thread is left for that.
    hashesAtOnce: integer(env, 'COUNTERSIGN_HASHES_AT_ONCE', coresToHash(env), 1, threadPoolSize(env) - 1),
    logLevel: oneOf(env, 'COUNTERSIGN_LOG_LEVEL', ['debug', 'info', 'warn', 'error', 'silent'], 'info'),
    stepUpOn: stepUpOn(env, 'COUNTERSIGN_STEP_UP_ON'),
    limits: limits(env),
  };
  const unknownSettings = Object.keys(given).filter((name) => name.startsWith('COUNTERSIGN_') && !asked.has(name));
  return Object.freeze({ ...config, unknownSettings });
}

const keysForm = 'id:base64 of 32 random bytes, several separated by commas';
const orInFile = (name: string, form: string) => `${form}; or ${name}_FILE, with them in a file`;

/** What production must be given, and what it must not be left to. */
export function unfitForProduction(env: Environment, config: Config): readonly ConfigError[] {
  const faults: ConfigError[] = [];
  const unfit = (fault: string, ...settings: readonly string[]) => faults.push(new ConfigError(fault, settings));
  const needed = {
    DATABASE_URL: [config.databaseUrl, 'postgresql://user:password@host:5432/name'],
    SMTP_URL: [config.smtpUrl, 'smtps://user:password@host:465'],
    COUNTERSIGN_MAIL_FROM: [env['COUNTERSIGN_MAIL_FROM'], 'Name <no-reply@example.com>'],
    COUNTERSIGN_PUBLIC_URL: [env['COUNTERSIGN_PUBLIC_URL'], 'https://auth.example.com, where links in mails lead'],
    COUNTERSIGN_CODE_KEYS: [config.codeKeys, orInFile('COUNTERSIGN_CODE_KEYS', keysForm)],
    COUNTERSIGN_SIGNING_KEYS: [config.signingKeys, orInFile('COUNTERSIGN_SIGNING_KEYS', keysForm)],
    COUNTERSIGN_SERVICE_TOKENS: [
      env['COUNTERSIGN_SERVICE_TOKENS'] || config.serviceTokensFile,
      orInFile('COUNTERSIGN_SERVICE_TOKENS', serviceTokensForm),
    ],
  } as const;
  for (const [name, [value, form]] of Object.entries(needed)) {
    // Or its file, of those that have one.
    if (value === undefined || value === '')
      unfit(`${name} is missing: production needs ${form}`, name, `${name}_FILE`);
  }
  if (config.developmentServiceToken !== undefined) {
    const name = 'COUNTERSIGN_SERVICE_TOKEN';
    unfit(`${name} is for development: production takes COUNTERSIGN_SERVICE_TOKENS`, name);
  }
  const { protocol, hostname } = new URL(config.publicUrl);
  if (protocol !== 'https:' && !isLoopback(hostname)) {
    const name = 'COUNTERSIGN_PUBLIC_URL';
    unfit(`${name} takes a URL that begins with https:// in production`, name);
  }
  const elsewhere = config.directory && new URL(config.directory.url);
  if (elsewhere?.protocol === 'http:' && !isLoopback(elsewhere.hostname) && !config.directory?.cleartext) {
    unfit(
      'COUNTERSIGN_DIRECTORY_URL is not loopback and would carry passwords in cleartext: it takes https://, or set COUNTERSIGN_DIRECTORY_CLEARTEXT=yes where something on the way encrypts',
      'COUNTERSIGN_DIRECTORY_URL',
      'COUNTERSIGN_DIRECTORY_CLEARTEXT',
    );
  }
  for (const [setting, { host }, ownTls, certificate] of [
    ['COUNTERSIGN_PUBLIC_ADDRESS', config.publicAddress, config.publicTls, 'COUNTERSIGN_PUBLIC_TLS_CERT'],
    ['COUNTERSIGN_INTERNAL_ADDRESS', config.internalAddress, config.internalTls, 'COUNTERSIGN_INTERNAL_TLS_CERT'],
  ] as const) {
    if (!isLoopback(host) && ownTls === undefined && !config.proxyEndsTls) {
      unfit(
        `${setting} is not loopback and would speak cleartext: set ${certificate}, or COUNTERSIGN_PROXY_ENDS_TLS=yes where a proxy in front ends TLS`,
        setting,
        certificate,
        'COUNTERSIGN_PROXY_ENDS_TLS',
      );
    }
  }
  return faults;
}

function limits(env: Environment): Limits {
  const read = Object.fromEntries(
    Object.entries(numbers).map(([key, [name, fallback, least, most]]) => [
      key,
      typeof fallback === 'number'
        ? integer(env, name, fallback, least as number, most as number)
        : duration(env, name, fallback, least as string, most as string),
    ]),
  ) as Readonly<Record<keyof typeof numbers, number>>;
  const { challengesPerHour, passwordGuessWindowMs, passwordGuessesPerHour, passwordResetsPerHour, ...same } = read;
  return {
    ...same,
    resendWaitsMs: durations(env, 'COUNTERSIGN_RESEND_WAITS', '30s,60s,120s,240s'),
    challengesPerAccount: { count: challengesPerHour, windowMs: hour },
    passwordGuessesPerNetwork: { count: read.passwordGuessesPerNetwork, windowMs: passwordGuessWindowMs },
    passwordGuessesPerDevice: { count: read.passwordGuessesPerDevice, windowMs: passwordGuessWindowMs },
    passwordGuessesOverall: { count: passwordGuessesPerHour, windowMs: hour },
    passwordResetsPerNetwork: { count: passwordResetsPerHour, windowMs: hour },
    // So that a stranger can't use up the owner's.
    passwordResetsOverall: { count: 4 * passwordResetsPerHour, windowMs: hour },
    passwordResetTries: { count: 4 * passwordResetsPerHour, windowMs: hour },
  };
}

function stepUpOn(env: Environment, name: string): readonly StepUp[] {
  const given = (env[name] ?? '').split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim().toUpperCase()]));
  return given.map(
    (cause) =>
      stepUpCauses.find((known) => known === cause) ??
      refuse(name, `${stepUpCauses.join(', ').toLowerCase()}, or some of them separated by commas`),
  );
}

/** libuv's own setting and default. */
function threadPoolSize(env: Environment): number {
  return integer(env, 'UV_THREADPOOL_SIZE', 4, 2, 1_024);
}

/** A wave of sign-ins leaves a core to everything else, where there is more than one. */
function coresToHash(env: Environment): number {
  return Math.max(1, Math.min(availableParallelism(), threadPoolSize(env)) - 1);
}

function mailFrom(env: Environment, name: string): string {
  const text = env[name] || 'Countersign <no-reply@localhost>';
  return /^([^<>\r\n]*<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$/.test(text)
    ? text
    : refuse(name, 'an address such as no-reply@example.com or Name <no-reply@example.com>');
}

function dkim(env: Environment): DkimSettings | undefined {
  const takes = 'the path of a PEM file with an RSA private key';
  const given = together({
    COUNTERSIGN_DKIM_KEY: privateKeyOf(env, 'COUNTERSIGN_DKIM_KEY', ['rsa'], takes),
    COUNTERSIGN_DKIM_DOMAIN: matching(env, 'COUNTERSIGN_DKIM_DOMAIN', /^[a-z0-9.-]+$/i, 'a domain such as example.com'),
    COUNTERSIGN_DKIM_SELECTOR: matching(env, 'COUNTERSIGN_DKIM_SELECTOR', /^[a-z0-9._-]+$/i, 'a name such as mail2026'),
  });
  return (
    given && {
      privateKey: given.COUNTERSIGN_DKIM_KEY,
      domain: given.COUNTERSIGN_DKIM_DOMAIN,
      selector: given.COUNTERSIGN_DKIM_SELECTOR,
    }
  );
}

function directory(env: Environment): DirectoryConfig | undefined {
  // Read in any case, so that a wrong one is told.
  const place = url(env, 'COUNTERSIGN_DIRECTORY_URL', ['http:', 'https:']);
  const token = bearerToken(env, 'COUNTERSIGN_DIRECTORY_TOKEN');
  const ca = pemOf(env, 'COUNTERSIGN_DIRECTORY_CA', certificateFile, parseCertificates);
  const patienceMs = duration(env, 'COUNTERSIGN_DIRECTORY_PATIENCE', '2s', '100ms', '30s');
  const cleartext = oneOf(env, 'COUNTERSIGN_DIRECTORY_CLEARTEXT', ['yes', 'no'], 'no') === 'yes';
  if (place !== undefined) return { url: place, token, ca, cleartext, patienceMs };
  // Or sign-ins would go to a directory of our own that knows nobody.
  if (token !== undefined) together({ COUNTERSIGN_DIRECTORY_TOKEN: token, COUNTERSIGN_DIRECTORY_URL: place });
  if (ca !== undefined) together({ COUNTERSIGN_DIRECTORY_CA: ca, COUNTERSIGN_DIRECTORY_URL: place });
  return undefined;
}

function apns(env: Environment): ApnsConfig | undefined {
  const takes = "the path of Apple's .p8 key file";
  const tenLetters = /^[A-Z0-9]{10}$/;
  const given = together({
    COUNTERSIGN_APNS_KEY: privateKeyOf(env, 'COUNTERSIGN_APNS_KEY', ['ec'], takes),
    COUNTERSIGN_APNS_KEY_ID: matching(env, 'COUNTERSIGN_APNS_KEY_ID', tenLetters, 'the 10 characters of the key’s id'),
    COUNTERSIGN_APNS_TEAM_ID: matching(
      env,
      'COUNTERSIGN_APNS_TEAM_ID',
      tenLetters,
      'the 10 characters of the team’s id',
    ),
  });
  // Read in any case, so that a wrong one is told.
  const production = address(env, 'COUNTERSIGN_APNS_ADDRESS', 'api.push.apple.com:443');
  const sandbox = address(env, 'COUNTERSIGN_APNS_SANDBOX_ADDRESS', 'api.sandbox.push.apple.com:443');
  const ca = pemOf(env, 'COUNTERSIGN_APNS_CA', certificateFile, parseCertificates);
  return (
    given && {
      key: given.COUNTERSIGN_APNS_KEY,
      keyId: given.COUNTERSIGN_APNS_KEY_ID,
      teamId: given.COUNTERSIGN_APNS_TEAM_ID,
      production,
      sandbox,
      ca,
    }
  );
}

function fcm(env: Environment): FcmConfig | undefined {
  const name = 'COUNTERSIGN_FCM_CREDENTIALS';
  const takes = "the path of a service account's JSON key file, as Google gives it";
  const rootUrl = url(env, 'COUNTERSIGN_FCM_URL', ['https:', 'http:']);
  const text = fileOf(env, name, takes)?.toString();
  if (text === undefined) return undefined;
  let account: Readonly<Record<string, unknown>>;
  try {
    account = JSON.parse(text) as typeof account;
  } catch {
    return refuse(name, takes);
  }
  const { project_id: projectId, client_email: clientEmail, private_key: privateKey, token_uri: tokenUri } = account;
  if (
    typeof projectId !== 'string' ||
    typeof clientEmail !== 'string' ||
    typeof privateKey !== 'string' ||
    typeof tokenUri !== 'string' ||
    !URL.canParse(tokenUri)
  ) {
    return refuse(name, takes);
  }
  const { private_key_id: keyId } = account;
  const privateKeyId = typeof keyId === 'string' ? keyId : undefined;
  checkedKey(name, privateKey, ['rsa'], takes);
  return { projectId, clientEmail, privateKey, privateKeyId, tokenUri, rootUrl };
}

const largestLogo = 64 * 1024;

function brandLogo(env: Environment, name: string): BrandLogo | undefined {
  const takes = 'the path of a PNG, JPEG or GIF file of at most 64 KiB';
  const content = fileOf(env, name, takes);
  if (content === undefined) return undefined;
  const magic = content.toString('latin1', 0, 8);
  const type = magic.startsWith('\x89PNG') ? 'png' : magic.startsWith('\xff\xd8\xff') ? 'jpeg' : 'gif';
  if ((type === 'gif' && !magic.startsWith('GIF8')) || content.byteLength > largestLogo) return refuse(name, takes);
  return { contentType: `image/${type}`, content };
}

/** In the setting, or in the file that the other one names. */
function keys(env: Environment, name: string, fileName: string): KeySource | undefined {
  const text = env[name] || undefined;
  const takes = 'the path of a file with keys';
  const inFile = fileOf(env, fileName, takes)?.toString();
  const entries = (given: string, setting: string, form: string) =>
    orRefuse(setting, form, () => parseKeyEntries(given));
  if (inFile !== undefined) entries(inFile, fileName, takes);
  if (text !== undefined && inFile !== undefined)
    throw new ConfigError(`${name} and ${fileName}: one of them, not both`, [name, fileName]);
  if (inFile !== undefined) return { setting: fileName, file: env[fileName] ?? '' };
  return text === undefined ? undefined : { entries: entries(text, name, 'keys separated by commas') };
}

/** What `read` returns; what it throws is told behind what the setting takes, and must be no secret. */
function orRefuse<T>(name: string, takes: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    return refuse(name, `${takes}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const certificateFile = 'the path of a PEM file with certificates';

function pemOf(env: Environment, name: string, takes: string, check: (text: string) => unknown): string | undefined {
  const text = fileOf(env, name, takes)?.toString();
  if (text !== undefined) orRefuse(name, takes, () => check(text));
  return text;
}

/** Read here too, so that a wrong one is told at once. */
function tls(
  env: Environment,
  names: { readonly cert: string; readonly key: string; readonly clientCa?: string },
): TlsFiles | undefined {
  const pem = (name: string, takes: string, check: (text: string) => unknown) => pemOf(env, name, takes, check);
  const cert = pem(names.cert, 'the path of a PEM file with a certificate and its chain', parseCertificates);
  const key = pem(names.key, 'the path of a PEM file with the private key of the certificate', parsePrivateKey);
  const clientCa =
    names.clientCa && pem(names.clientCa, 'the path of a PEM file with the authorities of clients', parseCertificates);
  together({ [names.cert]: cert, [names.key]: key });
  if (cert === undefined || key === undefined) {
    if (clientCa === undefined) return undefined;
    throw new ConfigError(`${names.cert} is missing: ${names.clientCa} needs it`, [names.cert, names.clientCa ?? '']);
  }
  orRefuse(names.cert, `a certificate that fits ${names.key}`, () => checkFit({ cert, key }));
  const fileAt = (setting: string) => ({ setting, file: env[setting] ?? '' });
  return {
    cert: fileAt(names.cert),
    key: fileAt(names.key),
    ...(clientCa !== undefined && names.clientCa !== undefined && { clientCa: fileAt(names.clientCa) }),
  };
}

function bearerToken(env: Environment, name: string): string | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  const fits = text.length >= 16 && text.length <= 256 && isBearerToken(text);
  return fits ? text : refuse(name, '16 to 256 letters, digits and characters of -._~+/, = at the end');
}

function serviceTokens(env: Environment, name: string, fileName: string): readonly ServiceGrant[] {
  const text = env[name];
  if (text === undefined || text === '') return [];
  if (env[fileName]) throw new ConfigError(`${name} and ${fileName}: one of them, not both`, [name, fileName]);
  try {
    return parseServiceTokens(text);
  } catch {
    return refuse(name, serviceTokensForm);
  }
}

/** Its path: whoever watches the file reads it again. Read here too, so that a wrong one is told at once. */
function serviceTokensFile(env: Environment, name: string): string | undefined {
  const takes = 'the path of a file with service tokens';
  const text = fileOf(env, name, takes)?.toString();
  if (text === undefined) return undefined;
  orRefuse(name, takes, () => parseServiceTokens(text));
  return env[name];
}

function version(name: string, text: string): ClientVersion {
  return parseClientVersion(text) ?? refuse(name, 'a version such as 2.3, or one a platform: ios=2.3,android=2.4');
}

function webUrl(name: string, text: string): string {
  const parsed = URL.parse(text);
  return parsed !== null && /^[a-z][a-z0-9+.-]*:$/.test(parsed.protocol)
    ? text
    : refuse(name, 'a URL, or one a platform: ios=https://…,android=https://…');
}

/** `value` for every platform, or `ios=value,android=value`; those after others win. */
function perPlatform<T>(
  env: Environment,
  name: string,
  parse: (name: string, text: string) => T,
): Readonly<Partial<Record<Platform, T>>> {
  const text = env[name];
  if (text === undefined || text === '') return {};
  const values: Partial<Record<Platform, T>> = {};
  for (const entry of text.split(',')) {
    const match = /^(ios|android|web)=(.*)$/.exec(entry.trim());
    const value = parse(name, match?.[2] ?? entry.trim());
    const named = match?.[1]?.toUpperCase();
    for (const platform of platforms) {
      if (named === undefined || named === platform) values[platform] = value;
    }
  }
  return values;
}

function minimumVersions(env: Environment, name: string, fallback: string): Readonly<Record<Platform, ClientVersion>> {
  const common = version(name, fallback);
  return { IOS: common, ANDROID: common, WEB: common, ...perPlatform(env, name, version) };
}

function trustedProxies(env: Environment, name: string, fallback: string): TrustedProxies {
  try {
    return parseTrustedProxies(env[name] || fallback);
  } catch {
    return refuse(name, 'addresses and networks separated by commas, such as loopback,10.0.0.0/8');
  }
}

function allowedOrigins(env: Environment, name: string): readonly string[] {
  const text = env[name];
  if (text === undefined || text === '') return [];
  return text.split(',').map((entry) => {
    const parsed = URL.parse(entry.trim());
    return parsed !== null && parsed.origin === entry.trim()
      ? parsed.origin
      : refuse(name, 'origins separated by commas, such as https://account.example.com');
  });
}
