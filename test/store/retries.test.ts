// What is tried again when PostgreSQL refuses it or goes away: all that nothing has come of, and nothing else.

import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Database } from '../../server/store/database.ts';
import { first, statement } from '../../server/store/statement.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { type PostgresProxy, startPostgresProxy } from '../support/postgres-proxy.ts';

const add = statement<{ readonly id: number }, unknown>(
  (_, p) => sql`update counter set value = value + 1 where id = ${p.id}`,
);
const read = statement<{ readonly id: number }, { readonly value: number }>(
  (_, p) => sql`select value from counter where id = ${p.id}`,
);
/** Fails as if another transaction had been first, as often as is said in `failures`. */
const flaky = statement<{ readonly id: number }, unknown>((_, p) => sql`select flaky(${p.id})`);
const pid = statement<object, { readonly pid: number }>(() => sql`select pg_backend_pid() as pid`);

let testDatabase: TestDatabase;
let proxy: PostgresProxy;
let database: Database;
let admin: pg.Client;

beforeAll(async () => {
  testDatabase = await createDatabase();
  admin = new pg.Client({ connectionString: testDatabase.url });
  await admin.connect();
  await admin.query(`
    create table counter (id int primary key, value int not null);
    create sequence calls;
    create table failures (most bigint);
    insert into failures values (0);
    create function flaky(counted int) returns void language plpgsql as $$
    begin
      update counter set value = value + 1 where id = counted;
      if nextval('calls') <= (select most from failures) then
        raise exception 'lost' using errcode = 'serialization_failure';
      end if;
    end $$`);
  proxy = await startPostgresProxy(testDatabase.url);
});
afterAll(async () => {
  await proxy?.close();
  await admin?.end();
  await testDatabase?.drop();
});
beforeEach(async () => {
  database = new Database({ url: proxy.url, poolSize: 4, patienceMs: 5_000 });
  await admin.query(`truncate counter; insert into counter values (1, 0), (2, 0); alter sequence calls restart`);
});
afterEach(async () => {
  proxy.disarm();
  await database.close();
});

const failTimes = (times: number) => admin.query('update failures set most = $1', [times]);
const countOf = async (id: number) =>
  (await admin.query('select value from counter where id = $1', [id])).rows[0]?.value;
const terminate = (process: number | undefined) => admin.query('select pg_terminate_backend($1, 5000)', [process]);
const unavailable = { refusal: { reason: 'DEPENDENCY_UNAVAILABLE' } };

test('a transaction that is lost to another one is made again, and counts once', async () => {
  await failTimes(3);
  let runs = 0;
  await database.transaction(async (db) => {
    runs += 1;
    db.write(add, { id: 2 });
    await db.rows(flaky, { id: 1 });
  });
  expect([runs, await countOf(1), await countOf(2)]).toEqual([4, 1, 1]);
});

test('one whose writes travel with its commit, too', async () => {
  await failTimes(2);
  await database.transaction(async (db) => {
    db.write(add, { id: 2 });
    db.write(flaky, { id: 1 });
  });
  expect([await countOf(1), await countOf(2)]).toEqual([1, 1]);
});

test('after a few tries it is refused', async () => {
  await failTimes(1_000);
  await expect(database.transaction((db) => db.rows(flaky, { id: 1 }))).rejects.toMatchObject(unavailable);
  expect(await countOf(1)).toBe(0);
  await expect(admin.query(`select last_value::int as tries from calls`)).resolves.toMatchObject({
    rows: [{ tries: 6 }],
  });
});

test('of two that wait for each other both are made', async () => {
  const both = [
    [1, 2],
    [2, 1],
  ].map(([one = 0, other = 0]) =>
    database.transaction(async (db) => {
      await db.rows(add, { id: one });
      await db.rows(sleepBriefly, {});
      await db.rows(add, { id: other });
    }),
  );
  await Promise.all(both);
  expect([await countOf(1), await countOf(2)]).toEqual([2, 2]);
});
const sleepBriefly = statement<object, unknown>(() => sql`select pg_sleep(0.3)`);

test('one whose connection ends before its commit is made again on another', async () => {
  const pids: (number | undefined)[] = [];
  await database.transaction(async (db) => {
    db.write(add, { id: 1 });
    pids.push((await first(db, pid, {}))?.pid);
    if (pids.length === 1) await terminate(pids[0]);
  });
  expect(new Set(pids).size).toBe(2);
  expect(await countOf(1)).toBe(1);
});

test('a commit whose answer is lost is not made again: nobody knows whether it was made', async () => {
  const cut = new Promise<void>((resolve) => {
    proxy.arm(({ text }) => (text === 'commit' ? 'answer lost' : 'pass'), resolve);
  });
  let runs = 0;
  const lost = database.transaction(async (db) => {
    runs += 1;
    await db.rows(add, { id: 1 });
  });
  lost.catch(() => {});
  await cut;
  await proxy.goDown();
  await proxy.comeBack(testDatabase.url);
  await expect(lost).rejects.toMatchObject(unavailable);
  expect([runs, await countOf(1)]).toEqual([1, 1]);
});

test('a statement by itself is made again where PostgreSQL refused it, and it alone', async () => {
  await failTimes(2);
  await database.autocommit((db) => db.write(flaky, { id: 1 }));
  expect(await countOf(1)).toBe(1);
  await admin.query('alter sequence calls restart');
  // What went before has been done.
  const two = database.autocommit(async (db) => {
    await db.rows(add, { id: 2 });
    await db.rows(flaky, { id: 1 });
  });
  await expect(two).rejects.toMatchObject(unavailable);
  expect([await countOf(1), await countOf(2)]).toEqual([1, 1]);
});

test('one whose connection ends while it runs is not: it may have been done', async () => {
  const cut = new Promise<void>((resolve) => {
    proxy.arm(({ text }) => (text === add.text ? 'answer lost' : 'pass'), resolve);
  });
  const lost = database.autocommit((db) => db.write(add, { id: 1 }));
  lost.catch(() => {});
  await cut;
  await proxy.goDown();
  await proxy.comeBack(testDatabase.url);
  await expect(lost).rejects.toMatchObject(unavailable);
  expect(await countOf(1)).toBe(1);
});

test('reads, and whatever has not begun, outlive a server that goes away and comes back', async () => {
  const look = () => database.read((db) => first(db, read, { id: 1 }));
  await Promise.all(Array.from({ length: 20 }, look));
  await proxy.goDown();
  const all = Array.from({ length: 30 }, (_, index) =>
    index % 2 === 0 ? look() : database.transaction(async (db) => db.write(add, { id: 2 })),
  );
  await proxy.comeBack(testDatabase.url);
  expect((await Promise.allSettled(all)).filter(({ status }) => status === 'rejected')).toEqual([]);
  expect(await countOf(2)).toBe(15);
});

test('when one connection meets a server that went away, the idle ones are not used either', async () => {
  const busy = Array.from({ length: 3 }, () => database.autocommit((db) => db.rows(sleepBriefly, {})));
  await Promise.all([...busy, database.fault()]);
  const before = await admin.query(
    `select pid from pg_stat_activity where application_name = 'countersign' and datname = current_database()`,
  );
  const pids: (number | undefined)[] = [];
  await database.transaction(async (db) => {
    pids.push((await first(db, pid, {}))?.pid);
    if (pids.length > 1) return;
    // So is the one that health is asked over, which is as old.
    await admin.query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity
       where application_name = 'countersign-health' and datname = current_database()`,
    );
    await terminate(pids[0]);
  });
  pids.push(
    ...(await Promise.all(Array.from({ length: 3 }, () => database.autocommit(async (db) => first(db, pid, {}))))).map(
      (row) => row?.pid,
    ),
  );
  const known = before.rows.map((row) => row.pid);
  expect(pids.slice(1).filter((each) => known.includes(each))).toEqual([]);
});

test('one connection that is cut in between, at a server that is there, takes no other with it', async () => {
  const busy = Array.from({ length: 3 }, () => database.autocommit((db) => db.rows(sleepBriefly, {})));
  await Promise.all([...busy, database.read((db) => first(db, read, { id: 1 })), database.fault()]);
  const connections = async () => {
    const { rows } = await admin.query(
      `select pid from pg_stat_activity where application_name = 'countersign' and datname = current_database() order by pid`,
    );
    return rows.map((row) => row.pid);
  };
  const before = await connections();
  expect(before).toHaveLength(4);
  for (const call of [
    () => database.transaction((db) => db.rows(add, { id: 1 })),
    () => database.read((db) => db.rows(read, { id: 1 })),
  ]) {
    let cuts = 0;
    proxy.arm(
      ({ text }) => {
        if (text !== add.text && text !== read.text) return 'pass';
        cuts += 1;
        return cuts === 1 ? 'cut' : 'pass';
      },
      () => {},
    );
    await call();
    expect(cuts).toBe(2);
  }
  await Promise.all(Array.from({ length: 3 }, () => database.autocommit((db) => db.rows(sleepBriefly, {}))));
  expect((await connections()).filter((each) => before.includes(each))).toHaveLength(2);
  expect(await countOf(1)).toBe(1);
});

test('what fails for its own reasons is not run again', async () => {
  let runs = 0;
  const wrong = database.transaction(async () => {
    runs += 1;
    throw new Error('decided otherwise');
  });
  await expect(wrong).rejects.toThrow('decided otherwise');
  expect(runs).toBe(1);
});
