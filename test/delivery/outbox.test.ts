// The jobs as an operator sees them: neither provider waits for the other's, and metrics and traces tell what goes on.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { fcmAnswers } from '../support/fcm-server.ts';
import { type PushServers, startPushServers } from '../support/push.ts';
import { accountWithPush, askForCode } from '../support/push-devices.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const quickly = { timeout: 10_000, interval: 20 };
let push: PushServers;

beforeAll(async () => {
  push = await startPushServers();
});
afterAll(() => push?.stop());

/** A series of `/metrics`, by its name with its labels. */
async function metric(server: TestServer, series: string): Promise<number | undefined> {
  const body = await (await fetch(`${server.internalUrl}/metrics`)).text();
  const line = body.split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.split(' ')[1]);
}

test('a mail server that hangs holds up no push, however many mails wait for it', async () => {
  const server = await startTestServer(push.env);
  try {
    const { account, token } = await accountWithPush(server);
    const waiting = await Promise.all(Array.from({ length: 20 }, () => server.createAccount()));
    for (const { email } of waiting) server.mail.behave(email, { slowMs: 5_000 });
    await Promise.all(waiting.map((each) => askForCode(server, each)));
    await askForCode(server, account);
    await push.fcm.waitFor(token);
    const mails = await server.query(
      `select from delivery where channel = 'EMAIL' and state = 'QUEUED' and account_id = any($1)`,
      [waiting.map(({ accountId }) => accountId)],
    );
    expect(mails).toHaveLength(20);
  } finally {
    await server.stop();
  }
});

test('a message that can not be written here is tried again, says so, and holds up no other', async () => {
  const server = await startTestServer(push.env);
  try {
    const one = await accountWithPush(server);
    push.fcm.behave(one.token, [fcmAnswers.unavailable('1')]);
    const { challenge } = await askForCode(server, one.account);
    await vi.waitFor(() => expect(push.fcm.attemptsOf(one.token)).toHaveLength(1), quickly);
    // As on a replica that has not got the new key yet.
    await server.query(`update challenge set code_key_id = 'not here' where challenge_id = $1`, [
      challenge.challengeId,
    ]);
    await vi.waitFor(async () => {
      const [row] = await server.query(
        `select state, attempts -> 1 as second from delivery where challenge_id = $1 and push_service = 'FCM'`,
        [challenge.challengeId],
      );
      expect(row).toMatchObject({ state: 'QUEUED', second: { startTime: null, outcome: 'RETRY' } });
    }, quickly);
    await server.query(`update challenge set code_key_id = 'test' where challenge_id = $1`, [challenge.challengeId]);
    const [arrived] = await push.fcm.waitFor(one.token);
    expect(arrived?.message.data?.['challenge_id']).toBe(challenge.challengeId);
    await vi.waitFor(async () => {
      const [row] = await server.query(
        `select state, jsonb_path_query_array(attempts, '$[*].outcome') as outcomes from delivery
         where challenge_id = $1 and push_service = 'FCM'`,
        [challenge.challengeId],
      );
      expect(row?.['state']).toBe('ACCEPTED');
      expect(new Set(row?.['outcomes'] as string[])).toEqual(new Set(['RETRY', 'ACCEPTED']));
    }, quickly);
  } finally {
    await server.stop();
  }
});

describe('metrics', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer(push.env);
  });
  afterAll(() => server?.stop());

  test('count each try by channel and outcome, and how long it was until the first', async () => {
    const { account, token } = await accountWithPush(server);
    push.fcm.behave(token, [fcmAnswers.unavailable('1'), 'ok']);
    await askForCode(server, account);
    await push.fcm.waitFor(token);
    await vi.waitFor(async () => {
      expect(await metric(server, 'countersign_delivery_total{channel="fcm",outcome="retry"}')).toBe(1);
      expect(await metric(server, 'countersign_delivery_total{channel="fcm",outcome="accepted"}')).toBe(1);
      expect(await metric(server, 'countersign_delivery_total{channel="email",outcome="accepted"}')).toBe(2);
    }, quickly);
    expect(await metric(server, 'countersign_delivery_handover_seconds_count{channel="fcm"}')).toBe(1);
    const signIn = 'countersign_rpc_duration_seconds_count{rpc="countersign.v1.TwoStepAuth/SignIn",status="ok"}';
    expect(await metric(server, signIn)).toBe(2);
  });

  test('show a job that gave up', async () => {
    await server.query(
      `select graphile_worker.add_job('mail', '{"accountId": "x", "deliveryId": "no uuid"}', max_attempts := 1)`,
    );
    await vi.waitFor(async () => expect(await metric(server, 'countersign_jobs_dead{task="mail"}')).toBe(1), quickly);
    await server.query(`delete from graphile_worker._private_jobs where attempts >= max_attempts`);
  });

  test('are for the internal listener alone', async () => {
    expect((await fetch(`${server.publicUrl}/metrics`)).status).toBe(404);
    expect((await fetch(`${server.internalUrl}/metrics`, { method: 'POST' })).status).toBe(405);
    expect((await fetch(`${server.internalUrl}/deny`)).status).toBe(404);
  });
});

test('a delivery belongs to the trace of the call that decided it, and no attribute is a secret', async () => {
  const spans: { name: string; traceId: string; parentSpanId?: string }[] = [];
  let sent = '';
  const collector = createServer(async (request, response) => {
    const body = await text(request);
    sent += body;
    for (const { scopeSpans } of JSON.parse(body).resourceSpans)
      for (const scope of scopeSpans) spans.push(...scope.spans);
    response.end('{}');
  });
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const { port } = collector.address() as AddressInfo;
  const server = await startTestServer({ ...push.env, OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
  try {
    const { account, token } = await accountWithPush(server);
    spans.length = 0;
    await askForCode(server, account);
    await push.fcm.waitFor(token);
    await vi.waitFor(() => {
      const call = spans.find(({ name }) => name === 'countersign.v1.TwoStepAuth/SignIn');
      const delivery = spans.find((span) => span.name === 'deliver' && span.traceId === call?.traceId);
      expect(call).toBeDefined();
      expect(delivery?.parentSpanId).toBeTruthy();
    }, quickly);
    const code = /\d{6}/.exec(push.fcm.pushes.at(-1)?.message.notification?.body ?? '')?.[0] ?? 'none';
    for (const secret of [account.email, account.password, token]) expect(sent).not.toContain(secret);
    expect(sent).not.toMatch(new RegExp(`"${code}"`));
  } finally {
    await server.stop();
    collector.close();
  }
});
