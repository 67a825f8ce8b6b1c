// The schema: migrations and entities say the same, on the oldest PostgreSQL too; partitions come and go; what is forgotten.

import { randomBytes } from 'node:crypto';
import { MikroORM } from '@mikro-orm/postgresql';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { readConfig } from '../../server/config.ts';
import { createRandom } from '../../server/platform/clock.ts';
import { entities } from '../../server/store/entities.ts';
import { maintain } from '../../server/store/maintenance.ts';
import { migrate } from '../../server/store/migrate.ts';
import { ensurePartitions } from '../../server/store/partitions.ts';
import { hasDebianPostgres, startDebianPostgres } from '../support/debian-postgres.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

const { limits } = readConfig({});
const hour = 3_600_000;
const day = 24 * hour;

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Everything that the migrations make, one line each. */
function schemaOf(url: string): Promise<string[]> {
  return withClient(url, async (client) => {
    // An empty search path: definitions then name their schemas, whatever the version.
    await client.query(`set search_path = ''`);
    const { rows } = await client.query<{ line: string }>(`
      with ours as (
        select c.oid, n.nspname || '.' || c.relname as name, c.relkind, c.reloptions
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname in ('public', 'graphile_worker') and c.relkind in ('r', 'p', 'i', 'I', 'v', 'S'))
      select 'relation ' || name || ' ' || relkind::text || ' ' || coalesce(reloptions::text, '') as line from ours
      union all
      select 'column ' || name || '.' || attname || ' ' || pg_catalog.format_type(atttypid, atttypmod)
          || case when attnotnull then ' not null' else '' end
        from ours join pg_catalog.pg_attribute on attrelid = oid where attnum > 0 and not attisdropped
      union all
      select 'index ' || pg_catalog.pg_get_indexdef(oid) from ours where relkind in ('i', 'I')
      union all
      -- Version 18 lists not-null constraints here, which are with the columns above.
      select 'constraint ' || name || ' ' || pg_catalog.pg_get_constraintdef(k.oid)
        from ours join pg_catalog.pg_constraint k on conrelid = ours.oid where contype <> 'n'
      union all
      select 'trigger ' || pg_catalog.pg_get_triggerdef(t.oid)
        from ours join pg_catalog.pg_trigger t on tgrelid = ours.oid where not tgisinternal and name like 'public.%'
      union all
      select 'function ' || pg_catalog.pg_get_functiondef(p.oid)
        from pg_catalog.pg_proc p where p.pronamespace = 'public'::pg_catalog.regnamespace
      union all
      select 'partition ' || name || ' ' || pg_catalog.pg_get_expr(c.relpartbound, c.oid)
        from ours join pg_catalog.pg_class c using (oid) where c.relispartition and c.relkind = 'r'
      order by line`);
    return rows.map(({ line }) => line);
  });
}

test('the entities know the tables, columns, types and nullability that the migrations make', async () => {
  const database = await createDatabase();
  const orm = new MikroORM({ entities, clientUrl: database.url });
  try {
    const types: Readonly<Record<string, string>> = { int: 'int4', boolean: 'bool' };
    const known = [...orm.getMetadata().getAll().values()].flatMap((meta) =>
      Object.values(meta.properties).map((property) => ({
        column: `${meta.tableName}.${property.fieldNames[0]}`,
        type: types[property.columnTypes[0] ?? ''] ?? property.columnTypes[0],
        nullable: property.nullable === true,
        // Its number in the key: statements and keyset pages rely on the order.
        key: property.primary ? meta.primaryKeys.indexOf(property.name) + 1 : 0,
      })),
    );
    const made = await withClient(database.url, (client) =>
      client.query(`
        select c.table_name || '.' || c.column_name as column, c.udt_name as type, c.is_nullable = 'YES' as nullable,
          coalesce((select k.ordinal_position::int from information_schema.key_column_usage k
            join information_schema.table_constraints t using (constraint_schema, constraint_name)
            where t.constraint_type = 'PRIMARY KEY' and k.table_name = c.table_name and k.column_name = c.column_name), 0) as key
        from information_schema.columns c
        where c.table_schema = 'public' and c.table_name !~ '^(login_event_\\d{4}_\\d\\d|countersign_migrations)$'`),
    );
    const sorted = (columns: readonly { column: string }[]) =>
      columns.toSorted((a, b) => (a.column < b.column ? -1 : 1));
    expect(sorted(known)).toEqual(sorted(made.rows));
    expect(known.length).toBeGreaterThan(50);
  } finally {
    await orm.close(true);
    await database.drop();
  }
});

describe('migrating', () => {
  const name = `test_schema_${randomBytes(4).toString('hex')}`;
  const now = new Date();
  let url: string;
  const withAdmin = (sql: string) => withClient(inject('postgres').adminUrl, (admin) => admin.query(sql));

  beforeAll(async () => {
    await withAdmin(`create database ${name} template template0`);
    url = Object.assign(new URL(inject('postgres').adminUrl), { pathname: `/${name}` }).href;
    await migrate(url, now);
  });
  afterAll(() => withAdmin(`drop database ${name} with (force)`));

  test('a second time changes nothing', async () => {
    const before = await schemaOf(url);
    const ran = () =>
      withClient(url, async (client) => (await client.query('select * from countersign_migrations')).rows);
    const ranBefore = await ran();
    await migrate(url, now);
    expect(await schemaOf(url)).toEqual(before);
    expect(await ran()).toEqual(ranBefore);
    expect(before.filter((line) => line.startsWith('partition public.login_event_'))).toHaveLength(8);
  });

  test('and the hourly look after it take their time, whatever the statements of a role may take', async () => {
    // Each statement takes longer than that.
    const role = `hurried_${randomBytes(4).toString('hex')}`;
    await withAdmin(`create role ${role} superuser login password 'hurried'`);
    await withAdmin(`alter role ${role} set statement_timeout = '1ms'`);
    await withAdmin(`create database ${role} template template0 owner ${role}`);
    const hurried = Object.assign(new URL(url), { pathname: `/${role}`, username: role, password: 'hurried' }).href;
    try {
      await migrate(hurried, now);
      expect(await schemaOf(Object.assign(new URL(url), { pathname: `/${role}` }).href)).toEqual(await schemaOf(url));
      await maintain(hurried, limits, new Date(now.getTime() + 60 * day));
    } finally {
      await withAdmin(`drop database ${role} with (force)`);
      await withAdmin(`drop role ${role}`);
    }
  });

  test('does not begin while another replica migrates, and then finds all done', async () => {
    const before = await schemaOf(url);
    await Promise.all([migrate(url, now), migrate(url, now), migrate(url, now)]);
    expect(await schemaOf(url)).toEqual(before);
  });

  // The oldest version that still gets security updates and that Debian 12 has: apt-get install postgresql-15.
  test.skipIf(!hasDebianPostgres(15))('makes the same schema on PostgreSQL 15, and maintains it', async () => {
    const old = await startDebianPostgres(15);
    try {
      await migrate(old.url, now);
      expect(await schemaOf(old.url)).toEqual(await schemaOf(url));
      await maintain(old.url, limits, new Date(now.getTime() + 60 * day));
    } finally {
      await old.stop();
    }
  });
});

describe('maintenance', () => {
  const accountId = 'an-account';
  const random = createRandom();
  let database: TestDatabase;
  let client: pg.Client;
  const today = new Date();
  /** Away from a month's ends, so that a day more or less is the same month; and over, by PostgreSQL's clock as well. */
  const monthBefore = (months: number) =>
    new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - 2 - months, 15, 12));
  const now = monthBefore(0);
  const ago = (ms: number) => new Date(now.getTime() - ms);

  beforeEach(async () => {
    database = await createDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(`insert into account values ($1, $2, true, false, 1, 0, null)`, [accountId, ago(900 * day)]);
    for (const name of await partitions()) await client.query(`drop table ${name}`);
  });
  afterEach(async () => {
    await client.end();
    await database.drop();
  });

  const partitionOf = (time: Date) => `login_event_${time.toISOString().slice(0, 7).replace('-', '_')}`;

  async function insertEvent(time: Date): Promise<string> {
    const eventId = random.uuid(time);
    await client.query(
      `insert into login_event (account_id, event_id, kind, origin, unusual, reported)
       values ($1, $2, 'CODE_SENT', '{}', '[]', false)`,
      [accountId, eventId],
    );
    return eventId;
  }

  async function partitions(): Promise<string[]> {
    const { rows } = await client.query<{ name: string }>(
      `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'login_event'::regclass order by 1`,
    );
    return rows.map(({ name }) => name);
  }

  test('keeps 400 days of events in months, drops whole months that are older, and makes those to come', async () => {
    for (let months = 15; months >= 0; months--) await ensurePartitions(client, monthBefore(months));
    const events: string[] = [];
    for (let months = 0; months <= 15; months++) events.push(await insertEvent(monthBefore(months)));
    const { rows } = await client.query<{ event_id: string; partition: string }>(
      'select event_id, tableoid::regclass::text as partition from login_event',
    );
    expect(new Map(rows.map((row) => [row.event_id, row.partition]))).toEqual(
      new Map(events.map((id, months) => [id, partitionOf(monthBefore(months))])),
    );

    await maintain(database.url, limits, now);
    // 400 days before the 15th of a month is about the 11th of the month before, a year ago: that month stays whole.
    const kept = Array.from({ length: 14 }, (_, months) => partitionOf(monthBefore(13 - months)));
    const ahead = [-1, -2, -3].map((months) => partitionOf(monthBefore(months)));
    expect((await partitions()).filter((name) => name <= partitionOf(monthBefore(-3)))).toEqual([...kept, ...ahead]);
    const left = await client.query<{ event_id: string }>('select event_id from login_event');
    expect(new Set(left.rows.map((row) => row.event_id))).toEqual(new Set(events.slice(0, 14)));
  });

  test('is safe at once in several replicas, while events are written', async () => {
    for (let months = 20; months >= 14; months--) await ensurePartitions(client, monthBefore(months));
    const later = new Date(now.getTime() + 31 * day);
    await maintain(database.url, limits, now);
    const writing = (async () => {
      for (let at = 0; at < 200; at++) await insertEvent(now);
    })();
    await Promise.all([
      ...Array.from({ length: 4 }, () => maintain(database.url, limits, later)),
      maintain(database.url, limits, now),
      writing,
    ]);
    const { rows } = await client.query('select count(*)::int as count from login_event');
    expect(rows).toEqual([{ count: 200 }]);
    const names = await partitions();
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain(partitionOf(monthBefore(-4)));
    expect(names.filter((name) => name < partitionOf(monthBefore(12)))).toEqual([]);
  });

  test('of a machine whose clock is years ahead drops no history', async () => {
    for (let months = 10; months >= 0; months--) await ensurePartitions(client, monthBefore(months));
    const events = [await insertEvent(monthBefore(10)), await insertEvent(now)];
    const before = await partitions();
    const ahead = new Date(now.getTime() + 3 * 365 * day);
    await maintain(database.url, limits, ahead);
    expect(await partitions()).toEqual(expect.arrayContaining([...before, partitionOf(ahead)]));
    const { rows } = await client.query<{ event_id: string }>('select event_id from login_event order by event_id');
    expect(rows.map((row) => row.event_id)).toEqual(events);
  });

  test('that did not run for longer than months are made ahead is made up for by the next start', async () => {
    await ensurePartitions(client, monthBefore(9));
    await expect(insertEvent(now)).rejects.toMatchObject({ code: '23514' });
    await migrate(database.url, now);
    const made = [now, monthBefore(1), monthBefore(-6)].map(partitionOf);
    expect(await partitions()).toEqual(expect.arrayContaining(made));
    await insertEvent(now);
    // The months between, in which nothing happened, are none.
    expect(await partitions()).not.toContain(partitionOf(monthBefore(2)));
  });

  test('forgets guesses that count no more', async () => {
    for (const [hash, time] of [
      ['\\x01', ago(hour + 1)],
      ['\\x02', ago(hour - 1)],
    ] as const) {
      await client.query(`insert into password_guesses values ($1, '[]', $2)`, [hash, time]);
    }
    await maintain(database.url, limits, now);
    const { rows } = await client.query('select email_hash::text as hash from password_guesses');
    expect(rows).toEqual([{ hash: '\\x02' }]);
  });

  test('forgets calls whose minute is over, and which no server counts any more', async () => {
    for (const [key, time] of [
      ['address:203.0.113.1/32', ago(1)],
      ['address:203.0.113.2/32', new Date(now.getTime() + 1_000)],
    ] as const) {
      await client.query('insert into call_count values ($1, 1, $2)', [key, time.getTime()]);
    }
    await maintain(database.url, limits, now);
    const { rows } = await client.query('select key from call_count');
    expect(rows).toEqual([{ key: 'address:203.0.113.2/32' }]);
  });

  test('forgets audit records after 400 days, in steps, and none of a machine whose clock is years ahead', async () => {
    const keptAt = (base: Date, ms: number) => new Date(base.getTime() - 400 * day + ms);
    const kept = random.uuid(keptAt(now, 1_000));
    await client.query(
      `insert into audit_record (record_id, caller, rpc, account_id, ip_address, request_id)
       select id, 'caller', 'Accounts.GetAccount', $2, '', '' from unnest($1::uuid[]) id`,
      [[kept, ...Array.from({ length: 12_000 }, () => random.uuid(keptAt(now, -1_000)))], accountId],
    );
    // Two replicas at once leave nothing, between them.
    await Promise.all([maintain(database.url, limits, now), maintain(database.url, limits, now)]);
    const left = async () => (await client.query('select record_id as id from audit_record')).rows.map(({ id }) => id);
    expect(await left()).toEqual([kept]);
    const young = random.uuid(keptAt(today, 3_600_000));
    await client.query(
      `insert into audit_record (record_id, caller, rpc, ip_address, request_id) values ($1, '', '', '', '')`,
      [young],
    );
    await maintain(database.url, limits, new Date(today.getTime() + 3 * 365 * day));
    expect(await left()).toEqual([young]);
  });

  test('forgets challenges and deliveries after 30 days, whatever became of them', async () => {
    const ids = { old: random.uuid(ago(30 * day + 1000)), young: random.uuid(ago(30 * day - 1000)) };
    for (const id of Object.values(ids)) {
      await client.query(
        `insert into challenge values ($1, $2::uuid, 'SIGN_IN', 'CLOSED', decode(replace($2::uuid::text, '-', ''), 'hex'), null, 'key',
           null, 'EMAIL', 'en', '{}', '{}', 'a@b', $3, $3, null, 0, '{}')`,
        [accountId, id, now],
      );
      await client.query(
        `insert into delivery values ($1, $2, 'CODE', 'EMAIL', $2, null, 'en', 'ACCEPTED', $3, $3, $3, 'ok')`,
        [accountId, id, now],
      );
    }
    await maintain(database.url, limits, now);
    expect((await client.query('select challenge_id from challenge')).rows).toEqual([{ challenge_id: ids.young }]);
    expect((await client.query('select delivery_id from delivery')).rows).toEqual([{ delivery_id: ids.young }]);
  });

  async function insertDevice(name: string, lastUse: Date, trust: 'trusted' | 'untrusted' | 'ended'): Promise<string> {
    const deviceId = random.uuid(lastUse);
    await client.query(
      `insert into device values ($1, $2, $3, 'm', 'IOS', '1', '2.3', null, $4, $5, $6, $6, '127.0.0.1', null)`,
      [accountId, deviceId, name, trust === 'untrusted' ? null : lastUse, trust === 'ended' ? lastUse : null, lastUse],
    );
    return deviceId;
  }

  async function insertSession(deviceId: string, created: Date, lastUse: Date, ended: boolean): Promise<string> {
    const sessionId = random.uuid(created);
    const hash = randomBytes(32);
    await client.query(
      `insert into session values ($1, $2, $3, '[]', $4, $5, $6, $7, 1, 1, $8, $8, null, null, null)`,
      [accountId, sessionId, deviceId, created, lastUse, ended ? lastUse : null, ended ? 'REVOKED' : null, hash],
    );
    return sessionId;
  }

  test('forgets sessions when they would have expired: idle, or at the end of their life', async () => {
    const device = (name: string) => insertDevice(name, now, 'trusted');
    const kept = [
      await insertSession(await device('idle, but not long enough'), ago(40 * day), ago(30 * day - 1000), false),
      await insertSession(await device('old, but not old enough'), ago(180 * day - 1000), ago(day), false),
      await insertSession(await device('ended: its cause is told'), ago(20 * day), ago(10 * day), true),
    ];
    await insertSession(await device('idle too long'), ago(40 * day), ago(30 * day + 1000), false);
    await insertSession(await device('too old'), ago(180 * day + 1000), ago(day), false);
    await insertSession(await device('ended, and would have expired'), ago(40 * day), ago(30 * day + 1000), true);
    await maintain(database.url, limits, now);
    const { rows } = await client.query<{ session_id: string }>('select session_id from session order by session_id');
    expect(rows.map((row) => row.session_id)).toEqual(kept.sort());
    expect((await client.query('select from device')).rowCount).toBe(6);
  });

  test('forgets revocations an hour after the last token of them; what has expired is none', async () => {
    const device = await insertDevice('idle too long', now, 'trusted');
    await insertSession(device, ago(40 * day), ago(30 * day + 1000), false);
    const told = async () =>
      (await client.query<{ cause: string }>('select cause from revocation order by cause')).rows.map(
        ({ cause }) => cause,
      );
    const kept = limits.accessTokenLifetimeMs + hour;
    for (const [cause, age] of [
      ['EXPIRED', kept + 60_000],
      ['REVOKED', kept - 60_000],
    ] as const) {
      await client.query(`insert into revocation values ($1, $2, $2, $3, now() - $4 * interval '1 ms')`, [
        accountId,
        random.uuid(now),
        cause,
        age,
      ]);
    }
    await maintain(database.url, limits, now);
    expect(await told()).toEqual(['REVOKED']);
    expect((await client.query('select from session')).rowCount).toBe(0);
    // The release before deletes just so, and knows of no revocations: it may run beside this one.
    await insertSession(device, ago(40 * day), ago(30 * day + 1000), false);
    await client.query(`set application_name = 'countersign-maintenance'`);
    await client.query('delete from session where last_use_time < $1', [ago(30 * day)]);
    await client.query('reset application_name');
    expect(await told()).toEqual(['REVOKED']);
    // By whom else a live one is deleted, it is told.
    await insertSession(device, now, now, false);
    await client.query('delete from account where account_id = $1', [accountId]);
    expect(await told()).toEqual(['REVOKED', 'UNKNOWN']);
  });

  test('forgets devices that nothing points to: without trust and sessions, or unused longer than trust lasts', async () => {
    const kept = [
      await insertDevice('trusted', ago(180 * day - 1000), 'trusted'),
      await insertDevice('without trust, but used lately', ago(30 * day - 1000), 'untrusted'),
      await insertDevice('removed lately', ago(30 * day - 1000), 'ended'),
      await insertDevice('without trust, but with a session', ago(31 * day), 'untrusted'),
    ];
    await insertSession(kept[3] ?? '', ago(day), ago(day), true);
    await insertDevice('trusted once', ago(180 * day + 1000), 'trusted');
    await insertDevice('without trust', ago(30 * day + 1000), 'untrusted');
    await insertDevice('removed', ago(30 * day + 1000), 'ended');
    await maintain(database.url, limits, now);
    const { rows } = await client.query<{ device_id: string }>('select device_id from device');
    expect(rows.map((row) => row.device_id).sort()).toEqual(kept.sort());
  });

  test('keeps the newest device that was ever trusted, so that an account that had one stays known for it', async () => {
    await insertDevice('removed before', ago(300 * day), 'ended');
    const kept = await insertDevice('removed', ago(200 * day), 'ended');
    await insertDevice('never trusted', ago(100 * day), 'untrusted');
    await maintain(database.url, limits, now);
    expect((await client.query('select device_id from device')).rows).toEqual([{ device_id: kept }]);
  });
});
