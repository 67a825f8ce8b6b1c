// Twenty servers that start at the same moment on one empty database, and what they do together. They are in one process:
// twenty of them would need half a minute of two processors.

import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnectTransport } from '@connectrpc/connect-node';
import pLimit from 'p-limit';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createAppClient } from '../../clients/app/client.ts';
import { createServiceClient } from '../../clients/service/client.ts';
import { type App, startApp } from '../../server/app.ts';
import { systemClock } from '../../server/platform/clock.ts';
import { createLog } from '../../server/platform/log.ts';
import { emptyCityFile } from '../support/city-file.ts';
import { eventually } from '../support/eventually.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { queueMails } from '../support/queued-mails.ts';
import { iphone, serviceToken, testConfig } from '../support/server.ts';

const many = 20;
const name = `test_many_at_once_${randomBytes(4).toString('hex')}`;
const complaints: string[] = [];
let folder: string;
let admin: pg.Client;
let pool: pg.Pool;
let mail: MailServer;
let servers: readonly App[] = [];

function databaseUrl(): string {
  const url = new URL(inject('postgres').adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}

function startServers(count: number): Promise<App[]> {
  const config = testConfig(
    { databaseUrl: databaseUrl(), smtpUrl: mail.url },
    // All of them together stay within the 400 connections that the test files share.
    { COUNTERSIGN_DATABASE_POOL: '3', COUNTERSIGN_GEOIP_CITY: join(folder, 'city.mmdb') },
  );
  const log = createLog('warn', { write: (line) => complaints.push(line) });
  return Promise.all(Array.from({ length: count }, () => startApp(config, log, systemClock)));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-many-'));
  await writeFile(join(folder, 'city.mmdb'), emptyCityFile());
  admin = new pg.Client({ connectionString: inject('postgres').adminUrl });
  await admin.connect();
  await admin.query(`create database ${name} template template0`);
  pool = new pg.Pool({ connectionString: databaseUrl(), max: 2 });
  mail = await startMailServer();
  servers = await startServers(many);
}, 120_000);

afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await pool?.end();
  await mail?.stop();
  // What was ended just now is not gone yet, and would be told of the drop as of a failure.
  await eventually(5_000, async () =>
    expect((await admin.query('select from pg_stat_activity where datname = $1', [name])).rowCount).toBe(0),
  );
  await admin?.query(`drop database ${name}`);
  await admin?.end();
  await rm(folder, { recursive: true, force: true });
});

const serviceOf = (app: App | undefined) =>
  createServiceClient({ baseUrl: app?.internalAddress ?? '', serviceToken, timeoutMs: 20_000 });

const clientOf = (app: App | undefined) =>
  createAppClient({
    transport: (needs) => createConnectTransport({ baseUrl: app?.publicAddress ?? '', httpVersion: '1.1', ...needs }),
    clientVersion: '2.3',
    platform: 'ios',
    timeoutMs: 20_000,
  });

async function queued(): Promise<number> {
  const { rows } = await pool.query<{ queued: number }>('select count(*)::int as queued from graphile_worker.jobs');
  return rows[0]?.queued ?? -1;
}

/** How often a mail came to each address that got one. */
function mailsByAddress(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { to } of mail.mails) counts.set(to, (counts.get(to) ?? 0) + 1);
  return counts;
}

test('all of them serve, on a schema that was migrated once', async () => {
  const files = readdirSync(new URL('../../server/store/migrations/', import.meta.url));
  const { rows } = await pool.query(
    'select count(*)::int as run, count(distinct name)::int as files from countersign_migrations',
  );
  expect(rows).toEqual([{ run: files.length, files: files.length }]);
  const { account } = await serviceOf(servers[0]).accounts.createAccount({
    email: 'all@example.com',
    password: 'correct horse all',
  });
  const key = { case: 'accountId' as const, value: account?.accountId ?? '' };
  const limit = pLimit(4);
  const found = await Promise.all(servers.map((server) => limit(() => serviceOf(server).accounts.getAccount({ key }))));
  expect(found.map((each) => each.account?.email)).toEqual(servers.map(() => 'all@example.com'));
  expect(complaints).toEqual([]);
});

test('each code that they promise is sent once', async () => {
  const addresses = servers.flatMap((_, at) => [`one${at}@example.com`, `two${at}@example.com`]);
  // A few at a time: all of them share one event loop with this test.
  const limit = pLimit(4);
  await Promise.all(
    addresses.map((email, at) =>
      limit(async () => {
        const server = servers[at % many];
        const password = `correct horse ${at}`;
        await serviceOf(server).accounts.createAccount({ email, password });
        await clientOf(server).twoStepAuth.signIn({ email, password, device: iphone });
      }),
    ),
  );
  await eventually(30_000, async () => expect(await queued()).toBe(0));
  const counts = mailsByAddress();
  expect(addresses.map((address) => counts.get(address))).toEqual(addresses.map(() => 1));
});

test('what waits when several start at once is sent once', async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await queueMails(pool, 'deliver', 'waited', 300);
  servers = await startServers(many);
  await eventually(30_000, async () => expect(await queued()).toBe(0));
  const counts = [...mailsByAddress()].filter(([address]) => address.startsWith('waited'));
  expect(counts).toHaveLength(300);
  expect(counts.filter(([, count]) => count !== 1)).toEqual([]);
});
