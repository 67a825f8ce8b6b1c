// The log: structured lines by pino on standard output. Secrets are named here once and never written.

import { type DestinationStream, type Logger as PinoLogger, pino, stdSerializers } from 'pino';

export type Logger = PinoLogger;

const secretNames = new Set([
  'password',
  'code',
  'token',
  'accessToken',
  'refreshToken',
  'deviceToken',
  'challengeToken',
  'authorization',
  'cookie',
]);

export function createLog(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    serializers: { err: errorFields },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    // Not by pino's `redact`: its paths with wildcards cost each line more than all else of it.
    formatters: { level: (label: string) => ({ level: label }), log: (fields: object) => withoutSecrets(fields, 3) },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** The fields with the values of secret names left out, as far down as secrets have ever stood. */
function withoutSecrets(fields: object, depth: number): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (secretNames.has(name)) shown[name] = '[secret]';
    else if (depth > 1 && isPlain(value)) shown[name] = withoutSecrets(value, depth - 1);
    else shown[name] = value;
  }
  return shown;
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/**
 * An error without what it quotes: PostgreSQL names the row at fault, with addresses and hashes, and the values of a
 * statement. Its `code` is none of ours.
 */
function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const {
    detail: _,
    where: __,
    internalQuery: ___,
    code,
    ...fields
  } = stdSerializers.err(error) as Record<string, unknown>;
  return code === undefined ? fields : { ...fields, errorCode: code };
}
