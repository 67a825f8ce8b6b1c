// The bus between replicas, on real PostgreSQL: what it tells, and that it notices when it could not hear.

import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { busChannel, type RunningBus, startPostgresBus } from '../../server/platform/bus.ts';
import { createLog } from '../../server/platform/log.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let client: pg.Client;
let bus: RunningBus;
const heard: string[] = [];

beforeAll(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  bus = startPostgresBus(database.url, createLog('silent'));
  bus.subscribe({ onAccount: (accountId) => heard.push(accountId), onGap: () => heard.push('gap') });
});
afterAll(async () => {
  await bus.stop();
  await client.end();
  await database.drop();
});

const notify = (accountId: string) => client.query('select pg_notify($1, $2)', [busChannel, accountId]);

test('a change is told with its commit, and not without one', async () => {
  await expect
    .poll(async () => {
      await notify('there?');
      return heard.length;
    })
    .toBeGreaterThan(0);
  // Those that were asked for and are still on their way.
  await notify('last');
  await expect.poll(() => heard.at(-1)).toBe('last');
  heard.length = 0;
  await client.query('begin');
  await notify('rolled back');
  await client.query('rollback');
  await client.query('begin');
  await notify('committed');
  await client.query('commit');
  await expect.poll(() => heard).toEqual(['committed']);
});

test('a connection that was lost is made again, and whoever listens is told of the gap', async () => {
  heard.length = 0;
  await client.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'countersign-bus'
    and datname = current_database()`);
  await notify('missed');
  await expect.poll(() => heard, { timeout: 5_000 }).toContain('gap');
  await notify('heard again');
  await expect.poll(() => heard).toEqual(['gap', 'heard again']);
});
