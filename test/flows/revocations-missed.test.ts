// Revocations that are easily missed: committed in another order than they began, while the bus is cut, while PostgreSQL is out of
// reach, silent, or another one. Told twice they may be; missed, never.

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { migrate } from '../../server/store/migrate.ts';
import { startCluster } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { startPostgresProxy } from '../support/postgres-proxy.ts';
import { connectRaw, dataFrame, headersFrame } from '../support/raw-http2.ts';
import { insertSessions, type RevocationWatcher, watchRevocations } from '../support/revocations.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const trials = 150;
let server: TestServer;
let accountId: string;

beforeAll(async () => {
  server = await startTestServer();
  accountId = (await server.createAccount()).accountId;
});
afterAll(() => server?.stop());

async function watch(at: TestServer = server): Promise<RevocationWatcher> {
  const watcher = watchRevocations(at.internalUrl);
  onTestFinished(() => watcher.stop());
  await watcher.caughtUp();
  return watcher;
}

/** One more replica, before whose PostgreSQL stands a proxy. */
async function replicaBehindProxy(env: Readonly<Record<string, string>> = {}) {
  const proxy = await startPostgresProxy(server.databaseUrl);
  const replica = await startTestServer(env, { ...server, databaseUrl: proxy.url });
  onTestFinished(async () => {
    await replica.stop();
    await proxy.close();
  });
  return { proxy, replica };
}

async function connect(url = server.databaseUrl): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

/** @param db a connection of a test's own, or a server's. */
const end = (db: { query(sql: string, values: string[]): Promise<unknown> }, sessionId: string) =>
  db.query(`update session set end_time = now(), end_cause = 'REVOKED' where session_id = $1`, [sessionId]);

const isTold = (watcher: RevocationWatcher, sessionId: string) =>
  watcher.events.some((event) => event.case === 'revocation' && event.value.sessionId === sessionId);

test('what began first and was committed last is told, however many readings lie between', async () => {
  const watcher = await watch();
  const [first = '', second = '', third = ''] = await insertSessions(server.query, accountId, 3);
  const [a, b] = [await connect(), await connect()];
  await a.query('begin');
  await end(a, first);
  await b.query('begin');
  await end(b, second);
  await b.query('commit');
  await watcher.told(second);
  await watcher.alive();
  // What comes later is told in between, too.
  await end(b, third);
  await watcher.told(third);
  await watcher.alive();
  expect(isTold(watcher, first)).toBe(false);
  await a.query('commit');
  await watcher.told(first);
  // And a reader that comes only now is told all of them.
  const late = await watch();
  for (const sessionId of [first, second, third]) await late.told(sessionId);
  for (const sessionId of [first, second, third]) expect(await watcher.told(sessionId)).toHaveLength(1);
});

test('what is rolled back is not told, and what its transaction ended before is not lost', async () => {
  const watcher = await watch();
  const [undone = '', done = '', kept = ''] = await insertSessions(server.query, accountId, 3);
  const a = await connect();
  await a.query('begin');
  await end(a, done);
  await a.query('savepoint half');
  await end(a, undone);
  await a.query('rollback to half');
  // In a transaction within it, which has a number of its own.
  await a.query('savepoint other');
  await end(a, kept);
  await a.query('release other');
  await watcher.alive();
  await a.query('commit');
  await Promise.all([watcher.told(done), watcher.told(kept)]);
  await watcher.alive();
  expect(isTold(watcher, undone)).toBe(false);
});

test(`of ${trials} that are committed in any order, or not at all, those that were are told`, async () => {
  const watcher = await watch();
  const sessionIds = await insertSessions(server.query, accountId, trials);
  const committed: string[] = [];
  const undone: string[] = [];
  const work = async () => {
    const client = await connect();
    for (let id = sessionIds.pop(); id !== undefined; id = sessionIds.pop()) {
      await client.query('begin');
      // Some have a number long before they end anything.
      if (Math.random() < 0.5) await client.query('select pg_current_xact_id()');
      await sleep(Math.random() * 60);
      await end(client, id);
      await sleep(Math.random() * (Math.random() < 0.05 ? 2_000 : 60));
      const keep = Math.random() < 0.8;
      await client.query(keep ? 'commit' : 'rollback');
      (keep ? committed : undone).push(id);
      // As the bus would.
      await client.query(`select pg_notify('countersign_account', $1)`, [accountId]);
    }
  };
  await Promise.all(Array.from({ length: 10 }, work));
  for (const id of committed) expect(await watcher.told(id)).toHaveLength(1);
  await watcher.alive();
  expect(undone.filter((id) => isTold(watcher, id))).toEqual([]);
  expect(committed.length).toBeGreaterThan(trials / 2);
});

test('by the bus alone it is told', async () => {
  // Nothing is read every second, and the other replica's commit is all that happens.
  vi.useFakeTimers({ toFake: ['setInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const replica = await startTestServer({}, server);
  onTestFinished(() => replica.stop());
  const watcher = await watch(replica);
  const { session, client } = await server.signInNewDevice(await server.createAccount());
  await client.twoStepAuth.signOut({});
  expect(await watcher.told(session.sessionId)).toMatchObject([{ cause: 'SIGNED_OUT' }]);
  expect(watcher.events.some((event) => event.case === 'keepAlive')).toBe(false);
});

test('without the bus it is told', async () => {
  const { proxy, replica } = await replicaBehindProxy();
  const watcher = await watch(replica);
  proxy.shutOut('countersign-bus');
  const [sessionId = ''] = await insertSessions(server.query, accountId, 1);
  await end(server, sessionId);
  await watcher.told(sessionId);
});

test('what the bus missed is told when it is back', async () => {
  // Nothing is read every second.
  vi.useFakeTimers({ toFake: ['setInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const { proxy, replica } = await replicaBehindProxy();
  const watcher = await watch(replica);
  // By the bus alone: it hears.
  const { session, client } = await server.signInNewDevice(await server.createAccount());
  await client.twoStepAuth.signOut({});
  await watcher.told(session.sessionId);
  proxy.shutOut('countersign-bus');
  const [sessionId = ''] = await insertSessions(server.query, accountId, 1);
  await end(server, sessionId);
  await sleep(1_000);
  expect(isTold(watcher, sessionId)).toBe(false);
  proxy.letIn();
  await watcher.told(sessionId);
});

test('while PostgreSQL is out of reach the stream stays, says how old its knowledge is, and tells what it missed', async () => {
  const { proxy, replica } = await replicaBehindProxy();
  const watcher = await watch(replica);
  const sessionIds = await insertSessions(server.query, accountId, 20);
  await proxy.goDown();
  for (const id of sessionIds.slice(0, 10)) await end(server, id);
  await watcher.alive((staleness) => staleness > 1_500);
  const longest = watcher.staleness();
  // Who comes now learns nothing here.
  await expect(watchRevocations(replica.internalUrl).ended).rejects.toMatchObject({
    reason: 'DEPENDENCY_UNAVAILABLE',
  });
  for (const id of sessionIds.slice(10)) await end(server, id);
  await watcher.alive((staleness) => staleness > longest);
  expect(sessionIds.filter((id) => isTold(watcher, id))).toEqual([]);
  await proxy.comeBack(server.databaseUrl);
  for (const id of sessionIds) await watcher.told(id);
  await watcher.alive((staleness) => staleness < longest);
});

test('another PostgreSQL in its place, which counts from below, is read from the beginning', async () => {
  const cluster = await startCluster();
  onTestFinished(() => cluster.discard());
  const { username, password, pathname } = new URL(server.databaseUrl);
  const admin = await connect(cluster.url());
  await admin.query(`create database ${pathname.slice(1)}`);
  await admin.query(`alter role ${username} password '${decodeURIComponent(password)}'`);
  const url = Object.assign(new URL(server.databaseUrl), { host: new URL(cluster.url()).host }).href;
  await migrate(url, new Date());
  const restored = await connect(url);
  await restored.query(
    `insert into account (account_id, create_time, two_step_enabled, password_change_required, password_version, wrong_codes)
     values ($1, now(), true, false, 1, 0)`,
    [accountId],
  );
  const query: TestServer['query'] = async (sql, values = []) => (await restored.query(sql, [...values])).rows;
  const [sessionId = ''] = await insertSessions(query, accountId, 1);
  await end(restored, sessionId);
  // What came with a backup has the numbers of where it was made, here one that this server has not come to yet.
  const [copied = ''] = await insertSessions(query, accountId, 1);
  await restored.query(`insert into revocation values ($1, $2, $2, 'REVOKED', now(), '4000000000')`, [
    accountId,
    copied,
  ]);
  const numberOf = async (db: pg.Client) =>
    BigInt((await db.query('select pg_current_xact_id()::text as id')).rows[0]?.id);
  const own = await connect();
  const below = await numberOf(restored);
  while ((await numberOf(own)) < below + 100n);

  const { proxy, replica } = await replicaBehindProxy();
  const watcher = await watch(replica);
  await watcher.alive();
  await proxy.goDown();
  await proxy.comeBack(url);
  await watcher.told(sessionId);
  await watcher.alive();
  await watcher.alive();
  expect(await watcher.told(copied)).toHaveLength(1);
});

test('a reader that takes nothing any more is cut, and the others hear on', async () => {
  // So that its patience is over as soon as the test says so.
  vi.useFakeTimers({ toFake: ['setInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const replica = await startTestServer({}, server);
  onTestFinished(() => replica.stop());
  const watcher = await watch(replica);
  // It gives leave to send 64 KiB, and never more.
  const raw = connectRaw(Number(new URL(replica.internalUrl).port));
  onTestFinished(() => raw.close());
  const authorization = `Bearer ${replica.serviceToken}`;
  const path = '/countersign.internal.v1.Sessions/WatchRevocations';
  raw.send(headersFrame(1, path, { authorization }), dataFrame(1, Buffer.alloc(5), true));
  const openStreams = () => replica.app.deps.revocations.openStreams();
  await eventually(20_000, () => expect(openStreams()).toBe(2));
  const [sessionId = ''] = await insertSessions(server.query, accountId, 2_000);
  await server.query(
    `update session set end_time = now(), end_cause = 'REVOKED' where account_id = $1 and end_time is null`,
    [accountId],
  );
  await eventually(20_000, () => {
    vi.advanceTimersByTime(1_000);
    expect(openStreams()).toBe(1);
  });
  await watcher.told(sessionId);
});

test('a reader that takes less than there is to tell is cut, too', async () => {
  vi.useFakeTimers({ toFake: ['setInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const replica = await startTestServer({}, server);
  onTestFinished(() => replica.stop());
  let cuts = 0;
  const feed = replica.app.deps.revocations.attach('slow', () => {
    cuts += 1;
  });
  await insertSessions(server.query, accountId, 200);
  while ((await feed?.next())?.kind !== 'caughtUp');
  await server.query(
    `update session set end_time = now(), end_cause = 'REVOKED' where account_id = $1 and end_time is null`,
    [accountId],
  );
  vi.advanceTimersByTime(1_000);
  // One a second: it reads on and on, and never comes to what it was told last.
  await eventually(20_000, async () => {
    if (cuts === 0) await feed?.next();
    vi.advanceTimersByTime(1_000);
    expect(cuts).toBe(1);
  });
  expect(await feed?.next()).toBeUndefined();
  expect(replica.app.deps.revocations.openStreams()).toBe(0);
});

test.each([
  ['a replica takes', 1_000, (index: number) => `caller ${index % 5}`],
  ['it takes of one caller', 250, () => 'test'],
])('more streams than %s are refused, and one that ends makes room', async (_, most, callerOf) => {
  const replica = await startTestServer({}, server);
  onTestFinished(() => replica.stop());
  const { revocations } = replica.app.deps;
  const feeds = Array.from({ length: most }, (_, index) => revocations.attach(callerOf(index), () => {}));
  expect(revocations.openStreams()).toBe(most);
  await expect(watchRevocations(replica.internalUrl).ended).rejects.toMatchObject({ reason: 'RATE_LIMITED' });
  feeds[0]?.close();
  await watch(replica);
  for (const feed of feeds) feed?.close();
});
