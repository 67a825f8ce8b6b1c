// What is said of clients: versions and pages a platform, the proxies and origins that they come by.

import { type ClientVersion, parseClientVersion } from '../domain/client-version.ts';
import type { Platform } from '../domain/device.ts';
import { platforms } from '../domain/device.ts';
import { type Environment, refuse } from '../environment.ts';
import { parseTrustedProxies, type TrustedProxies } from '../platform/client-address.ts';

export function version(name: string, text: string): ClientVersion {
  return parseClientVersion(text) ?? refuse(name, 'a version such as 2.3, or one a platform: ios=2.3,android=2.4');
}

export function webUrl(name: string, text: string): string {
  const parsed = URL.parse(text);
  return parsed !== null && /^[a-z][a-z0-9+.-]*:$/.test(parsed.protocol)
    ? text
    : refuse(name, 'a URL, or one a platform: ios=https://…,android=https://…');
}

/** `value` for every platform, or `ios=value,android=value`; those after others win. */
export function perPlatform<T>(
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

export function minimumVersions(
  env: Environment,
  name: string,
  fallback: string,
): Readonly<Record<Platform, ClientVersion>> {
  const common = version(name, fallback);
  return { IOS: common, ANDROID: common, WEB: common, ...perPlatform(env, name, version) };
}

export function networks(env: Environment, name: string, fallback: string, takes: string): TrustedProxies {
  try {
    return parseTrustedProxies(env[name] || fallback);
  } catch {
    return refuse(name, takes);
  }
}

export function allowedOrigins(env: Environment, name: string): readonly string[] {
  const text = env[name];
  if (text === undefined || text === '') return [];
  return text.split(',').map((entry) => {
    const parsed = URL.parse(entry.trim());
    return parsed !== null && parsed.origin === entry.trim()
      ? parsed.origin
      : refuse(name, 'origins separated by commas, such as https://account.example.com');
  });
}
