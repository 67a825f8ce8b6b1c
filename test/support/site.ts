// A whole site on one machine, as an operator has it: PostgreSQL, Redis, a mail server, three replicas, the edge in front of
// them. Each part may be stopped and started. It must not know what is done with it.

import { type Cluster, startCluster } from './cluster.ts';
import { type Edge, hasHaproxy, startEdge } from './edge.ts';
import { type MailServer, startMailServer } from './mail-server.ts';
import { type PostgresProxy, startPostgresProxy } from './postgres-proxy.ts';
import { type Programs, productionEnv } from './processes.ts';
import { ensureRedis, type RedisServer, startRedis } from './redis.ts';
import { type Replica, startReplicas } from './replicas.ts';

export interface Site {
  readonly cluster: Cluster;
  /** What the replicas take for PostgreSQL: it has another port after each start. */
  readonly postgres: PostgresProxy;
  readonly redis: RedisServer;
  readonly mail: MailServer;
  readonly replicas: readonly Replica[];
  readonly edge: Edge;
  /** Stops PostgreSQL as asked, and starts it again. */
  restartPostgres(how: 'stop' | 'kill'): Promise<void>;
  discard(): Promise<void>;
}

/** One address makes all the calls here, of accounts that sign in all the time. */
const settings = {
  COUNTERSIGN_CALLS_PER_ADDRESS: '1000000',
  COUNTERSIGN_STRANGERS_CALLS_PER_ADDRESS: '1000000',
  COUNTERSIGN_CHALLENGES_PER_HOUR: '1000',
  COUNTERSIGN_PASSWORD_GUESSES_PER_NETWORK: '1000',
  COUNTERSIGN_ACCESS_TOKEN_LIFETIME: '1h',
  // All of them together, within the connections of a small cluster.
  COUNTERSIGN_DATABASE_POOL: '8',
};

/** Whether HAProxy and Redis are here, after installing them where that is allowed. */
export const hasSite = async (): Promise<boolean> => (await hasHaproxy()) && (await ensureRedis());

/** Undefined where HAProxy or Redis is missing and may not be installed, which is said. */
export async function startSite(programs: Programs, env: Readonly<Record<string, string>>): Promise<Site | undefined> {
  if (!(await hasSite())) return undefined;
  const [cluster, mail, redis] = await Promise.all([startCluster(), startMailServer(), startRedis()]);
  const postgres = await startPostgresProxy(cluster.url());
  const replicas = await startReplicas(programs, 3, {
    ...productionEnv({ databaseUrl: postgres.url, smtpUrl: mail.url }),
    ...settings,
    REDIS_URL: redis.url,
    ...env,
  });
  const edge = await startEdge({
    replicas: replicas.map(({ publicUrl }) => publicUrl),
    env: { ...settings, COUNTERSIGN_EDGE_CONNECTIONS_PER_ADDRESS: '2000' },
  });
  if (edge === undefined) throw new Error('the edge is gone');
  return {
    cluster,
    postgres,
    redis,
    mail,
    replicas,
    edge,
    restartPostgres: async (how) => {
      await cluster[how]();
      await postgres.goDown();
      await cluster.start();
      await postgres.comeBack(cluster.url());
    },
    discard: async () => {
      await edge.stop();
      await Promise.all(replicas.map((replica) => replica.kill()));
      await Promise.all([postgres.close(), redis.discard(), mail.stop()]);
      await cluster.discard();
    },
  };
}
