// One setting → a value: what forms there are, and the one line that is said where a setting is missing or wrong. It must not
// know which settings there are.

import { createPrivateKey } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { largestBytes } from './platform/watched-file.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A setting that is missing or wrong: one line that names it and what it takes. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** Those that are at fault, and those that would have to be set; empty where it is about none. */
  readonly settings: readonly string[];

  constructor(message: string, settings: readonly string[] = []) {
    super(message);
    this.settings = settings;
  }
}

/** sysexits.h, EX_CONFIG. */
export const exitCodeOfConfigError = 78;

export type Environment = Readonly<Record<string, string | undefined>>;

const second = 1_000;
const minute = 60 * second;
export const hour = 60 * minute;
const day = 24 * hour;

export function refuse(name: string, takes: string): never {
  // The value itself may be a secret, or long: only the name is told.
  throw new ConfigError(`${name} takes ${takes}`, [name]);
}

export function oneOf<T extends string>(env: Environment, name: string, values: readonly T[], fallback: T): T {
  const text = env[name] || fallback;
  return values.find((value) => value === text) ?? refuse(name, values.join(' or '));
}

export function integer(env: Environment, name: string, fallback: number, least: number, most: number): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= most ? value : refuse(name, `a whole number from ${least} to ${most}`);
}

export const units = { ms: 1, s: second, m: minute, h: hour, d: day } as const;

export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,6})(ms|s|m|h|d)$/.exec(text);
  return match === null ? undefined : Number(match[1]) * units[match[2] as keyof typeof units];
}

export function duration(env: Environment, name: string, fallback: string, least: string, most: string): number {
  const value = parseDuration(env[name] || fallback);
  const fits = value !== undefined && value >= (parseDuration(least) ?? 0) && value <= (parseDuration(most) ?? 0);
  return fits ? value : refuse(name, `a duration from ${least} to ${most}, such as ${fallback}`);
}

export function durations(env: Environment, name: string, fallback: string): readonly number[] {
  return (env[name] || fallback)
    .split(',')
    .map((text) => parseDuration(text.trim()) ?? refuse(name, `durations separated by commas, such as ${fallback}`));
}

export function address(env: Environment, name: string, fallback: string): Address {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(env[name] || fallback);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) return refuse(name, `host:port, such as ${fallback} or [::1]:8080`);
  return { host, port };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

export function url(env: Environment, name: string, protocols: readonly string[]): string | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  const parsed = URL.parse(text);
  if (parsed === null || !protocols.includes(parsed.protocol)) {
    return refuse(name, `a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`);
  }
  try {
    decodeURIComponent(parsed.username + parsed.password);
  } catch {
    return refuse(name, 'a URL with its user and password percent-encoded: a % is written %25');
  }
  return text;
}

export function matching(env: Environment, name: string, form: RegExp, takes: string): string | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  return form.test(text) ? text : refuse(name, takes);
}

/** What stands in a file that a setting names; read once, at the start. */
export function fileOf(env: Environment, name: string, takes: string): Buffer | undefined {
  const path = env[name];
  if (path === undefined || path === '') return undefined;
  try {
    if (statSync(path).size <= largestBytes) return readFileSync(path);
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return refuse(name, `${takes} (${why})`);
  }
  return refuse(name, `${takes} (it is larger than 1 MiB)`);
}

/** A private key in PEM of one of these types. */
export function privateKeyOf(
  env: Environment,
  name: string,
  types: readonly string[],
  takes: string,
): string | undefined {
  const pem = fileOf(env, name, takes)?.toString();
  return pem === undefined ? undefined : checkedKey(name, pem, types, takes);
}

export function checkedKey(name: string, pem: string, types: readonly string[], takes: string): string {
  try {
    const { asymmetricKeyType } = createPrivateKey(pem);
    if (asymmetricKeyType !== undefined && types.includes(asymmetricKeyType)) return pem;
  } catch {
    // Said below.
  }
  return refuse(name, takes);
}

/** Settings that only make sense together: all of them, or none. */
export function together<T extends string>(
  values: Readonly<Record<T, string | undefined>>,
): Readonly<Record<T, string>> | undefined {
  const names = Object.keys(values) as T[];
  const missing = names.filter((name) => values[name] === undefined || values[name] === '');
  if (missing.length === names.length) return undefined;
  const [first] = missing;
  if (first === undefined) return values as Readonly<Record<T, string>>;
  const given = names.filter((name) => !missing.includes(name));
  throw new ConfigError(`${first} is missing: ${given.join(', ')} needs it`, [first, ...given]);
}
