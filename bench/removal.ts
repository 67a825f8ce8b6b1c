// How fast a removed device is out: three replicas on one database, each behind an edge of its own, so that it is known which
// one answers. The owner removes a device on A; the device calls on B and C, and watches on C. First replicas tell each other over
// PostgreSQL, then over Redis. `npm run bench:removal [runs]`.

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type AppClient, CountersignError } from '../clients/app/client.ts';
import { createServiceClient } from '../clients/service/client.ts';
import { Channel } from '../gen/countersign/v1/challenge_pb.ts';
import { Platform } from '../gen/countersign/v1/device_pb.ts';
import type { Session } from '../gen/countersign/v1/session_pb.ts';
import { keyRingOf } from '../server/platform/key-ring.ts';
import { createCodes } from '../server/platform/keys.ts';
import { type Edge, startEdge } from '../test/support/edge.ts';
import { ensureRedis, startRedis } from '../test/support/redis.ts';
import { benchConfig, benchKeys, measure, type Parts, printTable, quantile, serviceToken } from './support.ts';

const runs = Number(process.argv[2] ?? 200);
/** Few enough that an account meets no budget, and that its list of late codes stays as short as a person's. */
const runsPerAccount = 4;
const warmUp = runsPerAccount;
/** A slow machine makes fewer runs instead of none. */
const runsWithinMs = 190_000;
const phone = { displayName: 'Phone', model: 'iPhone 17', platform: Platform.IOS, osVersion: '19.1' };
/** All of it is called from one address. */
const manyCalls = { COUNTERSIGN_CALLS_PER_ADDRESS: '1000000', COUNTERSIGN_STRANGERS_CALLS_PER_ADDRESS: '1000000' };

/** Milliseconds after the owner's answer; below zero is before it. */
interface Times {
  readonly callOnB: number;
  readonly callOnC: number;
  readonly refreshOnB: number;
  readonly signInOnC: number;
  readonly told: number;
  readonly closed: number;
}

await measure(500_000, async (parts) => {
  const overPostgres = await measureRemovals(parts, 'PostgreSQL', undefined);
  if (!(await ensureRedis())) return overPostgres;
  const redis = await startRedis();
  try {
    return (await measureRemovals(parts, 'Redis', redis.url)) && overPostgres;
  } finally {
    await redis.discard();
  }
});

/** @returns whether the device got in nowhere, and its streams ended as they should. */
async function measureRemovals(parts: Parts, over: string, redisUrl: string | undefined): Promise<boolean> {
  const replicas = await Promise.all(
    [1, 2, 3].map(() => parts.start('server-process.ts', redisUrl === undefined ? {} : { redisUrl })),
  );
  const edges = (
    await Promise.all(replicas.map(({ publicUrl }) => startEdge({ replicas: [publicUrl], env: manyCalls })))
  ).filter((edge) => edge !== undefined);
  const [a, b, c] = edges;
  if (a === undefined || b === undefined || c === undefined) return false;
  const service = createServiceClient({ baseUrl: replicas[0]?.internalUrl ?? '', serviceToken });
  const stage: Stage = {
    ownerOnA: clientOf(a),
    deviceOnB: clientOf(b),
    deviceOnC: clientOf(c),
    codes: createCodes(
      keyRingOf(() => [benchKeys.code]),
      benchConfig(parts).limits.codeDigits,
    ),
    database: new pg.Pool({ connectionString: parts.databaseUrl, max: 1 }),
    letIn: 0,
    wrongEnds: 0,
  };

  const times: Times[] = [];
  let account = { email: '', password: '' };
  let ownerSession: Session | undefined;
  const begin = performance.now();
  for (let run = 0; run < warmUp + runs && performance.now() - begin < runsWithinMs; run++) {
    if (run % runsPerAccount === 0) {
      account = { email: `owner-${over}-${run}@example.com`, password: `correct horse ${run}` };
      await service.accounts.createAccount(account);
      ownerSession = await signInNewDevice(stage, stage.ownerOnA, account);
    }
    const measured = await removeOne(stage, account, ownerSession);
    if (run >= warmUp) times.push(measured);
  }
  await stage.database.end();
  await Promise.all(edges.map((edge) => edge.stop()));
  await Promise.all(replicas.map((replica) => replica.stop()));

  const row = (what: string, of: keyof Times) => {
    const values = times.map((one) => one[of]);
    return [what, String(values.length), ...[0.5, 0.99, 1].map((share) => quantile(values, share).toFixed(1))];
  };
  printTable([
    [`over ${over}: ms after RemoveTrustedDevice's answer on A`, 'runs', 'median', 'p99', 'most'],
    row('GetSettings refused on B', 'callOnB'),
    row('GetSettings refused on C', 'callOnC'),
    row('RefreshSession refused on B', 'refreshOnB'),
    row('SignIn by device_token asks for a code on C', 'signInOnC'),
    row('stream on C told signed_out', 'told'),
    row('stream on C closed', 'closed'),
  ]);
  const before = times.filter(({ told }) => told <= 0).length;
  process.stdout.write(
    `let in: ${stage.letIn}; streams told before the answer: ${before}; ended otherwise: ${stage.wrongEnds}\n`,
  );
  return stage.letIn === 0 && stage.wrongEnds === 0;
}

interface Stage {
  readonly ownerOnA: AppClient;
  readonly deviceOnB: AppClient;
  readonly deviceOnC: AppClient;
  readonly codes: ReturnType<typeof createCodes>;
  readonly database: pg.Pool;
  /** Calls of a removed device that were served. */
  letIn: number;
  wrongEnds: number;
}

/** A client without tokens: each call says whose it is. */
function clientOf(edge: Edge): AppClient {
  return edge.appClient();
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
  const { ownerOnA, deviceOnB, deviceOnC } = stage;
  const session = await signInNewDevice(stage, deviceOnC, account);
  const { deviceId, deviceToken, refreshToken } = session;
  const stream = watch(stage, session);
  await untilOpen(stage, session.sessionId);
  // What the opening still does is not part of the removal.
  await sleep(30);

  await ownerOnA.trustedDevices.removeTrustedDevice({ deviceId }, bearer(ownerSession));
  const begin = performance.now();
  // All at once, as whoever holds the device would.
  const refused = async (make: () => Promise<unknown>) => {
    try {
      await make();
      stage.letIn += 1;
    } catch (error) {
      if (!CountersignError.is(error, 'SESSION_INVALID')) throw error;
      if (error.reasonMetadata['cause'] !== 'DEVICE_REMOVED') throw error;
    }
    return performance.now() - begin;
  };
  const asksForCode = async () => {
    const { result } = await deviceOnC.twoStepAuth.signIn({ ...account, device: phone, deviceToken });
    if (result.case !== 'challengeGrant') stage.letIn += 1;
    return performance.now() - begin;
  };
  const [callOnB, callOnC, refreshOnB, signInOnC, { told, closed }] = await Promise.all([
    refused(() => deviceOnB.twoStepAuth.getSettings({}, bearer(session))),
    refused(() => deviceOnC.twoStepAuth.getSettings({}, bearer(session))),
    refused(() => deviceOnB.twoStepAuth.refreshSession({ refreshToken })),
    asksForCode(),
    stream,
  ]);
  return { callOnB, callOnC, refreshOnB, signInOnC, told: told - begin, closed: closed - begin };
}

/** When a stream was told that its device was removed, and when it ended. */
async function watch(stage: Stage, session: Session): Promise<{ readonly told: number; readonly closed: number }> {
  let told = Number.NaN;
  let cause = '';
  for await (const { event } of stage.deviceOnC.trustedDevices.watchDevice({}, { ...bearer(session), timeoutMs: 0 })) {
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
