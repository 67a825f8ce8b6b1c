// Services that check access tokens by themselves, each a process of its own, before two servers: who is put out is out at all
// of them, whatever the network does.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Http2Proxy, startHttp2Proxy } from '../support/http2-proxy.ts';
import { productionEnv, programs, type ServerProgram } from '../support/processes.ts';
import {
  serviceToken,
  startTestServer,
  type TestAccount,
  type TestDevice,
  type TestServer,
} from '../support/server.ts';
import { type CheckingService, checkingServices } from '../support/session-checkers.ts';

const { serve } = programs();
const patience = 60_000;
const maxStalenessMs = 2_000;
const stream = '/WatchRevocations';
const removed = { reason: 'SESSION_INVALID', cause: 'DEVICE_REMOVED' };

let beside: TestServer;
let servers: readonly [ServerProgram, ServerProgram];
let proxies: readonly Http2Proxy[];
let services: readonly CheckingService[];
const processes = checkingServices();

beforeAll(async () => {
  beside = await startTestServer();
  const env = productionEnv({ databaseUrl: beside.databaseUrl, smtpUrl: beside.mail.url });
  servers = await Promise.all([serve(env), serve(env)]);
  const [one, two] = servers;
  proxies = await Promise.all([one, two, one].map(({ internalUrl }) => startHttp2Proxy(internalUrl)));
  services = await Promise.all(
    proxies.map(({ url }) =>
      processes.start({
        baseUrl: url,
        serviceToken,
        issuer: 'countersign',
        audience: 'countersign',
        maxStalenessMs,
        timeoutMs: 20_000,
      }),
    ),
  );
}, 180_000);

afterAll(async () => {
  await processes.stop();
  await Promise.all(proxies.map((proxy) => proxy.goDown()));
  await Promise.all(servers.map((server) => server.kill()));
  await beside.stop();
});

const everywhere = <T>(what: (service: CheckingService) => Promise<T>) => Promise.all(services.map(what));
const check = ({ session }: TestDevice) => everywhere((service) => service.check(session.accessToken));
const good = ({ session: { sessionId } }: TestDevice) => services.map(() => ({ sessionId }));
const remove = (owner: TestDevice, device: TestDevice, server: ServerProgram) =>
  server
    .appClient()
    .trustedDevices.removeTrustedDevice(
      { deviceId: device.session.deviceId },
      { headers: { authorization: `Bearer ${owner.session.accessToken}` } },
    );
async function devices(count: number): Promise<readonly TestDevice[]> {
  const account: TestAccount = await beside.createAccount();
  const all: TestDevice[] = [];
  while (all.length < count) all.push(await beside.signInNewDevice(account));
  return all;
}
const stale = () =>
  eventually(patience, async () => {
    for (const age of await everywhere((service) => service.staleness())) expect(age).toBeGreaterThan(maxStalenessMs);
  });
const current = () =>
  eventually(patience, async () => {
    for (const age of await everywhere((service) => service.staleness())) expect(age).toBeLessThan(maxStalenessMs);
  });

test('a removed device is refused by three services, whichever server it was removed at', {
  timeout: 180_000,
}, async () => {
  const [owner, ...others] = (await devices(3)) as [TestDevice, TestDevice, TestDevice];
  for (const [index, device] of others.entries()) {
    await current();
    expect(await check(device)).toEqual(good(device));
    await remove(owner, device, servers[index === 0 ? 0 : 1]);
    await eventually(patience, async () => expect(await check(device)).toEqual([removed, removed, removed]));
    expect(await check(owner)).toEqual(good(owner));
    for (const { told } of services) expect(told.filter((id) => id === device.session.sessionId)).toHaveLength(1);
  }
});

test('while the streams are cut they ask, and miss nothing of it afterwards', { timeout: 180_000 }, async () => {
  const [owner, asked, unasked] = (await devices(3)) as [TestDevice, TestDevice, TestDevice];
  await current();
  expect(await check(asked)).toEqual(good(asked));
  expect(await check(unasked)).toEqual(good(unasked));

  for (const proxy of proxies) proxy.cut(stream);
  await stale();
  await remove(owner, asked, servers[0]);
  // In the first call after the answer: asked, nothing lags.
  for (const verdict of await check(asked)) expect(verdict).toMatchObject({ reason: 'SESSION_INVALID' });
  expect(await check(owner)).toEqual(good(owner));
  await remove(owner, unasked, servers[1]);

  for (const proxy of proxies) proxy.restore();
  await current();
  expect(await check(asked)).toEqual([removed, removed, removed]);
  expect(await check(unasked)).toEqual([removed, removed, removed]);
  expect(await check(owner)).toEqual(good(owner));
  for (const { told } of services) {
    for (const { session } of [asked, unasked]) expect(told.filter((id) => id === session.sessionId)).toHaveLength(1);
  }
});

test('while no server is to be reached they let nobody in, and all is well afterwards', {
  timeout: 180_000,
}, async () => {
  const [owner, device] = (await devices(2)) as [TestDevice, TestDevice];
  await current();
  expect(await check(device)).toEqual(good(device));
  await Promise.all(proxies.map((proxy) => proxy.goDown()));
  await stale();
  await remove(owner, device, servers[0]);
  for (const each of [device, owner]) {
    for (const verdict of await check(each)) expect(verdict).toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE' });
  }
  await Promise.all(proxies.map((proxy) => proxy.comeBack()));
  await current();
  expect(await check(device)).toEqual([removed, removed, removed]);
  expect(await check(owner)).toEqual(good(owner));
});

test('a service that closes its checker ends by itself', async () => {
  const service = await processes.start({
    baseUrl: servers[0].internalUrl,
    serviceToken,
    issuer: 'countersign',
    audience: 'countersign',
  });
  expect(await service.close()).toBe(0);
});
