// The two databases of the history's bench: accounts and events as time would have left them, loaded by PostgreSQL itself.

import { createHash } from 'node:crypto';
import pg from 'pg';
import type { LoginEvent } from '../server/domain/login-event.ts';
import type { Store } from '../server/flows/store-ports.ts';
import { createRandom, systemClock } from '../server/platform/clock.ts';
import { announceByNotify } from '../server/store/announce.ts';
import { Database } from '../server/store/database.ts';
import { migrate } from '../server/store/migrate.ts';
import { ensurePartitions } from '../server/store/partitions.ts';
import { createStore } from '../server/store/store.ts';
import { benchConfig, type Parts } from './support.ts';

/** Of the one account that has many, in both. */
export const bigEvents = 20_000;
/** Of every other account, in both. */
const eventsEach = 100;
const months = 14;
const day = 86_400_000;

export const random = createRandom();
export const now = systemClock.now();
export const limits = benchConfig({ databaseUrl: '', smtpUrl: '' }).limits;
export const notBefore = new Date(now.getTime() - limits.activityRetentionMs);

/** Account ids are UUIDs, as the product makes them; number 0 is the big one. */
export function accountIdOf(number: number): string {
  const hex = createHash('md5').update(`account ${number}`).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
export const big = accountIdOf(0);

const device = {
  displayName: 'My iPhone',
  model: 'iPhone 17',
  platform: 'IOS',
  osVersion: '19.1',
  appVersion: '2.3',
} as const;
const place = {
  city: 'Boxford',
  region: 'England',
  country: 'United Kingdom',
  countryCode: 'GB',
  latitude: 51.75,
  longitude: -1.25,
  source: 'DBIP-City-Lite 2026-06-05',
};
const network = { number: 20712, organization: 'Andrews & Arnold Ltd' };
const originAt = (ipAddress: string) => ({ ipAddress, place, connectionType: null, network });
const rowsAtOnce = 250_000;

/** One of the two databases. */
export interface Site {
  readonly name: string;
  readonly events: number;
  readonly accounts: number;
  store: Store;
  readonly client: pg.Client;
  /** Where page 500 of the big account begins. */
  deep: string;
  loadSeconds: number;
  /** Gives `store` connections of its own, in the place of those before. */
  connect(): Promise<void>;
  close(): Promise<void>;
}

export function thousands(count: number): string {
  return count.toLocaleString('en');
}

export async function openSite(parts: Parts, name: string, events: number, suffix: string): Promise<Site> {
  const url = new URL(parts.databaseUrl);
  const isThere = url.pathname === `/${name}`;
  if (!isThere) {
    const admin = new pg.Client({ connectionString: url.href });
    await admin.connect();
    await admin.query(`create database ${name}`);
    await admin.end();
    url.pathname = `/${name}`;
  }
  const client = new pg.Client({ connectionString: url.href });
  client.on('error', () => {});
  await client.connect();
  await migrate(url.href, now);
  for (let month = months; month > 0; month--) {
    await ensurePartitions(client, new Date(now.getTime() - month * 30 * day));
  }
  const settings = {
    limits,
    pushServices: [],
    emailCodes: 'ON' as const,
    replicaId: random.uuid(now),
    announce: announceByNotify,
    traceparent: () => undefined,
    makePartitions: async () => {},
  };
  const open = () => new Database({ url: url.href, poolSize: 4, patienceMs: 60_000 });
  let database = open();
  const site: Site = {
    name: `${thousands(events)} events${suffix && ` ${suffix}`}`,
    events,
    accounts: 1 + Math.round((events - bigEvents) / eventsEach),
    client,
    store: createStore(database, settings),
    deep: '',
    loadSeconds: 0,
    connect: async () => {
      await database.close();
      database = open();
      site.store = createStore(database, settings);
    },
    close: async () => {
      await client.end();
      await database.close();
    },
  };
  return site;
}

/**
 * As time went: an account's events lie far from each other, in the table of their month. The big account has one in so many,
 * counted from the newest, so that its pages hold the same at both sizes.
 */
export async function load(site: Site): Promise<void> {
  const { client, events, accounts } = site;
  const begin = performance.now();
  const every = events / bigEvents;
  const span = months * 30.4 * day;
  const start = now.getTime() - 60_000 - span;
  // None may fall into what is measured.
  await client.query(`alter system set checkpoint_timeout = '1h'`);
  await client.query('select pg_reload_conf()');
  await client.query('set synchronous_commit = off');
  await client.query(
    `insert into account (account_id, create_time, two_step_enabled, password_change_required, password_version, wrong_codes)
     select md5('account ' || n)::uuid::text, now(), true, false, 1, 0 from generate_series(0, $1::int - 1) n`,
    [accounts],
  );
  for (let from = 0; from < events; from += rowsAtOnce) {
    await client.query(
      `insert into login_event (account_id, event_id, kind, device, device_id, session_id, challenge_id, channel, origin, unusual,
         unusual_details, reported)
       select md5('account ' || account)::uuid::text,
         (lpad(to_hex((($7::float8 + n * $8::float8))::bigint), 12, '0') || '7' || substr(hash, 1, 3) || '8' || substr(hash, 4, 15))::uuid,
         case when nth % 10 = 3 then 'CODE_WRONG' when nth % 10 = 6 then 'CODE_SENT' when nth % 10 = 7 then 'SIGNED_IN_WITH_CODE'
           when nth % 10 = 9 then 'PASSWORD_WRONG' else 'SIGNED_IN_TRUSTED_DEVICE' end,
         $5::jsonb, md5(account || ' ' || n % 3)::uuid, md5(account || ' ' || n / 5)::uuid, null, null, ($6::jsonb[])[1 + n % 3],
         case when nth % 20 = 7 then '["NEW_DEVICE"]'::jsonb else '[]' end,
         case when nth % 20 = 7 then '[{"unusual": "NEW_DEVICE"}]'::jsonb else '[]' end, false
       from generate_series($1::int, $2::int - 1) n,
         md5(n::text) hash,
         lateral (select case when n % $3 = $3 - 1 then 0 else 1 + ((n - n / $3)::bigint * 7919) % ($4 - 1) end as account,
           ($9::int - 1 - n) / $3 as nth) of`,
      [
        from,
        Math.min(from + rowsAtOnce, events),
        every,
        accounts,
        JSON.stringify(device),
        ['81.2.69.7', '129.132.19.216', '2001:db8:7::1'].map((address) => JSON.stringify(originAt(address))),
        start,
        span / events,
        events,
      ],
    );
  }
  await client.query('vacuum analyze login_event');
  await client.query('vacuum analyze account');
  await client.query('set synchronous_commit = on');
  await client.query('checkpoint');
  site.loadSeconds = (performance.now() - begin) / 1_000;
}

export async function sizeOf({ client, accounts }: Site): Promise<string> {
  const { rows } = await client.query<{
    events: string;
    most: string;
    accounts: string;
    size: string;
    partitions: number;
  }>(
    `select count(*) as events, count(distinct account_id) as accounts,
       count(*) filter (where account_id = $1) as most, count(distinct tableoid) as partitions,
       (select pg_size_pretty(sum(pg_total_relation_size(inhrelid))) from pg_inherits where inhparent = 'login_event'::regclass) as size
     from login_event`,
    [big],
  );
  const [row] = rows;
  if (Number(row?.accounts) !== accounts) throw new Error(`${row?.accounts} accounts instead of ${accounts}`);
  return `${thousands(accounts)} accounts, one of them with ${thousands(Number(row?.most))} events, in ${row?.partitions} months, ${row?.size}`;
}

export function eventOf(accountId: string): LoginEvent {
  const time = systemClock.now();
  return {
    accountId,
    eventId: random.uuid(time),
    kind: 'SIGNED_IN_TRUSTED_DEVICE',
    device,
    deviceId: random.uuid(time),
    sessionId: random.uuid(time),
    challengeId: null,
    channel: null,
    origin: { ...originAt('81.2.69.7'), place: { ...place, accuracyRadiusKm: undefined } },
    unusual: [],
    unusualDetails: [],
    reported: false,
  };
}
