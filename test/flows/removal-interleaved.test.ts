// A removal in the middle of everything else that the device does, on two replicas: whatever comes first, it is out.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AppClient, CountersignError } from '../../clients/app/client.ts';
import { Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import type { Session } from '../../gen/countersign/v1/session_pb.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestAccount, type TestDevice, type TestServer } from '../support/server.ts';

const rounds = 500;
let one: TestServer;
let two: TestServer;
/** A client of each replica, without tokens of its own. */
let clients: readonly AppClient[];

beforeAll(async () => {
  const env = { COUNTERSIGN_CHALLENGES_PER_HOUR: '1000', COUNTERSIGN_LOG_LEVEL: 'error' };
  one = await startTestServer(env);
  two = await startTestServer(env, one);
  clients = [one.appClient(), two.appClient()];
});
afterAll(async () => {
  await two.stop();
  await one.stop();
});

/** Everything that the device was ever given. */
interface Loot {
  readonly accessTokens: string[];
  readonly refreshTokens: string[];
  readonly deviceTokens: string[];
  readonly streams: Promise<void>[];
}

const anywhere = () => clients[Math.random() < 0.5 ? 0 : 1] ?? one.appClient();
const soon = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 12));

test(`no interleaving of ${rounds} leaves a removed device in`, { timeout: 300_000 }, async () => {
  let left = rounds;
  const worker = async () => {
    const account = await one.createAccount();
    const owner = await one.signInNewDevice(account);
    while (left-- > 0) await playRound(account, owner);
  };
  await Promise.all(Array.from({ length: 4 }, worker));
});

async function playRound(account: TestAccount, owner: TestDevice): Promise<void> {
  const { challengeToken, code, session } = await newDevice(account);
  const { deviceId } = session;
  const loot: Loot = {
    accessTokens: [session.accessToken],
    refreshTokens: [session.refreshToken],
    deviceTokens: [session.deviceToken],
    streams: [],
  };
  const moves = [
    () => refresh(loot, session.refreshToken),
    () => refresh(loot, session.refreshToken),
    () => verifyAgain(loot, challengeToken, code),
    () => signInWithToken(loot, account, session.deviceToken, deviceId),
    () => call((client) => client.trustedDevices.updateDevice({ displayName: 'Mine' }, bearer(session))),
    () => openStream(loot, session),
  ];
  const played = moves.filter(() => Math.random() < 0.6);
  const remove = async () => {
    await anywhere().trustedDevices.removeTrustedDevice({ deviceId }, bearer(owner.client.tokens));
  };
  await Promise.all([...played, remove].map(async (move) => [await soon(), await move()]));

  // Before it looks whether any call still gets in, streams have to have ended by themselves.
  await Promise.all(loot.streams);
  for (const accessToken of loot.accessTokens) {
    for (const client of clients) {
      const error = await refusal(client.twoStepAuth.getSettings({}, bearer({ accessToken })));
      expect(error.reason).toBe('SESSION_INVALID');
    }
  }
  for (const refreshToken of loot.refreshTokens) {
    expect((await refusal(anywhere().twoStepAuth.refreshSession({ refreshToken }))).reason).toBe('SESSION_INVALID');
  }
  for (const deviceToken of loot.deviceTokens) {
    const { result } = await anywhere().twoStepAuth.signIn({ ...account, device: iphone, deviceToken });
    expect(result.case).toBe('challengeGrant');
  }
  const [live] = await one.query(
    `select (select count(*)::int from session where device_id = $1 and end_time is null) as sessions,
            (select count(*)::int from device where device_id = $1 and trust_end_time is null) as trusted,
            (select count(*)::int from open_stream where device_id = $1) as streams`,
    [deviceId],
  );
  expect(live).toEqual({ sessions: 0, trusted: 0, streams: 0 });
}

async function newDevice(account: TestAccount) {
  const client = anywhere();
  const { result } = await client.twoStepAuth.signIn({ ...account, device: iphone });
  if (result.case !== 'challengeGrant') throw new Error('no challenge');
  const { challengeToken, challenge } = result.value;
  // The mail would say the same; a thousand of them would only slow this down.
  const { challengeId = '', defaultChannel } = challenge ?? {};
  const channel = defaultChannel === Channel.APP ? 'APP' : 'EMAIL';
  const code = one.app.deps.codes.derive({ challengeId, codeKeyId: 'test' }, channel);
  const { session } = await client.twoStepAuth.verifyCode({ challengeToken, code });
  if (session === undefined) throw new Error('no session');
  return { challengeToken, code, session };
}

/** Makes a call that may be refused, and nothing worse. */
async function call<T>(make: (client: AppClient) => Promise<T>): Promise<T | undefined> {
  try {
    return await make(anywhere());
  } catch (error) {
    if (CountersignError.is(error, 'SESSION_INVALID', 'CHALLENGE_CLOSED')) return undefined;
    throw error;
  }
}

function keep(loot: Loot, session: Session | undefined): void {
  if (session === undefined) return;
  loot.accessTokens.push(session.accessToken);
  loot.refreshTokens.push(session.refreshToken);
  if (session.deviceToken !== '') loot.deviceTokens.push(session.deviceToken);
}

async function refresh(loot: Loot, refreshToken: string): Promise<void> {
  const answer = await call((client) => client.twoStepAuth.refreshSession({ refreshToken }));
  keep(loot, answer?.session);
}

async function verifyAgain(loot: Loot, challengeToken: string, code: string): Promise<void> {
  const answer = await call((client) => client.twoStepAuth.verifyCode({ challengeToken, code }));
  keep(loot, answer?.session);
}

async function signInWithToken(loot: Loot, account: TestAccount, deviceToken: string, deviceId: string): Promise<void> {
  const answer = await call((client) => client.twoStepAuth.signIn({ ...account, device: iphone, deviceToken }));
  if (answer?.result.case !== 'session') return;
  expect(answer.result.value.deviceId).toBe(deviceId);
  keep(loot, answer.result.value);
}

async function openStream(loot: Loot, session: Session): Promise<void> {
  const stream = anywhere().trustedDevices.watchDevice({}, bearer(session));
  const read = async () => {
    try {
      for await (const _event of stream);
    } catch (error) {
      if (!CountersignError.is(error, 'SESSION_INVALID')) throw error;
    }
  };
  loot.streams.push(read());
}

function bearer(tokens: { readonly accessToken: string } | undefined) {
  return { headers: { authorization: `Bearer ${tokens?.accessToken}` } };
}
