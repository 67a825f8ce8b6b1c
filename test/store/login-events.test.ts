// The rows of the login activity, in months: what a page reads of them, and what it must not touch.

import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoginEvent } from '../../server/domain/login-event.ts';
import type { ActivityFilter } from '../../server/flows/store-ports.ts';
import { createRandom } from '../../server/platform/clock.ts';
import { Database } from '../../server/store/database.ts';
import { insertEvent, listEvents, mostScanned, rangeOf, searchEvents } from '../../server/store/login-events.ts';
import { ensurePartitions } from '../../server/store/partitions.ts';
import type { Reader } from '../../server/store/statement.ts';
import { begunScansOf, besideKeyRanges, explain, type Plan, scansOf } from '../support/explain.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

const everything: ActivityFilter = { kinds: [], deviceId: null, unusualOnly: false, startTime: null, endTime: null };
const rare: ActivityFilter = { ...everything, kinds: ['PASSWORD_CHANGED'] };
const random = createRandom();
/** Ten months, as many events in each. */
const months = 10;
const eventsAMonth = 500;
const accountId = 'big';
/** Away from a month's ends. */
const now = new Date(Date.UTC(2031, 4, 15, 12));
const monthsAgo = (count: number) => new Date(Date.UTC(2031, 4 - count, 15, 12));
const longAgo = new Date(Date.UTC(2029, 0, 1));
const partitionOf = (time: Date) => `login_event_${time.toISOString().slice(0, 7).replace('-', '_')}`;

let testDatabase: TestDatabase;
let database: Database;
let client: pg.Client;

beforeAll(async () => {
  testDatabase = await createDatabase();
  database = new Database({ url: testDatabase.url, poolSize: 4, patienceMs: 20_000 });
  client = new pg.Client({ connectionString: testDatabase.url });
  await client.connect();
  // As many months ahead as a server makes, and no more: the planner counts the empty ones too.
  const { rows } = await client.query<{ name: string }>(
    `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'login_event'::regclass`,
  );
  for (const { name } of rows) await client.query(`drop table ${name}`);
  for (let month = months; month >= 0; month--) await ensurePartitions(client, monthsAgo(month));
  const ids = Array.from({ length: months * eventsAMonth }, (_, index) => {
    const time = monthsAgo(Math.floor(index / eventsAMonth)).getTime() - (index % eventsAMonth) * 60_000;
    return random.uuid(new Date(time));
  });
  // The 7th of each month changes the password.
  await client.query(
    `insert into login_event (account_id, event_id, kind, origin, unusual, reported)
     select $1, id, case when place % $3 = 7 then 'PASSWORD_CHANGED' else 'CODE_SENT' end, '{}', '[]', false
     from unnest($2::uuid[]) with ordinality as of (id, place)`,
    [accountId, ids, eventsAMonth],
  );
  // Among others, so that its events are few, as everybody's are.
  await client.query(
    `insert into login_event (account_id, event_id, kind, origin, unusual, reported)
     select 'other ' || other, id, 'CODE_SENT', '{}', '[]', false
     from unnest($1::uuid[]) with ordinality as of (id, place), generate_series(1, 50) other where place % 5 = other % 5`,
    [ids],
  );
  await client.query('vacuum analyze login_event');
});

afterAll(async () => {
  await client?.end();
  await database?.close();
  await testDatabase?.drop();
});

const list = (before: string | null, count: number, filter = everything) =>
  database.read((db) => listEvents(db, rangeOf(accountId, filter, before, longAgo), count));
const search = (before: string | null, count: number, filter: ActivityFilter) =>
  database.read((db) => searchEvents(db, rangeOf(accountId, filter, before, longAgo), filter, count));

/** The ids that come out of following the pages to the end, and how many pages there were. */
async function follow(page: (before: string | null) => ReturnType<typeof list>) {
  const ids: string[] = [];
  let pages = 0;
  for (let before: string | null | undefined = null; before !== undefined; pages++) {
    const { events, next }: Awaited<ReturnType<typeof list>> = await page(before);
    ids.push(...events.map(({ eventId }) => eventId));
    before = next;
  }
  return { ids, pages };
}

async function idsWhere(condition: string): Promise<string[]> {
  const { rows } = await client.query<{ event_id: string }>(
    `select event_id from login_event where account_id = $1 and ${condition} order by event_id desc`,
    [accountId],
  );
  return rows.map((row) => row.event_id);
}

test('pages hold every event once, newest first, whichever size they have', async () => {
  const all = await idsWhere('true');
  expect(all).toHaveLength(months * eventsAMonth);
  for (const count of [100, eventsAMonth, 4_999, 5_000, 9_000]) {
    const { ids, pages } = await follow((before) => list(before, count));
    expect(ids).toEqual(all);
    expect(pages).toBe(Math.ceil(all.length / count));
  }
});

describe('a page with a filter', () => {
  test('holds what fits and no more, however it is divided', async () => {
    const fitting = await idsWhere(`kind = 'PASSWORD_CHANGED'`);
    expect(fitting).toHaveLength(months);
    for (const count of [1, 2, 3, 20]) {
      expect((await follow((before) => search(before, count, rare))).ids).toEqual(fitting);
    }
    const { ids } = await follow((before) => search(before, 100, { ...everything, kinds: ['CODE_SENT'] }));
    expect(ids).toEqual(await idsWhere(`kind = 'CODE_SENT'`));
  });

  test('looks at so many events and no more, and says where it stopped', async () => {
    const all = await idsWhere('true');
    const none: ActivityFilter = { ...everything, kinds: ['SIGNED_OUT'] };
    const first = await search(null, 20, none);
    expect(first).toEqual({ events: [], next: all[mostScanned - 1] });
    const second = await search(first.next ?? null, 20, none);
    expect(second).toEqual({ events: [], next: all[2 * mostScanned - 1] });
    expect(await search(second.next ?? null, 20, none)).toEqual({ events: [], next: undefined });
  });

  test('goes on behind its last one where it is full, also where that is the last that it may look at', async () => {
    const all = await idsWhere('true');
    const codes: ActivityFilter = { ...everything, kinds: ['CODE_SENT'] };
    const fitting = await idsWhere(`kind = 'CODE_SENT'`);
    const scanned = all.slice(0, mostScanned);
    const found = fitting.filter((id) => scanned.includes(id));
    for (const count of [found.length - 1, found.length, found.length + 1]) {
      const { events, next } = await search(null, count, codes);
      expect(events.map(({ eventId }) => eventId)).toEqual(fitting.slice(0, Math.min(count, found.length)));
      expect(next).toBe(count < found.length ? fitting[count - 1] : scanned.at(-1));
    }
  });

  test('gives nothing twice where events come in while it looks', async () => {
    const codes: ActivityFilter = { ...everything, kinds: ['CODE_SENT'] };
    const fitting = await idsWhere(`kind = 'CODE_SENT'`);
    const written: string[] = [];
    // Between its two statements, if there are two.
    const busy = (db: Reader): Reader => ({
      rows: async (statement, values) => {
        const rows = await db.rows(statement, values);
        const eventId = random.uuid(new Date(now.getTime() + 60_000 + written.length));
        written.push(eventId);
        await client.query(
          `insert into login_event (account_id, event_id, kind, origin, unusual, reported)
           values ($1, $2, 'CODE_SENT', '{}', '[]', false)`,
          [accountId, eventId],
        );
        return rows;
      },
    });
    const { ids, pages } = await follow((before) =>
      database.read((db) => searchEvents(busy(db), rangeOf(accountId, codes, before, longAgo), codes, 3_000)),
    );
    expect(ids).toEqual(fitting);
    expect(pages).toBe(3);
    await client.query('delete from login_event where event_id = any ($1::uuid[])', [written]);
  });

  test('gives events as the list without one does', async () => {
    const event: LoginEvent = {
      accountId,
      eventId: random.uuid(new Date(now.getTime() + 60_000)),
      kind: 'CODE_WRONG',
      device: { displayName: 'Phone', model: 'iPhone 17', platform: 'IOS', osVersion: '19.1', appVersion: '2.3' },
      deviceId: random.uuid(now),
      sessionId: null,
      challengeId: random.uuid(now),
      channel: 'EMAIL',
      origin: { ipAddress: '127.0.0.1', place: null, connectionType: null },
      unusual: ['NEW_DEVICE'],
      unusualDetails: [{ unusual: 'NEW_DEVICE' }],
      reported: false,
    };
    await database.transaction(async (db) => insertEvent(db, event));
    const filter: ActivityFilter = {
      ...everything,
      kinds: ['CODE_WRONG'],
      deviceId: event.deviceId,
      unusualOnly: true,
    };
    expect((await search(null, 20, filter)).events).toEqual([event]);
    expect((await list(null, 1)).events).toEqual([event]);
    await client.query('delete from login_event where event_id = $1', [event.eventId]);
  });
});

describe('what PostgreSQL reads', () => {
  const partitionsRead = (plan: Plan) => begunScansOf(plan).map((node) => node['Relation Name']);

  async function planOf(work: (db: Reader) => Promise<unknown>): Promise<Plan> {
    const [plan, ...more] = await explain(client, work);
    if (plan === undefined) throw new Error('no statement');
    // Where nothing fits it asks where it stopped, of the same rows.
    for (const other of more) expectKeyRangesOnly(other);
    return plan;
  }
  const page = (before: string | null, filter = everything) =>
    planOf((db) => listEvents(db, rangeOf(accountId, filter, before, longAgo), 20));
  const filteredPage = (before: string | null, filter: ActivityFilter) =>
    planOf((db) => searchEvents(db, rangeOf(accountId, filter, before, longAgo), filter, 20));

  const expectKeyRangesOnly = (plan: Plan) => expect(besideKeyRanges(plan)).toEqual([]);

  test('of the first page is the newest month', async () => {
    for (const plan of [await page(null), await filteredPage(null, { ...everything, kinds: ['CODE_SENT'] })]) {
      expectKeyRangesOnly(plan);
      // Those of months that are still to come are looked into, and are empty.
      const [newest, ...others] = partitionsRead(plan).reverse();
      expect(newest).toBe(partitionOf(now));
      expect(others.filter((name) => name !== undefined && name <= partitionOf(now))).toEqual([]);
      expect(scansOf(plan).length).toBeGreaterThan(begunScansOf(plan).length + months - 2);
    }
  });

  test('of a page in the middle are its own months, however deep it lies', async () => {
    const all = await idsWhere('true');
    for (const depth of [600, 2_510, 4_900]) {
      const plan = await page(all[depth] ?? '');
      expectKeyRangesOnly(plan);
      const its = new Set(all.slice(depth, depth + 22).map((id) => partitionOf(timeOf(id))));
      expect(new Set(partitionsRead(plan))).toEqual(its);
      const [append] = plan.nodes.filter((node) => node['Node Type'] === 'Append');
      expect(append?.['Subplans Removed']).toBeGreaterThan(depth / eventsAMonth);
      // A descent of each index, and a row each: as many as on the first page.
      expect(plan.root['Shared Hit Blocks'] + plan.root['Shared Read Blocks']).toBeLessThan(80);
    }
  });

  test('of a page between two times are the months between them', async () => {
    const filter = { ...everything, startTime: monthsAgo(5), endTime: monthsAgo(3) };
    for (const plan of [await page(null, filter), await filteredPage(null, { ...filter, unusualOnly: true })]) {
      expectKeyRangesOnly(plan);
      for (const name of scansOf(plan).map((node) => node['Relation Name'] ?? '')) {
        expect(name >= partitionOf(monthsAgo(5)) && name <= partitionOf(monthsAgo(3))).toBe(true);
      }
    }
  });

  test('for a rare match is no more than a page may look at', async () => {
    const plan = await filteredPage(null, { ...everything, kinds: ['SIGNED_OUT'] });
    expectKeyRangesOnly(plan);
    const rows = begunScansOf(plan).reduce((sum, node) => sum + node['Actual Rows'] * node['Actual Loops'], 0);
    expect(rows).toBe(mostScanned);
    expect(begunScansOf(plan).filter((node) => node['Actual Rows'] > 0)).toHaveLength(mostScanned / eventsAMonth);
  });
});

const timeOf = (eventId: string) => new Date(Number.parseInt(eventId.replace('-', '').slice(0, 12), 16));
