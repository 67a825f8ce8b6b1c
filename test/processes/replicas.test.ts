// Three servers on one database, as processes of their own: any of them serves any call, a job is done once, and what is due
// every hour is done by one.

import { setTimeout as sleep } from 'node:timers/promises';
import { createGrpcTransport } from '@connectrpc/connect-node';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AppClient, createAppClient } from '../../clients/app/client.ts';
import { ChallengeState, Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import type { Session } from '../../gen/countersign/v1/session_pb.ts';
import type { WatchDeviceResponse } from '../../gen/countersign/v1/trusted_devices_pb.ts';
import { eventually } from '../support/eventually.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { productionEnv, programs } from '../support/processes.ts';
import { queueMails } from '../support/queued-mails.ts';
import { refusal } from '../support/refusal.ts';
import { type Replica, startReplicas } from '../support/replicas.ts';
import { iphone } from '../support/server.ts';

const running = programs();
let database: TestDatabase;
let mail: MailServer;
let pool: pg.Pool;
let replicas: readonly Replica[];

/** The hourly work is due at 17 past. By the servers' clocks that is so long after their start, in which all of them are up. */
const dueAfterMs = 20_000;

function behindMs(): number {
  const hour = 3_600_000;
  const due = 17 * 60_000 - dueAfterMs;
  return (Date.now() - due) % hour;
}

beforeAll(async () => {
  [database, mail] = await Promise.all([createDatabase(), startMailServer()]);
  pool = new pg.Pool({ connectionString: database.url, max: 2 });
  replicas = await startReplicas(running, 3, {
    ...productionEnv({ databaseUrl: database.url, smtpUrl: mail.url }),
    COUNTERSIGN_DATABASE_POOL: '5',
    COUNTERSIGN_ACCESS_TOKEN_LIFETIME: '1h',
    COUNTERSIGN_LOG_LEVEL: 'debug',
    NODE_OPTIONS: `--import ${new URL('../support/shifted-clock.ts', import.meta.url).href}`,
    CLOCK_BEHIND_MS: String(behindMs()),
  });
  const { rows } = await pool.query('select last_execution from graphile_worker._private_known_crontabs');
  // All of them are up before it is due.
  expect(rows).toEqual([{ last_execution: null }]);
});
afterAll(async () => {
  await Promise.all(replicas?.map((replica) => replica.kill()) ?? []);
  await pool?.end();
  await mail?.stop();
  await database?.drop();
});

const bearer = (session: Session | undefined) => ({ headers: { authorization: `Bearer ${session?.accessToken}` } });

test('a story whose every call goes to another replica than the one before', async () => {
  const clients = replicas.map(({ publicUrl }) =>
    createAppClient({
      transport: (needs) => createGrpcTransport({ baseUrl: publicUrl, ...needs }),
      clientVersion: '2.3',
      platform: 'ios',
      timeoutMs: 20_000,
    }),
  );
  let turn = 0;
  const next = (): AppClient => {
    turn += 1;
    return clients[turn % clients.length] as AppClient;
  };
  const services = replicas.map(({ server }) => server.service);
  const [email, password] = ['anna@example.com', 'correct horse battery'];
  const { account } = (await services[0]?.accounts.createAccount({ email, password })) ?? {};
  const accountId = account?.accountId ?? '';

  const signIn = async (): Promise<string> => {
    const request = { email, password, device: iphone, requestId: crypto.randomUUID() };
    const { result } = await next().twoStepAuth.signIn(request);
    const repeated = await next().twoStepAuth.signIn(request);
    if (result.case !== 'challengeGrant' || repeated.result.case !== 'challengeGrant') throw new Error('no challenge');
    expect(repeated.result.value.challenge?.challengeId).toBe(result.value.challenge?.challengeId);
    // The token of before is void, on every replica.
    const { challengeToken } = result.value;
    expect((await refusal(next().twoStepAuth.getChallenge({ challengeToken }))).reason).toBe('CHALLENGE_UNKNOWN');
    return repeated.result.value.challengeToken;
  };
  const challengeToken = await signIn();
  const code = await mail.codeFor(email);
  const wrong = code === '000000' ? '000001' : '000000';
  for (const left of [4, 3, 2]) {
    const { challenge } = await refusal(next().twoStepAuth.verifyCode({ challengeToken, code: wrong }));
    expect(challenge?.attemptsRemaining).toBe(left);
  }
  const { session: first } = await next().twoStepAuth.verifyCode({ challengeToken, code });
  expect(await next().twoStepAuth.getSettings({}, bearer(first))).toMatchObject({ twoStepEnabled: true });

  // A stream on one, the sign-in on the others.
  const heard: WatchDeviceResponse['event'][] = [];
  const watching = (async () => {
    for await (const { event } of next().trustedDevices.watchDevice({}, { ...bearer(first), timeoutMs: 0 }))
      heard.push(event);
  })();
  const told = <C extends string>(kind: C) =>
    eventually(10_000, () => {
      const event = heard.find((each) => each.case === kind);
      if (event === undefined) throw new Error(`no ${kind} yet`);
      return event;
    });
  await told('keepAlive');
  const second = await signIn();
  const asked = await next().twoStepAuth.getChallenge({ challengeToken: second });
  expect(asked.challenge?.defaultChannel).toBe(Channel.APP);
  const arrived = await told('codeArrived');
  const shown = arrived.case === 'codeArrived' ? arrived.value.code : '';
  const { session: other } = await next().twoStepAuth.verifyCode({ challengeToken: second, code: shown });
  const resolved = await told('challengeResolved');
  expect(resolved.case === 'challengeResolved' && resolved.value.challenge?.state).toBe(ChallengeState.VERIFIED);

  const { session: fresh } = await next().twoStepAuth.refreshSession({ refreshToken: other?.refreshToken ?? '' });
  const { trustedDevices } = await next().trustedDevices.listTrustedDevices({}, bearer(fresh));
  expect(trustedDevices).toHaveLength(2);
  await next().trustedDevices.removeTrustedDevice({ deviceId: first?.deviceId ?? '' }, bearer(fresh));
  for (const { twoStepAuth } of clients) {
    const refused = await refusal(twoStepAuth.getSettings({}, bearer(first)));
    expect(refused.reasonMetadata['cause']).toBe('DEVICE_REMOVED');
  }
  await told('signedOut');
  await watching;
  for (const service of services) {
    const { sessions } = await service.sessions.listSessions({ accountId });
    expect(sessions.map(({ sessionId }) => sessionId)).toEqual([other?.sessionId]);
  }
});

test('of 200 jobs each is done once, and every replica does some', async () => {
  const addresses = await queueMails(pool, 'mail', 'job', 200);
  await Promise.all(addresses.map((address) => mail.waitFor(address)));
  await eventually(30_000, async () => {
    const { rowCount } = await pool.query(`select from graphile_worker.jobs where task_identifier = 'mail'`);
    expect(rowCount).toBe(0);
  });
  const counts = addresses.map((address) => mail.mails.filter(({ to }) => to === address).length);
  expect(counts.filter((count) => count !== 1)).toEqual([]);
  for (const { server } of replicas) expect(server.stdout()).toMatch(/Completed task \d+ \(mail,/);
});

test('what is due every hour is scheduled by all, and done by one', { timeout: 120_000 }, async () => {
  const done = () =>
    replicas.map(({ server }) => server.stdout().match(/Completed task \d+ \(maintain,/g)?.length ?? 0);
  await eventually(90_000, () => expect(Math.max(...done())).toBe(1));
  // A second one would be there already: they were due at the same moment.
  await sleep(1_000);
  expect(done().toSorted()).toEqual([0, 0, 1]);
});
