// One connection to PostgreSQL while somebody has it: what is sent together, what is waited for, and whether it is still good.

import type { Socket } from 'node:net';
import type pg from 'pg';
import { isUnprepared } from './database-errors.ts';
import type { Joiner } from './joiner.ts';
import type { Db, Statement } from './statement.ts';

export class Connection implements Db {
  readonly #client: pg.ClientBase;
  readonly #joiner: Joiner;
  #queued: [Statement<never, unknown>, unknown][] = [];
  #sent: Promise<unknown>[] = [];
  readonly #behind: (() => void)[] = [];
  readonly #committed: (() => void)[] = [];
  /** Of whatever was sent first and failed: after it, PostgreSQL only says that the transaction is over. */
  #failure: { readonly reason: unknown } | undefined;
  #rollbackFailed = false;

  constructor(client: pg.ClientBase, joiner: Joiner) {
    this.#client = client;
    this.#joiner = joiner;
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

  whenCommitted(call: () => void): void {
    this.#committed.push(call);
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
    for (const call of this.#committed) committed.then(call, call);
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
    for (const [statement, values] of this.#joiner.joined(queued)) this.#keep(this.#send(statement, values as never));
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
