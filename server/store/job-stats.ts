// The queue of graphile-worker in numbers, for whoever watches it. It reads the worker's own tables, and changes nothing.

import { sql } from 'kysely';
import type { JobStats } from '../platform/telemetry.ts';
import type { Database } from './database.ts';
import { statement } from './statement.ts';

/**
 * Due jobs that are counted at most, which takes a tenth of a second: of a longer queue, the most urgent. Less would hide a
 * task that waits behind all the jobs of another.
 */
const mostCounted = 500_000;

/**
 * Bytes of the table up to which it is scanned for dead jobs: some 150 000 jobs, and a few hundredths of a second. No index of
 * the worker's knows the dead, and a queue that long is no secret.
 */
const mostScanned = 32 * 1024 * 1024;

/** Those that wait are read from the worker's `jobs_main_index`, in its order. */
const selectStats = statement<object, JobStats>(
  () => sql`
    with waiting as (
      select task_id, count(*) as jobs, min(run_at) as oldest
      from (
        select task_id, run_at
        from graphile_worker._private_jobs
        where is_available = true and run_at <= now()
        order by priority, run_at
        limit ${sql.lit(mostCounted)}
      ) as due
      group by task_id
    ), size as (
      select pg_relation_size('graphile_worker._private_jobs') <= ${sql.lit(mostScanned)} as is_small
    ), dead as (
      select task_id, count(*) as jobs
      from graphile_worker._private_jobs
      -- One that another took the place of while its worker died has never failed: maintenance deletes it.
      where (select is_small from size) and locked_at is null and attempts >= max_attempts and last_error is not null
      group by task_id
    )
    select
      task.identifier as task,
      coalesce(waiting.jobs, 0)::int as waiting,
      coalesce(extract(epoch from now() - waiting.oldest), 0)::float8 as "oldestSeconds",
      case when size.is_small then coalesce(dead.jobs, 0)::int end as dead
    from graphile_worker._private_tasks as task
    cross join size
    left join waiting on waiting.task_id = task.id
    left join dead on dead.task_id = task.id
    order by task.identifier`,
);

/** The jobs of every task that there ever was one of, by PostgreSQL's clock. */
export async function readJobStats(database: Database): Promise<readonly JobStats[]> {
  const rows = await database.autocommit((db) => db.rows(selectStats, {}));
  return rows.map((row) => ({ ...row, dead: row.dead ?? undefined }));
}
