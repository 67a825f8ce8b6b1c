// The other ways to PostgreSQL than the first: through a pooler, and to a standby. Whether each leads to the same database. It only reads.

import pg from 'pg';
import { identity, timelineOfPrimary, timelineOfStandby } from '../../store/place.ts';
import { type Finding, fail, ok, patienceMs, warn, wordsOf } from './finding.ts';

export interface Place {
  /** Of the system, and the database in it; undefined where PostgreSQL does not tell this user. */
  readonly identity: string | undefined;
  /** The end of the primary's log. */
  readonly lsn: string;
  /** Of that log. */
  readonly timeline: number;
}

/** A client that the checks may use, which is ended after them; a finding where there is none. */
export async function withClient(
  setting: string,
  url: string,
  work: (client: pg.Client) => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: patienceMs,
    query_timeout: patienceMs,
    application_name: 'countersign-doctor',
  });
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (error) {
    return [
      fail(
        `${setting}: PostgreSQL can't be reached at ${new URL(url).host}: ${wordsOf(error)}`,
        mendOf(setting, error),
      ),
    ];
  }
  try {
    return await work(client);
  } catch (error) {
    return [fail(`${setting}: PostgreSQL broke off: ${wordsOf(error)}`, 'its log says why')];
  } finally {
    client.end().catch(() => {});
  }
}

function mendOf(setting: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (/^28/.test(code)) return `${setting} needs a user and a password that PostgreSQL lets in`;
  if (code === '3D000') return `create the database, or correct its name in ${setting}`;
  if (/^(ENOTFOUND|EAI_AGAIN)$/.test(code)) return `correct the host in ${setting}, or mend DNS here`;
  return 'is it running, and does a firewall let this machine in?';
}

/** Whether somebody in between answers for PostgreSQL: the process that let us in is not the one that answers. */
export async function isPooled(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  return rows[0]?.pid !== (client as unknown as { readonly processID: number }).processID;
}

export async function placeOf(client: pg.Client): Promise<Place> {
  const { rows } = await client.query<{ lsn: string; timeline: number }>(
    `select pg_current_wal_lsn()::text as lsn, ${timelineOfPrimary} as timeline`,
  );
  const named = await client.query<{ identity: string }>(`select ${identity} as identity`).catch(() => undefined);
  return { identity: named?.rows[0]?.identity, lsn: rows[0]?.lsn ?? '0/0', timeline: rows[0]?.timeline ?? 0 };
}

/** The way that calls take, where another one leads past it. */
export function checkPooler(url: string, place: Place): Promise<readonly Finding[]> {
  return withClient('DATABASE_URL', url, async (client) => {
    const found = await client.query(`select ${identity} as identity`).catch(() => undefined);
    const other = found?.rows[0]?.identity;
    if (other !== undefined && place.identity !== undefined && other !== place.identity) {
      const mend = 'both have to lead to one database: one past the pooler, one through it';
      return [fail('DATABASE_URL and COUNTERSIGN_DATABASE_DIRECT_URL do not lead to the same place', mend)];
    }
    return [
      (await isPooled(client))
        ? ok('DATABASE_URL leads through a pooler to the same database')
        : warn(
            'DATABASE_URL leads to PostgreSQL itself',
            'without a pooler leave COUNTERSIGN_DATABASE_DIRECT_URL out: calls cost less',
          ),
    ];
  });
}

export function checkReplica(url: string, place: Place): Promise<readonly Finding[]> {
  const setting = 'COUNTERSIGN_DATABASE_REPLICA_URL';
  return withClient(setting, url, async (client) => {
    const { rows } = await client.query<{
      standby: boolean;
      behind: boolean | null;
      identity: string;
      timeline: number;
    }>(
      `select pg_is_in_recovery() as standby, ${identity} as identity, ${timelineOfStandby} as timeline,
         case when pg_is_in_recovery() then pg_last_wal_replay_lsn() < '${place.lsn}'::pg_lsn end as behind`,
    );
    const [found] = rows;
    const unread = 'login activity is read from the primary until then';
    if (found?.standby !== true)
      return [warn(`${setting} leads to no standby`, `name one, or leave it out; ${unread}`)];
    if (place.identity !== undefined && found.identity !== place.identity) {
      return [
        fail(`${setting} leads to a standby of another system, or another database of it`, `correct it; ${unread}`),
      ];
    }
    if (found.timeline !== place.timeline) {
      const mend = `after a promotion it has to follow the new primary, and may need some minutes to say so; ${unread}`;
      return [warn(`${setting} leads to a standby on another timeline than the primary`, mend)];
    }
    return [
      found.behind === true
        ? warn('the read replica has not replayed what the primary had written before', `is it following? ${unread}`)
        : ok('the read replica follows the primary'),
    ];
  });
}
