// The whole story of an account, the same through clients of different make: what the wire promises holds for each.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/server.ts';
import { drivers } from './drivers.ts';
import { story } from './story.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

describe.each(Object.entries(drivers))('%s', (_name, create) => {
  const whole =
    'an old app is refused, a new one signs in, is trusted, looks around, switches off and on, and signs out';
  // Thirty processes of buf curl, one after the other, take a minute where the machine is busy.
  test(whole, { timeout: 240_000 }, async () => {
    const driver = create();
    try {
      await story(driver, server);
    } finally {
      driver.close();
    }
  });

  test('both listeners say that they serve', async () => {
    const driver = create();
    try {
      for (const url of [server.publicUrl, server.internalUrl]) {
        const call = { service: 'grpc.health.v1.Health', method: 'Check', request: {}, headers: {} };
        expect(await driver.call(url, call)).toMatchObject({ ok: { status: 'SERVING' } });
      }
      const call = { service: 'grpc.health.v1.Health', method: 'Check', request: { service: 'none' }, headers: {} };
      expect(await driver.call(server.publicUrl, call)).toMatchObject({
        refused: { code: 'not_found', reason: 'SERVICE_UNKNOWN' },
      });
    } finally {
      driver.close();
    }
  });
});
