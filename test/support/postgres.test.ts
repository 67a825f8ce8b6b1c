// The databases that test files get.

import pg from 'pg';
import { expect, test } from 'vitest';
import { createDatabase } from './postgres.ts';

test('each database is its own, and cloning one is quick', async () => {
  const started = performance.now();
  const [one, two] = await Promise.all([createDatabase(), createDatabase()]);
  expect(performance.now() - started).toBeLessThan(5_000);
  const client = new pg.Client({ connectionString: one.url });
  await client.connect();
  await client.query('create table only_here ()');
  await client.end();
  const other = new pg.Client({ connectionString: two.url });
  await other.connect();
  const { rows } = await other.query(`select to_regclass('only_here') as found`);
  await other.end();
  expect(rows).toEqual([{ found: null }]);
  await one.drop();
  await two.drop();
});

test('a connection left open is told when its database is dropped', async () => {
  const database = await createDatabase();
  const client = new pg.Client({ connectionString: database.url, application_name: 'the leak' });
  client.on('error', () => {});
  await client.connect();
  await expect(database.drop()).rejects.toThrow('the leak');
});
