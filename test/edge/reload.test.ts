// The edge loaded anew while calls are made: none is lost, whatever the client.

import tls from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { grpcJs } from '../story/grpc-js.ts';
import { plainFetch } from '../story/plain-fetch.ts';
import { hasHaproxy, startEdge, ways } from '../support/edge.ts';
import { startTestServer } from '../support/server.ts';
import { edgeOver } from './for-a-test.ts';
import { gate } from './http.ts';
import { startReplica } from './stand-in.ts';

const hasIt = await hasHaproxy();

test.skipIf(!hasIt)('ten reloads, one after the other, lose no call', { timeout: 120_000 }, async () => {
  const server = await startTestServer();
  onTestFinished(() => server.stop());
  const edge = await edgeOver({ replicas: [server.publicUrl], env: { COUNTERSIGN_CALLS_PER_ADDRESS: '1000000' } });
  // What Node's fetch trusts.
  tls.setDefaultCACertificates([edge.ca]);
  const { session } = await server.signInNewDevice(await server.createAccount());
  const headers = { ...gate, authorization: `Bearer ${session.accessToken}` };
  const drivers = [grpcJs({ pem: edge.ca, path: '' }), plainFetch()];
  const call = { service: 'countersign.v1.TwoStepAuth', method: 'GetSettings', request: {}, headers };
  const callers = [
    ...ways.map((way) => {
      const client = edge.appClient(way);
      client.useSession(session);
      return async () => void (await client.twoStepAuth.getSettings({}));
    }),
    ...drivers.map((driver) => async () => {
      const answer = await driver.call(edge.url, call);
      if ('refused' in answer) throw new Error(JSON.stringify(answer.refused));
    }),
  ];

  let over = false;
  const failures: unknown[] = [];
  const calls = callers.map(() => 0);
  const calling = callers.map(async (make, index) => {
    while (!over) {
      await make().catch((error) => failures.push(`${index}: ${error}`));
      calls[index] = (calls[index] ?? 0) + 1;
    }
  });
  for (let reloads = 0; reloads < 10; reloads++) {
    await edge.reload();
    const before = [...calls];
    // Everybody calls on before the next.
    await expect
      .poll(() => calls.every((made, index) => made > (before[index] ?? 0) + 1), { timeout: 20_000 })
      .toBe(true);
  }
  over = true;
  await Promise.all(calling);
  for (const driver of drivers) driver.close();
  expect(failures).toEqual([]);
});

test.skipIf(!hasIt)(
  'a reload may bring other replicas, and a configuration that is none leaves all as it was',
  async () => {
    const replicas = [await startReplica(), await startReplica()];
    for (const replica of replicas) onTestFinished(() => replica.stop());
    const [one, two] = replicas;
    const edge = await startEdge({ replicas: [one?.address ?? ''] });
    if (edge === undefined) throw new Error('no HAProxy');
    onTestFinished(() => edge.stop());
    const call = () => edge.appClient({ json: true }).twoStepAuth.getSettings({});
    await call();
    await edge.reload([two?.address ?? '']);
    await call();
    await expect(edge.reload(['no-such-host.invalid.:1', 'no such host'])).rejects.toThrow();
    await call();
    expect([one?.calls.length, two?.calls.length]).toEqual([1, 2]);
  },
);
