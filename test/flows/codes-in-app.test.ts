// Codes on trusted devices: who is shown them, when they stop, and "it wasn't me".

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Advice } from '../../gen/countersign/v1/advice_pb.ts';
import { ChallengePurpose, ChallengeState, Channel, Delivery } from '../../gen/countersign/v1/challenge_pb.ts';
import { EventKind } from '../../gen/countersign/v1/login_event_pb.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestAccount, type TestDevice, type TestServer } from '../support/server.ts';
import { watch } from '../support/watch.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

async function signIn(account: TestAccount, headers: Record<string, string> = {}) {
  const client = server.appClient();
  const { email, password } = account;
  const { result } = await client.twoStepAuth.signIn({ email, password, device: iphone }, { headers });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const { challengeToken, challenge } = result.value;
  if (challenge === undefined) throw new Error('a grant without its challenge');
  return { client, challengeToken, challenge };
}

const channel = (challenge: { channels: { channel: Channel }[] } | undefined, which: Channel) =>
  challenge?.channels.find((option) => option.channel === which);

async function withWatcher(account: TestAccount): Promise<{ device: TestDevice; watcher: ReturnType<typeof watch> }> {
  const device = await server.signInNewDevice(account);
  const watcher = watch(device.client);
  await watcher.opened(server, device.session.deviceId);
  return { device, watcher };
}

describe('a code', () => {
  test('goes to the open app first, shows who asks, and counts as shown', async () => {
    const account = await server.createAccount();
    const { watcher } = await withWatcher(account);
    const asked = await signIn(account, { 'x-forwarded-for': '129.132.19.216' });
    expect(asked.challenge.defaultChannel).toBe(Channel.APP);
    expect(asked.challenge.channels[0]).toMatchObject({ destination: '1 trusted device', available: true });
    const arrived = await watcher.next('codeArrived');
    expect(arrived.challenge?.challengeId).toBe(asked.challenge.challengeId);
    expect(arrived.challenge?.requester).toMatchObject({
      device: { displayName: "Anna's iPhone" },
      location: { countryCode: 'CH' },
      ipAddress: '129.132.19.216',
    });
    await vi.waitFor(async () => {
      const { challenge } = await asked.client.twoStepAuth.getChallenge({ challengeToken: asked.challengeToken });
      expect(channel(challenge, Channel.APP)).toMatchObject({ delivery: Delivery.SHOWN });
      expect(challenge?.requester).toBeUndefined();
    });
    const { session } = await asked.client.twoStepAuth.verifyCode({
      challengeToken: asked.challengeToken,
      code: arrived.code,
    });
    expect(session?.accessToken).toBeTruthy();
    const resolved = await watcher.next('challengeResolved');
    expect(resolved.challenge).toMatchObject({
      challengeId: asked.challenge.challengeId,
      state: ChallengeState.VERIFIED,
    });
    expect(server.mail.codeMailsTo(account.email)).toHaveLength(1);
    await watcher.stop();
  });

  test('goes by e-mail first where no app is open, and to the app when that is asked for', async () => {
    const account = await server.createAccount();
    const device = await server.signInNewDevice(account);
    const asked = await signIn(account);
    expect(asked.challenge.defaultChannel).toBe(Channel.EMAIL);
    expect((await device.client.twoStepAuth.listPendingCodes({})).pendingCodes).toEqual([]);
    const { challengeToken } = asked;
    const { challenge } = await asked.client.twoStepAuth.sendCode({ challengeToken, channel: Channel.APP });
    // No app is open, and none takes pushes; opening one shows it all the same.
    expect(channel(challenge, Channel.APP)).toMatchObject({ sendsRemaining: 4, delivery: Delivery.FAILED });
    const { pendingCodes } = await device.client.twoStepAuth.listPendingCodes({});
    expect(pendingCodes).toHaveLength(1);
    const mailed = await server.mail.codeFor(account.email, 2);
    expect(pendingCodes[0]?.code).not.toBe(mailed);
    const shown = await asked.client.twoStepAuth.getChallenge({ challengeToken });
    expect(channel(shown.challenge, Channel.APP)).toMatchObject({ delivery: Delivery.SHOWN });
    await asked.client.twoStepAuth.verifyCode({ challengeToken, code: pendingCodes[0]?.code ?? '' });
    expect((await device.client.twoStepAuth.listPendingCodes({})).pendingCodes).toEqual([]);
  });

  test('of the app does not count before it was sent there', async () => {
    const account = await server.createAccount();
    await server.signInNewDevice(account);
    const asked = await signIn(account);
    const code = server.app.deps.codes.derive({ challengeId: asked.challenge.challengeId, codeKeyId: 'test' }, 'APP');
    const { challengeToken } = asked;
    const error = await refusal(asked.client.twoStepAuth.verifyCode({ challengeToken, code }));
    expect(error.reason).toBe('CODE_INCORRECT');
  });

  test('can not go to the app of an account without another trusted, signed-in device', async () => {
    const account = await server.createAccount();
    const first = await signIn(account);
    expect(channel(first.challenge, Channel.APP)).toMatchObject({ available: false, destination: '0 trusted devices' });
    const device = await server.signInNewDevice(account);
    await device.client.twoStepAuth.signOut({});
    const asked = await signIn(account);
    const { challengeToken } = asked;
    const error = await refusal(asked.client.twoStepAuth.sendCode({ challengeToken, channel: Channel.APP }));
    expect(error.reason).toBe('CHANNEL_UNAVAILABLE');
  });

  test('is told again when it is sent again, and not in between', async () => {
    const account = await server.createAccount();
    const { watcher } = await withWatcher(account);
    const { client, challengeToken } = await signIn(account);
    const first = await watcher.next('codeArrived');
    server.clock.advance(31_000);
    await client.twoStepAuth.sendCode({ challengeToken, channel: Channel.APP });
    const second = await watcher.next('codeArrived', 2);
    expect(second.code).toBe(first.code);
    expect(watcher.events).toHaveLength(2);
    await watcher.stop();
  });

  test('that is pending is told to a stream at its opening', async () => {
    const account = await server.createAccount();
    const { device, watcher } = await withWatcher(account);
    await signIn(account);
    const { code } = await watcher.next('codeArrived');
    await watcher.stop();
    const again = watch(device.client);
    expect((await again.next('codeArrived')).code).toBe(code);
    await again.stop();
  });

  test('that expires is taken off the screens', async () => {
    const short = await startTestServer({ COUNTERSIGN_CODE_LIFETIME: '1m' });
    try {
      const account = await short.createAccount();
      const device = await short.signInNewDevice(account);
      const watcher = watch(device.client);
      await watcher.opened(short, device.session.deviceId);
      await short.appClient().twoStepAuth.signIn({ ...account, device: iphone });
      await watcher.next('codeArrived');
      short.clock.advance(60_000);
      // Another challenge makes the streams look; by themselves they would when the real minute is over.
      await short.appClient().twoStepAuth.signIn({ ...account, device: iphone });
      expect((await watcher.next('challengeResolved')).challenge?.state).toBe(ChallengeState.EXPIRED);
      await watcher.stop();
    } finally {
      await short.stop();
    }
  });
});

describe('who is not trusted', () => {
  test('is shown no code, neither in the stream nor when it asks', async () => {
    const account = await server.createAccount();
    const { watcher } = await withWatcher(account);
    const stranger = await server.signInNewDevice(account, false);
    await watcher.next('codeArrived');
    const untrusted = watch(stranger.client);
    await untrusted.opened(server, stranger.session.deviceId);
    await signIn(account);
    await watcher.next('codeArrived', 2);
    expect((await refusal(stranger.client.twoStepAuth.listPendingCodes({}))).reason).toBe('DEVICE_NOT_TRUSTED');
    const denial = stranger.client.twoStepAuth.denyChallenge({ challengeId: crypto.randomUUID() });
    expect((await refusal(denial)).reason).toBe('DEVICE_NOT_TRUSTED');
    expect(untrusted.events).toEqual([]);
    await Promise.all([watcher.stop(), untrusted.stop()]);
  });
});

test('switching off asks the other trusted devices, never the one that asks', async () => {
  const account = await server.createAccount();
  const one = await withWatcher(account);
  const two = await server.signInNewDevice(account);
  await one.watcher.next('codeArrived');
  const { result } = await two.client.twoStepAuth.updateSettings({ twoStepEnabled: false });
  if (result.case !== 'challengeGrant') throw new Error('no challenge');
  const { challenge, challengeToken } = result.value;
  expect(challenge).toMatchObject({ defaultChannel: Channel.APP, purpose: ChallengePurpose.SWITCH_OFF });
  const { code } = await one.watcher.next('codeArrived', 2);
  expect((await two.client.twoStepAuth.listPendingCodes({})).pendingCodes).toEqual([]);
  await two.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
  await one.watcher.stop();

  const alone = await server.createAccount();
  const single = await withWatcher(alone);
  const own = await single.device.client.twoStepAuth.updateSettings({ twoStepEnabled: false });
  expect(own.result.value).toMatchObject({ challenge: { defaultChannel: Channel.EMAIL } });
  const settings = await single.device.client.twoStepAuth.getSettings({});
  expect(channel(settings, Channel.APP)).toMatchObject({ available: false });
  expect(single.watcher.events).toEqual([]);
  await single.watcher.stop();
});

describe('"it wasn\'t me"', () => {
  const from = (network: string) => ({ 'x-forwarded-for': `${network}.7` });

  test('closes the challenge, and keeps its network out for an hour, but no other', async () => {
    const account = await server.createAccount();
    const { device, watcher } = await withWatcher(account);
    const asked = await signIn(account, from('203.0.113'));
    const { challenge, code } = await watcher.next('codeArrived');
    const challengeId = challenge?.challengeId ?? '';
    const { advice } = await device.client.twoStepAuth.denyChallenge({ challengeId });
    expect(advice.map((note) => note.advice)).toEqual([Advice.CHANGE_PASSWORD, Advice.CHANGE_PASSWORD_ELSEWHERE]);
    await watcher.next('challengeResolved');
    const { challengeToken } = asked;
    const closed = await refusal(asked.client.twoStepAuth.verifyCode({ challengeToken, code }));
    expect(closed).toMatchObject({ reason: 'CHALLENGE_CLOSED', challenge: { state: ChallengeState.CLOSED } });

    const limited = await refusal(signIn(account, from('203.0.113')));
    expect(limited.reason).toBe('RATE_LIMITED');
    expect(limited.retryAfter).toBeGreaterThan(3_590_000);
    await signIn(account, from('198.51.100'));
    server.clock.advance(3_600_000);
    await signIn(account, from('203.0.113'));
    // Denying again changes nothing, and says the same.
    expect((await device.client.twoStepAuth.denyChallenge({ challengeId })).advice).toHaveLength(2);
    const { events } = await device.client.loginActivity.listLoginActivity({ pageSize: 100 });
    expect(events.filter(({ kind }) => kind === EventKind.CHALLENGE_DENIED)).toHaveLength(1);
    expect(events.find(({ kind }) => kind === EventKind.CHALLENGE_DENIED)?.ipAddress).toBe('203.0.113.7');
    await watcher.stop();
  });

  test('after the code was entered puts the intruder out, and asks for a new password', async () => {
    const account = await server.createAccount();
    const { device, watcher } = await withWatcher(account);
    const asked = await signIn(account, from('203.0.113'));
    const { code } = await watcher.next('codeArrived');
    const { challengeToken } = asked;
    const { session } = await asked.client.twoStepAuth.verifyCode({ challengeToken, code });
    if (session === undefined) throw new Error('no session');
    asked.client.useSession(session);
    const { challengeId } = asked.challenge;
    const { advice } = await device.client.twoStepAuth.denyChallenge({ challengeId });
    expect(advice.map((note) => note.advice)).toContain(Advice.REVIEW_TRUSTED_DEVICES);

    const ended = await refusal(asked.client.twoStepAuth.getSettings({}));
    expect(ended.reasonMetadata['cause']).toBe('DEVICE_REMOVED');
    const { deviceToken } = session;
    const again = await server.appClient().twoStepAuth.signIn({ ...account, device: iphone, deviceToken });
    expect(again.result.case).toBe('challengeGrant');
    expect((await device.client.twoStepAuth.getSettings({})).passwordChangeRequired).toBe(true);
    const introspected = await server.service.sessions.introspectSession({
      accessToken: device.client.tokens?.accessToken ?? '',
    });
    expect(introspected).toMatchObject({ active: true, passwordChangeRequired: true });
    await watcher.stop();
  });

  test('to a challenge of another account is unknown', async () => {
    const one = await server.signInNewDevice(await server.createAccount());
    const { challenge } = await signIn(await server.createAccount());
    const error = await refusal(one.client.twoStepAuth.denyChallenge({ challengeId: challenge.challengeId }));
    expect(error.reason).toBe('CHALLENGE_UNKNOWN');
  });
});
