// The rows of the audit records: what a page reads of them, however many there are and however rare what it looks for is.

import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuditFilter } from '../../server/flows/store-ports.ts';
import { createAuditRecords, listRecords, mostScanned } from '../../server/store/audit-records.ts';
import { Database } from '../../server/store/database.ts';
import { idRange } from '../../server/store/id-range.ts';
import { begunScansOf, explain } from '../support/explain.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

const nobody = '00000000-0000-7000-8000-000000000000';
const everything: AuditFilter = {
  accountId: null,
  caller: null,
  rpc: null,
  startTime: null,
  endTime: null,
  exceptRecordId: nobody,
};
const longAgo = new Date(0);
const rows = 60_000;

let testDatabase: TestDatabase;
let database: Database;
let client: pg.Client;

beforeAll(async () => {
  testDatabase = await createDatabase();
  database = new Database({ url: testDatabase.url, poolSize: 4, patienceMs: 20_000 });
  client = new pg.Client({ connectionString: testDatabase.url });
  await client.connect();
  // One a second. Nearly all are of one caller; what is rare is the oldest of all.
  await client.query(
    `insert into audit_record (record_id, caller, rpc, account_id, ip_address, outcome, request_id)
     select uuidv7(interval '1 second' * (n - $1)), case when n <= 3 then 'rare' else 'busy' end,
       case when n <= 3 then 'Accounts.DeleteAccount' else 'Accounts.GetAccount' end,
       case when n <= 3 or n % 6 = 0 then 'big' else 'account ' || n % 5000 end, '', 'OK', ''
     from generate_series(1, $1) n`,
    [rows],
  );
  await client.query('vacuum analyze audit_record');
});
afterAll(async () => {
  await client?.end();
  await database?.close();
  await testDatabase?.drop();
});

const page = (filter: Partial<AuditFilter>, before: string | null, count: number) =>
  createAuditRecords(database).list({ ...everything, ...filter }, before, longAgo, count);

async function follow(filter: Partial<AuditFilter>, count: number) {
  const ids: string[] = [];
  let pages = 0;
  for (let before: string | null | undefined = null; before !== undefined; pages++) {
    const { records, next }: Awaited<ReturnType<typeof page>> = await page(filter, before, count);
    expect(records.length).toBeLessThanOrEqual(count);
    ids.push(...records.map(({ recordId }) => recordId));
    before = next;
  }
  return { ids, pages };
}

const idsWhere = async (condition: string) =>
  (await client.query(`select record_id as id from audit_record where ${condition} order by record_id desc`)).rows.map(
    ({ id }) => id,
  );

test.each([
  ['an account', { accountId: 'big' }, `account_id = 'big'`],
  ['a caller that is rare', { caller: 'rare' }, `caller = 'rare'`],
  ['a caller and an account', { accountId: 'big', caller: 'rare' }, `account_id = 'big' and caller = 'rare'`],
  ['an RPC that is rare', { rpc: 'Accounts.DeleteAccount' }, `rpc = 'Accounts.DeleteAccount'`],
  ['nothing that there is', { accountId: 'nobody' }, 'false'],
])('pages of %s have each record once, in the end', async (_, filter, condition) => {
  expect((await follow(filter, 1_000)).ids).toEqual(await idsWhere(condition));
});

test('a page that finds little is short, and says where to go on', async () => {
  const { records, next } = await page({ rpc: 'Accounts.DeleteAccount' }, null, 20);
  expect(records).toEqual([]);
  expect(next).toBe((await idsWhere('true'))[mostScanned - 1]);
  expect((await follow({ rpc: 'Accounts.DeleteAccount' }, 20)).pages).toBe(rows / mostScanned + 1);
});

test('how a call ended may be lost with PostgreSQL for a moment, whom it concerned not', async () => {
  await client.query(
    `do $$ begin execute format('alter database %I set synchronous_commit = on', current_database()); end $$`,
  );
  await client.query('create table committed (account_id text, synchronous text)');
  await client.query(`
    create function note_commit() returns trigger language plpgsql as $$ begin
      insert into committed values (new.account_id, current_setting('synchronous_commit')); return null; end $$`);
  await client.query('create trigger noted after update on audit_record for each row execute function note_commit()');
  const durable = new Database({ url: testDatabase.url, poolSize: 2, patienceMs: 20_000 });
  try {
    const records = createAuditRecords(durable);
    for (const [opened, completed] of [
      ['known', 'known'],
      ['', 'found'],
      ['', ''],
    ] as const) {
      const record = { recordId: randomUUID(), caller: '', rpc: '', ipAddress: '', details: {}, requestId: '' };
      await records.insert({ ...record, accountId: opened, outcome: '' });
      await records.complete({ ...record, accountId: completed, outcome: 'OK' });
      await client.query('delete from audit_record where record_id = $1', [record.recordId]);
    }
    expect((await client.query('select account_id, synchronous from committed')).rows).toEqual([
      { account_id: 'known', synchronous: 'off' },
      { account_id: 'found', synchronous: 'on' },
      { account_id: '', synchronous: 'off' },
    ]);
  } finally {
    await durable.close();
    await client.query('drop trigger noted on audit_record');
  }
});

describe('a page reads one range of one index, and no more than it may', () => {
  test.each([
    ['everything', {}, 'audit_record_pkey', 21],
    ['an RPC', { rpc: 'Accounts.DeleteAccount' }, 'audit_record_pkey', mostScanned],
    ['an account', { accountId: 'big' }, 'audit_record_account', 21],
    ['an account and a caller', { accountId: 'big', caller: 'rare' }, 'audit_record_account', mostScanned],
    ['a caller', { caller: 'busy' }, 'audit_record_caller', 21],
    ['a caller that is rare', { caller: 'rare' }, 'audit_record_caller', 3],
    ['a caller that there is not', { caller: 'nobody' }, 'audit_record_caller', 0],
  ])('%s', async (_, filter, index, most) => {
    const plans = await explain(client, (db) => {
      const whole = { ...everything, ...filter };
      return listRecords(db, whole, idRange(whole, null, longAgo), 20);
    });
    expect(plans).toHaveLength(2);
    for (const plan of plans) {
      expect(plan.nodes.map((node) => node['Node Type']).join(), plan.text).not.toMatch(/Sort|Seq Scan|Bitmap/);
      const scans = begunScansOf(plan);
      expect(
        scans.map((node) => node['Index Name']),
        plan.text,
      ).toEqual([index]);
    }
    const [fitting] = plans.flatMap(begunScansOf);
    expect(fitting?.['Actual Rows']).toBeLessThanOrEqual(most);
  });
});
