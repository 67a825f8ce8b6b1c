// Counts the calls that a minimum version to come would refuse, and logs them once a minute.

import type { Platform } from '../domain/device.ts';
import type { Logger } from '../platform/log.ts';

const everyMs = 60_000;
/** Versions that are counted apart; the rest is counted together, so that made-up ones cost nothing. */
const mostVersions = 200;

export interface PendingCount {
  add(platform: Platform, version: string): void;
  stop(): void;
}

export function createPendingCount(log: Logger): PendingCount {
  const counts = new Map<string, number>();
  const flush = () => {
    if (counts.size === 0) return;
    log.warn({ calls: Object.fromEntries(counts) }, 'calls that the pending minimum version would refuse');
    counts.clear();
  };
  const timer = setInterval(flush, everyMs);
  timer.unref();
  return {
    add: (platform, version) => {
      const name = `${platform.toLowerCase()} ${version}`;
      const key = counts.has(name) || counts.size < mostVersions ? name : 'other';
      counts.set(key, (counts.get(key) ?? 0) + 1);
    },
    stop: () => {
      clearInterval(timer);
      flush();
    },
  };
}
