// The log: structured lines by pino on standard output. Secrets are named here once and never written.

import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';

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
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
