// Revocations: whatever ends a session is told on the stream of another replica.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RevocationWatcher, watchRevocations } from '../support/revocations.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let replica: TestServer;
let watcher: RevocationWatcher;

beforeAll(async () => {
  server = await startTestServer();
  replica = await startTestServer({}, server);
  watcher = watchRevocations(replica.internalUrl);
  await watcher.caughtUp();
});
afterAll(async () => {
  await watcher?.stop();
  await replica?.stop();
  await server?.stop();
});

describe('told on another replica', () => {
  test('sign out', async () => {
    const account = await server.createAccount();
    const { client, session } = await server.signInNewDevice(account);
    await client.twoStepAuth.signOut({});
    const [told] = await watcher.told(session.sessionId);
    expect(told).toMatchObject({ accountId: account.accountId, deviceId: session.deviceId, cause: 'SIGNED_OUT' });
  });
});
