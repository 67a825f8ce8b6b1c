// Streams through the edge: they outlive every one of its time-outs, end with their client, and move when the edge is loaded anew.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Edge, hasHaproxy, ways } from '../support/edge.ts';
import { startTestServer, type TestDevice, type TestServer } from '../support/server.ts';
import { codeToApp, type Watcher, watch } from '../support/watch.ts';
import { edgeOver } from './for-a-test.ts';

const hasIt = await hasHaproxy();
let server: TestServer;
beforeAll(async () => {
  if (hasIt) server = await startTestServer({ COUNTERSIGN_CHALLENGES_PER_HOUR: '1000' });
});
afterAll(() => server?.stop());

/** Every time-out that a stream could run into. The server's keep-alives come every 20 s: too seldom for these. */
const timeoutMs = 1_200;
const times = ['requestTimeout', 'bodyTimeout', 'keepAliveTimeout', 'clientTimeout', 'serverTimeout'] as const;
const parameters = Object.fromEntries(times.map((name) => [name, `${timeoutMs}ms`]));

/** A device that reads its stream once: what it hears, and how that ends. */
async function open(edge: Edge, way: (typeof ways)[number], { session }: TestDevice) {
  const client = edge.appClient(way);
  client.useSession(session);
  const heard: (string | undefined)[] = [];
  const ended = (async () => {
    for await (const { event } of client.trustedDevices.watchDevice({}, { timeoutMs: 0 })) heard.push(event.case);
  })();
  ended.catch(() => {});
  await vi.waitFor(() => expect(heard).not.toEqual([]), { timeout: 10_000 });
  return { way, heard, ended };
}

describe.skipIf(!hasIt)('a stream through the edge', () => {
  test('outlives every time-out, though its client only reads, in every protocol', async () => {
    const edge = await edgeOver({ replicas: [server.publicUrl], parameters });
    const account = await server.createAccount();
    const devices: [(typeof ways)[number], TestDevice][] = [];
    for (const way of ways) devices.push([way, await server.signInNewDevice(account)]);
    const opened = await Promise.all(devices.map(([way, device]) => open(edge, way, device)));
    const since = performance.now();
    while (performance.now() - since < 3 * timeoutMs) {
      await codeToApp(server, account);
      await sleep(timeoutMs / 4);
    }
    for (const { way, heard } of opened) {
      const before = heard.length;
      await codeToApp(server, account);
      await vi.waitFor(() => expect([way, heard.length > before]).toEqual([way, true]), { timeout: 10_000 });
    }
    // It is what they hear that keeps them: where nothing comes, they are cut.
    for (const { ended } of opened) await expect(ended).rejects.toThrow();
  });

  test('ends at the replica when its client goes', async () => {
    const edge = await edgeOver({ replicas: [server.publicUrl] });
    const account = await server.createAccount();
    const { session } = await server.signInNewDevice(account);
    const rows = () => server.query('select from open_stream where device_id = $1', [session.deviceId]);
    for (const way of ways) {
      const client = edge.appClient(way);
      client.useSession(session);
      const watcher = watch(client);
      await watcher.opened(server, session.deviceId);
      await watcher.stop();
      await vi.waitFor(async () => expect(await rows()).toEqual([]), { timeout: 10_000 });
    }
  });

  test('comes back by itself when the edge is loaded anew, and misses nothing', async () => {
    const edge = await edgeOver({ replicas: [server.publicUrl], parameters: { hardStopAfter: '1s' } });
    const account = await server.createAccount();
    const devices: [(typeof ways)[number], TestDevice][] = [];
    for (const way of ways) devices.push([way, await server.signInNewDevice(account)]);
    const watchers: Watcher[] = [];
    for (const [way, { session }] of devices) {
      const client = edge.appClient(way);
      client.useSession(session);
      const watcher = watch(client);
      await watcher.opened(server, session.deviceId);
      watchers.push(watcher);
    }
    // What is pending is told again by every stream that is opened.
    const challenges = ({ events }: Watcher) =>
      new Set(
        events.flatMap(({ case: kind, value }) => (kind === 'codeArrived' ? [value.challenge?.challengeId] : [])),
      );
    for (let knocks = 1; knocks <= 3; knocks++) {
      await codeToApp(server, account);
      await vi.waitFor(
        () => expect(watchers.map((each) => challenges(each).size)).toEqual(watchers.map(() => knocks)),
        {
          timeout: 20_000,
        },
      );
      await edge.reload();
      // The former process cuts what has not moved.
      await sleep(1_200);
    }
    await Promise.all(watchers.map((watcher) => watcher.stop()));
  });
});
