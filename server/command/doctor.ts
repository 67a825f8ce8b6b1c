// `countersign doctor`: reads the environment as the server would, and tries everything that it leads to. Each check stands for itself
// and has its time; nothing is changed, and nothing secret is said.

import { readFileSync } from 'node:fs';
import { styleText } from 'node:util';
import type { Config } from '../config.ts';
import type { ConfigError, Environment } from '../environment.ts';
import { systemClock } from '../platform/clock.ts';
import { type KeyEntry, parseKeyEntries } from '../platform/key-entries.ts';
import type { KeySource } from '../platform/key-ring.ts';
import { type Finding, fail, wordsOf } from './checks/finding.ts';
import { diagnose } from './diagnose.ts';
import { exitCodes, Failure } from './failure.ts';
import { type Answer, plain } from './output.ts';

export interface DoctorOptions {
  /** Only these checks. */
  readonly only?: readonly string[];
  /** The DNS server to ask, `host:port`, instead of the system's. */
  readonly dns?: string;
}

/** In all: what each connection may take is shorter. */
const checkWithinMs = 15_000;

export async function examine(options: DoctorOptions, env: Environment): Promise<Answer> {
  const { config, faults } = diagnose(env);
  const checks = checksOf(config, faults, options);
  const unknown = options.only?.find((name) => !Object.hasOwn(checks, name));
  if (unknown !== undefined) {
    throw new Failure(exitCodes.usage, `--only takes some of ${Object.keys(checks).join(', ')}, separated by commas`);
  }
  const secrets = secretsOf(config);
  const chosen = Object.entries(checks).filter(([name]) => options.only?.includes(name) ?? true);
  const found = await Promise.all(
    chosen.map(async ([check, run]) =>
      (await bounded(run)).map(({ status, message, mend }) => ({
        check,
        status,
        message: hidden(message, secrets),
        mend: hidden(mend, secrets),
      })),
    ),
  );
  const findings = found.flat();
  const failed = findings.filter(({ status }) => status === 'fail').length;
  const failure = new Failure(exitCodes.failed, `${failed} ${failed === 1 ? 'thing has' : 'things have'} to be mended`);
  return { json: { ok: failed === 0, findings }, text: textOf(findings), ...(failed === 0 ? {} : { failure }) };
}

type Run = () => Promise<readonly Finding[]>;

function checksOf(
  config: Config,
  faults: readonly ConfigError[],
  { dns }: DoctorOptions,
): Readonly<Record<string, Run>> {
  const clock = systemClock;
  const codeKeys = keysIn(config.codeKeys);
  const signingKeys = keysIn(config.signingKeys);
  return {
    settings: async () => (await import('./checks/settings.ts')).checkSettings(config, faults),
    proxies: async () => (await import('./checks/settings.ts')).checkProxies(config),
    database: async () => (await import('./checks/database.ts')).checkDatabase(config, clock),
    redis: async () => (await import('./checks/redis.ts')).checkRedis(config),
    directory: async () => (await import('./checks/directory.ts')).checkDirectory(config.directory),
    mail: async () => (await import('./checks/mail.ts')).checkMail(config.smtpUrl, config.smtpFallbackUrl),
    'mail-dns': async () => (await import('./checks/mail-dns.ts')).checkMailDns(config, dns),
    apns: async () => (await import('./checks/push.ts')).checkApns(config.apns, clock),
    fcm: async () => (await import('./checks/push.ts')).checkFcm(config.fcm, clock),
    places: async () => (await import('./checks/files.ts')).checkPlaces(config, clock.now()),
    'breached-passwords': async () =>
      (await import('./checks/files.ts')).checkBreachedPasswords(config.breachedPasswords),
    keys: async () =>
      (await import('./checks/secrets.ts')).checkKeys(
        { COUNTERSIGN_CODE_KEYS: codeKeys, COUNTERSIGN_SIGNING_KEYS: signingKeys },
        clock.now(),
      ),
    'service-tokens': async () => (await import('./checks/secrets.ts')).checkServiceTokens(config),
    tls: async () => (await import('./checks/tls.ts')).checkTls(config, clock.now()),
    'public-url': async () =>
      (await import('./checks/public-url.ts')).checkPublicUrl(config.publicUrl, signingKeys, clock.now()),
  };
}

/** As they stand now; the settings have been refused where a file is none. */
function keysIn(source: KeySource | undefined): readonly KeyEntry[] | undefined {
  if (source === undefined || 'entries' in source) return source?.entries;
  return parseKeyEntries(readFileSync(source.file, 'utf8'));
}

async function bounded(run: Run): Promise<readonly Finding[]> {
  const { promise: late, resolve } = Promise.withResolvers<readonly Finding[]>();
  const timer = setTimeout(() => resolve([fail(`no answer within ${checkWithinMs / 1_000} s`)]), checkWithinMs);
  try {
    return await Promise.race([run(), late]);
  } catch (error) {
    return [fail(`it could not be checked: ${wordsOf(error)}`)];
  } finally {
    clearTimeout(timer);
  }
}

/** Passwords in URLs, and the directory's token: servers quote them in what they say. */
function secretsOf(config: Config): readonly string[] {
  const { databaseUrl, databaseDirectUrl, databaseReplicaUrl, smtpUrl, smtpFallbackUrl } = config;
  const urls = [databaseUrl, databaseDirectUrl, databaseReplicaUrl, config.redis?.url, smtpUrl, smtpFallbackUrl];
  const passwords = urls.flatMap((url) => {
    if (url === undefined) return [];
    const { password, searchParams } = new URL(url);
    return [password, decodeURIComponent(password), searchParams.get('password') ?? ''];
  });
  return [...passwords, config.directory?.token ?? ''].filter((secret) => secret !== '');
}

function hidden(text: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => shown.replaceAll(secret, '[secret]'), text);
}

const styles = { ok: 'green', warn: 'yellow', fail: 'red', skip: 'gray' } as const;

function textOf(findings: readonly (Finding & { readonly check: string })[]): string {
  const coloured = process.stdout.isTTY && !process.env['NO_COLOR'];
  const width = Math.max(...findings.map(({ check }) => check.length));
  return findings
    .flatMap(({ check, status, message, mend }) => {
      const word = status.padEnd(4);
      const shown = coloured ? styleText(styles[status], word, { validateStream: false }) : word;
      const line = `${shown}  ${check.padEnd(width)}  ${plain(message, 2_000)}`;
      return mend === '' ? [line] : [line, `${' '.repeat(width + 8)}${plain(mend, 2_000)}`];
    })
    .join('\n');
}
