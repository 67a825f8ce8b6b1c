// The stream of revocations through what breaks it: a database that is restarted, killed or frozen, a stream that is cut, a
// replica that is killed.

import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { RevocationReason } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { type Cluster, startCluster } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { type PostgresProxy, startPostgresProxy } from '../support/postgres-proxy.ts';
import { productionEnv, programs, type ServerProgram } from '../support/processes.ts';
import { insertSessions, type RevocationWatcher, watchRevocations } from '../support/revocations.ts';

const { serve } = programs();
let cluster: Cluster;
let postgres: PostgresProxy;
let mail: MailServer;
let one: ServerProgram;
let two: ServerProgram;
let accountId: string;

beforeAll(async () => {
  [cluster, mail] = await Promise.all([startCluster(), startMailServer()]);
  // What was answered is to outlive a kill: a cluster of tests forgoes that.
  await withPg((db) => db.query('alter database countersign set synchronous_commit = on'));
  // A server of PostgreSQL's has another port after each start; the proxy keeps one.
  postgres = await startPostgresProxy(cluster.url());
  const env = productionEnv({ databaseUrl: postgres.url, smtpUrl: mail.url });
  [one, two] = await Promise.all([serve(env), serve(env)]);
  const { account } = await one.service.accounts.createAccount({
    email: 'anna@example.com',
    password: 'correct horse battery',
  });
  accountId = account?.accountId ?? '';
});
afterAll(async () => {
  await Promise.all([one?.kill(), two?.kill()]);
  await postgres?.close();
  await mail?.stop();
  await cluster?.discard();
});

async function watch(at: ServerProgram): Promise<RevocationWatcher> {
  const watcher = watchRevocations(at.internalUrl);
  onTestFinished(() => watcher.stop());
  await watcher.caughtUp();
  return watcher;
}

async function withPg<T>(work: (db: pg.Client) => Promise<T>): Promise<T> {
  const db = new pg.Client({ connectionString: cluster.url() });
  await db.connect();
  try {
    return await work(db);
  } finally {
    await db.end();
  }
}

const newSessions = (count: number) =>
  withPg((db) =>
    insertSessions(async (sql, values) => (await db.query(sql, [...(values ?? [])])).rows, accountId, count),
  );

const revoke = (at: ServerProgram, sessionId: string) =>
  at.service.sessions.revokeSessions({ accountId, sessionId, reason: RevocationReason.ADMINISTRATIVE });

/** Revokes one after the other, and again what was refused, until each was revoked; `half` is called half-way. */
async function revokeAll(at: ServerProgram, sessionIds: readonly string[], half: () => void): Promise<void> {
  for (const [index, sessionId] of sessionIds.entries()) {
    if (index === Math.floor(sessionIds.length / 2)) half();
    await eventually(60_000, () => revoke(at, sessionId));
  }
}

test.each([
  [
    'restarted',
    async () => {
      await cluster.stop();
      await postgres.goDown();
      await cluster.start();
      await postgres.comeBack(cluster.url());
    },
  ],
  [
    'killed',
    async () => {
      await cluster.kill();
      await postgres.goDown();
      await cluster.start();
      await postgres.comeBack(cluster.url());
    },
  ],
  [
    'frozen for a while',
    async (watcher: RevocationWatcher) => {
      await cluster.freeze();
      try {
        await watcher.alive((staleness) => staleness > 3_000);
      } finally {
        cluster.thaw();
      }
    },
  ],
])(
  'whatever is revoked while PostgreSQL is %s is told, on a stream that stays open',
  { timeout: 120_000 },
  async (_, disturb) => {
    const watcher = await watch(two);
    let ended = false;
    watcher.ended.catch(() => {
      ended = true;
    });
    const sessionIds = await newSessions(60);
    let disturbed: Promise<void> | undefined;
    await revokeAll(one, sessionIds, () => {
      disturbed = disturb(watcher);
    });
    await disturbed;
    for (const sessionId of sessionIds) {
      expect(await watcher.told(sessionId, 60_000)).toContainEqual(expect.objectContaining({ cause: 'REVOKED' }));
    }
    expect(ended).toBe(false);
  },
);

test('what ends while a stream is cut opens the next one', async () => {
  const watcher = await watch(two);
  await watcher.stop();
  const sessionIds = await newSessions(5);
  for (const sessionId of sessionIds) await revoke(one, sessionId);
  const next = await watch(two);
  // All of it before it says that it has caught up.
  const known = next.events.findIndex((event) => event.case === 'caughtUp');
  const before = next.events.slice(0, known).flatMap(({ value }) => (value as { sessionId: string }).sessionId);
  expect(before).toEqual(expect.arrayContaining(sessionIds));
});

test('a server that stops ends it with UNAVAILABLE, one that is killed without a word, and another one knows all', {
  timeout: 120_000,
}, async () => {
  const env = productionEnv({ databaseUrl: postgres.url, smtpUrl: mail.url });
  const [stops, killed] = await Promise.all([serve(env), serve(env)]);
  const [first, second] = [await watch(stops), await watch(killed)];
  const sessionIds = await newSessions(20);
  for (const sessionId of sessionIds.slice(0, 10)) await revoke(one, sessionId);
  stops.signal('SIGTERM');
  await killed.kill();
  await expect(first.ended).rejects.toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE' });
  await expect(second.ended).rejects.toThrow();
  for (const sessionId of sessionIds.slice(10)) await revoke(one, sessionId);
  const next = await watch(two);
  for (const sessionId of sessionIds) await next.told(sessionId);
  expect((await stops.exit).code).toBe(0);
});
