// The ways to PostgreSQL, by the settings: which of them is for what, waited for, and migrated. It must not know what is asked there.

import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from '../environment.ts';
import type { Clock } from '../flows/ports.ts';
import type { Logger } from '../platform/log.ts';
import { Database } from '../store/database.ts';
import { isMisconfigured, isPooler, isUnavailable } from '../store/database-errors.ts';
import { migrate } from '../store/migrate.ts';
import { identityOf } from '../store/place.ts';
import { openReadReplica, type ReadReplica, replicaPoolSize } from '../store/read-replica.ts';
import type { AppConfig } from './app-config.ts';

/** What needs a session of PostgreSQL's goes past a pooler. */
export const sessionUrlOf = ({ databaseUrl, databaseDirectUrl }: AppConfig): string => databaseDirectUrl ?? databaseUrl;

export function openReplicaOf(config: AppConfig, primary: Database, log: Logger): ReadReplica | undefined {
  if (config.databaseReplicaUrl === undefined) return undefined;
  const replica = new Database({
    url: config.databaseReplicaUrl,
    poolSize: replicaPoolSize(config.databasePoolSize),
    // Where it takes longer, there is time left to ask the primary.
    patienceMs: Math.floor(config.databasePatienceMs / 3),
    pooled: config.databaseDirectUrl !== undefined,
    standby: true,
  });
  return openReadReplica(replica, primary, () => performance.now(), log);
}

export async function migrateWhenReachable(config: AppConfig, clock: Clock, log: Logger): Promise<void> {
  const { databaseUrl, databaseDirectUrl: directUrl } = config;
  const direct = 'COUNTERSIGN_DATABASE_DIRECT_URL';
  if (directUrl !== undefined) {
    const through = await whenReachable('DATABASE_URL', log, () => identityOf(databaseUrl));
    const past = await whenReachable(direct, log, () => identityOf(directUrl));
    // Else what calls write would be in the one, and jobs be looked for in the other.
    if (through !== undefined && past !== undefined && through !== past)
      throw new ConfigError(`DATABASE_URL and ${direct} have to lead to one database, and lead to two`);
  }
  const setting = directUrl === undefined ? 'DATABASE_URL' : direct;
  await whenReachable(setting, log, () => migrate(sessionUrlOf(config), clock.now()));
}

/** At a start of many, or beside a database that starts too, PostgreSQL may not answer yet. */
async function whenReachable<T>(setting: string, log: Logger, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (isMisconfigured(error)) {
        const why = error instanceof Error ? error.message : String(error);
        throw new ConfigError(`${setting} takes a database that can be used as it says: ${why}`);
      }
      if (isPooler(error)) {
        const direct = 'COUNTERSIGN_DATABASE_DIRECT_URL takes the one behind it';
        throw new ConfigError(`${setting} leads through a pooler, which has no sessions of PostgreSQL: ${direct}`);
      }
      if (!isUnavailable(error)) throw error;
      log.warn(
        { why: error instanceof Error ? error.message : String(error) },
        `PostgreSQL is not reachable by ${setting}; trying again`,
      );
      await sleep(500);
    }
  }
}
