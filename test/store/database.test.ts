// Properties of the connection to PostgreSQL: what is joined, what fails, and that nothing of one call meets another.

import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Account } from '../../server/domain/account.ts';
import { Database } from '../../server/store/database.ts';
import { Joiner, type Writes } from '../../server/store/joiner.ts';
import { columnValues, first, statement } from '../../server/store/statement.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

const insertAccount = statement((db, p: Account) => db.insertInto('Account').values(columnValues('Account', p)));
const selectAccount = statement((db, p: { readonly accountId: string }) =>
  db.selectFrom('Account').select(['accountId', 'wrongCodes']).where('accountId', '=', p.accountId),
);
const setWrongCodes = statement((db, p: { readonly accountId: string; readonly wrongCodes: number }) =>
  db.updateTable('Account').set({ wrongCodes: p.wrongCodes }).where('accountId', '=', p.accountId),
);
const setLocale = statement((db, p: { readonly accountId: string; readonly locale: string }) =>
  db.updateTable('DirectoryAccount').set({ locale: p.locale }).where('accountId', '=', p.accountId),
);
const call = statement<{ readonly text: string }, unknown>((_, p) => sql`select length(${p.text})`, 'select');
const alone = statement<object, unknown>(() => sql`update account set wrong_codes = wrong_codes + 1`);
const pause = statement<{ readonly seconds: number }, unknown>((_, p) => sql`select pg_sleep(${p.seconds})`);

let testDatabase: TestDatabase;
let database: Database;
let observer: pg.Client;

beforeAll(async () => {
  testDatabase = await createDatabase();
  database = new Database({ url: testDatabase.url, poolSize: 6, patienceMs: 1_500 });
  observer = new pg.Client({ connectionString: testDatabase.url });
  await observer.connect();
});

afterAll(async () => {
  await observer?.end();
  await database?.close();
  await testDatabase?.drop();
});

let accounts = 0;
async function createAccount(): Promise<string> {
  accounts += 1;
  const accountId = `account-${accounts}`;
  await database.transaction(async (db) =>
    db.write(insertAccount, {
      accountId,
      createTime: new Date(),
      twoStepEnabled: true,
      passwordChangeRequired: false,
      passwordVersion: 1,
      wrongCodes: 0,
      lastWrongCodeTime: null,
      countries: null,
    }),
  );
  return accountId;
}

const wrongCodesOf = async (accountId: string) => {
  const { rows } = await observer.query('select wrong_codes from account where account_id = $1', [accountId]);
  return rows[0]?.wrong_codes;
};

describe('writes', () => {
  const write = (of: unknown, values: unknown): Writes[number] => [of as Writes[number][0], values];
  const account = write(setWrongCodes, { accountId: 'a', wrongCodes: 3 });
  const directory = write(setLocale, { accountId: 'b', locale: 'en' });
  const last = write(call, { text: 'c' });
  const joined = (writes: Writes) => new Joiner().joined(writes);
  const texts = (writes: Writes) => [...joined(writes)].map(([one]) => one.text.replaceAll('"', ''));

  test('of different tables are one statement, with the parameters of each', () => {
    const [[one, values] = [], ...more] = [...joined([account, directory, last])];
    expect(more).toEqual([]);
    expect(one?.text.replaceAll('"', '')).toBe(
      'with w0 as (update account set wrong_codes = $1 where account_id = $2), ' +
        'w1 as (update directory_account set locale = $3 where account_id = $4) select length($5)',
    );
    expect(one?.bind(values as never)).toEqual([3, 'a', 'en', 'b', 'c']);
  });

  test('of one table stay one after the other, and so does what stands alone or comes after a select', () => {
    expect(texts([account, account])).toHaveLength(2);
    expect(texts([account, write(alone, {}), directory])).toHaveLength(3);
    expect(texts([last, account])).toEqual([
      'select length($1)',
      'update account set wrong_codes = $1 where account_id = $2',
    ]);
  });

  test('have a name that PostgreSQL does not cut', () => {
    const many = Array.from({ length: 12 }, (_, index) =>
      write(
        statement<object, unknown>(() => sql`select ${index}`, `table-${index}`),
        {},
      ),
    );
    const [[one] = []] = [...joined(many)];
    expect(Buffer.byteLength(one?.name ?? '')).toBeLessThan(64);
  });
});

test('a write that fails is told by the commit, in its own words, and undoes the others', async () => {
  const accountId = await createAccount();
  const failed = database.transaction(async (db) => {
    db.write(setWrongCodes, { accountId, wrongCodes: 5 });
    db.write(setWrongCodes, { accountId, wrongCodes: -1 });
    return 'done';
  });
  await expect(failed).rejects.toMatchObject({ code: '23514' });
  expect(await wrongCodesOf(accountId)).toBe(0);
});

test('a read after a write that failed tells the write’s failure', async () => {
  const accountId = await createAccount();
  const failed = database.transaction(async (db) => {
    db.write(setWrongCodes, { accountId, wrongCodes: -1 });
    return first(db, selectAccount, { accountId });
  });
  await expect(failed).rejects.toMatchObject({ code: '23514' });
  expect(await database.read((db) => first(db, selectAccount, { accountId }))).toEqual({ accountId, wrongCodes: 0 });
});

test('a column that a migration adds does not break what is prepared', async () => {
  const accountId = await createAccount();
  const look = () => database.read((db) => first(db, selectAccount, { accountId }));
  expect(await look()).toEqual({ accountId, wrongCodes: 0 });
  await observer.query('alter table account add column nickname text');
  expect(await Promise.all(Array.from({ length: 20 }, look))).toEqual(Array(20).fill({ accountId, wrongCodes: 0 }));
  await observer.query('alter table account drop column nickname');
  expect(await look()).toEqual({ accountId, wrongCodes: 0 });
});

test('a statement whose first use fails is prepared anew', async () => {
  await observer.query('create table later (one integer)');
  await observer.query('drop table later');
  const selectLater = statement<object, { readonly one: number }>(() => sql`select one from later`);
  const look = () => database.read((db) => db.rows(selectLater, {}));
  const failed = await Promise.allSettled(Array.from({ length: 5 }, look));
  expect(failed.map(({ status }) => status)).toEqual(Array(5).fill('rejected'));
  await observer.query('create table later (one integer)');
  await expect.poll(() => look().catch(() => 'failed'), { timeout: 5_000 }).toEqual([]);
});

test('connections that the database ends are not used again', async () => {
  const accountId = await createAccount();
  const look = () => database.read((db) => first(db, selectAccount, { accountId }));
  await Promise.all(Array.from({ length: 10 }, look));
  await observer.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'countersign' and datname = current_database()`,
  );
  await sleep(50);
  expect(await Promise.all(Array.from({ length: 10 }, look))).toEqual(Array(10).fill({ accountId, wrongCodes: 0 }));
});

test('a read that takes too long is refused, and the next ones do not wait behind it', async () => {
  const accountId = await createAccount();
  const slow = database.read((db) => db.rows(pause, { seconds: 4 }));
  slow.catch(() => {});
  await sleep(1_600);
  await expect(slow).rejects.toMatchObject({ refusal: { reason: 'DEPENDENCY_UNAVAILABLE' } });
  expect(await database.read((db) => first(db, selectAccount, { accountId }))).toEqual({ accountId, wrongCodes: 0 });
});

test('what waits for a connection until its caller was refused is not done after that', async () => {
  const accountId = await createAccount();
  // All that there are for writing.
  const busy = Array.from({ length: 5 }, () => database.autocommit((db) => db.rows(pause, { seconds: 1.2 })));
  const late = database.autocommit((db) => db.write(setWrongCodes, { accountId, wrongCodes: 9 }));
  const waiting = Array.from({ length: 5 }, () => database.autocommit((db) => db.rows(pause, { seconds: 1.2 })));
  const outcomes = await Promise.allSettled([...busy, late, ...waiting]);
  await sleep(1_500);
  const wasRefused = outcomes[5]?.status === 'rejected';
  expect(await wrongCodesOf(accountId)).toBe(wasRefused ? 0 : 9);
});
