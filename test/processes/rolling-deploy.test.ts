// Three replicas behind the edge, replaced one after the other while apps and services go on: no call fails, and no stream misses
// anything. `DEPLOY_CALLS=10000 npm test -- rolling-deploy` deploys again and again until there were so many calls.

import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AppClient } from '../../clients/app/client.ts';
import { CountersignError } from '../../clients/errors.ts';
import { createSessionChecker } from '../../clients/service/checker.ts';
import { Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import type { Session } from '../../gen/countersign/v1/session_pb.ts';
import { times } from '../support/at-once.ts';
import { eventually } from '../support/eventually.ts';
import { appClientAt, codeOfChallenge, startLoad } from '../support/load.ts';
import { callOnce, newCounts, notAcknowledged } from '../support/load-calls.ts';
import { programs } from '../support/processes.ts';
import { iphone, serviceToken } from '../support/server.ts';
import { hasSite, type Site, startSite } from '../support/site.ts';
import { type Watcher, watch } from '../support/watch.ts';

const leastCalls = Number(process.env['DEPLOY_CALLS'] ?? 1_000);
const accountCount = 10;
const devicesPerAccount = 3;
const happeningEveryMs = 250;
const removalRound = 3;
const hasIt = await hasSite();
const running = programs();
let site: Site | undefined;

beforeAll(async () => {
  // What production does; elsewhere tests do not wait for a balancer.
  site = await startSite(running, {
    COUNTERSIGN_DRAIN_DELAY: '2s',
    // A machine that is busy with other tests is no failure of a deploy.
    COUNTERSIGN_DATABASE_PATIENCE: '20s',
  });
}, 120_000);
afterAll(() => site?.discard());

interface Device {
  readonly session: Session;
  readonly client: AppClient;
  readonly watcher: Watcher;
}

interface Owner {
  readonly email: string;
  readonly password: string;
  /** The first one stays; the last one is removed. */
  readonly devices: readonly Device[];
  /** Whose codes every device has to show. */
  readonly asked: string[];
}

test.skipIf(!hasIt)(
  'no call fails while every replica is replaced, and streams miss nothing',
  { timeout: 600_000 },
  async () => {
    if (site === undefined) throw new Error('no site');
    const { edge, mail, replicas, cluster } = site;
    const [first] = replicas;
    if (first === undefined) throw new Error('no replica');
    const { service } = first.server;
    const counts = newCounts();
    const newClient = (turn: number) => appClientAt(edge.url, edge.ca, turn);

    const askForCode = async (
      client: AppClient,
      { email, password }: Pick<Owner, 'email' | 'password'>,
      channel: Channel,
    ) => {
      const { twoStepAuth } = client;
      const request = { email, password, device: iphone, requestId: crypto.randomUUID() };
      const { result } = await callOnce(counts, () => twoStepAuth.signIn(request));
      if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
      const { challengeToken, challenge } = result.value;
      if (challenge?.defaultChannel !== channel)
        await callOnce(counts, () => twoStepAuth.sendCode({ challengeToken, channel }));
      return { challengeToken, challengeId: challenge?.challengeId ?? '' };
    };
    const signInDevice = async (owner: Pick<Owner, 'email' | 'password'>, turn: number): Promise<Device> => {
      const client = newClient(turn);
      const { challengeToken, challengeId } = await askForCode(client, owner, Channel.EMAIL);
      const code = codeOfChallenge(challengeId, 'EMAIL');
      const { session } = await callOnce(counts, () => client.twoStepAuth.verifyCode({ challengeToken, code }));
      if (session === undefined) throw new Error('no session');
      client.useSession(session);
      return { session, client, watcher: watch(client) };
    };
    const createOwner = async (at: number): Promise<Owner> => {
      const owner = { email: `owner${at}@example.com`, password: `correct horse ${at}`, asked: [] };
      await service.accounts.createAccount(owner);
      const devices: Device[] = [];
      for (let device = 0; device < devicesPerAccount; device++) devices.push(await signInDevice(owner, at + device));
      return { ...owner, devices };
    };
    const limit = pLimit(2);
    const owners = await Promise.all(times(accountCount, (at) => limit(() => createOwner(at))));

    const revoked = replicas.map(() => new Set<string>());
    const checkers = replicas.map(({ internalUrl }, at) => {
      const checker = createSessionChecker({
        baseUrl: internalUrl,
        serviceToken,
        issuer: 'countersign',
        audience: 'countersign',
      });
      checker.onRevoked(({ sessionId }) => revoked[at]?.add(sessionId));
      return checker;
    });
    await Promise.all(checkers.map((checker) => checker.ready(30_000)));

    const load = await startLoad({
      baseUrls: [edge.url],
      ca: edge.ca,
      service,
      mail,
      signInsPerSecond: 5,
      workers: 8,
      callsPerSession: 16,
    });
    let deployed = 0;
    const deploy = async () => {
      while (deployed < 1 || load.counts.calls + counts.calls < leastCalls) {
        for (const replica of replicas) {
          await replica.stop();
          await replica.start();
          await eventually(30_000, async () => expect(await isUp(site, replica.publicUrl)).toBe(true));
        }
        deployed += 1;
      }
    };
    /** A code after the other for as long as it is deployed, and early on a removal in each account. */
    const happenings = async () => {
      for (let round = 0; round <= removalRound || !done; round++) {
        for (const [at, owner] of owners.entries()) {
          await sleep(happeningEveryMs);
          owner.asked.push((await askForCode(newClient(at), owner, Channel.APP)).challengeId);
          if (round !== removalRound) continue;
          const [remover] = owner.devices;
          const deviceId = owner.devices.at(-1)?.session.deviceId ?? '';
          await callOnce(counts, async () => remover?.client.trustedDevices.removeTrustedDevice({ deviceId }));
        }
      }
    };
    let done = false;
    const deploying = deploy().finally(() => {
      done = true;
    });
    await Promise.all([deploying, happenings()]);

    const result = await load.finish(cluster.url());
    const calls = result.counts.calls + counts.calls;
    const failed = notAcknowledged(result.counts) + notAcknowledged(counts) + result.removedUnanswered;
    let codesSeen = 0;
    for (const { devices, asked } of owners) {
      for (const { watcher } of devices.slice(0, -1)) {
        await eventually(30_000, () => expect([...codesSeenBy(watcher)]).toEqual(expect.arrayContaining(asked)));
        codesSeen += asked.length;
      }
      await toldOfRemoval(devices.at(-1)?.watcher);
    }
    const gone = owners.map(({ devices }) => devices.at(-1)?.session.sessionId);
    for (const told of revoked) await eventually(30_000, () => expect([...told]).toEqual(expect.arrayContaining(gone)));
    process.stdout.write(
      `${deployed} deploys of ${replicas.length} replicas: ${calls} calls, ${failed} failed; ${codesSeen} codes shown by ` +
        `${owners.length * (devicesPerAccount - 1)} apps, ${gone.length} removals told to apps and ${checkers.length} services\n`,
    );
    expect({ load: result.counts.refused, others: counts.refused, unanswered: result.removedUnanswered }).toEqual({
      load: {},
      others: {},
      unanswered: 0,
    });
    const { lost, doubled, mailsTwice, removedLetIn } = result;
    expect({ lost, doubled, failed: result.failed, mailsTwice, removedLetIn }).toEqual({
      lost: [],
      doubled: [],
      failed: [],
      mailsTwice: 0,
      removedLetIn: 0,
    });
    expect(calls).toBeGreaterThanOrEqual(leastCalls);
    await Promise.all(owners.flatMap(({ devices }) => devices.slice(0, -1).map(({ watcher }) => watcher.stop())));
    await Promise.all(checkers.map((checker) => checker.close()));
  },
);

/** Whether the edge has seen that a replica serves. */
async function isUp(of: Site | undefined, publicUrl: string): Promise<boolean> {
  const metrics = await (await fetch(of?.edge.metricsUrl ?? '')).text();
  const server = `proxy="replicas",server="${new URL(publicUrl).host}"`;
  return metrics.includes(`haproxy_server_status{${server},state="UP"} 1`);
}

function codesSeenBy({ events }: Watcher): ReadonlySet<string> {
  return new Set(
    events.flatMap((event) => (event.case === 'codeArrived' ? [event.value.challenge?.challengeId ?? ''] : [])),
  );
}

/** By the stream's last word or, where it was just between two, by the refusal of the next. */
async function toldOfRemoval(watcher: Watcher | undefined): Promise<void> {
  try {
    await watcher?.ended;
    expect((await watcher?.next('signedOut'))?.cause).toBe('DEVICE_REMOVED');
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
    expect(error.reasonMetadata['cause']).toBe('DEVICE_REMOVED');
  }
}
