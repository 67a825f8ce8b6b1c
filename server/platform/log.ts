// The log: structured lines by pino on standard output. Secrets are named here once and never written.

import { type DestinationStream, type Logger as PinoLogger, pino, stdSerializers } from 'pino';

export type Logger = PinoLogger;

const secretNames = [
  'password',
  'code',
  'token',
  'accessToken',
  'refreshToken',
  'deviceToken',
  'challengeToken',
  'authorization',
  'cookie',
];

export function createLog(level: string, destination?: DestinationStream): Logger {
  const paths = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
  const options = {
    level,
    redact: { paths, censor: '[secret]' },
    base: null,
    serializers: { err: errorFields },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
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
