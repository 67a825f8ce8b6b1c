// The names of the settings, read off the source of what reads them: so a new one is held to be explained and tried.

import { readdirSync, readFileSync } from 'node:fs';

const server = new URL('../../server/', import.meta.url);

/** In alphabetical order. */
export function settingNames(): string[] {
  const parts = readdirSync(new URL('config/', server)).map((name) => `config/${name}`);
  const source = ['config.ts', ...parts].map((path) => readFileSync(new URL(path, server), 'utf8')).join('\n');
  const quoted = /(?<=')(COUNTERSIGN_[A-Z_]+|DATABASE_URL|REDIS_URL|SMTP_(?:FALLBACK_)?URL|OTEL_[A-Z_]+)(?=')/g;
  return [...new Set(source.match(quoted))].sort();
}
