// What is outside, and how it is reached: mail, push services, the directory of accounts, Redis, the brand. One function a subject;
// it must not know the table that names its settings among the others.

import type { DkimSettings } from '../delivery/email.ts';
import {
  type Address,
  address,
  checkedKey,
  duration,
  type Environment,
  fileOf,
  matching,
  oneOf,
  privateKeyOf,
  refuse,
  together,
  url,
} from '../environment.ts';
import { parseCertificates } from '../platform/tls-files.ts';
import { bearerToken, certificateFile, pemOf } from './secrets.ts';

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

/** Redis or Valkey. */
export interface RedisConfig {
  readonly url: string;
  /** What every key and channel there begins with: a deployment's own. */
  readonly prefix: string;
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

export function mailFrom(env: Environment, name: string): string {
  const text = env[name] || 'Countersign <no-reply@localhost>';
  return /^([^<>\r\n]*<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$/.test(text)
    ? text
    : refuse(name, 'an address such as no-reply@example.com or Name <no-reply@example.com>');
}

export function dkim(env: Environment): DkimSettings | undefined {
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

export function directory(env: Environment): DirectoryConfig | undefined {
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

export function redis(env: Environment): RedisConfig | undefined {
  const takes = 'up to 64 letters, digits and characters of ._-';
  const prefix = matching(env, 'COUNTERSIGN_REDIS_PREFIX', /^[\w.-]{1,64}$/, takes) ?? 'countersign';
  const given = url(env, 'REDIS_URL', ['redis:', 'rediss:']);
  if (given === undefined) return undefined;
  const { hostname, pathname, search } = new URL(given);
  // What follows would be read as options of a connection, which are not an operator's.
  if (hostname === '' || !/^\/?\d{0,5}$/.test(pathname) || search !== '') {
    return refuse('REDIS_URL', 'a URL such as redis:// or rediss://user:password@host:6379/0');
  }
  return { url: given, prefix };
}

export function apns(env: Environment): ApnsConfig | undefined {
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

export function fcm(env: Environment): FcmConfig | undefined {
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

export function brandLogo(env: Environment, name: string): BrandLogo | undefined {
  const takes = 'the path of a PNG, JPEG or GIF file of at most 64 KiB';
  const content = fileOf(env, name, takes);
  if (content === undefined) return undefined;
  const magic = content.toString('latin1', 0, 8);
  const type = magic.startsWith('\x89PNG') ? 'png' : magic.startsWith('\xff\xd8\xff') ? 'jpeg' : 'gif';
  if ((type === 'gif' && !magic.startsWith('GIF8')) || content.byteLength > largestLogo) return refuse(name, takes);
  return { contentType: `image/${type}`, content };
}
