// A few connections that many calls read over at once: what they send within a turn of the event loop travels together.

import type pg from 'pg';
import { isUnavailable } from './database-errors.ts';

interface Line {
  readonly client: pg.PoolClient;
  /** Calls that use it now. */
  users: number;
}

export class Lines {
  readonly #pool: pg.Pool;
  readonly #max: number;
  readonly #lines = new Set<Line>();
  #opening: Promise<Line> | undefined;
  /** Of this turn. */
  #current: Line | undefined;

  /** @param pool of `max` connections at most; nobody else uses it. */
  constructor(pool: pg.Pool, max: number) {
    this.#pool = pool;
    this.#max = max;
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
