// PostgreSQL: whether it can be reached and used, and whether what the server looks after there is looked after. It only reads.

import { readdir } from 'node:fs/promises';
import type pg from 'pg';
import type { Config } from '../../config.ts';
import type { Clock } from '../../flows/ports.ts';
import { missingPartitions } from '../../store/partitions.ts';
import { checkPooler, checkReplica, isPooled, placeOf, withClient } from './database-ways.ts';
import { type Finding, fail, ok, skip, warn } from './finding.ts';

/** Connections that a server takes besides its pool: jobs, health, the bus, WatchRevocations. */
const besidesPool = 15;
const clocksApart = { warnMs: 1_000, failMs: 30_000 };
const longTransaction = '5 minutes';

type Settings = Pick<Config, 'databaseUrl' | 'databaseDirectUrl' | 'databaseReplicaUrl' | 'databasePoolSize'>;

export async function checkDatabase(config: Settings, clock: Clock): Promise<readonly Finding[]> {
  const { databaseUrl: url, databaseDirectUrl: directUrl, databaseReplicaUrl: replicaUrl } = config;
  if (url === undefined) return [skip('DATABASE_URL is not set: development brings its own')];
  const setting = directUrl === undefined ? 'DATABASE_URL' : 'COUNTERSIGN_DATABASE_DIRECT_URL';
  return withClient(setting, directUrl ?? url, async (client) => {
    // What it sets there would be another's.
    if (await isPooled(client)) {
      return [
        fail(
          `${setting} leads through a pooler, which has no sessions of PostgreSQL`,
          'COUNTERSIGN_DATABASE_DIRECT_URL has to lead to PostgreSQL itself',
        ),
      ];
    }
    await client.query(`set default_transaction_read_only = on`);
    const state = await checkServer(client, config, setting);
    if (state.some(({ status }) => status === 'fail')) return state;
    const place = await placeOf(client);
    const others = await Promise.all([
      directUrl === undefined ? [] : checkPooler(url, place),
      replicaUrl === undefined ? [] : checkReplica(replicaUrl, place),
    ]);
    return [
      ...state,
      ...others.flat(),
      ...(await checkMigrations(client)),
      ...(await checkPartitions(client, clock.now())),
      ...(await checkTransactions(client)),
      ...(await checkClock(client, clock)),
    ];
  });
}

async function checkServer(
  client: pg.Client,
  { databasePoolSize: poolSize, databaseDirectUrl: directUrl }: Settings,
  setting: string,
): Promise<Finding[]> {
  const { rows } = await client.query<{ version: number; text: string; readOnly: boolean; slots: number }>(
    `select current_setting('server_version_num')::int as version, current_setting('server_version') as text,
       pg_is_in_recovery() as "readOnly",
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as slots`,
  );
  const { version = 0, text = '', readOnly = false, slots = 0 } = rows[0] ?? {};
  if (version < 150_000) return [fail(`PostgreSQL is of version ${text}`, 'it has to be 15 or newer')];
  if (readOnly)
    return [fail('this PostgreSQL is a standby, which takes no writes', `${setting} has to lead to the primary`)];
  // The pooler has those of calls, for all replicas together.
  const wanted = directUrl === undefined ? poolSize + besidesPool : besidesPool;
  const living = await livingReplicas(client);
  const mend = 'raise max_connections, or lower COUNTERSIGN_DATABASE_POOL';
  return [
    ok(`PostgreSQL ${text} lets us in`),
    slots < wanted
      ? warn(`PostgreSQL has ${slots} connections, and one replica takes up to ${wanted}`, mend)
      : slots < living * wanted
        ? warn(`PostgreSQL has ${slots} connections, and the ${living} replicas take up to ${living * wanted}`, mend)
        : ok(`${slots} connections are enough for ${Math.floor(slots / wanted)} replicas of up to ${wanted}`),
  ];
}

/** Those that serve now, by what they note of themselves. */
async function livingReplicas(client: pg.Client): Promise<number> {
  if (!(await tableExists(client, 'replica'))) return 0;
  const { rows } = await client.query<{ living: number }>(
    'select count(*)::int as living from replica where alive_until > now()',
  );
  return rows[0]?.living ?? 0;
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
