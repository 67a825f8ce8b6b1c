// The standby that pages of the login activity are read from: as long as it is good, and nothing else is read there.

import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { checkReplica, placeOf, withClient } from '../../server/command/checks/database-ways.ts';
import { Database } from '../../server/store/database.ts';
import { migrate } from '../../server/store/migrate.ts';
import { openReadReplica, type ReadReplica } from '../../server/store/read-replica.ts';
import { first, type Statement, statement } from '../../server/store/statement.ts';
import { type Cluster, startCluster } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { type PostgresProxy, startPostgresProxy } from '../support/postgres-proxy.ts';
import { createTestClock, startTestServer } from '../support/server.ts';
import { type Standby, startStandby } from '../support/standby.ts';

const where = statement<object, { readonly standby: boolean }>(() => sql`select pg_is_in_recovery() as standby`);

let cluster: Cluster;
let standby: Standby;
let proxy: PostgresProxy;
let mail: MailServer;
let admin: pg.Client;
/** Of a role that may do no more than a server needs. */
let roleUrl: (url: string) => string;

beforeAll(async () => {
  [cluster, mail] = await Promise.all([startCluster(), startMailServer()]);
  await migrate(cluster.url(), new Date());
  admin = new pg.Client({ connectionString: cluster.url() });
  admin.on('error', () => {});
  await admin.connect();
  await admin.query(`create role plain login password 'plain'; create table written (at timestamptz)`);
  standby = await startStandby(cluster);
  proxy = await startPostgresProxy(standby.url);
  roleUrl = (url) => Object.assign(new URL(url), { username: 'plain', password: 'plain' }).href;
});
afterAll(async () => {
  await admin?.end();
  await proxy?.close();
  await standby?.discard();
  await mail?.stop();
  await cluster?.discard();
});

interface Reading {
  readonly replica: ReadReplica;
  readonly log: readonly string[];
  /** Where a page is read, of either kind. */
  fromStandby(): Promise<boolean>;
}

function open(replicaUrl: string, primaryUrl = cluster.url(), Standby = Database): Reading {
  const log: string[] = [];
  const common = { poolSize: 4, patienceMs: 2_000 };
  const primary = new Database({ ...common, url: roleUrl(primaryUrl) });
  const replica = openReadReplica(
    new Standby({ ...common, url: replicaUrl, patienceMs: 500, standby: true }),
    primary,
    () => performance.now(),
    pino({ level: 'info' }, { write: (line: string) => log.push(line) }),
  );
  onTestFinished(async () => {
    await replica.close();
    await primary.close();
  });
  return {
    replica,
    log,
    fromStandby: async () => {
      const rows = await Promise.all([replica.read, replica.search].map((read) => read((db) => first(db, where, {}))));
      return rows.every((row) => row?.standby === true);
    },
  };
}

/** Takes longer there than it may, and not at the primary. */
const slow = statement<object, { readonly standby: boolean }>(
  () => sql`select pg_is_in_recovery() as standby from pg_sleep(0.7)`,
);

const eventuallyFrom = ({ fromStandby }: Reading, isStandby: boolean) =>
  eventually(20_000, async () => expect(await fromStandby()).toBe(isStandby));

test('pages come from the standby, also while nothing happens on the primary', async () => {
  const reading = open(roleUrl(proxy.url));
  await eventuallyFrom(reading, true);
  await sleep(4_500);
  expect(await reading.fromStandby()).toBe(true);
  expect(reading.log.filter((line) => line.includes('is not read'))).toEqual([]);
});

test('one that is behind is left, and read again when it has caught up', async () => {
  const reading = open(roleUrl(proxy.url));
  await eventuallyFrom(reading, true);
  await standby.query('select pg_wal_replay_pause()');
  onTestFinished(async () => void (await standby.query('select pg_wal_replay_resume()')));
  await admin.query('insert into written values (now())');
  await eventuallyFrom(reading, false);
  expect(reading.log.at(-1)).toContain('more than 3 s behind');
  await standby.query('select pg_wal_replay_resume()');
  await eventuallyFrom(reading, true);
});

test('one that is out of reach, or silent, costs no page', async () => {
  const reading = open(roleUrl(proxy.url));
  await eventuallyFrom(reading, true);
  // The next page is lost on its way.
  proxy.arm(
    ({ text }) => (text === where.text ? 'lost' : 'pass'),
    () => {},
  );
  expect(await reading.fromStandby()).toBe(false);
  await proxy.goDown();
  expect(await reading.fromStandby()).toBe(false);
  await proxy.comeBack(standby.url);
  proxy.disarm();
  await eventuallyFrom(reading, true);
});

test('a search that is too slow there, or finds no room, goes to the primary alone', async () => {
  const reading = open(roleUrl(proxy.url));
  await eventuallyFrom(reading, true);
  const search = () => reading.replica.search((db) => first(db, slow, {}));
  expect(await search()).toEqual({ standby: false });
  expect(await reading.fromStandby()).toBe(true);
  // More than it has connections for them.
  const many = await Promise.all(Array.from({ length: 5 }, search));
  expect(many.map((row) => row?.standby)).not.toContain(true);
  expect(await reading.fromStandby()).toBe(true);
  expect(reading.log.filter((line) => line.includes('is not read'))).toEqual([]);
});

test('one that goes away while it is looked at is left alone, whatever it has answered', async () => {
  let answered: (() => void) | undefined;
  let goesOn: Promise<void> | undefined;
  class Held extends Database {
    override async probe<V, R>(asked: Statement<V, R>, values: V): Promise<R[]> {
      const rows = await super.probe(asked, values);
      answered?.();
      await goesOn;
      return rows;
    }
  }
  const reading = open(roleUrl(proxy.url), cluster.url(), Held);
  await eventuallyFrom(reading, true);
  const { promise: isHeld, resolve } = Promise.withResolvers<void>();
  const { promise, resolve: goOn } = Promise.withResolvers<void>();
  [answered, goesOn] = [resolve, promise];
  await isHeld;
  await proxy.goDown();
  expect(await reading.fromStandby()).toBe(false);
  await proxy.comeBack(standby.url);
  goOn();
  await sleep(100);
  expect(await reading.fromStandby()).toBe(false);
  await eventuallyFrom(reading, true);
});

test('the primary itself, or another database of the standby, is never read', async () => {
  const itself = open(cluster.url());
  const other = open(Object.assign(new URL(standby.url), { pathname: '/postgres' }).href);
  await eventually(10_000, () => {
    expect(itself.log.join()).toContain('it is no standby');
    expect(other.log.join()).toContain('another system, or another database');
  });
  expect([await itself.fromStandby(), await other.fromStandby()]).toEqual([false, false]);
});

test('one that has stayed with the old primary after a promotion is not read, however far it has come', async () => {
  const promoted = await startStandby(cluster);
  onTestFinished(promoted.discard);
  await promoted.promote();
  // The old log goes on, past where the new one is.
  await admin.query(`insert into written select now() from generate_series(1, 10000)`);
  const reading = open(roleUrl(standby.url), promoted.url);
  await eventually(10_000, () => expect(reading.log.join()).toContain('another timeline'));
  await sleep(3_000);
  expect(await reading.fromStandby()).toBe(false);
  expect(reading.log.join()).not.toContain('the read replica is read');
  const found = await withClient('DATABASE_URL', promoted.url, async (client) =>
    checkReplica(standby.url, await placeOf(client)),
  );
  expect(found).toMatchObject([{ status: 'warn', message: expect.stringContaining('another timeline') }]);
});

test('one that follows the primary through a promotion is read', async () => {
  const [promoted, follower] = [await startStandby(cluster), await startStandby(cluster)];
  onTestFinished(async () => void (await Promise.all([promoted.discard(), follower.discard()])));
  const { hostname, port, username, password } = new URL(promoted.url);
  const upstream = `host=${hostname} port=${port} user=${username} password=${decodeURIComponent(password)}`;
  await follower.query(`alter system set primary_conninfo = '${upstream}'`);
  await follower.query('select pg_reload_conf()');
  await promoted.promote();
  const reading = open(roleUrl(follower.url), promoted.url);
  await eventually(20_000, async () => {
    // It notes the timeline with what it has of a checkpoint.
    await promoted.query('checkpoint');
    await follower.query('checkpoint');
    expect(await reading.fromStandby()).toBe(true);
  });
});

test('a server lists login activity from it, and decides nothing by it', { timeout: 120_000 }, async () => {
  // Of its own: what the tests before have done to the other is no part of this.
  const fresh = await startStandby(cluster);
  onTestFinished(fresh.discard);
  const parts = { databaseUrl: cluster.url(), mail, clock: createTestClock(), directory: undefined };
  const server = await startTestServer(
    { DATABASE_URL: cluster.url(), COUNTERSIGN_DATABASE_REPLICA_URL: fresh.url },
    parts,
  );
  onTestFinished(() => server.stop());
  const account = await server.createAccount();
  const [a, b] = [await server.signInNewDevice(account), await server.signInNewDevice(account)];
  const kinds = async () => (await b.client.loginActivity.listLoginActivity({})).events.map(({ kind }) => kind);
  const all = 4;
  await eventually(40_000, () => expect(server.log.join()).toContain('the read replica is read'));
  await eventually(30_000, async () => expect(await kinds()).toHaveLength(all));
  await fresh.query('select pg_wal_replay_pause()');
  await b.client.trustedDevices.removeTrustedDevice({ deviceId: a.session.deviceId });
  // Not there yet, but in force.
  expect(await kinds()).toHaveLength(all);
  await expect(a.client.twoStepAuth.getSettings({})).rejects.toMatchObject({ reason: 'SESSION_INVALID' });
  // Behind for too long, it is not read any more.
  await eventually(15_000, async () => expect(await kinds()).toHaveLength(all + 1));
});
