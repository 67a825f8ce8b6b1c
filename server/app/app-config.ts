// The settings of a server that can run. It must not know what is made of them.

import type { Config } from '../config.ts';
import type { KeySource } from '../platform/key-ring.ts';

/** What development mode fills in, and production must be given. */
export interface AppConfig extends Config {
  readonly databaseUrl: string;
  readonly smtpUrl: string;
  readonly codeKeys: KeySource;
  readonly signingKeys: KeySource;
}
