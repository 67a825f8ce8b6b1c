// What ended before its time, read without a gap: over one connection, which knows by PostgreSQL's snapshots what it has seen.

import { sql } from 'kysely';
import pg from 'pg';
import type { Revocation, RevocationLog } from '../flows/ports.ts';
import { Connection } from './connection.ts';
import type { DatabaseSettings } from './database.ts';
import { Joiner } from './joiner.ts';
import { statement } from './statement.ts';

/** A reading: of which snapshot, and when by PostgreSQL's clock. */
interface Reading {
  readonly snapshot: string;
  readonly readTime: Date;
}

type Row = Reading & { readonly [K in keyof Revocation]: Revocation[K] | null } & { readonly fresh: boolean | null };

interface Range {
  /** The snapshot of the reading before; null reads everything. */
  readonly seen: string | null;
  /** When that was. */
  readonly lastTime: Date | null;
  readonly windowMs: number;
  readonly withKnown: boolean;
}

/** How much longer a transaction may take from noting a session's end to its commit, or a clock be behind. */
const marginMs = 60_000;

const columns = sql`account_id, session_id, device_id, cause, revoke_time`;

/*
 * Neither the order of times nor that of transaction ids is the one of commits: one that began first may commit last. What a
 * snapshot did not see is all that it had not yet seen committed, whatever its number. No more than one row has to say which
 * snapshot this was.
 */
const select = statement<Range, Row>(
  (_, p) => sql`
    select s.snapshot, s.read_time as "readTime", r.*
    from (select pg_current_snapshot()::text as snapshot, now() as read_time) s
    left join lateral (
      select ${columns}, true as fresh from revocation
      where transaction_id >= pg_snapshot_xmin(${p.seen}::pg_snapshot)
        and not pg_visible_in_snapshot(transaction_id, ${p.seen}::pg_snapshot)
      union all
      select ${columns}, ${p.seen}::text is null from revocation
      where ${p.withKnown}::boolean
        and revoke_time >= least(now() - ${p.windowMs} * interval '1 ms', ${p.lastTime}::timestamptz)
          - ${sql.lit(marginMs)} * interval '1 ms'
        and pg_visible_in_snapshot(transaction_id, ${p.seen}::pg_snapshot) is not false
    ) r on true`,
);

/** Not what a reading that found nothing has in its one row. */
const isRevocation = (row: { readonly [K in keyof Revocation]: Revocation[K] | null }): row is Revocation =>
  row.sessionId !== null;

/** @param windowMs the life of an access token. */
export function createRevocationLog(
  { url, patienceMs }: Pick<DatabaseSettings, 'url' | 'patienceMs'>,
  windowMs: number,
): RevocationLog {
  const joiner = new Joiner();
  let client: pg.Client | undefined;
  /** As long as it is the same connection it is the same server: another one may have lost commits, or count anew. */
  let seen: string | null = null;
  let lastTime: Date | null = null;

  const disconnect = async () => {
    const closing = client;
    client = undefined;
    seen = null;
    await closing?.end().catch(() => {});
  };

  const connected = async (): Promise<pg.Client> => {
    if (client !== undefined) return client;
    const opened = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: patienceMs,
      statement_timeout: patienceMs,
      query_timeout: patienceMs + 500,
      // As everywhere else: one whose statement is silent is broken off.
      pipeline: true,
      keepAlive: true,
      options: '-c plan_cache_mode=force_generic_plan',
      application_name: 'countersign-revocations',
    });
    opened.on('error', () => {});
    client = opened;
    await opened.connect();
    return opened;
  };

  return {
    close: () => {
      lastTime = null;
      return disconnect();
    },
    read: async (withKnown) => {
      try {
        const connection = new Connection(await connected(), joiner);
        const range = { seen, lastTime, windowMs, withKnown: withKnown || seen === null };
        const rows = await connection.rows(select, range);
        const [reading] = rows;
        if (reading === undefined) throw new Error('a reading without its snapshot');
        seen = reading.snapshot;
        lastTime = reading.readTime;
        const fresh: Revocation[] = [];
        const known: Revocation[] = [];
        for (const { snapshot, readTime, fresh: isFresh, ...row } of rows) {
          if (isRevocation(row)) (isFresh ? fresh : known).push(row);
        }
        return { fresh, known };
      } catch (error) {
        void disconnect();
        throw error;
      }
    },
  };
}
