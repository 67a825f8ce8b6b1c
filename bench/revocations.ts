// How fast a removed device is out at services that check access tokens by themselves: two servers on one database, three
// services with the SDK, each a process of its own. The owner removes a device at the first server; measured is from its answer to
// the first refusal in each service, while their streams stand and when they were cut meanwhile, beside the floor: a bare NOTIFY of
// the same database, from its sending. `npm run bench:revocations [runs]`.

import { setTimeout as sleep } from 'node:timers/promises';
import { createConnectTransport } from '@connectrpc/connect-node';
import pg from 'pg';
import { createAppClient } from '../clients/app/client.ts';
import { startHttp2Proxy } from '../test/support/http2-proxy.ts';
import { type CheckingService, checkingServices, monotonicMs } from '../test/support/session-checkers.ts';
import { createAccounts, type SignedInDevice } from './accounts.ts';
import { benchConfig, measure, printTable, quantile, serviceToken } from './support.ts';

const runs = Number(process.argv[2] ?? 200);
const warmUp = 4;
const removedEach = 4;
/** After a cut, until the stream has stood for as long as makes it a good one. */
const standsMs = 1_500;

await measure(900_000, async (parts) => {
  const [one, two] = await Promise.all([parts.start('server-process.ts'), parts.start('server-process.ts')]);
  const database = new pg.Pool({ connectionString: parts.databaseUrl, max: 1 });
  const floor = await startFloor(database, parts.databaseUrl);
  const owner = createAppClient({
    transport: (needs) => createConnectTransport({ baseUrl: one.publicUrl, httpVersion: '2', ...needs }),
    clientVersion: '2.3',
    platform: 'ios',
  });
  const { tokenIssuer: issuer, tokenAudience: audience } = benchConfig(parts);
  const processes = checkingServices();
  const startServices = (urls: readonly string[]) =>
    Promise.all(urls.map((baseUrl) => processes.start({ baseUrl, serviceToken, issuer, audience })));

  /** Each run with devices of its own: what it took to be refused at each service, and the floor. */
  const measureRuns = async (prefix: string, services: readonly CheckingService[], remove: RemoveDevice) => {
    const accounts = Math.ceil((warmUp + runs) / removedEach);
    const devices = await createAccounts(database, { prefix, accounts, devicesEach: 1 + removedEach, hash: 'plain' });
    const times: number[][] = services.map(() => []);
    const floorTimes: number[] = [];
    for (let run = 0; run < warmUp + runs; run++) {
      const device = devices[accounts + run];
      const ownersDevice = devices[run % accounts];
      if (device === undefined || ownersDevice === undefined) throw new Error('too few devices');
      for (const service of services) {
        const verdict = await service.check(device.accessToken);
        if ('reason' in verdict) throw new Error(`refused before it was removed: ${verdict.reason}`);
      }
      const refused = services.map((service) => service.untilRefused(device.accessToken));
      await sleep(20);
      const answered = await remove(ownersDevice, device);
      for (const [index, time] of (await Promise.all(refused)).entries()) {
        if (run >= warmUp) times[index]?.push(time - answered);
      }
      const floorTime = await floor.notify();
      if (run >= warmUp) floorTimes.push(floorTime);
    }
    return { times, floorTimes };
  };
  const removeAtFirst: RemoveDevice = async ({ accessToken }, { deviceId }) => {
    const headers = { authorization: `Bearer ${accessToken}` };
    await owner.trustedDevices.removeTrustedDevice({ deviceId }, { headers });
    return monotonicMs();
  };

  const urls = [one.internalUrl, two.internalUrl, two.internalUrl];
  const plain = await measureRuns('plain', await startServices(urls), removeAtFirst);
  await processes.stop();

  const proxies = await Promise.all(urls.map(startHttp2Proxy));
  const behindProxies = await startServices(proxies.map(({ url }) => url));
  const cut = await measureRuns('cut', behindProxies, async (ownersDevice, device) => {
    await sleep(standsMs);
    for (const proxy of proxies) proxy.cut('/WatchRevocations');
    const answered = await removeAtFirst(ownersDevice, device);
    for (const proxy of proxies) proxy.restore();
    return answered;
  });
  await processes.stop();
  await Promise.all(proxies.map((proxy) => proxy.goDown()));
  await floor.stop();
  await database.end();
  await Promise.all([one.stop(), two.stop()]);

  const row = (what: string, values: readonly number[]) => [
    what,
    String(values.length),
    ...[0.5, 0.99, 1].map((share) => quantile(values, share).toFixed(1)),
  ];
  const names = ['service at the server that was called', 'service at the other', 'another one there'];
  printTable([
    ["ms after RemoveTrustedDevice's answer", 'runs', 'median', 'p99', 'most'],
    ...names.map((name, index) => row(name, plain.times[index] ?? [])),
    row('floor: a bare NOTIFY, sent to heard', plain.floorTimes),
    ...names.map((name, index) => row(`${name}, stream cut in between`, cut.times[index] ?? [])),
    row('floor, beside these', cut.floorTimes),
  ]);
  return true;
});

/** Removes a device, and tells when that was answered. */
type RemoveDevice = (owner: SignedInDevice, device: SignedInDevice) => Promise<number>;

/** A listener of PostgreSQL's, and how long after a NOTIFY was sent it hears. */
async function startFloor(database: pg.Pool, databaseUrl: string) {
  const listener = new pg.Client({ connectionString: databaseUrl });
  await listener.connect();
  await listener.query('listen bench_floor');
  return {
    notify: async () => {
      const heard = new Promise<number>((resolve) => {
        listener.once('notification', () => resolve(monotonicMs()));
      });
      const sent = monotonicMs();
      await database.query('notify bench_floor');
      return (await heard) - sent;
    },
    stop: () => listener.end(),
  };
}
