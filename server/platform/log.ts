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

/** As far down as secrets have ever stood. */
const depth = 4;

export function createLog(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    serializers: { err: errorFields },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    // Not by pino's `redact`: its paths with wildcards cost each line more than all else of it.
    formatters: {
      level: (label: string) => ({ level: label }),
      log: (fields: object) => withoutSecrets(fields, depth) as Record<string, unknown>,
    },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** The same with the values of secret names left out. Errors are left to their serializer. */
function withoutSecrets(value: unknown, levels: number): unknown {
  if (typeof value !== 'object' || value === null || levels === 0 || isWhole(value)) return value;
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, levels - 1));
  const shown: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) {
    shown[name] = secretNames.has(name) ? '[secret]' : withoutSecrets(field, levels - 1);
  }
  return shown;
}

/** Whether it is written as one value. */
function isWhole(value: object): boolean {
  return value instanceof Error || value instanceof Date || value instanceof Uint8Array || 'toJSON' in value;
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
  const shown = withoutSecrets({ ...fields }, depth) as Record<string, unknown>;
  return code === undefined ? shown : { ...shown, errorCode: code };
}
