// The contract's rules as invariants over random sequences of calls: who may see which code, budgets, one session a
// device, and that what is closed stays closed. A small model says what must hold; the server is the whole one.

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AppClient, CountersignError } from '../../clients/app/client.ts';
import { type Challenge, ChallengeState, Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { iphone, startTestServer, type TestAccount, type TestServer } from '../support/server.ts';
import { type Watcher, watch } from '../support/watch.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ COUNTERSIGN_LOG_LEVEL: 'error' });
});
afterAll(() => server.stop());

interface ModelDevice {
  readonly client: AppClient;
  readonly account: TestAccount;
  readonly deviceId: string;
  readonly deviceToken: string;
  readonly trusted: boolean;
  readonly watcher: Watcher;
}

interface ModelChallenge {
  readonly account: TestAccount;
  readonly token: string;
  readonly challengeId: string;
  /** The device that asked, for switching off. */
  readonly askedBy: string | undefined;
  readonly client: AppClient;
  state: ChallengeState;
  appSends: number;
}

/** One world: two accounts, and everything that has happened to them. */
class World {
  readonly accounts: TestAccount[] = [];
  readonly devices: ModelDevice[] = [];
  readonly challenges: ModelChallenge[] = [];

  static async make(): Promise<World> {
    const world = new World();
    for (let count = 0; count < 2; count++) {
      const account = await server.createAccount();
      world.accounts.push(account);
      await world.addDevice(account, true);
    }
    return world;
  }

  async addDevice(account: TestAccount, trusted: boolean): Promise<void> {
    const challenge = await this.open(account);
    if (challenge) await this.verify(challenge, 'right', trusted);
  }

  async open(account: TestAccount): Promise<ModelChallenge | undefined> {
    const client = server.appClient();
    const answer = await allowed(client.twoStepAuth.signIn({ ...account, device: iphone }), 'RATE_LIMITED');
    if (answer?.result.case !== 'challengeGrant') return undefined;
    return this.note(answer.result.value, account, client, undefined);
  }

  async switchOff(device: ModelDevice): Promise<void> {
    const { client, account, deviceId } = device;
    const answer = await allowed(
      client.twoStepAuth.updateSettings({ twoStepEnabled: false }),
      'RATE_LIMITED',
      'SESSION_INVALID',
    );
    if (answer?.result.case === 'challengeGrant') this.note(answer.result.value, account, client, deviceId);
  }

  note(
    grant: { readonly challengeToken: string; readonly challenge?: Challenge | undefined },
    account: TestAccount,
    client: AppClient,
    askedBy: string | undefined,
  ): ModelChallenge {
    const { challengeToken: token, challenge } = grant;
    const appSends = challenge?.defaultChannel === Channel.APP ? 1 : 0;
    const { challengeId = '' } = challenge ?? {};
    const noted = { account, token, challengeId, askedBy, client, state: ChallengeState.PENDING, appSends };
    this.challenges.push(noted);
    return noted;
  }

  async send(challenge: ModelChallenge, channel: Channel): Promise<void> {
    const { token: challengeToken } = challenge;
    const answer = await allowed(
      challenge.client.twoStepAuth.sendCode({ challengeToken, channel }),
      'SEND_TOO_SOON',
      'SENDS_EXHAUSTED',
      'CHANNEL_UNAVAILABLE',
      'CHALLENGE_CLOSED',
      'CHALLENGE_EXPIRED',
    );
    if (answer !== undefined) expect(challenge.state).toBe(ChallengeState.PENDING);
    if (answer !== undefined && channel === Channel.APP) challenge.appSends += 1;
  }

  async verify(challenge: ModelChallenge, which: 'right' | 'wrong', trustDevice: boolean): Promise<void> {
    if (challenge.askedBy !== undefined) return;
    const { token: challengeToken, challengeId, account } = challenge;
    const { challenge: before } = await challenge.client.twoStepAuth.getChallenge({ challengeToken });
    const channel = challenge.appSends > 0 && before?.defaultChannel === Channel.APP ? 'APP' : 'EMAIL';
    const right = server.app.deps.codes.derive({ challengeId, codeKeyId: 'test' }, channel);
    const code =
      which === 'right' ? right : right.replace(/^./, (digit) => (digit === '9' ? '0' : `${Number(digit) + 1}`));
    const answer = await allowed(
      challenge.client.twoStepAuth.verifyCode({ challengeToken, code, trustDevice }),
      'CODE_INCORRECT',
      'CHALLENGE_CLOSED',
      'CHALLENGE_EXPIRED',
      'RATE_LIMITED',
    );
    if (answer?.session === undefined) return;
    expect(which).toBe('right');
    const { session } = answer;
    // A repeat of the answer is the same device; its first tokens are void.
    const known = this.devices.findIndex(({ deviceId }) => deviceId === session.deviceId);
    const [before1] = known < 0 ? [] : this.devices.splice(known, 1);
    await before1?.watcher.stop().catch(() => {});
    const client = server.appClient();
    client.useSession(session);
    const { deviceId, deviceToken } = session;
    const watcher = watch(client);
    this.devices.push({ client, account, deviceId, deviceToken, trusted: deviceToken !== '', watcher });
    challenge.state = ChallengeState.VERIFIED;
    await watcher.opened(server, deviceId).catch(() => {});
  }

  async remove(by: ModelDevice, target: ModelDevice): Promise<void> {
    await allowed(
      by.client.trustedDevices.removeTrustedDevice({ deviceId: target.deviceId }),
      'DEVICE_UNKNOWN',
      'SESSION_INVALID',
      'DEVICE_NOT_TRUSTED',
    );
  }

  async deny(by: ModelDevice, { challengeId }: ModelChallenge): Promise<void> {
    await allowed(
      by.client.twoStepAuth.denyChallenge({ challengeId }),
      'CHALLENGE_UNKNOWN',
      'DEVICE_NOT_TRUSTED',
      'SESSION_INVALID',
    );
  }

  /** What must hold, whatever has happened. */
  async check(): Promise<void> {
    await this.checkChallenges();
    for (const device of this.devices) await this.checkDevice(device);
    const [counts] = await server.query(
      `select
         (select count(*)::int from (
           select from session where end_time is null group by account_id, device_id having count(*) > 1) s) as doubled,
         (select coalesce(max(wrong_codes), 0) from challenge)::int as wrong,
         (select count(*)::int from challenge where (sends -> 'APP' ->> 'count')::int > 5
            or (sends -> 'EMAIL' ->> 'count')::int > 5) as oversent`,
    );
    expect(counts).toMatchObject({ doubled: 0, oversent: 0 });
    expect(counts?.['wrong']).toBeLessThanOrEqual(5);
  }

  async checkChallenges(): Promise<void> {
    for (const known of this.challenges) {
      const { challenge } = await known.client.twoStepAuth.getChallenge({ challengeToken: known.token });
      const state = challenge?.state ?? ChallengeState.UNSPECIFIED;
      // Closed stays closed, verified stays verified.
      if (known.state !== ChallengeState.PENDING) expect(state).toBe(known.state);
      expect(challenge?.requester).toBeUndefined();
      known.state = state;
    }
  }

  async checkDevice(device: ModelDevice): Promise<void> {
    const answer = await allowed(
      device.client.twoStepAuth.listPendingCodes({}),
      'DEVICE_NOT_TRUSTED',
      'SESSION_INVALID',
    );
    const mayShow = this.challenges.filter(
      (challenge) =>
        challenge.state === ChallengeState.PENDING &&
        challenge.appSends > 0 &&
        challenge.account === device.account &&
        challenge.askedBy !== device.deviceId,
    );
    if (answer !== undefined) {
      expect(device.trusted).toBe(true);
      const shown = answer.pendingCodes.map(({ challenge }) => challenge?.challengeId).sort();
      expect(shown).toEqual(mayShow.map(({ challengeId }) => challengeId).sort());
    }

    const told = new Map<string, number>();
    const settled = new Set<string>();
    for (const event of device.watcher.events) {
      if (event.case === 'challengeResolved') settled.add(event.value.challenge?.challengeId ?? '');
      if (event.case !== 'codeArrived') continue;
      const { challengeId = '' } = event.value.challenge ?? {};
      expect(device.trusted).toBe(true);
      expect(settled).not.toContain(challengeId);
      told.set(challengeId, (told.get(challengeId) ?? 0) + 1);
    }
    for (const [challengeId, times] of told) {
      const challenge = this.challenges.find((each) => each.challengeId === challengeId);
      expect(challenge?.account).toBe(device.account);
      expect(challenge?.askedBy).not.toBe(device.deviceId);
      // Told once a send, never twice as new.
      expect(times).toBeLessThanOrEqual(challenge?.appSends ?? 0);
    }
  }

  async end(): Promise<void> {
    await Promise.all(this.devices.map(({ watcher }) => watcher.stop().catch(() => {})));
  }
}

/** What the contract lets a call end with; anything else fails. */
async function allowed<T>(call: Promise<T>, ...reasons: readonly string[]): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (CountersignError.is(error, ...reasons)) return undefined;
    throw error;
  }
}

type Step = { readonly move: string; readonly a: number; readonly b: number; readonly flag: boolean };

const moves = ['open', 'open', 'send app', 'send email', 'verify', 'verify', 'wrong', 'remove', 'deny', 'off', 'wait'];
const steps = fc.array(
  fc.record({ move: fc.constantFrom(...moves), a: fc.nat(50), b: fc.nat(50), flag: fc.boolean() }),
  { minLength: 8, maxLength: 22 },
);

async function play(world: World, { move, a, b, flag }: Step): Promise<void> {
  const pick = <T>(items: readonly T[], at: number): T | undefined => items[at % Math.max(1, items.length)];
  const account = pick(world.accounts, a);
  const challenge = pick(world.challenges.slice(-6), a);
  const [one, two] = [pick(world.devices, a), pick(world.devices, b)];
  if (move === 'open' && account) await world.open(account);
  if (move === 'send app' && challenge) await world.send(challenge, Channel.APP);
  if (move === 'send email' && challenge) await world.send(challenge, Channel.EMAIL);
  if (move === 'verify' && challenge) await world.verify(challenge, 'right', flag);
  if (move === 'wrong' && challenge) await world.verify(challenge, 'wrong', flag);
  if (move === 'remove' && one && two) await world.remove(one, two);
  if (move === 'deny' && one && challenge) await world.deny(one, challenge);
  if (move === 'off' && one) await world.switchOff(one);
  // Past a resend's wait, or past a code's life.
  if (move === 'wait') server.clock.advance(flag ? 61_000 : 600_000);
}

test('random sequences of calls never break the rules', { timeout: 240_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const world = await World.make();
      try {
        for (const step of sequence) {
          await play(world, step);
          await world.check();
        }
      } finally {
        await world.end();
      }
    }),
    { numRuns: 20, endOnFailure: true },
  );
});
