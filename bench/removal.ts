// How fast a removed device is out: two servers on one database; the owner removes a device on one of them, the device
// calls, and watches, on the other. `npm run bench:removal [runs]`; with REDIS_URL set, they tell each other over Redis.

import { setTimeout as sleep } from 'node:timers/promises';
import { createConnectTransport } from '@connectrpc/connect-node';
import pg from 'pg';
import { type AppClient, CountersignError, createAppClient } from '../clients/app/client.ts';
import { createServiceClient } from '../clients/service/client.ts';
import { Channel } from '../gen/countersign/v1/challenge_pb.ts';
import { Platform } from '../gen/countersign/v1/device_pb.ts';
import type { Session } from '../gen/countersign/v1/session_pb.ts';
import { keyRingOf } from '../server/platform/key-ring.ts';
import { createCodes } from '../server/platform/keys.ts';
import { benchConfig, benchKeys, measure, type Parts, printTable, quantile, serviceToken } from './support.ts';

const runs = Number(process.argv[2] ?? 200);
/** Few enough that an account meets no budget, and that its list of late codes stays as short as a person's. */
const runsPerAccount = 4;
const warmUp = runsPerAccount;
/** A slow machine makes fewer runs instead of none. */
const runsWithinMs = 190_000;
const phone = { displayName: 'Phone', model: 'iPhone 17', platform: Platform.IOS, osVersion: '19.1' };

/** Milliseconds after the owner's answer; below zero is before it. */
interface Times {
  readonly getSettings: number;
  readonly refreshSession: number;
  readonly signIn: number;
  readonly told: number;
  readonly closed: number;
}

await measure(230_000, async (parts) => {
  const [serverA, serverB] = await Promise.all([parts.start('server-process.ts'), parts.start('server-process.ts')]);
  const service = createServiceClient({ baseUrl: serverA.internalUrl, serviceToken });
  const stage: Stage = {
    parts,
    owner: appClient(serverA.publicUrl),
    device: appClient(serverB.publicUrl),
    codes: createCodes(
      keyRingOf(() => [benchKeys.code]),
      benchConfig(parts).limits.codeDigits,
    ),
    database: new pg.Pool({ connectionString: parts.databaseUrl, max: 1 }),
    letIn: { getSettings: 0, refreshSession: 0, signIn: 0 },
    wrongEnds: 0,
  };

  const times: Times[] = [];
  let account = { email: '', password: '' };
  let ownerSession: Session | undefined;
  const begin = performance.now();
  for (let run = 0; run < warmUp + runs && performance.now() - begin < runsWithinMs; run++) {
    if (run % runsPerAccount === 0) {
      account = { email: `owner-${run}@example.com`, password: `correct horse ${run}` };
      await service.accounts.createAccount(account);
      ownerSession = await signInNewDevice(stage, stage.owner, account);
    }
    const measured = await removeOne(stage, account, ownerSession);
    if (run >= warmUp) times.push(measured);
  }
  await stage.database.end();
  await Promise.all([serverA.stop(), serverB.stop()]);

  const { letIn } = stage;
  const row = (what: string, of: keyof Times, letInThere: number | undefined) => {
    const values = times.map((one) => one[of]);
    const cells = [0.5, 0.99, 1].map((share) => quantile(values, share).toFixed(1));
    return [what, String(values.length), ...cells, letInThere === undefined ? '' : String(letInThere)];
  };
  printTable([
    ["ms after RemoveTrustedDevice's answer", 'runs', 'median', 'p99', 'most', 'let in'],
    row('GetSettings refused', 'getSettings', letIn.getSettings),
    row('RefreshSession refused', 'refreshSession', letIn.refreshSession),
    row('SignIn by device_token asks for a code', 'signIn', letIn.signIn),
    row('stream told signed_out', 'told', undefined),
    row('stream closed', 'closed', undefined),
  ]);
  const before = times.filter(({ told }) => told <= 0).length;
  process.stdout.write(`streams told before the answer: ${before}; ended otherwise: ${stage.wrongEnds}\n`);
  return Object.values(letIn).every((count) => count === 0) && stage.wrongEnds === 0;
});

interface Stage {
  readonly parts: Parts;
  readonly owner: AppClient;
  readonly device: AppClient;
  readonly codes: ReturnType<typeof createCodes>;
  readonly database: pg.Pool;
  readonly letIn: Record<'getSettings' | 'refreshSession' | 'signIn', number>;
  wrongEnds: number;
}

/** A client without tokens: each call says whose it is. */
function appClient(baseUrl: string): AppClient {
  return createAppClient({
    transport: (needs) => createConnectTransport({ baseUrl, httpVersion: '2', ...needs }),
    clientVersion: '2.3',
    platform: 'ios',
  });
}

function bearer(session: Session | undefined) {
  return { headers: { authorization: `Bearer ${session?.accessToken}` } };
}

async function signInNewDevice(
  { codes }: Stage,
  client: AppClient,
  account: { readonly email: string; readonly password: string },
): Promise<Session> {
  const { result } = await client.twoStepAuth.signIn({ ...account, device: phone });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const { challengeToken, challenge } = result.value;
  // The mail, or the other device, would say the same.
  const channel = challenge?.defaultChannel === Channel.APP ? 'APP' : 'EMAIL';
  const code = codes.derive({ challengeId: challenge?.challengeId ?? '', codeKeyId: benchKeys.code.keyId }, channel);
  const { session } = await client.twoStepAuth.verifyCode({ challengeToken, code });
  if (session === undefined) throw new Error('no session');
  return session;
}

async function removeOne(
  stage: Stage,
  account: { readonly email: string; readonly password: string },
  ownerSession: Session | undefined,
): Promise<Times> {
  const { owner, device, letIn } = stage;
  const session = await signInNewDevice(stage, device, account);
  const { deviceId, deviceToken, refreshToken } = session;
  const stream = watch(stage, session);
  await untilOpen(stage, session.sessionId);
  // What the opening still does is not part of the removal.
  await sleep(30);

  await owner.trustedDevices.removeTrustedDevice({ deviceId }, bearer(ownerSession));
  const begin = performance.now();
  // All at once, as whoever holds the device would.
  const refused = async (call: keyof typeof letIn, make: () => Promise<unknown>) => {
    try {
      await make();
      letIn[call] += 1;
    } catch (error) {
      if (!CountersignError.is(error, 'SESSION_INVALID')) throw error;
      if (error.reasonMetadata['cause'] !== 'DEVICE_REMOVED') throw error;
    }
    return performance.now() - begin;
  };
  const asksForCode = async () => {
    const { result } = await device.twoStepAuth.signIn({ ...account, device: phone, deviceToken });
    if (result.case !== 'challengeGrant') letIn.signIn += 1;
    return performance.now() - begin;
  };
  const [getSettings, refreshSession, signIn, { told, closed }] = await Promise.all([
    refused('getSettings', () => device.twoStepAuth.getSettings({}, bearer(session))),
    refused('refreshSession', () => device.twoStepAuth.refreshSession({ refreshToken })),
    asksForCode(),
    stream,
  ]);
  return { getSettings, refreshSession, signIn, told: told - begin, closed: closed - begin };
}

/** When a stream was told that its device was removed, and when it ended. */
async function watch(stage: Stage, session: Session): Promise<{ readonly told: number; readonly closed: number }> {
  let told = Number.NaN;
  let cause = '';
  for await (const { event } of stage.device.trustedDevices.watchDevice({}, { ...bearer(session), timeoutMs: 0 })) {
    if (event.case !== 'signedOut') continue;
    told = performance.now();
    cause = event.value.cause;
  }
  if (cause !== 'DEVICE_REMOVED') stage.wrongEnds += 1;
  return { told, closed: performance.now() };
}

async function untilOpen({ database }: Stage, sessionId: string): Promise<void> {
  for (;;) {
    const { rowCount } = await database.query('select from open_stream where session_id = $1', [sessionId]);
    if (rowCount === 1) return;
    await sleep(5);
  }
}
