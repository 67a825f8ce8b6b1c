// Replicas that tell each other over Redis, through what happens to it: it is killed, it hangs, it lets one of them in no
// longer. Streams are told all the same, and what was taken from a device is refused at once.

import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { busChannel } from '../../server/platform/bus-postgres.ts';
import { ensureRedis, type RedisServer, startRedis, urlOfUser } from '../support/redis.ts';
import { refusal } from '../support/refusal.ts';
import { startTestServer, type TestAccount, type TestDevice, type TestServer } from '../support/server.ts';
import { codeToApp, type Watcher, watch } from '../support/watch.ts';

const within = { timeout: 15_000 };

describe.skipIf(!(await ensureRedis()))('replicas with Redis', () => {
  let redis: RedisServer;
  let one: TestServer;
  let two: TestServer;
  /** Hears what is told over PostgreSQL. */
  let listening: pg.Client;
  const notified: string[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    const urlOfTwo = await urlOfUser(redis, 'two');
    const env = { COUNTERSIGN_CHALLENGES_PER_HOUR: '1000' };
    one = await startTestServer({ ...env, REDIS_URL: redis.url });
    two = await startTestServer({ ...env, REDIS_URL: urlOfTwo }, one);
    listening = new pg.Client({ connectionString: one.databaseUrl });
    await listening.connect();
    listening.on('notification', ({ payload = '' }) => notified.push(payload));
    await listening.query(`listen ${busChannel}`);
  });
  afterAll(async () => {
    redis?.thaw();
    await listening?.end();
    await two?.stop();
    await one?.stop();
    await redis?.discard();
  });

  const busIsCut = async (server: TestServer) => {
    const metrics = await (await fetch(`${server.internalUrl}/metrics`)).text();
    return /^countersign_bus_cut\{bus="redis"\} (\d)$/m.exec(metrics)?.[1] === '1';
  };
  const whole = async () => {
    for (const server of [one, two]) await expect.poll(() => busIsCut(server), within).toBe(false);
  };
  /** What was told over PostgreSQL until now. */
  const toldByNotify = async () => {
    await listening.query('select pg_notify($1, $2)', [busChannel, 'end']);
    await expect.poll(() => notified, within).toContain('end');
    return notified.splice(0).filter((accountId) => accountId !== 'end');
  };

  let account: TestAccount;
  let stays: TestDevice;
  let goes: TestDevice;
  let staying: Watcher;
  let going: Watcher;
  /** Two devices, signed in at the one replica, that watch at the other. */
  beforeEach(async () => {
    await whole();
    account = await one.createAccount();
    stays = await one.signInNewDevice(account);
    goes = await one.signInNewDevice(account);
    const watchAtTwo = async ({ session }: TestDevice) => {
      const client = two.appClient();
      client.useSession(session);
      const watcher = watch(client);
      await watcher.opened(one, session.deviceId);
      return watcher;
    };
    [staying, going] = [await watchAtTwo(stays), await watchAtTwo(goes)];
    await toldByNotify();
  });

  /** All that has to come through, whatever Redis does. */
  async function comesThrough(): Promise<void> {
    await codeToApp(one, account);
    await staying.next('codeArrived');
    const { deviceId, accessToken, refreshToken } = goes.session;
    await stays.client.trustedDevices.removeTrustedDevice({ deviceId });
    // At once, wherever it asks.
    for (const server of [one, two]) {
      const client = server.appClient();
      const headers = { authorization: `Bearer ${accessToken}` };
      for (const call of [
        () => client.twoStepAuth.getSettings({}, { headers }),
        () => client.twoStepAuth.refreshSession({ refreshToken }),
      ]) {
        const { reason, reasonMetadata } = await refusal(call());
        expect([reason, reasonMetadata['cause']]).toEqual(['SESSION_INVALID', 'DEVICE_REMOVED']);
      }
    }
    expect((await going.next('signedOut')).cause).toBe('DEVICE_REMOVED');
    await staying.stop();
  }

  test('tell over it, and nothing over PostgreSQL', async () => {
    await comesThrough();
    expect(await toldByNotify()).toEqual([]);
  });

  test.each([
    ['is killed', () => redis.kill(), () => redis.start()],
    ['hangs', async () => redis.freeze(), async () => redis.thaw()],
  ])('tell over PostgreSQL while it %s, and over it when it is back', async (_, away, back) => {
    await away();
    await comesThrough();
    expect(await toldByNotify()).toContain(account.accountId);
    for (const server of [one, two]) await expect.poll(() => busIsCut(server), within).toBe(true);
    await back();
    // What it knew of its users is gone with it.
    await urlOfUser(redis, 'two');
    await whole();
  });

  test('ask the database where it lets one of them in no longer, and the other tells over PostgreSQL as well', async () => {
    await redis.command('acl', 'setuser', 'two', 'off');
    await redis.command('client', 'kill', 'user', 'two');
    // Who tells may have noticed nothing yet.
    await comesThrough();
    for (const server of [one, two]) await expect.poll(() => busIsCut(server), within).toBe(true);
    await toldByNotify();
    await codeToApp(one, account);
    await expect.poll(() => notified, within).toContain(account.accountId);
    await redis.command('acl', 'setuser', 'two', 'on');
    await whole();
  });

  test('tell over PostgreSQL as well while one of them is at another Redis', async () => {
    const another = await startRedis();
    const three = await startTestServer({ REDIS_URL: another.url }, one);
    try {
      for (const server of [one, two, three]) await expect.poll(() => busIsCut(server), within).toBe(true);
      await toldByNotify();
      await comesThrough();
      expect(await toldByNotify()).toContain(account.accountId);
    } finally {
      await three.stop();
      await another.discard();
    }
  });

  test('miss nothing that is told while it restarts again and again', async () => {
    let over = false;
    const restarting = (async () => {
      while (!over) {
        await redis.kill();
        await redis.start();
      }
    })();
    try {
      await comesThrough();
    } finally {
      over = true;
      await restarting;
      await urlOfUser(redis, 'two');
    }
  });

  test('start and serve without it, and use it once it is there', async () => {
    await redis.kill();
    const three = await startTestServer({ REDIS_URL: redis.url }, one);
    try {
      expect(await busIsCut(three)).toBe(true);
      await comesThrough();
      await redis.start();
      await urlOfUser(redis, 'two');
      await expect.poll(() => busIsCut(three), within).toBe(false);
      const health = await fetch(`${three.publicUrl}/grpc.health.v1.Health/Check`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      });
      expect(await health.json()).toEqual({ status: 'SERVING' });
    } finally {
      await three.stop();
    }
  });
});
