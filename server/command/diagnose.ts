// All that is wrong with an environment, where the server stops at the first. It must not know what a setting takes.

import { type Config, readSettings, unfitForProduction } from '../config.ts';
import { ConfigError, type Environment } from '../environment.ts';

export interface Diagnosis {
  /** The settings as far as they are good: what is at fault is as if it were not set. */
  readonly config: Config;
  readonly faults: readonly ConfigError[];
}

export function diagnose(given: Environment): Diagnosis {
  const good = { ...given };
  const faults: ConfigError[] = [];
  // What is missing only since it was at fault has been told.
  const tell = (fault: ConfigError) => {
    if (!fault.settings.some((name) => given[name] && !good[name])) faults.push(fault);
  };
  for (;;) {
    try {
      const config = readSettings(good);
      if (config.mode === 'production') unfitForProduction(good, config).forEach(tell);
      return { config, faults };
    } catch (error) {
      if (!(error instanceof ConfigError) || !error.settings.some((name) => good[name])) throw error;
      tell(error);
      for (const name of error.settings) delete good[name];
    }
  }
}
