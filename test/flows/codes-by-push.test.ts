// Codes by APNs and FCM: what a notification says, when it is taken away, what becomes of tokens, and the way out where the
// app does not bring the code.

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { apnsAnswers } from '../support/apns-server.ts';
import { fcmAnswers } from '../support/fcm-server.ts';
import { codeIn } from '../support/mail-server.ts';
import { type PushServers, startPushServers } from '../support/push.ts';
import {
  accountWithPush,
  askedDelivery,
  askForCode,
  deliveryOf,
  newApnsToken,
  newFcmToken,
  registerApns,
  registerFcm,
  topic,
} from '../support/push-devices.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let push: PushServers;
let server: TestServer;
const zurich = { 'x-forwarded-for': '129.132.19.216' };

beforeAll(async () => {
  push = await startPushServers(() => server?.clock.now() ?? new Date());
  server = await startTestServer(push.env);
});
afterAll(async () => {
  await server?.stop();
  await push?.stop();
});

const quickly = { timeout: 8_000, interval: 20 };
const codesTo = (email: string) => server.mail.codeMailsTo(email);

describe('a code by push', () => {
  test('goes to every other trusted device at once, with the code and who asks', async () => {
    const account = await server.createAccount();
    const phone = await server.signInNewDevice(account);
    const tablet = await server.signInNewDevice(account);
    const [apnsToken, fcmToken] = [await registerApns(phone.client), await registerFcm(tablet.client)];

    const asked = await askForCode(server, account, zurich);
    expect(asked.challenge.defaultChannel).toBe(Channel.APP);
    expect(deliveryOf(asked.challenge, Channel.APP)).toBe('QUEUED');
    const { challengeId } = asked.challenge;
    const [apns] = await push.apns.waitFor(apnsToken);
    const [fcm] = (await push.fcm.waitFor(fcmToken)).filter(({ message }) => message.data?.['kind'] === 'code_arrived');
    const { aps, ...data } = (apns?.payload ?? {}) as {
      aps: { alert: { title: string; body: string }; 'interruption-level': string };
    };
    const code = /\d{6}/.exec(aps.alert.body)?.[0] ?? '';
    expect(aps.alert.title).not.toContain(code);
    expect(aps.alert.body).toMatch(/iPhone/);
    expect(aps.alert.body).toMatch(/Zurich|Zürich/);
    expect(aps.alert.body).toMatch(/CH/);
    expect(aps['interruption-level']).toBe('time-sensitive');
    const expireTime = Number(asked.challenge.expireTime?.seconds);
    expect(data).toMatchObject({ kind: 'code_arrived', challenge_id: challengeId });
    expect(apns).toMatchObject({ topic, pushType: 'alert', priority: 10, collapseId: challengeId });
    expect(Math.abs((apns?.expiration ?? 0) - expireTime)).toBeLessThanOrEqual(1);
    expect(fcm?.message).toMatchObject({
      android: { priority: 'HIGH', collapseKey: challengeId, notification: { tag: challengeId } },
      data: { kind: 'code_arrived', challenge_id: challengeId },
    });
    expect(fcm?.message.notification?.body).toContain(code);
    expect(Number(fcm?.message.android?.ttl?.replace('s', ''))).toBeGreaterThan(500);

    await vi.waitFor(async () => expect(await askedDelivery(asked, Channel.APP)).toBe('ACCEPTED'), quickly);
    const { session } = await asked.client.twoStepAuth.verifyCode({ challengeToken: asked.challengeToken, code });
    expect(session?.accessToken).toBeTruthy();
    expect(codesTo(account.email)).toHaveLength(2);
  });

  test('is taken away from every screen when the challenge is settled, by a silent push', async () => {
    const { account, token } = await accountWithPush(server);
    const asked = await askForCode(server, account);
    const [shown] = await push.fcm.waitFor(token);
    const code = /\d{6}/.exec(shown?.message.notification?.body ?? '')?.[0] ?? '';
    await asked.client.twoStepAuth.verifyCode({ challengeToken: asked.challengeToken, code });
    await vi.waitFor(() => {
      const kinds = push.fcm.pushes.filter((each) => each.token === token).map(({ message }) => message.data?.['kind']);
      expect(kinds.toSorted()).toEqual(['challenge_resolved', 'code_arrived', 'security_notice']);
    }, quickly);
    const resolved = push.fcm.pushes.find(
      (each) => each.token === token && each.message.data?.['kind'] === 'challenge_resolved',
    );
    expect(resolved?.message.notification).toBeUndefined();
    expect(resolved?.message.data?.['challenge_id']).toBe(asked.challenge.challengeId);
  });

  test('is taken away when its challenge ends by itself, even where this machine’s clock is behind', async () => {
    const { account, token } = await accountWithPush(server);
    const asked = await askForCode(server, account);
    await push.fcm.waitFor(token);
    await vi.waitFor(async () => expect(await askedDelivery(asked, Channel.APP)).toBe('ACCEPTED'), quickly);
    const job = `graphile_worker._private_jobs where key = 'settle:${asked.challenge.challengeId}'`;
    const runNow = () =>
      server.query(`update graphile_worker._private_jobs set run_at = now() where key like 'settle:%'`);
    // PostgreSQL says that it is time, and our clock that it is not.
    await runNow();
    await vi.waitFor(async () => {
      const [row] = await server.query(`select run_at > now() + interval '1 minute' as later from ${job}`);
      expect(row).toEqual({ later: true });
    }, quickly);
    server.clock.advance(600_000);
    await runNow();
    await vi.waitFor(() => {
      const kinds = push.fcm.pushes.flatMap((each) => (each.token === token ? [each.message.data?.['kind']] : []));
      expect(kinds).toEqual(['code_arrived', 'challenge_resolved']);
    }, quickly);
  });

  test('is not sent any more once its challenge is over', async () => {
    const { account, token } = await accountWithPush(server);
    push.fcm.behave(token, [fcmAnswers.unavailable('2'), 'ok']);
    const asked = await askForCode(server, account);
    await vi.waitFor(() => expect(push.fcm.attemptsOf(token)).toHaveLength(1), quickly);
    await server.setPassword(account, 'another long one');
    await vi.waitFor(async () => {
      const [row] = await server.query(
        `select state, answer from delivery where challenge_id = $1 and push_service = 'FCM' and kind = 'CODE'`,
        [asked.challenge.challengeId],
      );
      expect(row).toEqual({ state: 'FAILED', answer: 'not sent: its challenge was over' });
    }, quickly);
    const kinds = push.fcm.pushes.filter((each) => each.token === token).map(({ message }) => message.data?.['kind']);
    expect(kinds).not.toContain('code_arrived');
  });

  test('does not reach a device that was removed or signed out, nor the one that asks', async () => {
    const account = await server.createAccount();
    const first = await server.signInNewDevice(account);
    const removed = await server.signInNewDevice(account);
    const left = await server.signInNewDevice(account);
    const removedToken = await registerFcm(removed.client);
    const leftToken = await registerFcm(left.client);
    await left.client.twoStepAuth.signOut({});
    await first.client.trustedDevices.removeTrustedDevice({ deviceId: removed.session.deviceId });
    const ownToken = await registerFcm(first.client);
    const { result } = await first.client.twoStepAuth.updateSettings({ twoStepEnabled: false });
    expect(result.case).toBe('challengeGrant');
    const asked = await askForCode(server, account);
    await push.fcm.waitFor(ownToken);
    expect(asked.challenge.defaultChannel).toBe(Channel.APP);
    const codes = (token: string) =>
      push.fcm.pushes.filter((each) => each.token === token && each.message.data?.['kind'] === 'code_arrived').length;
    expect([codes(removedToken), codes(leftToken), codes(ownToken)]).toEqual([0, 0, 1]);
  });
});

describe('what a push service answers', () => {
  test('a token that it does not know disappears once, and the code goes by e-mail', async () => {
    const { account, device, token } = await accountWithPush(server);
    push.fcm.behave(token, fcmAnswers.unregistered);
    const asked = await askForCode(server, account);
    expect(asked.challenge.defaultChannel).toBe(Channel.APP);
    await vi.waitFor(async () => expect(await askedDelivery(asked, Channel.APP)).toBe('FAILED'), quickly);
    await vi.waitFor(async () => expect(await askedDelivery(asked, Channel.EMAIL)).toBe('ACCEPTED'), quickly);
    expect(codesTo(account.email)).toHaveLength(2);
    const code = codeIn(codesTo(account.email)[1] as never) ?? '';
    await asked.client.twoStepAuth.verifyCode({ challengeToken: asked.challengeToken, code });
    const rows = await server.query('select from push_registration where device_id = $1', [device.session.deviceId]);
    expect(rows).toHaveLength(0);
    const again = await askForCode(server, account);
    expect(again.challenge.defaultChannel).toBe(Channel.EMAIL);
    expect(push.fcm.attemptsOf(token)).toHaveLength(1);
  });

  test('a token that changed in between stays, and gets the code', async () => {
    const { account, device, token } = await accountWithPush(server);
    const next = newFcmToken();
    push.fcm.behave(token, [{ ...fcmAnswers.unregistered, slowMs: 1_000 }]);
    const asked = await askForCode(server, account);
    await vi.waitFor(() => expect(push.fcm.attemptsOf(token).length).toBeGreaterThan(0), quickly);
    await registerFcm(device.client, next);
    const [arrived] = await push.fcm.waitFor(next);
    expect(arrived?.message.data?.['challenge_id']).toBe(asked.challenge.challengeId);
    const rows = await server.query('select token from push_registration where device_id = $1', [
      device.session.deviceId,
    ]);
    expect(rows).toEqual([{ token: next }]);
    expect(codesTo(account.email)).toHaveLength(1);
  });

  test("Apple's 410 forgets a token only if it was registered before the time that Apple names", async () => {
    const account = await server.createAccount();
    const device = await server.signInNewDevice(account);
    const token = await registerApns(device.client, newApnsToken());
    const long = new Date(server.clock.now().getTime() - 3_600_000);
    push.apns.behave(token, [apnsAnswers.unregistered(long), 'ok']);
    await askForCode(server, account);
    await push.apns.waitFor(token);
    const kept = await server.query('select from push_registration where device_id = $1', [device.session.deviceId]);
    expect(kept).toHaveLength(1);
    expect(push.apns.attemptsOf(token).map(({ outcome }) => outcome)).toEqual(['410 Unregistered', '200']);
  });

  test('what is asked to come later comes later, and not before', async () => {
    const { account, token } = await accountWithPush(server);
    push.fcm.behave(token, [fcmAnswers.quotaExceeded('2'), 'ok']);
    const asked = await askForCode(server, account);
    await push.fcm.waitFor(token);
    const [first, second] = push.fcm.attemptsOf(token);
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(2_000);
    await vi.waitFor(async () => expect(await askedDelivery(asked, Channel.APP)).toBe('ACCEPTED'), quickly);
    expect(codesTo(account.email)).toHaveLength(1);
  });

  test('a refusal of one of two devices is no failure of the channel', async () => {
    const { account, token } = await accountWithPush(server);
    const other = await server.signInNewDevice(account);
    const otherToken = await registerFcm(other.client);
    push.fcm.behave(token, fcmAnswers.senderIdMismatch);
    const asked = await askForCode(server, account);
    await push.fcm.waitFor(otherToken);
    await vi.waitFor(async () => expect(await askedDelivery(asked, Channel.APP)).toBe('ACCEPTED'), quickly);
    expect(codesTo(account.email)).toHaveLength(2);
  });
});

describe('a code that nobody has seen within 15 s', () => {
  let slow: TestServer;
  beforeAll(async () => {
    slow = await startTestServer({ ...push.env, COUNTERSIGN_CODE_SHOWN_WITHIN: '1s' });
  });
  afterAll(() => slow?.stop());

  test('counts as failed, and goes by e-mail by itself, once', async () => {
    const { account, token } = await accountWithPush(slow);
    const asked = await askForCode(slow, account);
    await push.fcm.waitFor(token);
    const mailed = await slow.mail.codeFor(account.email, 2);
    expect(await askedDelivery(asked, Channel.APP)).toBe('FAILED');
    const { challenge } = await asked.client.twoStepAuth.getChallenge({ challengeToken: asked.challengeToken });
    const email = challenge?.channels.find(({ channel }) => channel === Channel.EMAIL);
    expect(email).toMatchObject({ sendsRemaining: 4, available: true });
    await asked.client.twoStepAuth.verifyCode({ challengeToken: asked.challengeToken, code: mailed });
  });

  test('does not go by e-mail if the app has shown it, or if its requester has asked for the mail already', async () => {
    const shown = await accountWithPush(slow);
    const first = await askForCode(slow, shown.account);
    await shown.device.client.twoStepAuth.listPendingCodes({});
    const mailed = await accountWithPush(slow);
    const second = await askForCode(slow, mailed.account);
    const { challengeToken } = second;
    await second.client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL });
    const jobs = () => slow.query(`select from graphile_worker.jobs where task_identifier = 'fall_back'`);
    await vi.waitFor(async () => expect(await jobs()).toHaveLength(0), quickly);
    expect(await askedDelivery(first, Channel.APP)).toBe('SHOWN');
    expect(slow.mail.codeMailsTo(shown.account.email)).toHaveLength(1);
    expect(slow.mail.codeMailsTo(mailed.account.email)).toHaveLength(2);
  });
});

describe('where the code may stand only in the app', () => {
  let discreet: TestServer;
  beforeAll(async () => {
    discreet = await startTestServer({ ...push.env, COUNTERSIGN_PUSH_CODE: 'app' });
  });
  afterAll(() => discreet?.stop());

  test('a notification says that there is one, and has no code in any part of it', async () => {
    const { account, device, token } = await accountWithPush(discreet);
    await askForCode(discreet, account);
    const [arrived] = await push.fcm.waitFor(token);
    const { pendingCodes } = await device.client.twoStepAuth.listPendingCodes({});
    const code = pendingCodes[0]?.code ?? '';
    expect(code).toMatch(/^\d{6}$/);
    expect(JSON.stringify(arrived?.message)).not.toContain(code);
  });
});
