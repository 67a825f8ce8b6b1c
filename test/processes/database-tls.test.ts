// A PostgreSQL that lets nobody in without TLS: every connection of a server's takes what its URL says of it.

import { chmod, chown, copyFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startApp } from '../../server/app.ts';
import { createAuthority, thisMachine } from '../support/certificate.ts';
import { type Cluster, startCluster } from '../support/cluster.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { createTestClock, startTestServer, testConfig } from '../support/server.ts';

let cluster: Cluster;
let mail: MailServer;
let folder: string;
/** With the certificate to trust. */
let urlWith: (ca: string) => string;

beforeAll(async () => {
  [cluster, mail, folder] = await Promise.all([
    startCluster(),
    startMailServer(),
    mkdtemp(join(tmpdir(), 'countersign-database-tls-')),
  ]);
  const [own, strange] = [createAuthority(), createAuthority()];
  const issued = own.issue(thisMachine);
  await Promise.all([
    writeFile(join(folder, 'own.pem'), own.cert),
    writeFile(join(folder, 'strange.pem'), strange.cert),
    writeFile(join(folder, 'server.key'), issued.key),
    writeFile(join(folder, 'server.crt'), issued.cert),
  ]);
  const admin = new pg.Client({ connectionString: cluster.url() });
  await admin.connect();
  const home = String((await admin.query(`select current_setting('data_directory') as home`)).rows[0].home);
  const { uid, gid } = await stat(home);
  for (const name of ['server.key', 'server.crt']) {
    await copyFile(join(folder, name), join(home, name));
    await chmod(join(home, name), 0o600);
    await chown(join(home, name), uid, gid);
  }
  await writeFile(join(home, 'pg_hba.conf'), 'hostssl all all 127.0.0.1/32 scram-sha-256\n');
  await admin.query('alter system set ssl = on');
  await admin.query('select pg_reload_conf()');
  await admin.end();
  urlWith = (ca) => `${cluster.url()}?sslmode=verify-full&sslrootcert=${join(folder, ca)}`;
});
afterAll(async () => {
  await mail?.stop();
  await cluster?.discard();
  await rm(folder, { recursive: true, force: true });
});

test('verified in full, a server migrates it, serves, sends and hears', async () => {
  const parts = { databaseUrl: urlWith('own.pem'), mail, clock: createTestClock(), directory: undefined };
  const server = await startTestServer({}, parts);
  onTestFinished(() => server.stop());
  await server.signInNewDevice(await server.createAccount());
  const all = await server.query(
    `select distinct application_name as name, ssl from pg_stat_activity join pg_stat_ssl using (pid)
     where application_name like 'countersign%'`,
  );
  expect(all.filter(({ ssl }) => ssl !== true)).toEqual([]);
  expect(all.length).toBeGreaterThan(3);
});

test('one whose certificate is of a stranger’s is not trusted with a password', async () => {
  const config = testConfig({ databaseUrl: urlWith('strange.pem'), smtpUrl: mail.url });
  const started = startApp(config, pino({ level: 'silent' }), createTestClock());
  await expect(started).rejects.toThrow(/^DATABASE_URL takes a database that can be used as it says: .*certificate/);
});
