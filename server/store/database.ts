// The way to PostgreSQL: one pool, transactions, and reads that share connections. Whoever has to wait too long is refused.

import pg from 'pg';
import { DomainError } from '../domain/errors.ts';
import { Connection } from './connection.ts';
import { isUnavailable } from './database-errors.ts';
import { Joiner } from './joiner.ts';
import { Lines } from './lines.ts';
import type { Db, Reader } from './statement.ts';

export interface DatabaseSettings {
  readonly url: string;
  /** Connections at most, at least 2. */
  readonly poolSize: number;
  /** Milliseconds that a statement, a transaction or a wait for a connection may take; then the call is refused. */
  readonly patienceMs: number;
}

/** Milliseconds in which PostgreSQL answers when it is asked whether it does. */
const probeMs = 1_500;

export class Database {
  readonly #pool: pg.Pool;
  /** For reads, which several calls send over one connection at once. */
  readonly #lines: Lines;
  readonly #joiner = new Joiner();
  readonly #patienceMs: number;
  readonly #mostAtOnce: number;
  /** Apart from the others: that many wait for them says nothing of PostgreSQL. */
  readonly #probe: pg.Pool;
  #running = 0;

  constructor(settings: DatabaseSettings) {
    this.#patienceMs = settings.patienceMs;
    // More than these would only wait until none of them is done in time.
    this.#mostAtOnce = settings.poolSize * 10;
    const common: pg.PoolConfig = {
      connectionString: settings.url,
      connectionTimeoutMillis: settings.patienceMs,
      // PostgreSQL itself gives up what waits too long, as for a lock, and the connection stays good.
      statement_timeout: settings.patienceMs,
      // Only a server that is silent is later than that; pg then breaks the connection off.
      query_timeout: settings.patienceMs + 500,
      // A transaction that its client has forgotten must not hold an account's lock.
      idle_in_transaction_session_timeout: 10_000,
      keepAlive: true,
      // Each statement finds its rows by the account's keys: there is nothing to plan anew for other values.
      options: '-c plan_cache_mode=force_generic_plan',
      application_name: 'countersign',
    };
    const lines = Math.max(1, Math.floor(settings.poolSize * linesShare));
    this.#pool = openPool({ ...common, max: settings.poolSize - lines });
    this.#lines = new Lines(openPool({ ...common, max: lines }), lines);
    this.#probe = openPool({
      connectionString: settings.url,
      max: 1,
      connectionTimeoutMillis: probeMs,
      query_timeout: probeMs,
      application_name: 'countersign-health',
    });
  }

  /**
   * Runs short statements that only read: beside those of other calls, on one connection, each by itself. A slow one makes
   * others wait, so what may be slow is for `autocommit`. Refuses with DEPENDENCY_UNAVAILABLE where PostgreSQL is out of reach, as all of these do.
   */
  read<T>(work: (db: Reader) => Promise<T>): Promise<T> {
    return this.#bounded(() => this.#lines.use((client) => work(new Connection(client, this.#joiner))));
  }

  /** Runs statements outside a transaction, each of which commits by itself. */
  autocommit<T>(work: (db: Db) => Promise<T> | T): Promise<T> {
    return this.#bounded((assertInTime) =>
      this.#connected(async (connection) => {
        // It may have waited for the connection until nobody waits for it.
        assertInTime();
        const result = await work(connection);
        await connection.written();
        return result;
      }),
    );
  }

  /**
   * Runs statements in one transaction; commits when `work` returns, rolls back when it throws, or when its caller was
   * refused before that. Begin and commit travel with the statements beside them; so a caller who is refused while the
   * commit is on its way does not know whether it was made, as with any commit whose answer is lost.
   */
  transaction<T>(work: (db: Db) => Promise<T>): Promise<T> {
    return this.#bounded((assertInTime) =>
      this.#connected(async (connection) => {
        connection.begin();
        try {
          const result = await work(connection);
          assertInTime();
          await connection.commit();
          return result;
        } catch (error) {
          throw await connection.rollback(error);
        }
      }),
    );
  }

  /** Whether PostgreSQL answers. */
  async answers(): Promise<boolean> {
    return this.#probe.query('select').then(
      () => true,
      () => false,
    );
  }

  async close(): Promise<void> {
    await this.#probe.end();
    await Promise.all([this.#pool.end(), this.#lines.end()]);
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

  async #connected<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    const connection = new Connection(client, this.#joiner);
    try {
      return await work(connection);
    } finally {
      client.release(connection.isBroken);
    }
  }
}

/** The share of the connections that is for reads, at least one of them. */
const linesShare = 0.2;

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
