// PostgreSQL behind PgBouncer in transaction mode: nothing of one call meets another, whatever fails in between, and it may be restarted.

import { sql } from 'kysely';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startApp } from '../../server/app.ts';
import { Database } from '../../server/store/database.ts';
import { first, statement } from '../../server/store/statement.ts';
import { countersign } from '../command/run.ts';
import { eventually } from '../support/eventually.ts';
import { hasPgBouncer, type PgBouncer, startPgBouncer } from '../support/pgbouncer.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { startPostgresProxy } from '../support/postgres-proxy.ts';
import {
  createTestClock,
  goThroughPgBouncer,
  startTestServer,
  type TestServer,
  testConfig,
} from '../support/server.ts';
import { watch } from '../support/watch.ts';

const installed = await hasPgBouncer();
goThroughPgBouncer();

/** Longer than what PgBouncer reads at a time here: it is cut at any place. */
const echo = statement<{ readonly text: string }, { readonly text: string }>(
  (_, p) => sql`select ${p.text}::text as text`,
);
const add = statement<{ readonly id: number }, unknown>(
  (_, p) => sql`update counter set value = value + 1 where id = ${p.id}`,
);
const divide = statement<{ readonly by: number }, unknown>((_, p) => sql`select 1 / ${p.by}::int`);
const pause = statement<{ readonly seconds: number }, unknown>((_, p) => sql`select pg_sleep(${p.seconds})`);
const textOf = (name: string) => `${name} ${'x'.repeat(Math.floor(Math.random() * 2_000))}`;

describe.skipIf(!installed)('a database behind it', () => {
  let behind: TestDatabase;
  let bouncer: PgBouncer;
  let database: Database;
  let admin: pg.Client;

  beforeAll(async () => {
    behind = await createDatabase();
    bouncer = await startPgBouncer(behind.url, { pkt_buf: 512, default_pool_size: 3 });
    database = new Database({ url: bouncer.url, poolSize: 20, patienceMs: 5_000, pooled: true });
    admin = new pg.Client({ connectionString: behind.url });
    await admin.connect();
    await admin.query(
      'create table counter (id int primary key, value int not null); insert into counter values (1, 0)',
    );
  });
  afterAll(async () => {
    await database?.close();
    await bouncer?.discard();
    await admin?.end();
    await behind?.drop();
  });
  const count = async () => (await admin.query('select value from counter')).rows[0]?.value;

  test('answers each of many at once with its own, also beside such as fail, are refused, or are left', async () => {
    const before = await count();
    let added = 0;
    const one = async (index: number): Promise<void> => {
      const texts = Array.from({ length: 5 }, (_, at) => textOf(`${index}-${at}`));
      const echoed = async (db: Parameters<Parameters<Database['read']>[0]>[0]) => {
        const rows = await Promise.all(texts.map((text) => first(db, echo, { text })));
        expect(rows.map((row) => row?.text)).toEqual(texts);
      };
      const kind = index % 5;
      if (kind === 0) return database.read(echoed);
      if (kind === 1) return database.autocommit(echoed);
      // In the middle of what is on its way.
      const failing = database.transaction(async (db) => {
        db.write(add, { id: 1 });
        const all = [echoed(db), db.rows(divide, { by: kind === 2 ? 0 : 1 }), echoed(db)];
        await Promise.all(all.map((each) => each.catch(() => {})));
        if (kind === 3) throw new Error('decided otherwise');
      });
      const outcome = await failing.then(
        () => 'done',
        (error) => error.code ?? error.message,
      );
      expect(outcome).toBe(['', '', '22012', 'decided otherwise', 'done'][kind]);
      if (outcome === 'done') added += 1;
    };
    for (let lap = 0; lap < 5; lap++) await Promise.all(Array.from({ length: 100 }, (_, index) => one(index)));
    expect(await count()).toBe(before + added);
    expect(added).toBe(100);
  });

  test('ends a statement that takes too long, and what was left goes to nobody', async () => {
    const hurried = new Database({ url: bouncer.url, poolSize: 5, patienceMs: 300, pooled: true });
    onTestFinished(() => hurried.close());
    const before = await count();
    const slow = [
      hurried.read((db) => db.rows(pause, { seconds: 5 })),
      hurried.transaction(async (db) => {
        db.write(add, { id: 1 });
        return db.rows(pause, { seconds: 5 });
      }),
    ];
    for (const each of slow)
      await expect(each).rejects.toMatchObject({ refusal: { reason: 'DEPENDENCY_UNAVAILABLE' } });
    await eventually(3_000, async () => {
      const { rows } = await admin.query(
        `select from pg_stat_activity where state <> 'idle' and pid <> pg_backend_pid() and datname = current_database()`,
      );
      expect(rows).toHaveLength(0);
    });
    const text = textOf('after it');
    expect(await hurried.read((db) => first(db, echo, { text }))).toEqual({ text });
    expect(await count()).toBe(before);
  });

  test('leaves no setting behind for whoever is next', async () => {
    await database.transaction(async (db) => db.write(add, { id: 1 }));
    const client = new pg.Client({ connectionString: bouncer.url });
    await client.connect();
    for (let each = 0; each < 6; each++) {
      const { rows } = await client.query(`select current_setting('statement_timeout') as timeout`);
      expect(rows).toEqual([{ timeout: '0' }]);
    }
    await client.end();
  });
});

describe.skipIf(!installed)('a server behind it', () => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server?.stop());

  test('signs 50 people in at once, each as themselves, over three connections', async () => {
    const accounts = await Promise.all(Array.from({ length: 50 }, () => server.createAccount()));
    const devices = await Promise.all(accounts.map((account) => server.signInNewDevice(account)));
    expect(devices.map(({ session }) => session.accountId)).toEqual(accounts.map(({ accountId }) => accountId));
    const emails = await Promise.all(
      devices.map(async ({ client }) => (await client.account.getAccount({})).account?.email),
    );
    expect(emails).toEqual(accounts.map(({ email }) => email));
    const [{ most = 0 } = {}] = await server.query(
      `select count(*)::int as most from pg_stat_activity where application_name = 'countersign' and datname = current_database()`,
    );
    expect(most).toBeLessThanOrEqual(3);
  });

  test('puts a removed device out at once, and its stream hears of it', async () => {
    const account = await server.createAccount();
    const [kept, removed] = [await server.signInNewDevice(account), await server.signInNewDevice(account)];
    const watcher = watch(removed.client);
    await watcher.opened(server, removed.session.deviceId);
    await kept.client.trustedDevices.removeTrustedDevice({ deviceId: removed.session.deviceId });
    await expect(removed.client.twoStepAuth.getSettings({})).rejects.toMatchObject({ reason: 'SESSION_INVALID' });
    expect((await watcher.next('signedOut')).cause).toBe('DEVICE_REMOVED');
    await watcher.ended;
  });

  test('goes on by itself when it is restarted under calls, and none is lost that was acknowledged', async () => {
    const acknowledged: string[] = [];
    let refused = 0;
    let going = true;
    const call = async (worker: number) => {
      for (let at = 0; going; at++) {
        const email = `worker${worker}-${at}@example.com`;
        await server.service.accounts.createAccount({ email, password: 'correct horse battery' }).then(
          () => acknowledged.push(email),
          (error) => {
            expect(error).toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE' });
            refused += 1;
          },
        );
      }
    };
    const calls = Array.from({ length: 4 }, (_, worker) => call(worker));
    for (let restart = 0; restart < 3; restart++) {
      const before = acknowledged.length;
      await eventually(20_000, () => expect(acknowledged.length).toBeGreaterThan(before + 5));
      await server.pooler?.stop();
      await server.pooler?.start();
    }
    const before = acknowledged.length;
    await eventually(20_000, () => expect(acknowledged.length).toBeGreaterThan(before + 5));
    going = false;
    await Promise.all(calls);
    process.stdout.write(
      `PgBouncer restarted 3 times: ${acknowledged.length} accounts made, ${refused} calls refused\n`,
    );
    const found = await server.query('select email from directory_account where email = any ($1)', [acknowledged]);
    expect(found).toHaveLength(acknowledged.length);
  });
});

test.skipIf(!installed)(
  'a server that is cut off from the way past it serves, and says so in its log and its metrics',
  async () => {
    const beside = await startTestServer();
    const direct = await startPostgresProxy(beside.databaseUrl);
    const server = await startTestServer({ COUNTERSIGN_DATABASE_DIRECT_URL: direct.url }, beside);
    onTestFinished(async () => {
      await server.stop();
      await direct.close();
      await beside.stop();
    });
    const busIsCut = async () => {
      const metrics = await (await fetch(`${server.internalUrl}/metrics`)).text();
      return /^countersign_bus_cut\{bus="postgresql"\} (\d)$/m.exec(metrics)?.[1] === '1';
    };
    const account = await server.createAccount();
    const { client } = await server.signInNewDevice(account);
    await expect.poll(busIsCut, { timeout: 10_000 }).toBe(false);
    await direct.goDown();
    await expect.poll(busIsCut, { timeout: 10_000 }).toBe(true);
    expect(server.log.join()).toContain('the bus over PostgreSQL is cut');
    expect((await client.account.getAccount({})).account?.email).toBe(account.email);
    await direct.comeBack(beside.databaseUrl);
    await expect.poll(busIsCut, { timeout: 10_000 }).toBe(false);
  },
);

test('a server whose two ways lead to two databases does not start', async () => {
  const [one, other] = [await createDatabase(), await createDatabase()];
  onTestFinished(async () => {
    await one.drop();
    await other.drop();
  });
  const config = {
    ...testConfig({ databaseUrl: one.url, smtpUrl: 'smtp://127.0.0.1:1' }),
    databaseDirectUrl: other.url,
  };
  await expect(startApp(config, pino({ level: 'silent' }), createTestClock())).rejects.toThrow(
    /^DATABASE_URL and COUNTERSIGN_DATABASE_DIRECT_URL .* lead to two$/,
  );
});

test.skipIf(!installed)('a server that would need sessions of it does not start, and says what it needs', async () => {
  const behind = await createDatabase();
  const bouncer = await startPgBouncer(behind.url);
  onTestFinished(async () => {
    await bouncer.discard();
    await behind.drop();
  });
  const config = testConfig({ databaseUrl: bouncer.url, smtpUrl: 'smtp://127.0.0.1:1' });
  await expect(startApp(config, pino({ level: 'silent' }), createTestClock())).rejects.toThrow(
    /^DATABASE_URL leads through a pooler.*COUNTERSIGN_DATABASE_DIRECT_URL/,
  );
  // And so does the doctor, which finds nothing wrong where both ways are set.
  const examine = async (env: Readonly<Record<string, string>>) => {
    const ended = await countersign(['doctor', '--only', 'database'], { env: { DATABASE_URL: bouncer.url, ...env } });
    return `${ended.code}: ${ended.stdout}`;
  };
  expect(await examine({})).toMatch(/^1: fail .*DATABASE_URL leads through a pooler/);
  const good = await examine({ COUNTERSIGN_DATABASE_DIRECT_URL: behind.url });
  expect(good).toMatch(/^0: /);
  expect(good).toContain('DATABASE_URL leads through a pooler to the same database');
});
