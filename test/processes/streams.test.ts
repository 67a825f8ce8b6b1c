// Open streams through what breaks them: a bus that is cut, a server that is killed with a hundred of them.

import { expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { startPostgresProxy } from '../support/postgres-proxy.ts';
import { productionEnv, programs } from '../support/processes.ts';
import { startTestServer, type TestAccount, type TestDevice, type TestServer } from '../support/server.ts';
import { codeToApp, type Watcher, watch } from '../support/watch.ts';

const { serve } = programs();

test('what happens while the bus is cut is told when it is back: a code, and a removal', async () => {
  const one = await startTestServer();
  const two = await startTestServer({}, one);
  try {
    const account = await one.createAccount();
    const stays = await one.signInNewDevice(account);
    const goes = await one.signInNewDevice(account);
    const [staying, going] = [watch(stays.client), watch(goes.client)];
    await staying.opened(one, stays.session.deviceId);
    await going.opened(one, goes.session.deviceId);

    // Whoever listens is put out again and again.
    let cut = true;
    const keepCutting = (async () => {
      while (cut) {
        await one.query(`select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'countersign-bus' and datname = current_database()`);
      }
    })();
    await codeToApp(two, account);
    const { deviceId } = goes.session;
    const headers = { authorization: `Bearer ${stays.client.tokens?.accessToken}` };
    await two.appClient().trustedDevices.removeTrustedDevice({ deviceId }, { headers });
    cut = false;
    await keepCutting;

    await staying.next('codeArrived');
    expect((await going.next('signedOut')).cause).toBe('DEVICE_REMOVED');
    await staying.stop();
  } finally {
    await two.stop();
    await one.stop();
  }
});

test('a replica whose bus stays cut asks the database: its streams are told all the same, long before their turn', async () => {
  const one = await startTestServer();
  const proxy = await startPostgresProxy(one.databaseUrl);
  const deaf = await startTestServer({}, { ...one, databaseUrl: proxy.url });
  try {
    const account = await one.createAccount();
    const stays = await one.signInNewDevice(account);
    const goes = await one.signInNewDevice(account);
    proxy.shutOut('countersign-bus');
    const [staying, going] = [stays, goes].map(({ session }) => {
      const client = deaf.appClient();
      client.useSession(session);
      return watch(client);
    }) as [Watcher, Watcher];
    await staying.opened(one, stays.session.deviceId);
    await going.opened(one, goes.session.deviceId);

    await codeToApp(one, account);
    await staying.next('codeArrived');
    await stays.client.trustedDevices.removeTrustedDevice({ deviceId: goes.session.deviceId });
    expect((await going.next('signedOut')).cause).toBe('DEVICE_REMOVED');
    expect(deaf.log.filter((line) => line.includes('is cut'))).toHaveLength(1);
    await staying.stop();
  } finally {
    await deaf.stop();
    await proxy.close();
    await one.stop();
  }
});

test('a hundred streams of a killed server come back, and miss nothing that mattered', {
  timeout: 180_000,
}, async () => {
  const beside = await startTestServer({ COUNTERSIGN_CHALLENGES_PER_HOUR: '1000' });
  try {
    const port = await freePort();
    const env = {
      ...productionEnv({ databaseUrl: beside.databaseUrl, smtpUrl: beside.mail.url }),
      COUNTERSIGN_PUBLIC_ADDRESS: `127.0.0.1:${port}`,
    };
    const first = await serve(env);
    const groups = await Promise.all(Array.from({ length: 5 }, () => openTwenty(beside, `http://127.0.0.1:${port}`)));
    await first.kill();

    for (const { account, devices } of groups) {
      await codeToApp(beside, account);
      const [removed, remover] = devices;
      const headers = { authorization: `Bearer ${remover?.client.tokens?.accessToken}` };
      const deviceId = removed?.session.deviceId ?? '';
      await beside.appClient().trustedDevices.removeTrustedDevice({ deviceId }, { headers });
    }
    const second = await serve(env);
    for (const { watchers } of groups) {
      const [removed, ...others] = watchers;
      // A stream is not opened for a session that is over.
      await expect(removed?.ended).rejects.toMatchObject({
        reason: 'SESSION_INVALID',
        reasonMetadata: { cause: 'DEVICE_REMOVED' },
      });
      for (const watcher of others) await watcher.next('codeArrived');
      await Promise.all(others.map((watcher) => watcher.stop()));
    }
    await second.kill();
  } finally {
    await beside.stop();
  }
});

/** An account with twenty trusted devices, each with a stream open at `baseUrl`. */
async function openTwenty(
  server: TestServer,
  baseUrl: string,
): Promise<{ account: TestAccount; devices: readonly TestDevice[]; watchers: readonly Watcher[] }> {
  const account = await server.createAccount();
  const devices: TestDevice[] = [];
  const watchers: Watcher[] = [];
  for (let count = 0; count < 20; count++) {
    devices.push(await server.signInNewDevice(account));
  }
  for (const { session } of devices) {
    const client = server.appClientAt(baseUrl);
    client.useSession(session);
    const watcher = watch(client);
    await watcher.opened(server, session.deviceId);
    watchers.push(watcher);
  }
  return { account, devices, watchers };
}
