// The connection to PostgreSQL: one pool, transactions, and the one place that tells an unreachable database from a bug.

import { MikroORM } from '@mikro-orm/postgresql';
import pg, { type Client, type Pool, type PoolClient } from 'pg';
import { DomainError } from '../domain/errors.ts';
import { entities } from './entities.ts';

export interface DatabaseSettings {
  readonly url: string;
  /** Connections at most. */
  readonly poolSize: number;
  /** Milliseconds that a statement, a transaction or a wait for a connection may take; then the call is refused. */
  readonly patienceMs: number;
}

const kyselyOptions = { tableNamingStrategy: 'entity', columnNamingStrategy: 'property', convertValues: true } as const;

export type Db = ReturnType<typeof openKysely>;

function openOrm(settings: DatabaseSettings) {
  return new MikroORM({
    entities,
    clientUrl: settings.url,
    pool: { min: 0, max: settings.poolSize },
    driverOptions: {
      connectionTimeoutMillis: settings.patienceMs,
      // PostgreSQL itself gives up what waits too long, as for a lock, and the connection stays good.
      statement_timeout: settings.patienceMs,
      // Only a server that is silent is later than that.
      query_timeout: settings.patienceMs + 500,
      onPoolCreated: (pool: Pool) => pool.on('connect', endWhenSilent),
      // A transaction that its client has forgotten must not hold an account's lock.
      idle_in_transaction_session_timeout: 10_000,
      keepAlive: true,
      application_name: 'countersign',
    },
    // Entities are not used as objects here: rows come as values, by Kysely.
    allowGlobalContext: false,
    logger: () => {},
  });
}

function openKysely(em: ReturnType<typeof openOrm>['em']) {
  return em.getKysely(kyselyOptions);
}

/** Milliseconds in which PostgreSQL answers when it is asked whether it does. */
const probeMs = 1_500;

export class Database {
  readonly #orm: ReturnType<typeof openOrm>;
  readonly #patienceMs: number;
  readonly #mostAtOnce: number;
  /** Apart from the others: that many wait for them says nothing of PostgreSQL. */
  readonly #probe: pg.Pool;
  #running = 0;

  constructor(settings: DatabaseSettings) {
    this.#orm = openOrm(settings);
    this.#patienceMs = settings.patienceMs;
    this.#probe = new pg.Pool({
      connectionString: settings.url,
      max: 1,
      connectionTimeoutMillis: probeMs,
      query_timeout: probeMs,
      application_name: 'countersign-health',
    });
    this.#probe.on('error', () => {});
    this.#probe.on('connect', (client) => {
      client.on('error', () => {});
      endWhenSilent(client);
    });
    // More than these would only wait until none of them is done in time.
    this.#mostAtOnce = settings.poolSize * 10;
  }

  /** Runs statements outside a transaction. Refuses with DEPENDENCY_UNAVAILABLE where PostgreSQL is out of reach. */
  read<T>(work: (db: Db) => Promise<T>): Promise<T> {
    return this.#bounded(() => work(openKysely(this.#orm.em.fork())));
  }

  /**
   * Runs statements in one transaction; commits when `work` returns, rolls back when it throws, or when its caller was
   * refused meanwhile.
   */
  transaction<T>(work: (db: Db) => Promise<T>): Promise<T> {
    return this.#bounded((assertInTime) =>
      // By Kysely, which gives the connection back also where begin, commit or rollback failed.
      openKysely(this.#orm.em.fork())
        .transaction()
        .execute(async (db) => {
          const result = await work(db);
          assertInTime();
          return result;
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
    await this.#orm.close(true);
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
}

/** A query that was given up leaves its connection busy, perhaps within a transaction: nobody may get it after that. */
export function endWhenSilent(client: PoolClient): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  const watched = (...args: unknown[]) => {
    const result = query(...args);
    if (result instanceof Promise) {
      result.catch((error: unknown) => {
        if (error instanceof Error && error.message === queryTimeout)
          (client as unknown as Client).end().catch(() => {});
      });
    }
    return result;
  };
  Object.assign(client, { query: watched });
}

function unavailable(cause: unknown): DomainError {
  return new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 1_000 }, { cause });
}

/** What pg says when query_timeout passes. */
const queryTimeout = 'Query read timeout';

// Connection exceptions, insufficient resources, operator intervention, a statement that took too long; lock and deadlock
// are worth another try as well.
const unavailableStates = /^(08|53|57P|57014|40001|40P01|55P03|25P03)/;
const networkErrors = /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|ENOENT|EHOSTUNREACH|ENETUNREACH)/;

/** Whether an error means that PostgreSQL is out of reach, rather than that the statement is wrong. */
export function isUnavailable(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = 'code' in cause ? String(cause.code) : '';
    if (unavailableStates.test(code) || networkErrors.test(code)) return true;
    // pg gives these no code.
    if (
      /Connection terminated|timeout exceeded when trying to connect|Query read timeout|not queryable|Client was closed/.test(
        cause.message,
      )
    ) {
      return true;
    }
  }
  return false;
}

/** Whether PostgreSQL is there and says that the user, the password or the database is wrong. */
export function isMisconfigured(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(28|3D000)/.test(String(error.code));
}

/** Whether a statement failed because a value that must be unique was there already. */
export function isUniqueViolation(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && cause.code === '23505') return true;
  }
  return false;
}
