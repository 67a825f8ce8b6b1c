// A primary that is told to take no writes any more, as before another takes its place: whoever is connected leaves it.

import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startPostgresBus } from '../../server/platform/bus-postgres.ts';
import { createLog } from '../../server/platform/log.ts';
import { Database } from '../../server/store/database.ts';
import { migrate } from '../../server/store/migrate.ts';
import { createRevocationLog } from '../../server/store/revocations.ts';
import { statement } from '../../server/store/statement.ts';
import { type Cluster, startCluster } from '../support/cluster.ts';

const one = statement<object, unknown>(() => sql`select 1`);
const within = { timeout: 10_000 };

let cluster: Cluster;
let admin: pg.Client;
beforeAll(async () => {
  cluster = await startCluster();
  await migrate(cluster.url(), new Date());
  admin = new pg.Client({ connectionString: cluster.url() });
  await admin.connect();
});
afterAll(async () => {
  await admin?.end();
  await cluster?.discard();
});

async function takeWrites(whether: boolean): Promise<void> {
  await admin.query(`alter system set default_transaction_read_only = ${whether ? 'off' : 'on'}`);
  await admin.query('select pg_reload_conf()');
}

test('nothing is read from it, and what hears it knows that it hears nothing', async () => {
  const database = new Database({ url: cluster.url(), poolSize: 4, patienceMs: 2_000 });
  const bus = startPostgresBus(cluster.url(), createLog('silent'));
  const revocations = createRevocationLog({ url: cluster.url(), patienceMs: 2_000 }, 300_000);
  onTestFinished(async () => {
    await takeWrites(true);
    await Promise.all([database.close(), bus.stop(), revocations.close()]);
  });
  const calls = [
    () => database.read((db) => db.rows(one, {})),
    () => database.autocommit((db) => db.rows(one, {})),
    () => database.transaction((db) => db.rows(one, {})),
    () => revocations.readNew(),
  ];
  // Each on a connection of its own, and some that nobody uses.
  await Promise.all([...calls, ...calls].map((call) => call()));
  await expect.poll(() => bus.isCut(), within).toBe(false);

  await takeWrites(false);
  await expect.poll(() => database.fault(), within).toContain('takes no writes');
  for (const call of calls.slice(0, 3)) {
    await expect(call()).rejects.toMatchObject({ refusal: { reason: 'DEPENDENCY_UNAVAILABLE' } });
  }
  await expect.poll(() => revocations.readNew().catch(String), within).toContain('takes no writes');
  await expect.poll(() => bus.isCut(), within).toBe(true);

  await takeWrites(true);
  await expect.poll(() => database.fault(), within).toBeUndefined();
  for (const call of calls) await call();
  await expect.poll(() => bus.isCut(), within).toBe(false);
});
