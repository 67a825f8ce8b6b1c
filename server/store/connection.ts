// One connection to PostgreSQL while somebody has it: what is sent together, what is waited for, and whether it is still good.

import type { Socket } from 'node:net';
import pg from 'pg';
import { notPrimary } from '../platform/primary-client.ts';
import { isUndone, isUnprepared } from './database-errors.ts';
import type { Joiner } from './joiner.ts';
import type { Db, Statement } from './statement.ts';

/**
 * `session`: the connection leads to one process of PostgreSQL, which remembers what it has prepared. `pooled`: a pooler gives every
 * transaction another one.
 */
export type Way = { readonly kind: 'session' } | { readonly kind: 'pooled'; readonly begin: string };

export class Connection implements Db {
  readonly #client: pg.ClientBase;
  readonly #joiner: Joiner;
  readonly #way: Way;
  #queued: [Statement<never, unknown>, unknown][] = [];
  #sent: Promise<unknown>[] = [];
  readonly #behind: (() => void)[] = [];
  readonly #committed: (() => void)[] = [];
  /** Of whatever was sent first and failed: after it, PostgreSQL only says that the transaction is over. */
  #failure: { readonly reason: unknown } | undefined;
  #begun: Promise<void> | undefined;
  #statements = 0;
  #commit: 'none' | 'sent' | 'refused' = 'none';
  /** Whether what followed may have been done without a transaction around it. */
  #strayed = false;
  #rollbackFailed = false;

  constructor(client: pg.ClientBase, joiner: Joiner, way: Way = { kind: 'session' }) {
    this.#client = client;
    this.#joiner = joiner;
    this.#way = way;
  }

  rows<V, R>(statement: Statement<V, R>, values: V): Promise<R[]> {
    this.#sendQueued();
    return this.#send(statement, values);
  }

  write<V, R>(statement: Statement<V, R>, values: V): void {
    this.#queued.push([statement as Statement<never, unknown>, values]);
  }

  afterCommit<V, R>(statement: Statement<V, R>, values: V): void {
    this.#behind.push(() => {
      this.#gather();
      const sent =
        this.#way.kind === 'pooled' ? this.#client.query(inlined(statement, values)) : this.#query(statement, values);
      sent.catch(() => {});
    });
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
    this.#begun = this.#way.kind === 'pooled' ? this.#beginPooled(this.#way.begin) : this.#beginHere();
    this.#begun.catch((reason) => {
      this.#strayed = reason instanceof pg.DatabaseError && reason.severity === 'ERROR';
    });
    this.#keep(this.#begun);
  }

  /** Resolves when the transaction has begun, on a server that this connection is for. */
  async begun(): Promise<void> {
    await this.#begun;
  }

  async commit(): Promise<void> {
    this.#sendQueued();
    this.#gather();
    this.#commit = 'sent';
    const committed = this.#client.query('commit');
    for (const send of this.#behind) send();
    for (const call of this.#committed) committed.then(call, call);
    committed.catch((reason) => {
      if (isUndone(reason)) this.#commit = 'refused';
    });
    await Promise.all([this.written(), committed]);
    // PostgreSQL does not call it an error.
    if ((await committed).command !== 'COMMIT') throw new Error('PostgreSQL rolled back instead of committing');
  }

  /** Ends a transaction that has only read; nobody waits for it. */
  endReading(): void {
    this.#gather();
    this.#client.query('commit').catch(() => {});
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

  /**
   * Whether nothing at all can have come of what was sent, now that it has failed: so that it may be done again. Asked once all that
   * was sent has been answered.
   */
  get nothingDone(): boolean {
    const refused = isUndone(this.#failure?.reason);
    // By itself: it was the only one, and PostgreSQL would not do it.
    if (this.#begun === undefined) return this.#statements === 0 || (this.#statements === 1 && refused);
    // What is not committed ends with its connection. A commit that was on its way is none where PostgreSQL refused what came before.
    return !this.#strayed && (this.#commit !== 'sent' || refused);
  }

  /** Whether nobody may get it after this: within a transaction, cut, or unsure of what it has prepared. */
  get isBroken(): boolean {
    return this.#rollbackFailed || this.#stream.destroyed || isUnprepared(this.#failure?.reason);
  }

  async #beginHere(): Promise<void> {
    await this.#client.query('begin');
  }

  /** In one message: of what is sent to a pooler behind one another, only whole messages are sure to go to the same server. */
  async #beginPooled(text: string): Promise<void> {
    const results = (await this.#client.query(text)) as unknown as readonly pg.QueryResult<Record<string, unknown>>[];
    if (results.at(-1)?.rows[0]?.['transaction_read_only'] !== 'on') return;
    const reason = notPrimary();
    this.#failure ??= { reason };
    throw reason;
  }

  #sendQueued(): void {
    if (this.#queued.length === 0) return;
    const queued = this.#queued;
    this.#queued = [];
    for (const [statement, values] of this.#joiner.joined(queued)) this.#keep(this.#send(statement, values as never));
  }

  async #send<V, R>(statement: Statement<V, R>, values: V): Promise<R[]> {
    this.#gather();
    this.#statements += 1;
    try {
      const { rows, fields } = await this.#query(statement, values);
      return rows.map((columns) => statement.toRow(columns, fields));
    } catch (reason) {
      this.#failure ??= { reason };
      throw reason;
    }
  }

  #query<V, R>(statement: Statement<V, R>, values: V): Promise<pg.QueryArrayResult<unknown[]>> {
    const text = { text: statement.text, values: statement.bind(values), rowMode: 'array' } as const;
    // By its name a connection knows it again; behind a pooler it would be another's.
    return this.#client.query(this.#way.kind === 'pooled' ? text : { name: statement.name, ...text });
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

/** With its values in the text: a message of its own. */
function inlined<V, R>(statement: Statement<V, R>, values: V): string {
  const bound = statement.bind(values);
  return statement.text.replace(/\$(\d+)/g, (_, number) => pg.escapeLiteral(String(bound[Number(number) - 1])));
}
