// Jobs of a worker that was killed: graphile-worker leaves them locked for 4 hours. Each worker holds an advisory lock
// while it lives; whoever can take a worker's lock knows that it is dead, and unlocks its jobs.

import type { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Logger } from '../platform/log.ts';
import { PrimaryClient } from '../platform/primary-client.ts';

const sweepEveryMs = 2_000;
/** The first sweep of a process: what a killed one left is not waited for longer than it takes to be sure. */
const firstSweepMs = 200;
/** A PostgreSQL that has run for less may have cut off workers that live, and lock again in a moment. */
const settledAfterSeconds = 10;
/** First key of the advisory locks; the second is made from the worker's id. */
const lockSpace = 4_071_996;

export interface JobRescue {
  /** Settles when the lock is held: before that, others would take the jobs of this worker for those of a dead one. */
  readonly held: Promise<void>;
  stop(): Promise<void>;
}

/** Holds the lock of the worker pool that announces itself on `events`, and frees the jobs of dead ones. */
export function keepJobsAlive(databaseUrl: string, events: EventEmitter, log: Logger): JobRescue {
  const stopped = new AbortController();
  const { promise: held, resolve: noteHeld } = Promise.withResolvers<void>();
  let poolId: string | undefined;
  events.on('pool:create', ({ workerPool }: { workerPool: { readonly id: string } }) => {
    poolId = workerPool.id;
  });

  let isFirst = true;
  const watch = async () => {
    const client = new PrimaryClient({
      connectionString: databaseUrl,
      connectionTimeoutMillis: 2_000,
      query_timeout: 5_000,
      application_name: 'countersign-rescue',
    });
    client.on('error', () => {});
    await client.connect();
    try {
      const early = isFirst && (await isSettled(client));
      isFirst = false;
      let wait = early ? firstSweepMs : sweepEveryMs;
      let locked: string | undefined;
      while (!stopped.signal.aborted) {
        if (locked !== undefined) {
          await sweep(client, locked, log);
          wait = sweepEveryMs;
        }
        if (poolId !== undefined && locked !== poolId) {
          await client.query('select pg_advisory_lock($1, hashtext($2))', [lockSpace, poolId]);
          locked = poolId;
          noteHeld();
        }
        // Before the first sweep too: when PostgreSQL comes back, the living need a moment to lock again.
        await sleep(locked === undefined ? 20 : wait, undefined, { signal: stopped.signal });
      }
    } finally {
      await client.end().catch(() => {});
    }
  };

  const run = async () => {
    while (!stopped.signal.aborted) {
      await watch().catch((error) => {
        if (!stopped.signal.aborted) log.debug({ err: error }, 'job rescue lost its connection');
      });
      await sleep(500, undefined, { signal: stopped.signal }).catch(() => {});
    }
  };
  const running = run();
  return {
    held,
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}

async function isSettled(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ settled: boolean }>(
    "select pg_postmaster_start_time() < now() - $1 * interval '1 s' as settled",
    [settledAfterSeconds],
  );
  return rows[0]?.settled === true;
}

async function sweep(client: pg.Client, own: string, log: Logger): Promise<void> {
  const { rows } = await client.query<{ worker: string }>(
    'select distinct locked_by as worker from graphile_worker.jobs where locked_by is not null and locked_by <> $1',
    [own],
  );
  for (const { worker } of rows) {
    const { rows: taken } = await client.query<{ dead: boolean }>(
      'select pg_try_advisory_lock($1, hashtext($2)) as dead',
      [lockSpace, worker],
    );
    if (taken[0]?.dead !== true) continue;
    await client.query('select graphile_worker.force_unlock_workers(array[$1])', [worker]);
    await client.query('select pg_advisory_unlock($1, hashtext($2))', [lockSpace, worker]);
    log.info({ worker }, 'unlocked the jobs of a dead worker');
  }
}
