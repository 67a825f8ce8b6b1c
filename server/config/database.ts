// Where PostgreSQL is. A URL names one host: which of several is the primary, something else has to say.

import { ConfigError, type Environment, refuse, url } from '../environment.ts';

export function databaseUrl(env: Environment, name: string): string | undefined {
  const several = /^[a-z]+:\/\/(?:[^/?#]*@)?[^/?#@]*,/i.test(env[name] ?? '');
  if (several) return refuse(name, 'one host: a name or a proxy that leads to the primary, whichever that is');
  return url(env, name, ['postgres:', 'postgresql:']);
}

/** A second way to the database of DATABASE_URL, which makes no sense without that. */
export function databaseUrlBeside(env: Environment, name: string): string | undefined {
  const beside = databaseUrl(env, name);
  if (beside === undefined || databaseUrl(env, 'DATABASE_URL') !== undefined) return beside;
  throw new ConfigError(`DATABASE_URL is missing: ${name} needs it`, ['DATABASE_URL', name]);
}
