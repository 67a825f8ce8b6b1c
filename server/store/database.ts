// The connection to PostgreSQL: one pool, transactions, and the one place that tells an unreachable database from a bug.

import type { Socket } from 'node:net';
import pg from 'pg';
import { DomainError } from '../domain/errors.ts';
import { type Db, joined, type Reader, type Statement } from './statement.ts';

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
    this.#lines = new Lines({ ...common, max: lines });
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
    return this.#bounded(() => this.#lines.use((client) => work(new Connection(client))));
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
    const connection = new Connection(client);
    try {
      return await work(connection);
    } finally {
      client.release(connection.isBroken);
    }
  }
}

/** Several statements at once are on their way on each connection of it, answered in their order. */
function openPool(config: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool({ ...config, pipeline: true });
  // A connection that breaks while nobody uses it, or while it is given back.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** The share of the connections that is for reads, at least one of them. */
const linesShare = 0.2;

interface Line {
  readonly client: pg.PoolClient;
  /** Calls that use it now. */
  users: number;
}

/** A few connections that many calls read over at once: what they send within a turn of the event loop travels together. */
class Lines {
  readonly #pool: pg.Pool;
  readonly #max: number;
  readonly #lines = new Set<Line>();
  #opening: Promise<Line> | undefined;
  /** Of this turn. */
  #current: Line | undefined;

  constructor(config: pg.PoolConfig & { readonly max: number }) {
    this.#pool = openPool(config);
    this.#max = config.max;
  }

  async use<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const line = this.#quietest() ?? (await this.#open());
    line.users += 1;
    try {
      return await work(line.client);
    } catch (error) {
      // The next ones try another.
      if (isUnavailable(error)) this.#close(line);
      throw error;
    } finally {
      line.users -= 1;
    }
  }

  async end(): Promise<void> {
    await this.#opening?.catch(() => {});
    const lines = [...this.#lines];
    this.#lines.clear();
    for (const { client } of lines) client.release();
    await this.#pool.end();
  }

  /** Undefined where none is open. */
  #quietest(): Line | undefined {
    if (this.#current !== undefined && this.#lines.has(this.#current)) return this.#current;
    const [line] = [...this.#lines].sort((a, b) => a.users - b.users);
    if (line === undefined) return undefined;
    // There is work for one more; this turn does not wait for it.
    if (line.users > 0 && this.#lines.size < this.#max) this.#open().catch(() => {});
    this.#current = line;
    setImmediate(() => {
      if (this.#current === line) this.#current = undefined;
    });
    return line;
  }

  #open(): Promise<Line> {
    this.#opening ??= this.#pool
      .connect()
      .then((client) => {
        const line: Line = { client, users: 0 };
        this.#lines.add(line);
        client.once('end', () => this.#close(line));
        return line;
      })
      .finally(() => {
        this.#opening = undefined;
      });
    return this.#opening;
  }

  /** Takes no more calls; what is on its way there is answered or fails by itself. */
  #close(line: Line): void {
    if (this.#lines.delete(line)) line.client.release(true);
  }
}

/** One connection while somebody has it. */
class Connection implements Db {
  readonly #client: pg.PoolClient;
  #queued: [Statement<never, unknown>, unknown][] = [];
  #sent: Promise<unknown>[] = [];
  readonly #behind: (() => void)[] = [];
  /** Of whatever was sent first and failed: after it, PostgreSQL only says that the transaction is over. */
  #failure: { readonly reason: unknown } | undefined;
  #rollbackFailed = false;

  constructor(client: pg.PoolClient) {
    this.#client = client;
  }

  rows<V, R>(statement: Statement<V, R>, values: V): Promise<R[]> {
    this.#sendQueued();
    return this.#send(statement, values);
  }

  write<V, R>(statement: Statement<V, R>, values: V): void {
    this.#queued.push([statement as Statement<never, unknown>, values]);
  }

  afterCommit<V, R>(statement: Statement<V, R>, values: V): void {
    this.#behind.push(() => void this.#send(statement, values).catch(() => {}));
  }

  /** Resolves when all writes have been made. */
  async written(): Promise<void> {
    this.#sendQueued();
    const sent = this.#sent;
    this.#sent = [];
    await Promise.all(sent);
  }

  begin(): void {
    this.#gather();
    this.#keep(this.#client.query('begin'));
  }

  async commit(): Promise<void> {
    this.#sendQueued();
    this.#gather();
    const committed = this.#client.query('commit');
    for (const send of this.#behind) send();
    await Promise.all([this.written(), committed]);
    // PostgreSQL does not call it an error.
    if ((await committed).command !== 'COMMIT') throw new Error('PostgreSQL rolled back instead of committing');
  }

  /** Returns why, which is what PostgreSQL refused first, or `error` where it refused nothing. */
  async rollback(error: unknown): Promise<unknown> {
    this.#queued = [];
    await this.#client.query('rollback').catch(() => {
      this.#rollbackFailed = true;
    });
    await Promise.allSettled(this.#sent);
    return this.#failure === undefined ? error : this.#failure.reason;
  }

  /** Whether nobody may get it after this: within a transaction, cut, or unsure of what it has prepared. */
  get isBroken(): boolean {
    return this.#rollbackFailed || this.#stream.destroyed || isUnprepared(this.#failure?.reason);
  }

  #sendQueued(): void {
    if (this.#queued.length === 0) return;
    const queued = this.#queued;
    this.#queued = [];
    for (const [statement, values] of joined(queued)) this.#keep(this.#send(statement, values as never));
  }

  async #send<V, R>(statement: Statement<V, R>, values: V): Promise<R[]> {
    this.#gather();
    const { name, text } = statement;
    try {
      const query = { name, text, values: statement.bind(values), rowMode: 'array' } as const;
      const { rows, fields } = await this.#client.query(query);
      return rows.map((columns) => statement.toRow(columns, fields));
    } catch (reason) {
      this.#failure ??= { reason };
      throw reason;
    }
  }

  /** What is sent within a turn of the event loop leaves in one piece: each write wakes PostgreSQL, and costs as much as a call. */
  #gather(): void {
    const stream = this.#stream;
    if (stream.writableCorked > 0) return;
    stream.cork();
    setImmediate(() => stream.uncork());
  }

  get #stream(): Socket {
    return (this.#client as unknown as { readonly connection: { readonly stream: Socket } }).connection.stream;
  }

  /** Whoever waits for it learns if it fails. */
  #keep(sent: Promise<unknown>): void {
    sent.catch(() => {});
    this.#sent.push(sent);
  }
}

function unavailable(cause: unknown): DomainError {
  return new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 1_000 }, { cause });
}

// Connection exceptions, insufficient resources, operator intervention, a statement that took too long; lock and deadlock
// are worth another try as well.
// So is what a connection has not prepared after all: because another call's first use of it failed, or a table changed.
const unavailableStates = /^(08|53|57P|57014|40001|40P01|55P03|25P03|26000|42P05|0A000)/;
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

/** Whether a connection does not have, or no longer has, the prepared statement that it should have. */
function isUnprepared(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(26000|42P05|0A000)/.test(String(error.code));
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
