// The environment → one frozen, typed value: which settings there are. Those that only make sense together are read by subject in
// config/; an error names the setting and what it takes. Nothing else reads the environment.

import { availableParallelism } from 'node:os';
import { type CallLimits, callLimits } from './config/calls.ts';
import { allowedOrigins, minimumVersions, networks, perPlatform, version, webUrl } from './config/clients.ts';
import { databaseUrl, databaseUrlBeside } from './config/database.ts';
import { type EdgeSettings, edge } from './config/edge.ts';
import {
  type ApnsConfig,
  apns,
  type BrandLogo,
  brandLogo,
  type DirectoryConfig,
  directory,
  dkim,
  type FcmConfig,
  fcm,
  mailFrom,
  type RedisConfig,
  redis,
} from './config/outside.ts';
import { bearerToken, keys, serviceTokens, serviceTokensFile, tls } from './config/secrets.ts';
import type { DkimSettings } from './delivery/email.ts';
import type { EmailCodes } from './domain/challenge.ts';
import type { ClientVersion } from './domain/client-version.ts';
import type { Platform } from './domain/device.ts';
import type { Limits } from './domain/limits.ts';
import { type StepUp, stepUpCauses } from './domain/unusual.ts';
import {
  type Address,
  address,
  ConfigError,
  duration,
  durations,
  type Environment,
  hour,
  integer,
  isLoopback,
  matching,
  oneOf,
  refuse,
  url,
} from './environment.ts';
import type { TrustedProxies } from './platform/client-address.ts';
import type { KeySource } from './platform/key-ring.ts';
import { type ServiceGrant, serviceTokensForm } from './platform/service-tokens.ts';
import type { TlsFiles } from './platform/tls-files.ts';

export interface Config extends EdgeConfig {
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
  /** Open connections of each listener. */
  readonly connections: number;
  readonly publicUrl: string;
  readonly dataDir: string;
  readonly databaseUrl: string | undefined;
  /** PostgreSQL past a pooler; set where `databaseUrl` leads through one. */
  readonly databaseDirectUrl: string | undefined;
  /** A standby that pages of the login activity are read from. */
  readonly databaseReplicaUrl: string | undefined;
  readonly databasePoolSize: number;
  readonly databasePatienceMs: number;
  /** What replicas tell each other goes over it, and calls are counted in it; without, PostgreSQL is used for both. */
  readonly redis: RedisConfig | undefined;
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
  /** Which accounts are sent codes by e-mail. */
  readonly emailCodes: EmailCodes;
  /** Development: push services of our own. */
  readonly devPush: boolean;
  readonly mailboxAddress: Address;
  readonly mailboxSmtpAddress: Address;
  readonly brandLogo: BrandLogo | undefined;
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
  readonly pendingVersions: Readonly<Partial<Record<Platform, ClientVersion>>>;
  readonly updateUrls: Readonly<Partial<Record<Platform, string>>>;
  readonly geoipCity: string | undefined;
  readonly geoipConnectionType: string | undefined;
  readonly geoipAsn: string | undefined;
  readonly geoipAnonymousIp: string | undefined;
  /** The path of a list of breached passwords, besides the bundled one. */
  readonly breachedPasswords: string | undefined;
  readonly trustedProxies: TrustedProxies;
  readonly reflection: boolean;
  readonly hashesAtOnce: number;
  readonly logLevel: string;
  /** How long a server that stops takes calls on after it says so. */
  readonly drainDelayMs: number;
  /** What asks even a trusted device for a code. */
  readonly stepUpOn: readonly StepUp[];
  readonly limits: Limits;
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

/** What the edge must know: no more, for it may run where no server does. */
export interface EdgeConfig {
  readonly edge: EdgeSettings;
  readonly minimumVersions: Readonly<Record<Platform, ClientVersion>>;
  readonly allowedOrigins: readonly string[];
  readonly callLimits: CallLimits;
  readonly brandName: string;
  /** `#rrggbb`. */
  readonly brandColor: string;
  /** An address or a web page. */
  readonly supportContact: string | undefined;
}

export function readEdgeConfig(env: Environment): EdgeConfig {
  return {
    edge: edge(env),
    minimumVersions: minimumVersions(env, 'COUNTERSIGN_MINIMUM_CLIENT_VERSION', '2.3'),
    allowedOrigins: allowedOrigins(env, 'COUNTERSIGN_ALLOWED_ORIGINS'),
    callLimits: callLimits(env),
    brandName: env['COUNTERSIGN_BRAND_NAME'] || 'Countersign',
    brandColor: matching(env, 'COUNTERSIGN_BRAND_COLOR', /^#[0-9a-f]{6}$/i, 'a colour such as #1a56db') ?? '#1a56db',
    supportContact: matching(
      env,
      'COUNTERSIGN_SUPPORT_CONTACT',
      /^(https:\/\/\S+|[^<>@\s]+@[^<>@\s]+)$/,
      'an e-mail address or a page that begins with https://',
    ),
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
    // More than the edge lets in. Each takes a file descriptor, and many systems give a process 20,000.
    connections: integer(env, 'COUNTERSIGN_CONNECTIONS', 10_000, 10, 1_000_000),
    publicUrl: url(env, 'COUNTERSIGN_PUBLIC_URL', ['http:', 'https:']) ?? 'http://127.0.0.1:8080',
    dataDir: command.dataDir,
    databaseUrl: databaseUrl(env, 'DATABASE_URL'),
    databaseDirectUrl: databaseUrlBeside(env, 'COUNTERSIGN_DATABASE_DIRECT_URL'),
    databaseReplicaUrl: databaseUrlBeside(env, 'COUNTERSIGN_DATABASE_REPLICA_URL'),
    databasePoolSize: integer(env, 'COUNTERSIGN_DATABASE_POOL', 20, 2, 1_000),
    databasePatienceMs: duration(env, 'COUNTERSIGN_DATABASE_PATIENCE', '1200ms', '100ms', '30s'),
    redis: redis(env),
    directory: directory(env),
    smtpUrl: url(env, 'SMTP_URL', ['smtp:', 'smtps:']),
    smtpFallbackUrl: url(env, 'SMTP_FALLBACK_URL', ['smtp:', 'smtps:']),
    mailFrom: mailFrom(env, 'COUNTERSIGN_MAIL_FROM'),
    dkim: dkim(env),
    apns: apns(env),
    fcm: fcm(env),
    codeInNotification: oneOf(env, 'COUNTERSIGN_PUSH_CODE', ['notification', 'app'], 'notification') === 'notification',
    emailCodes: emailCodes(env, 'COUNTERSIGN_EMAIL_CODES'),
    devPush: oneOf(env, 'COUNTERSIGN_DEV_PUSH', ['0', '1'], '0') === '1',
    mailboxAddress: address(env, 'COUNTERSIGN_MAILBOX_ADDRESS', '127.0.0.1:1080'),
    mailboxSmtpAddress: address(env, 'COUNTERSIGN_MAILBOX_SMTP_ADDRESS', '127.0.0.1:1025'),
    brandLogo: brandLogo(env, 'COUNTERSIGN_BRAND_LOGO'),
    otlpUrl: url(env, 'OTEL_EXPORTER_OTLP_ENDPOINT', ['http:', 'https:']),
    codeKeys: keys(env, 'COUNTERSIGN_CODE_KEYS', 'COUNTERSIGN_CODE_KEYS_FILE'),
    signingKeys: keys(env, 'COUNTERSIGN_SIGNING_KEYS', 'COUNTERSIGN_SIGNING_KEYS_FILE'),
    tokenIssuer: env['COUNTERSIGN_TOKEN_ISSUER'] || 'countersign',
    tokenAudience: env['COUNTERSIGN_TOKEN_AUDIENCE'] || 'countersign',
    developmentServiceToken: command.serviceToken,
    serviceTokensFile: serviceTokensFile(env, 'COUNTERSIGN_SERVICE_TOKENS_FILE'),
    serviceTokens: serviceTokens(env, 'COUNTERSIGN_SERVICE_TOKENS', 'COUNTERSIGN_SERVICE_TOKENS_FILE'),
    pendingVersions: perPlatform(env, 'COUNTERSIGN_PENDING_CLIENT_VERSION', version),
    updateUrls: perPlatform(env, 'COUNTERSIGN_UPDATE_URL', webUrl),
    geoipCity: env['COUNTERSIGN_GEOIP_CITY'] || undefined,
    geoipConnectionType: env['COUNTERSIGN_GEOIP_CONNECTION_TYPE'] || undefined,
    geoipAsn: env['COUNTERSIGN_GEOIP_ASN'] || undefined,
    geoipAnonymousIp: env['COUNTERSIGN_GEOIP_ANONYMOUS_IP'] || undefined,
    breachedPasswords: env['COUNTERSIGN_BREACHED_PASSWORDS'] || undefined,
    trustedProxies: networks(
      env,
      'COUNTERSIGN_TRUSTED_PROXIES',
      'loopback',
      'addresses and networks separated by commas, such as loopback,10.0.0.0/8',
    ),
    reflection: oneOf(env, 'COUNTERSIGN_REFLECTION', ['on', 'off'], 'on') === 'on',
    // Node's thread pool computes them, and checks tokens too: one thread is left for that.
    hashesAtOnce: integer(env, 'COUNTERSIGN_HASHES_AT_ONCE', coresToHash(env), 1, threadPoolSize(env) - 1),
    logLevel: oneOf(env, 'COUNTERSIGN_LOG_LEVEL', ['debug', 'info', 'warn', 'error', 'silent'], 'info'),
    // A developer does not wait; behind a balancer, it has to notice. Calls have 7 s in all.
    drainDelayMs: duration(env, 'COUNTERSIGN_DRAIN_DELAY', mode === 'production' ? '2s' : '0s', '0s', '5s'),
    stepUpOn: stepUpOn(env, 'COUNTERSIGN_STEP_UP_ON'),
    limits: limits(env),
    ...readEdgeConfig(env),
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

function emailCodes(env: Environment, name: string): EmailCodes {
  const policies = { on: 'ON', first_device: 'FIRST_DEVICE', off: 'OFF' } as const;
  return policies[oneOf(env, name, ['on', 'first_device', 'off'], 'on')];
}

/** libuv's own setting and default. */
function threadPoolSize(env: Environment): number {
  return integer(env, 'UV_THREADPOOL_SIZE', 4, 2, 1_024);
}

/** A wave of sign-ins leaves a core to everything else, where there is more than one. */
function coresToHash(env: Environment): number {
  return Math.max(1, Math.min(availableParallelism(), threadPoolSize(env)) - 1);
}
