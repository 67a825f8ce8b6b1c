// A few connections that many calls read over at once: what they send within a turn of the event loop travels together.

import type pg from 'pg';
import { isUnavailable } from './database-errors.ts';

interface Line {
  readonly client: pg.PoolClient;
  /** Calls that use it now. */
  users: number;
  /** Closed when the last of them is done. */
  retired: boolean;
}

export class Lines {
  readonly #pool: pg.Pool;
  readonly #max: number;
  readonly #lifetimeMs: number;
  readonly #lines = new Set<Line>();
  #opening: Promise<Line> | undefined;
  /** Of this turn. */
  #current: Line | undefined;

  /**
   * @param pool of `max` connections at most; nobody else uses it.
   * @param lifetimeMs after which a connection is replaced by another.
   */
  constructor(pool: pg.Pool, max: number, lifetimeMs: number) {
    this.#pool = pool;
    this.#max = max;
    this.#lifetimeMs = lifetimeMs;
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
      if (line.retired && line.users === 0) line.client.release(true);
    }
  }

  /** From now on others are used than those that there are. */
  renew(): void {
    for (const line of this.#lines) this.#close(line);
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
        const line: Line = { client, users: 0, retired: false };
        this.#lines.add(line);
        const age = setTimeout(() => this.#retire(line), this.#lifetimeMs);
        age.unref();
        client.once('end', () => {
          clearTimeout(age);
          this.#close(line);
        });
        return line;
      })
      .finally(() => {
        this.#opening = undefined;
      });
    return this.#opening;
  }

  /** Takes no more calls; those that use it end as if nothing were. */
  #retire(line: Line): void {
    if (!this.#lines.delete(line)) return;
    if (line.users > 0) line.retired = true;
    else line.client.release(true);
  }

  /** Takes no more calls; what is on its way there is answered or fails by itself. */
  #close(line: Line): void {
    if (this.#lines.delete(line)) line.client.release(true);
  }
}
