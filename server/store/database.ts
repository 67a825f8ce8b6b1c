// The way to PostgreSQL: pools, transactions, and reads that share connections. Whoever has to wait too long is refused; what a server
// that went away has not done is done on the next one.

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { DomainError } from '../domain/errors.ts';
import { notPrimary, PrimaryClient } from '../platform/primary-client.ts';
import { Connection, type Way } from './connection.ts';
import { isGone, isPassing, isUnavailable, saysGone } from './database-errors.ts';
import { Joiner } from './joiner.ts';
import { Lines } from './lines.ts';
import type { Db, Reader, Statement } from './statement.ts';

export interface DatabaseSettings {
  readonly url: string;
  /** Connections at most, at least 2. */
  readonly poolSize: number;
  /** Milliseconds that a statement, a transaction or a wait for a connection may take; then the call is refused. */
  readonly patienceMs: number;
  /** Whether the URL leads through a pooler that gives each transaction another connection. */
  readonly pooled?: boolean;
  /** Whether a standby may answer, which may be behind. */
  readonly standby?: boolean;
  /** In [0, 1): so that many do not try again at the same moment. */
  readonly fraction?: () => number;
}

/** Milliseconds in which PostgreSQL answers when it is asked whether it does. */
const probeMs = 1_500;
/** What fails for a reason that may be gone is tried so often, after pauses of up to so many milliseconds, each twice as long as the last. */
const tries = { most: 6, firstPauseMs: 25 };
/** A transaction that its client has forgotten must not hold an account's lock. */
const forgottenMs = 10_000;
/** A connection does not stay for good: so that it moves to where its address leads now. */
const lifetimeMs = 1_800_000;
/** A connection that is idle for so long is asked whether it is still there, by TCP. */
const keepAliveAfterMs = 10_000;

export class Database {
  readonly #pool: pg.Pool;
  /** For reads, which several calls send over one connection at once; none behind a pooler. */
  readonly #lines: Lines | undefined;
  readonly #joiner = new Joiner();
  readonly #way: Way;
  readonly #patienceMs: number;
  readonly #mostAtOnce: number;
  readonly #mostTries: number;
  readonly #fraction: () => number;
  /** Apart from the others: that many wait for them says nothing of PostgreSQL. */
  readonly #probe: pg.Pool;
  /** Counts how often a server went away: connections of before are not used again. */
  #era = 0;
  #answering: Promise<boolean> | undefined;
  readonly #eras = new WeakMap<pg.PoolClient, number>();
  #running = 0;

  constructor({ url, poolSize, patienceMs, pooled = false, standby = false, fraction = () => 1 }: DatabaseSettings) {
    this.#patienceMs = patienceMs;
    this.#fraction = fraction;
    // Who reads from a standby has somewhere else to go.
    this.#mostTries = standby ? 1 : tries.most;
    // More than these would only wait until none of them is done in time.
    this.#mostAtOnce = poolSize * 10;
    const common: pg.PoolConfig = {
      connectionString: url,
      connectionTimeoutMillis: patienceMs,
      // Only a server that is silent is later than its own time-out; pg then breaks the connection off.
      query_timeout: patienceMs + 500,
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAliveAfterMs,
      maxLifetimeSeconds: lifetimeMs / 1_000,
      application_name: 'countersign',
      // Behind a pooler it would say which server the pooler met first.
      ...(standby || pooled ? {} : { Client: PrimaryClient }),
    };
    if (pooled) {
      this.#way = { kind: 'pooled', begin: beginOf(patienceMs, standby) };
      this.#pool = this.#open({ ...common, max: poolSize });
    } else {
      const session: pg.PoolConfig = {
        ...common,
        // PostgreSQL itself gives up what waits too long, as for a lock, and the connection stays good.
        statement_timeout: patienceMs,
        idle_in_transaction_session_timeout: forgottenMs,
        // Each statement finds its rows by the account's keys: there is nothing to plan anew for other values.
        options: '-c plan_cache_mode=force_generic_plan',
      };
      const lines = Math.max(1, Math.floor(poolSize * linesShare));
      this.#way = { kind: 'session' };
      this.#pool = this.#open({ ...session, max: poolSize - lines });
      this.#lines = new Lines(this.#open({ ...session, max: lines }), lines, lifetimeMs);
    }
    this.#probe = openPool({
      ...common,
      max: 1,
      connectionTimeoutMillis: probeMs,
      query_timeout: probeMs,
      application_name: 'countersign-health',
    });
    // It is asked all the time, and so hears of it before connections that are not.
    this.#probe.on('error', () => this.#leave());
  }

  /**
   * Runs short statements that only read: beside those of other calls, on one connection, each by itself. A slow one makes
   * others wait, so what may be slow is for `autocommit`. Refuses with DEPENDENCY_UNAVAILABLE where PostgreSQL is out of reach, as all
   * of these do. Each may run its `work` more than once, where nothing has come of it before: it must do nothing but by its `db`.
   */
  read<T>(work: (db: Reader) => Promise<T>): Promise<T> {
    return this.#bounded((assertInTime) =>
      this.#repeated(assertInTime, async () => {
        try {
          return await this.#reading(work);
        } catch (error) {
          throw error instanceof Undone ? error : new Undone(error);
        }
      }),
    );
  }

  /** Runs statements outside a transaction, each of which commits by itself; behind a pooler they are one transaction. */
  autocommit<T>(work: (db: Db) => Promise<T> | T): Promise<T> {
    // Only within a transaction can a pooler's connection be given its patience.
    if (this.#way.kind === 'pooled') return this.transaction(async (db) => work(db));
    return this.#bounded((assertInTime) =>
      this.#repeated(assertInTime, () =>
        this.#connected(async (connection) => {
          // It may have waited for the connection until nobody waits for it.
          assertInTime();
          try {
            const result = await work(connection);
            await connection.written();
            return result;
          } catch (error) {
            throw connection.nothingDone ? new Undone(error) : error;
          }
        }),
      ),
    );
  }

  /**
   * Runs statements in one transaction; commits when `work` returns, rolls back when it throws, or when its caller was
   * refused before that. Begin and commit travel with the statements beside them; so a caller who is refused while the
   * commit is on its way does not know whether it was made, as with any commit whose answer is lost: that is never repeated.
   */
  transaction<T>(work: (db: Db) => Promise<T>): Promise<T> {
    return this.#bounded((assertInTime) =>
      this.#repeated(assertInTime, () =>
        this.#connected(async (connection) => {
          assertInTime();
          connection.begin();
          try {
            const result = await work(connection);
            assertInTime();
            await connection.commit();
            return result;
          } catch (error) {
            const reason = await connection.rollback(error);
            throw connection.nothingDone ? new Undone(reason) : reason;
          }
        }),
      ),
    );
  }

  /** One statement, beside all that waits: that much does says nothing of PostgreSQL. */
  async probe<V, R>(statement: Statement<V, R>, values: V): Promise<R[]> {
    const client = await this.#probe.connect();
    const connection = new Connection(client, this.#joiner, this.#way);
    try {
      return await connection.rows(statement, values);
    } finally {
      client.release(connection.isBroken);
    }
  }

  /** Why PostgreSQL can't be used; undefined where it answers, and takes writes. */
  async fault(): Promise<string | undefined> {
    try {
      const { rows } = await this.#probe.query<{ transaction_read_only: string }>('show transaction_read_only');
      if (rows[0]?.transaction_read_only === 'off') return undefined;
      throw notPrimary();
    } catch (error) {
      // Also connections that have not heard of it yet.
      if (isGone(error)) this.#leave();
      return error instanceof Error ? error.message : String(error);
    }
  }

  async close(): Promise<void> {
    await this.#probe.end();
    await Promise.all([this.#pool.end(), this.#lines?.end()]);
  }

  /** A silent database must not hold a call: after the patience the caller is refused, and what went on is forgotten. */
  async #bounded<T>(work: (assertInTime: () => void) => Promise<T>): Promise<T> {
    if (this.#running >= this.#mostAtOnce) throw unavailable(new Error('too much is waiting for PostgreSQL'));
    this.#running += 1;
    let timer: NodeJS.Timeout | undefined;
    let late: DomainError | undefined;
    const overdue = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        late = unavailable(new Error('PostgreSQL did not answer in time'));
        reject(late);
      }, this.#patienceMs);
    });
    const assertInTime = () => {
      if (late !== undefined) throw late;
    };
    try {
      const done = work(assertInTime).finally(() => {
        this.#running -= 1;
      });
      return await Promise.race([done, overdue]);
    } catch (error) {
      throw isUnavailable(error) ? unavailable(error) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Tries again, on another connection, what nothing has come of for a reason that may be gone by then. */
  async #repeated<T>(assertInTime: () => void, attempt: () => Promise<T>): Promise<T> {
    let pauseMs = tries.firstPauseMs;
    for (let left = this.#mostTries - 1; ; left -= 1) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof Undone)) throw error;
        if (left === 0 || !isPassing(error.cause)) throw error.cause;
      }
      await sleep(pauseMs * (0.5 + this.#fraction() / 2));
      pauseMs *= 2;
      assertInTime();
    }
  }

  async #reading<T>(work: (db: Reader) => Promise<T>): Promise<T> {
    if (this.#lines !== undefined) {
      return await this.#lines.use((client) =>
        this.#watched(client, () => work(new Connection(client, this.#joiner, this.#way))),
      );
    }
    return this.#connected(async (connection) => {
      connection.begin();
      try {
        const result = await work(connection);
        await connection.begun();
        connection.endReading();
        return result;
      } catch (error) {
        throw await connection.rollback(error);
      }
    });
  }

  async #connected<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const client = await this.#connect().catch((error) => {
      // Nothing was sent yet.
      throw new Undone(error);
    });
    const connection = new Connection(client, this.#joiner, this.#way);
    try {
      return await this.#watched(client, () => work(connection));
    } finally {
      client.release(connection.isBroken);
    }
  }

  /** One of a server that has not gone away since. */
  async #connect(): Promise<pg.PoolClient> {
    for (;;) {
      const client = await this.#pool.connect();
      if (this.#eras.get(client) === this.#era) return client;
      client.release(true);
    }
  }

  /**
   * A server that goes away takes all of its connections with it, also those that have not heard of it yet. A cut alone does not say that
   * it did: something in between may end one.
   */
  async #watched<T>(client: pg.PoolClient, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const isCurrent = () => this.#eras.get(client) === this.#era;
      if (isCurrent() && isGone(error) && (saysGone(error) || !(await this.#answers())) && isCurrent()) this.#leave();
      throw error;
    }
  }

  /** Asks over a connection of before; all that were cut at once wait for one answer. */
  #answers(): Promise<boolean> {
    this.#answering ??= this.#probe
      .query('select')
      .then(
        () => true,
        () => false,
      )
      .finally(() => {
        this.#answering = undefined;
      });
    return this.#answering;
  }

  #leave(): void {
    this.#era += 1;
    this.#lines?.renew();
  }

  #open(config: pg.PoolConfig): pg.Pool {
    const pool = openPool(config);
    pool.on('connect', (client) => this.#eras.set(client, this.#era));
    return pool;
  }
}

/** The share of the connections that is for reads, at least one of them. */
const linesShare = 0.2;

/** A failure that nothing has come of. */
class Undone extends Error {
  constructor(cause: unknown) {
    super('nothing was done', { cause });
  }
}

/** A pooler takes no time-outs when a connection is opened, and gives each transaction another one. */
function beginOf(patienceMs: number, standby: boolean): string {
  return [
    'begin',
    `set local statement_timeout = ${patienceMs}`,
    `set local idle_in_transaction_session_timeout = ${forgottenMs}`,
    ...(standby ? [] : ['show transaction_read_only']),
  ].join('; ');
}

/** Several statements at once are on their way on each connection of it, answered in their order. */
function openPool(config: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool({ ...config, pipeline: true });
  // A connection that breaks while nobody uses it, or while it is given back.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

function unavailable(cause: unknown): DomainError {
  return new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 1_000 }, { cause });
}
