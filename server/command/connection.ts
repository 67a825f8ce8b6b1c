// How the command reaches a server: where it is, and as whom. It must not know what is asked.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CountersignError } from '../../clients/errors.ts';
import { createServiceClient, type ServiceClient } from '../../clients/service/client.ts';
import { readCommandConfig } from '../config.ts';
import { ConfigError, type Environment, isLoopback } from '../environment.ts';
import { isBearerToken } from '../platform/service-tokens.ts';

export interface ConnectionOptions {
  readonly url?: string;
  readonly tokenFile?: string;
  /** Paths of PEM files. */
  readonly ca?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
}

const defaultUrl = 'http://127.0.0.1:9090';
const timeoutMs = 15_000;

/** @throws ConfigError where there is neither a token nor a certificate, or a setting is wrong. */
export async function connect(
  options: ConnectionOptions,
  env: Environment,
  limits: { readonly timeoutMs?: number } = {},
): Promise<ServiceClient> {
  const config = readCommandConfig(env);
  const baseUrl = options.url ?? config.internalUrl ?? defaultUrl;
  const given = options.tokenFile === undefined ? config.serviceToken : await tokenIn(options.tokenFile);
  // A certificate names its caller by itself.
  const needsToken = given === undefined && options.clientCert === undefined;
  const serviceToken = needsToken ? await developmentToken(config.dataDir, baseUrl) : given;
  const tls = {
    ...(await pemOf('ca', '--ca', options.ca)),
    ...(await pemOf('cert', '--client-cert', options.clientCert)),
    ...(await pemOf('key', '--client-key', options.clientKey)),
  };
  return createServiceClient({ baseUrl, serviceToken, timeoutMs, ...limits, tls });
}

async function pemOf<T extends string>(name: T, option: string, path: string | undefined) {
  if (path === undefined) return {};
  const pem = await readFile(path, 'utf8').catch((error) => unreadable(option, path, error));
  if (!pem.includes('-----BEGIN ')) throw new ConfigError(`${option} ${path} takes a file in PEM`);
  return { [name]: pem } as Readonly<Partial<Record<T, string>>>;
}

async function tokenIn(path: string): Promise<string> {
  const token = (await readFile(path, 'utf8').catch((error) => unreadable('--token-file', path, error))).trim();
  if (isBearerToken(token)) return token;
  throw new ConfigError(`--token-file ${path} takes a file with a service token on its only line`);
}

function unreadable(option: string, path: string, error: unknown): never {
  const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  throw new ConfigError(`${option} ${path} can't be read (${why})`);
}

/** What `npm start` made and keeps. It is not shown to any other machine. */
async function developmentToken(dataDir: string, baseUrl: string): Promise<string> {
  const missing = new ConfigError(
    'COUNTERSIGN_SERVICE_TOKEN is missing: it, or a file that --token-file names, has the service token (`countersign tokens new` makes one); or --client-cert names the caller',
  );
  if (!isLoopback(new URL(baseUrl).hostname)) throw missing;
  try {
    const { serviceToken } = JSON.parse(await readFile(join(dataDir, 'development.json'), 'utf8')) as {
      readonly serviceToken?: unknown;
    };
    if (typeof serviceToken === 'string') return serviceToken;
  } catch {
    // Said below.
  }
  throw missing;
}

/** What contains an @ is an address; an id that does is written `id:…`. */
export function nameOf(text: string): { readonly case: 'email' | 'accountId'; readonly value: string } {
  if (text.startsWith('id:')) return { case: 'accountId', value: text.slice(3) };
  return { case: text.includes('@') ? 'email' : 'accountId', value: text };
}

/** The id of an account; by its address with whichever scope the token has. */
export async function accountIdOf(client: ServiceClient, text: string): Promise<string> {
  const key = nameOf(text);
  if (key.case === 'accountId') return key.value;
  try {
    const { account } = await client.accounts.getAccount({ key });
    return account?.accountId ?? '';
  } catch (error) {
    if (!CountersignError.is(error, 'SCOPE_MISSING')) throw error;
    const { accountSecurity } = await client.support.getAccountSecurity({ account: key });
    return accountSecurity?.accountId ?? '';
  }
}
