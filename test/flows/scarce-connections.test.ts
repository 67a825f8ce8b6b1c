// Calls that wait for what does not come: a lock that somebody holds, a database that fell silent. They are refused in time, and
// the others are served.

import { connect, createServer, type Socket } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createServiceClient } from '../../clients/service/client.ts';
import { startApp } from '../../server/app.ts';
import { createLog } from '../../server/platform/log.ts';
import { outcomesAtOnce, times } from '../support/at-once.ts';
import { startMailServer } from '../support/mail-server.ts';
import { createDatabase } from '../support/postgres.ts';
import {
  createTestClock,
  serviceToken,
  startTestServer,
  type TestAccount,
  type TestDevice,
  type TestServer,
  testConfig,
} from '../support/server.ts';

describe('an account whose lock is held', () => {
  const poolSize = 3;
  /** One of them is for reads. */
  const lockers = poolSize - 1;
  let small: TestServer;
  let account: TestAccount;
  let other: TestDevice;
  let holder: pg.Client;

  beforeAll(async () => {
    small = await startTestServer({
      COUNTERSIGN_DATABASE_POOL: String(poolSize),
      COUNTERSIGN_DATABASE_PATIENCE: '1500ms',
    });
    account = await small.createAccount();
    other = await small.signInNewDevice(await small.createAccount());
    holder = new pg.Client({ connectionString: small.databaseUrl });
    await holder.connect();
  });
  afterAll(async () => {
    await holder.end();
    await small.stop();
  });

  const hold = async () => {
    await holder.query('begin');
    await holder.query('select from account where account_id = $1 for update', [account.accountId]);
  };
  const reset = () => small.service.accounts.resetVerification({ accountId: account.accountId });
  const waiting = `pg_stat_activity where datname = current_database() and application_name = 'countersign'
    and wait_event_type = 'Lock'`;

  test('has its calls refused in time, while other accounts are served, and after it', async () => {
    await hold();
    const { counts } = await outcomesAtOnce(times(2 * poolSize, () => reset));
    expect(counts).toEqual({ DEPENDENCY_UNAVAILABLE: 2 * poolSize });
    await other.client.twoStepAuth.getSettings({});
    // Nothing of them is left in the queue for the lock.
    await vi.waitFor(async () => expect(await small.query(`select from ${waiting}`)).toEqual([]), { timeout: 5_000 });
    await holder.query('rollback');
    await reset();
  });

  test('has its calls refused when the database ends their connections, and is served on new ones', async () => {
    await hold();
    const calls = outcomesAtOnce(times(lockers, () => reset));
    await vi.waitFor(async () => {
      const [row] = await small.query(`select count(*)::int as count from ${waiting}`);
      expect(row?.['count']).toBe(lockers);
    });
    await small.query(`select pg_terminate_backend(pid) from ${waiting}`);
    expect((await calls).counts).toEqual({ DEPENDENCY_UNAVAILABLE: lockers });
    await other.client.twoStepAuth.getSettings({});
    await holder.query('rollback');
    await reset();
  });
});

test('a database that fell silent on every connection is asked on new ones', async () => {
  const [database, mail] = await Promise.all([createDatabase(), startMailServer()]);
  const { hostname, port } = new URL(database.url);
  const open = new Set<Socket>();
  const silenced = new Set<Socket>();
  const proxy = createServer((inbound) => {
    const outbound = connect(Number(port), hostname);
    for (const [from, to] of [
      [inbound, outbound],
      [outbound, inbound],
    ] as const) {
      open.add(from);
      from.on('error', () => {});
      from.on('data', (data) => silenced.has(from) || to.write(data));
      from.on('close', () => {
        open.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  const proxied = new URL(database.url);
  proxied.hostname = '127.0.0.1';
  proxied.port = String(typeof address === 'object' ? address?.port : '');
  const config = testConfig(
    { databaseUrl: proxied.href, smtpUrl: mail.url },
    { COUNTERSIGN_DATABASE_POOL: '2', COUNTERSIGN_DATABASE_PATIENCE: '1500ms' },
  );
  const app = await startApp(config, createLog('silent'), createTestClock());
  const observer = new pg.Client({ connectionString: database.url });
  await observer.connect();
  try {
    const { accounts } = createServiceClient({ baseUrl: app.internalAddress, serviceToken });
    const { account } = await accounts.createAccount({ email: 'anna@example.com', password: 'correct horse' });
    const reset = () => accounts.resetVerification({ accountId: account?.accountId ?? '' });
    const connections = async () => {
      const { rows } = await observer.query(
        `select from pg_stat_activity where datname = current_database() and application_name = 'countersign'`,
      );
      return rows.length;
    };
    // Two connections are there, and both are good.
    await vi.waitFor(async () => {
      await Promise.all([reset(), reset(), reset()]);
      expect(await connections()).toBe(2);
    }, 10_000);
    for (const socket of open) silenced.add(socket);
    expect((await outcomesAtOnce([reset, reset])).counts).toEqual({ DEPENDENCY_UNAVAILABLE: 2 });
    await vi.waitFor(reset, { timeout: 15_000, interval: 100 });
  } finally {
    for (const socket of silenced) socket.destroy();
    await app.stop();
    await observer.end();
    await new Promise<void>((resolve) => proxy.close(() => resolve()));
    await database.drop();
    await mail.stop();
  }
});
