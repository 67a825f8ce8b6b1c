// PostgreSQL: whether it can be reached and used, and whether what the server looks after there is looked after. It only reads.

import { readdir } from 'node:fs/promises';
import pg from 'pg';
import type { Clock } from '../../flows/ports.ts';
import { missingPartitions } from '../../store/partitions.ts';
import { type Finding, fail, ok, patienceMs, skip, warn, wordsOf } from './finding.ts';

/** Connections that a server takes besides its pool: jobs, health, the bus, WatchRevocations. */
const besidesPool = 15;
const clocksApart = { warnMs: 1_000, failMs: 30_000 };
const longTransaction = '5 minutes';

export async function checkDatabase(
  url: string | undefined,
  poolSize: number,
  clock: Clock,
): Promise<readonly Finding[]> {
  if (url === undefined) return [skip('DATABASE_URL is not set: development brings its own')];
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
    return [fail(`PostgreSQL can't be reached at ${new URL(url).host}: ${wordsOf(error)}`, mendOf(error))];
  }
  try {
    await client.query(`set default_transaction_read_only = on`);
    const state = await checkServer(client, poolSize);
    const others = state.some(({ status }) => status === 'fail')
      ? []
      : [
          ...(await checkMigrations(client)),
          ...(await checkPartitions(client, clock.now())),
          ...(await checkTransactions(client)),
          ...(await checkClock(client, clock)),
        ];
    return [...state, ...others];
  } catch (error) {
    return [fail(`PostgreSQL broke off: ${wordsOf(error)}`)];
  } finally {
    client.end().catch(() => {});
  }
}

function mendOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (/^28/.test(code)) return 'DATABASE_URL needs a user and a password that PostgreSQL lets in';
  if (code === '3D000') return 'create the database, or correct its name in DATABASE_URL';
  if (/^(ENOTFOUND|EAI_AGAIN)$/.test(code)) return 'correct the host in DATABASE_URL, or mend DNS here';
  return 'is it running, and does a firewall let this machine in?';
}

async function checkServer(client: pg.Client, poolSize: number): Promise<Finding[]> {
  const { rows } = await client.query<{ version: number; text: string; standby: boolean; slots: number }>(
    `select current_setting('server_version_num')::int as version, current_setting('server_version') as text,
       pg_is_in_recovery() as standby,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as slots`,
  );
  const { version = 0, text = '', standby = false, slots = 0 } = rows[0] ?? {};
  if (version < 150_000) return [fail(`PostgreSQL is of version ${text}`, 'it has to be 15 or newer')];
  if (standby)
    return [fail('this PostgreSQL is a standby, which takes no writes', 'DATABASE_URL has to name the primary')];
  const wanted = poolSize + besidesPool;
  return [
    ok(`PostgreSQL ${text} lets us in`),
    slots < wanted
      ? warn(
          `PostgreSQL has ${slots} connections, and one replica takes up to ${wanted}`,
          'raise max_connections, or lower COUNTERSIGN_DATABASE_POOL',
        )
      : ok(`${slots} connections are enough for ${Math.floor(slots / wanted)} replicas of up to ${wanted}`),
  ];
}

async function checkMigrations(client: pg.Client): Promise<Finding[]> {
  const files = await readdir(new URL('../../store/migrations/', import.meta.url));
  const ours = files.filter((name) => name.endsWith('.sql')).map((name) => name.replace(/\.sql$/, ''));
  if (!(await tableExists(client, 'countersign_migrations'))) {
    return [warn('the database is empty', 'the first start of a server makes its tables')];
  }
  const { rows } = await client.query<{ name: string }>('select name from countersign_migrations');
  const made = rows.map(({ name }) => name);
  const missing = ours.filter((name) => !made.includes(name));
  const newer = made.filter((name) => !ours.includes(name));
  if (missing.length > 0) {
    return [
      warn(`migrations are to come: ${missing.join(', ')}`, 'the next start of a server of this release makes them'),
    ];
  }
  if (newer.length > 0) {
    return [
      warn(
        `the database is of a newer release: ${newer.join(', ')}`,
        'servers of this release go on while it is rolled out',
      ),
    ];
  }
  return [ok(`all ${ours.length} migrations are made`)];
}

async function checkPartitions(client: pg.Client, now: Date): Promise<Finding[]> {
  if (!(await tableExists(client, 'login_event'))) return [];
  const [thisMonth, nextMonth] = await missingPartitions(client, now, [0, 1]);
  const mend = 'a server makes them every hour, unless something locks login_event for long; its log says why not';
  if (thisMonth?.missing) {
    return [fail(`login activity has no table for this month, ${thisMonth.name}`, mend)];
  }
  if (nextMonth?.missing) return [warn(`login activity has no table for the next month, ${nextMonth.name}`, mend)];
  return [ok('login activity has tables for this month and the next')];
}

async function checkTransactions(client: pg.Client): Promise<Finding[]> {
  const { rows } = await client.query<{ pid: number; name: string; state: string; minutes: number }>(
    `select pid, application_name as name, state, floor(extract(epoch from now() - xact_start) / 60)::int as minutes
     from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and xact_start < now() - interval '${longTransaction}'
     order by xact_start limit 5`,
  );
  if (rows.length === 0) return [ok(`no transaction is open for longer than ${longTransaction}`)];
  return rows.map(({ pid, name, state, minutes }) =>
    warn(
      `a transaction is open for ${minutes} minutes: ${state}, of "${name}", process ${pid}`,
      `it keeps locks, and dead rows from being cleaned: end it where it began, or select pg_terminate_backend(${pid})`,
    ),
  );
}

async function checkClock(client: pg.Client, clock: Clock): Promise<Finding[]> {
  const before = clock.now().getTime();
  const { rows } = await client.query<{ now: Date }>('select clock_timestamp() as now');
  const after = clock.now().getTime();
  const theirs = rows[0]?.now.getTime() ?? before;
  // As far apart as they are for certain: the answer was made at some time in between.
  const apartMs = Math.max(0, theirs - after, before - theirs);
  const words = `the clocks of this machine and of PostgreSQL are ${(apartMs / 1_000).toFixed(1)} s apart`;
  const mend = 'set both by NTP: codes, tokens and links are held to the clock';
  if (apartMs > clocksApart.failMs) return [fail(words, mend)];
  return [apartMs > clocksApart.warnMs ? warn(words, mend) : ok(words)];
}

async function tableExists(client: pg.Client, name: string): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>('select to_regclass($1) is not null as found', [name]);
  return rows[0]?.found === true;
}
