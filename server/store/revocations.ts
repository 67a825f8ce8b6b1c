// What ended before its time, read without a gap: over one connection, which knows by PostgreSQL's snapshots what it has seen.

import { sql } from 'kysely';
import type pg from 'pg';
import type { Revocation, RevocationLog } from '../flows/ports.ts';
import { PrimaryClient } from '../platform/primary-client.ts';
import { Connection } from './connection.ts';
import type { DatabaseSettings } from './database.ts';
import { Joiner } from './joiner.ts';
import { type Statement, statement } from './statement.ts';

type Nullable<T> = { readonly [K in keyof T]: T[K] | null };

interface Reading {
  readonly snapshot: string;
  /** By PostgreSQL's clock. */
  readonly readTime: Date;
  readonly standby: boolean;
  /** The process that answered: behind a pooler, or an address that moves, one connection may lead to several. */
  readonly backend: number;
}

type NewRow = Nullable<Reading & Revocation>;

/** `place`: its time, to the microsecond, which a Date can't hold. */
type PageRow = Revocation & { readonly place: string };

interface Range {
  /** Where the page before ended; null begins. */
  readonly place: string | null;
  readonly sessionId: string;
  readonly windowMs: number;
  readonly lastTime: Date | null;
}

/** How much longer a transaction may take from noting a session's end to its commit, or a clock be behind. */
const marginMs = 60_000;
/** As many as are read in some ten milliseconds. */
const pageSize = 5_000;
const lowestId = '00000000-0000-0000-0000-000000000000';

const columns = sql`account_id, session_id, device_id, cause, revoke_time`;

/*
 * Neither the order of times nor that of transaction ids is the one of commits: one that began first may commit last. What a
 * snapshot did not see is all that it had not yet seen committed, whatever its number. A number that the snapshot of now does not
 * see either is another cluster's: its row came with a backup. The one row of the first part says which snapshot this was.
 */
const selectNew = statement<{ readonly seen: string | null }, NewRow>(
  (_, p) => sql`
    select pg_current_snapshot()::text as snapshot, now() as "readTime", pg_is_in_recovery() as standby,
      pg_backend_pid() as backend, null as account_id, null::uuid as session_id, null::uuid as device_id, null as cause,
      null::timestamptz as revoke_time
    union all
    select null, null, null, null, ${columns} from revocation
    where transaction_id >= pg_snapshot_xmin(${p.seen}::pg_snapshot)
      and transaction_id < pg_snapshot_xmax(pg_current_snapshot())
      and not pg_visible_in_snapshot(transaction_id, ${p.seen}::pg_snapshot)
      and pg_visible_in_snapshot(transaction_id, pg_current_snapshot())`,
);

const selectPage = statement<Range, PageRow>(
  (_, p) => sql`
    select ${columns}, revoke_time::text as place from revocation
    where (revoke_time, session_id) > (
      coalesce(
        ${p.place}::timestamptz,
        least(now() - ${p.windowMs} * interval '1 ms', ${p.lastTime}::timestamptz)
          - ${sql.lit(marginMs)} * interval '1 ms'),
      ${p.sessionId}::uuid)
    order by revoke_time, session_id
    limit ${sql.lit(pageSize)}`,
);

const isReading = (row: NewRow): row is NewRow & Reading => row.snapshot !== null;
const isRevocation = (row: Nullable<Revocation>): row is Revocation => row.sessionId !== null;

/** @param windowMs the life of an access token. */
export function createRevocationLog(
  { url, patienceMs }: Pick<DatabaseSettings, 'url' | 'patienceMs'>,
  windowMs: number,
): RevocationLog {
  const joiner = new Joiner();
  let client: pg.Client | undefined;
  /** Of one server, as long as it is the same process that answers: another one may have lost commits, or count anew. */
  let seen: Reading | null = null;
  /** When all that was committed before had been read. */
  let lastTime: Date | null = null;

  const disconnect = async () => {
    const closing = client;
    client = undefined;
    seen = null;
    await closing?.end().catch(() => {});
  };

  const connected = async (): Promise<pg.Client> => {
    if (client !== undefined) return client;
    const opened = new PrimaryClient({
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

  const rows = async <V, R>(select: Statement<V, R>, values: V): Promise<R[]> => {
    try {
      return await new Connection(await connected(), joiner).rows(select, values);
    } catch (error) {
      void disconnect();
      throw error;
    }
  };

  return {
    close: () => {
      lastTime = null;
      return disconnect();
    },
    readNew: async () => {
      const found = await rows(selectNew, { seen: seen?.snapshot ?? null });
      const reading = found.find(isReading);
      if (reading === undefined || reading.standby) {
        void disconnect();
        throw new Error(reading ? 'a standby answers, which may be behind' : 'a reading without its snapshot');
      }
      const goesOn = seen?.backend === reading.backend;
      seen = reading;
      if (!goesOn) return undefined;
      lastTime = reading.readTime;
      return found.map(({ snapshot, readTime, standby, backend, ...row }) => row).filter(isRevocation);
    },
    readAll: async function* () {
      let [place, sessionId, count]: [string | null, string, number] = [null, lowestId, pageSize];
      while (count === pageSize) {
        const page: readonly PageRow[] = await rows(selectPage, { place, sessionId, windowMs, lastTime });
        yield page.map(({ place: _, ...revocation }) => revocation);
        count = page.length;
        ({ place, sessionId } = page.at(-1) ?? { place, sessionId });
      }
      lastTime = seen?.readTime ?? lastTime;
    },
  };
}
