// One worker of graphile-worker's, kept alive: started again whenever the database took it down, and with a lock that tells
// others that it lives. It must not know what its jobs do.

import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseCronItems, type Runner, run, type TaskList, Logger as WorkerLogger } from 'graphile-worker';
import pg from 'pg';
import type { Logger } from '../platform/log.ts';
import { PrimaryClient } from '../platform/primary-client.ts';
import { keepJobsAlive } from './rescue.ts';

export interface WorkerSettings {
  readonly databaseUrl: string;
  /** What its connections are called in PostgreSQL. */
  readonly name: string;
  /** Jobs that run at once. */
  readonly concurrency: number;
  /** Tasks that run once an hour in the whole deployment, whichever replica takes them. */
  readonly hourly?: readonly string[];
}

export interface Worker {
  /** Finishes what runs and takes no more jobs. */
  stop(): Promise<void>;
}

/** At most: one listens, and taking and ending jobs takes one for a moment. */
const connections = 5;

/** Starts the worker. `tasks` are given a signal that says that it stops. */
export function startWorker(tasks: (stopped: AbortSignal) => TaskList, settings: WorkerSettings, log: Logger): Worker {
  const stopped = new AbortController();
  const aborted = new Promise<void>((resolve) => stopped.signal.addEventListener('abort', () => resolve()));
  const taskList = tasks(stopped.signal);
  let runner: Runner | undefined;
  const supervise = async () => {
    while (!stopped.signal.aborted) {
      const pool = openPool(settings);
      const events = new EventEmitter();
      const alive = keepJobsAlive(settings.databaseUrl, events, log);
      try {
        runner = await startRunner(taskList, settings, pool, events, Promise.race([alive.held, aborted]), log);
        if (stopped.signal.aborted) await runner.stop();
        await runner.promise;
      } catch (error) {
        if (!stopped.signal.aborted)
          log.warn({ err: error, worker: settings.name }, 'a worker stopped; it starts again');
      } finally {
        runner = undefined;
        await alive.stop();
        await pool.end().catch(() => {});
      }
      await sleep(1_000, undefined, { signal: stopped.signal }).catch(() => {});
    }
  };
  const running = supervise();
  return {
    stop: async () => {
      stopped.abort();
      await runner?.stop().catch(() => {});
      await running;
    },
  };
}

function openPool({ databaseUrl, name }: WorkerSettings): pg.Pool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    Client: PrimaryClient,
    max: connections,
    connectionTimeoutMillis: 2_000,
    // Its statements take milliseconds. Without a bound, one to a machine that is gone would hold its worker for minutes.
    query_timeout: 5_000,
    keepAlive: true,
    // What it notes of jobs need not wait for the disk: what a crash of PostgreSQL forgets is done again.
    options: '-c synchronous_commit=off',
    application_name: `countersign-${name}`,
  });
  pool.on('connect', endWhenSilent);
  // A connection that breaks fails its query; here it only must not be thrown.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

function startRunner(
  taskList: TaskList,
  settings: WorkerSettings,
  pgPool: pg.Pool,
  events: EventEmitter,
  held: Promise<void>,
  log: Logger,
): Promise<Runner> {
  return run({
    pgPool,
    events,
    taskList,
    concurrency: settings.concurrency,
    // Jobs are announced; polling is for what was not, and for retries.
    pollInterval: 1_000,
    noHandleSignals: true,
    logger: workerLogger(log),
    preset: {
      // No job is taken before the lock that says who lives: another replica would take it for a dead one's.
      plugins: [{ name: 'lives-first', worker: { hooks: { startWorker: () => held } } }],
      // Without a batch the worker drops the promise of noting a job's end: rejected, it would end the whole process.
      worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 },
    },
    parsedCronItems: parseCronItems(
      (settings.hourly ?? []).map((task) => ({ task, match: '17 * * * *', options: { maxAttempts: 5 } })),
    ),
  });
}

function workerLogger(log: Logger): WorkerLogger {
  return new WorkerLogger(() => (level, message) => {
    // Job failures are warnings here: they are tried again. What the worker says of its work is for debugging.
    // It asks for a connection for each job at once, but the jobs use others.
    const isOfPool = message.includes('maxPoolSize');
    if (level === 'error' || (level === 'warning' && !isOfPool)) log.warn({ worker: message }, 'outbox');
    else log.debug({ worker: message }, 'outbox');
  });
}

/** A query that was given up leaves its connection busy, perhaps within a transaction: nobody may get it after that. */
function endWhenSilent(client: pg.PoolClient): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  const watched = (...args: unknown[]) => {
    const result = query(...args);
    if (result instanceof Promise) {
      result.catch((error: unknown) => {
        if (error instanceof Error && error.message === 'Query read timeout')
          (client as unknown as pg.Client).end().catch(() => {});
      });
    }
    return result;
  };
  Object.assign(client, { query: watched });
}
