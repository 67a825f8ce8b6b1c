// The load's own judgement: it finds nothing where nothing was done, and everything that was.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import { type LoadResult, startLoad } from './load.ts';
import { startTestServer, type TestServer } from './server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ COUNTERSIGN_CHALLENGES_PER_HOUR: '1000' });
});
afterAll(() => server?.stop());

async function underLoad(tamper: () => Promise<void>): Promise<LoadResult> {
  const load = await startLoad({
    baseUrls: [server.publicUrl],
    service: server.service,
    mail: server.mail,
    signInsPerSecond: 10,
    workers: 2,
    accountsPerWorker: 1,
  });
  await eventually(50_000, async () => expect(load.counts.calls).toBeGreaterThan(70));
  return load.finish(server.databaseUrl, tamper);
}

test('a load that nobody disturbs is what the database says', async () => {
  const result = await underLoad(async () => {});
  expect(result).toMatchObject({
    lost: [],
    doubled: [],
    mailsTwice: 0,
    failed: [],
    removedLetIn: 0,
    removedUnanswered: 0,
  });
  expect(result.counts).toMatchObject({ calls: result.counts.acknowledged, refused: {}, retried: 0 });
  expect(result.removedTries).toBeGreaterThan(3);
});

test('what is lost, doubled, or let in behind its back is told', async () => {
  const of =
    'where (account_id, session_id) in (select account_id, session_id from session where end_time is null order by session_id desc limit 1)';
  const result = await underLoad(async () => {
    await server.query(`update session set end_time = now(), end_cause = 'REVOKED' ${of}`);
    await server.query(`insert into login_event (account_id, event_id, kind, device, device_id, session_id, challenge_id, channel, origin, unusual, reported)
      select account_id, overlay(event_id::text placing '000000000000' from 25)::uuid, kind, device, device_id, session_id, challenge_id, channel, origin, unusual, reported
      from login_event where kind = 'SIGNED_IN_WITH_CODE' order by event_id desc limit 1`);
    await server.query(`update session set end_time = null, end_cause = null
      where session_id = (select session_id from session where end_cause = 'DEVICE_REMOVED' order by session_id desc limit 1)`);
    await server.query(
      `update delivery set state = 'QUEUED' where delivery_id = (select delivery_id from delivery order by delivery_id desc limit 1)`,
    );
  });
  expect(result.lost.length).toBeGreaterThan(2);
  expect(result.doubled).toHaveLength(1);
  expect(result.removedLetIn).toBeGreaterThan(0);
});
