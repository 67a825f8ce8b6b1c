// The log of revocations on real PostgreSQL: what is new is read once, whatever number its row has; all of it comes in pages; and
// another server is noticed.

import pg from 'pg';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Revocation, RevocationLog } from '../../server/flows/ports.ts';
import { migrate } from '../../server/store/migrate.ts';
import { createRevocationLog } from '../../server/store/revocations.ts';
import { startCluster } from '../support/cluster.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let client: pg.Client;
let log: RevocationLog;

const openLog = (url: string) => createRevocationLog({ url, patienceMs: 20_000 }, 300_000);

beforeEach(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  log = openLog(database.url);
});
afterEach(async () => {
  await log.close();
  await client.end();
  await database.drop();
});

/** Revocations of one moment; returns their accounts. */
async function insert(count: number, transactionId = 'pg_current_xact_id()'): Promise<string[]> {
  const { rows } = await client.query<{ account_id: string }>(
    `insert into revocation
     select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'REVOKED', now(), ${transactionId}
     from generate_series(1, $1) returning account_id`,
    [count],
  );
  return rows.map((row) => row.account_id);
}

const accounts = (revocations: readonly Revocation[] | undefined) => revocations?.map(({ accountId }) => accountId);

async function readAll(): Promise<(string[] | undefined)[]> {
  const pages = [];
  for await (const page of log.readAll()) pages.push(accounts(page));
  return pages;
}

test('all of it is read in pages, also where many ended in the same moment, each once', async () => {
  const inserted = [...(await insert(12_000)), ...(await insert(1))];
  expect(await log.readNew()).toBeUndefined();
  const pages = await readAll();
  expect(pages.map((page) => page?.length)).toEqual([5_000, 5_000, 2_001]);
  expect(pages.flat().sort()).toEqual(inserted.sort());
});

test('what has the number of another cluster is no news, but part of all', async () => {
  await log.readNew();
  await readAll();
  const copied = await insert(1, `'4000000000'`);
  const own = await insert(1);
  expect(accounts(await log.readNew())).toEqual(own);
  expect(await log.readNew()).toEqual([]);
  expect((await readAll()).flat().sort()).toEqual([...copied, ...own].sort());
});

test('another process of PostgreSQL may be another server: nothing is taken as known', async () => {
  // As a pooler would have it: the connection stays, and who answers changes. Ours come first in this database.
  await client.query('create table answering as select pg_backend_pid() as pid');
  await client.query(`create function public.pg_backend_pid() returns int language sql as 'select pid from answering'`);
  await client.query(
    `do $$ begin execute format('alter database %I set search_path = public, pg_catalog', current_database()); end $$`,
  );
  expect(await log.readNew()).toBeUndefined();
  await readAll();
  expect(await log.readNew()).toEqual([]);
  // It counts from below: its number looks like one that has been seen.
  const [missed] = await insert(1, `'3'`);
  expect(await log.readNew()).toEqual([]);
  await client.query('update answering set pid = pid + 1');
  expect(await log.readNew()).toBeUndefined();
  expect(await readAll()).toEqual([[missed]]);
  expect(await log.readNew()).toEqual([]);
});

test('a standby is not believed: it may be behind', async () => {
  const cluster = await startCluster();
  onTestFinished(() => cluster.discard());
  await migrate(cluster.url(), new Date());
  const admin = new pg.Client({ connectionString: cluster.url() });
  await admin.connect();
  await admin.query(`copy (select) to program 'cat > standby.signal'`);
  await admin.end();
  await cluster.stop();
  await cluster.start();
  const standby = openLog(cluster.url());
  onTestFinished(() => standby.close());
  await expect(standby.readNew()).rejects.toThrow('a standby');
  await expect(standby.readNew()).rejects.toThrow('a standby');
});
