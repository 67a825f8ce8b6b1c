// What is read of the queue, on a real one of graphile-worker: each job is counted once, as what it is.

import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Database } from '../../server/store/database.ts';
import { readJobStats } from '../../server/store/job-stats.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

let testDatabase: TestDatabase;
let database: Database;
let client: pg.Client;

beforeAll(async () => {
  testDatabase = await createDatabase();
  database = new Database({ url: testDatabase.url, poolSize: 4, patienceMs: 20_000 });
  client = new pg.Client({ connectionString: testDatabase.url });
  await client.connect();
});

afterAll(async () => {
  await client?.end();
  await database?.close();
  await testDatabase?.drop();
});

beforeEach(async () => {
  await client.query('delete from graphile_worker._private_jobs');
  await client.query('delete from graphile_worker._private_tasks');
});

/** @param dueInSeconds from now, by PostgreSQL's clock. */
async function addJob(
  task: string,
  dueInSeconds: number,
  options: { readonly attempts?: number; readonly replaced?: boolean } = {},
) {
  const { rows } = await client.query<{ id: string }>(
    `select id from graphile_worker.add_job($1, run_at := now() + make_interval(secs => $2), max_attempts := 5)`,
    [task, dueInSeconds],
  );
  await client.query('update graphile_worker._private_jobs set attempts = $2, last_error = $3 where id = $1', [
    rows[0]?.id,
    options.attempts ?? 0,
    options.replaced === true ? null : 'it failed',
  ]);
  return rows[0]?.id;
}

const lock = (id: string | undefined) =>
  client.query(`update graphile_worker._private_jobs set locked_at = now(), locked_by = 'a worker' where id = $1`, [
    id,
  ]);

describe('jobs', () => {
  test('wait once they are due, until a worker has them; those without another try are dead', async () => {
    await addJob('deliver', -90);
    await addJob('deliver', -30, { attempts: 4 });
    await addJob('deliver', 3_600);
    await lock(await addJob('deliver', -600));
    await lock(await addJob('deliver', -600, { attempts: 5 }));
    await addJob('deliver', -900, { attempts: 5 });
    await addJob('deliver', 900, { attempts: 5 });
    // Its worker died after another job had taken its place: it has never failed.
    await addJob('deliver', -900, { attempts: 5, replaced: true });
    await addJob('maintain', 60);

    const stats = await readJobStats(database);
    expect(stats).toEqual([
      { task: 'deliver', waiting: 2, oldestSeconds: expect.any(Number), dead: 2 },
      { task: 'maintain', waiting: 0, oldestSeconds: 0, dead: 0 },
    ]);
    expect(stats[0]?.oldestSeconds).toBeGreaterThanOrEqual(90);
    expect(stats[0]?.oldestSeconds).toBeLessThan(120);
  });

  test('that there never were any of are not told of', async () => {
    expect(await readJobStats(database)).toEqual([]);
  });

  test('that are very many are counted task by task, whatever their priority, and not scanned for dead ones', async () => {
    await addJob('deliver', -5_000);
    await addJob('deliver', -10, { attempts: 5 });
    await client.query(
      `insert into graphile_worker._private_jobs (task_id, run_at, payload)
       select task.id, now() - interval '1 hour' + n * interval '1 millisecond', json_build_object('of', repeat('x', 700))
       from graphile_worker._private_tasks as task, generate_series(1, 60000) as n`,
    );
    await client.query(`select graphile_worker.add_job('last', priority := 100, run_at := now() - interval '7 s')`);
    const [stats, last] = await readJobStats(database);
    expect(stats).toMatchObject({ task: 'deliver', waiting: 60_001, dead: undefined });
    expect(stats?.oldestSeconds).toBeGreaterThanOrEqual(5_000);
    expect(last).toMatchObject({ task: 'last', waiting: 1, dead: undefined });
    expect(last?.oldestSeconds).toBeGreaterThanOrEqual(7);
  });
});
