// The primary dies, and its standby takes its place at the same address: before it is promoted nothing is read from it, after it all
// goes on by itself, and nothing is lost that was acknowledged. At a server that goes there itself, and at one behind PgBouncer.

import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { migrate } from '../../server/store/migrate.ts';
import { type Cluster, startCluster } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { hasPgBouncer } from '../support/pgbouncer.ts';
import { type PostgresProxy, startPostgresProxy } from '../support/postgres-proxy.ts';
import { refusal } from '../support/refusal.ts';
import { type RevocationWatcher, watchRevocations } from '../support/revocations.ts';
import {
  createTestClock,
  goThroughPgBouncer,
  startTestServer,
  type TestAccount,
  type TestDevice,
  type TestServer,
} from '../support/server.ts';
import { type Standby, startStandby } from '../support/standby.ts';
import { type Watcher, watch } from '../support/watch.ts';

const withinMs = 30_000;
const installed = await hasPgBouncer();

let cluster: Cluster;
let standby: Standby;
/** The address that leads to the primary, whichever that is. */
let address: PostgresProxy;
let mail: MailServer;
let servers: readonly TestServer[] = [];

beforeAll(async () => {
  [cluster, mail] = await Promise.all([startCluster(), startMailServer()]);
  await migrate(cluster.url(), new Date());
  standby = await startStandby(cluster);
  const admin = new pg.Client({ connectionString: cluster.url() });
  await admin.connect();
  // A commit waits for the standby: so what was acknowledged is there.
  await admin.query(`alter system set synchronous_standby_names = 'standby'`);
  await admin.query(`alter system set synchronous_commit = 'on'`);
  await admin.query('select pg_reload_conf()');
  await admin.end();
  address = await startPostgresProxy(cluster.url());
  const parts = { databaseUrl: address.url, mail, clock: createTestClock(), directory: undefined };
  const serve = () => startTestServer({ COUNTERSIGN_DATABASE_PATIENCE: '2s' }, parts);
  servers = [await serve()];
  if (!installed) return;
  goThroughPgBouncer();
  servers = [...servers, await serve()];
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await address?.close();
  await standby?.discard();
  await mail?.stop();
  await cluster?.discard();
});

const healthOf = async ({ publicUrl }: TestServer) =>
  (await createClient(Health, createConnectTransport({ baseUrl: publicUrl, httpVersion: '2' })).check({})).status;

/** By one of them, so that no two are called the same. */
function createAccount(): Promise<TestAccount> {
  const [first] = servers;
  if (first === undefined) throw new Error('no server');
  return first.createAccount();
}

interface Open {
  readonly server: TestServer;
  readonly device: TestDevice;
  readonly removed: TestDevice;
  readonly stream: Watcher;
  readonly revocations: RevocationWatcher;
  readonly acknowledged: string[];
  refused: number;
  ended: Promise<unknown>;
}

test('calls, streams and jobs go on at the standby that was promoted', async () => {
  let going = true;
  const all = await Promise.all(
    servers.map(async (server, index): Promise<Open> => {
      const account = await createAccount();
      const device = await server.signInNewDevice(account);
      const removed = await server.signInNewDevice(account);
      const stream = watch(removed.client);
      await stream.opened(server, removed.session.deviceId);
      const revocations = watchRevocations(server.internalUrl);
      await revocations.caughtUp();
      const open: Open = {
        server,
        device,
        removed,
        stream,
        revocations,
        acknowledged: [],
        refused: 0,
        ended: Promise.resolve(),
      };
      const call = async () => {
        for (let at = 0; going; at++) {
          const email = `made${index}-${at}@example.com`;
          await server.service.accounts.createAccount({ email, password: 'correct horse battery' }).then(
            () => open.acknowledged.push(email),
            (error) => {
              expect(error).toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE' });
              open.refused += 1;
            },
          );
        }
      };
      open.ended = call();
      return open;
    }),
  );
  const madeMore = () =>
    Promise.all(
      all.map(({ acknowledged }) => {
        const before = acknowledged.length;
        return eventually(withinMs, () => expect(acknowledged.length).toBeGreaterThan(before + 3));
      }),
    );
  await madeMore();

  // The address leads to what is still a standby, as where only half of a fail-over is done.
  await address.goDown();
  await address.comeBack(standby.url);
  for (const { server, device } of all) {
    await eventually(withinMs, async () => expect(await healthOf(server)).toBe(Status.NOT_SERVING));
    expect(await refusal(device.client.twoStepAuth.getSettings({}))).toMatchObject({
      reason: 'DEPENDENCY_UNAVAILABLE',
    });
    expect(server.log.join()).toContain('takes no writes');
  }
  await cluster.kill();
  const promoted = performance.now();
  await standby.promote();
  for (const { server, device } of all) {
    await eventually(withinMs, () => device.client.twoStepAuth.getSettings({}));
    await eventually(withinMs, async () => expect(await healthOf(server)).toBe(Status.SERVING));
  }
  process.stdout.write(
    `calls and health are back ${Math.round(performance.now() - promoted)} ms after the promotion began\n`,
  );
  await madeMore();
  for (const { server, device, removed, stream, revocations } of all) {
    // By jobs, and by the bus.
    await eventually(withinMs, async () => server.signInNewDevice(await createAccount()));
    await device.client.trustedDevices.removeTrustedDevice({ deviceId: removed.session.deviceId });
    expect(await refusal(removed.client.twoStepAuth.getSettings({}))).toMatchObject({ reason: 'SESSION_INVALID' });
    expect((await stream.next('signedOut')).cause).toBe('DEVICE_REMOVED');
    await revocations.told(removed.session.sessionId);
    await revocations.stop();
  }
  going = false;
  await Promise.all(all.map(({ ended }) => ended));
  for (const { server, acknowledged, refused } of all) {
    const found = await server.query('select email from directory_account where email = any ($1)', [acknowledged]);
    expect(found).toHaveLength(acknowledged.length);
    process.stdout.write(`${acknowledged.length} accounts were made, ${refused} calls refused, none lost\n`);
  }
});
