// A support agent's questions: what is told of a code for each way in which it may not arrive, and how an account stands.

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type ChallengeTrace, Route, TraceEventKind } from '../../gen/countersign/internal/v1/challenge_trace_pb.ts';
import { Channel, Delivery } from '../../gen/countersign/v1/challenge_pb.ts';
import { apnsAnswers } from '../support/apns-server.ts';
import { type FcmBehaviour, fcmAnswers } from '../support/fcm-server.ts';
import type { MailBehaviour } from '../support/mail-server.ts';
import { type PushServers, startPushServers } from '../support/push.ts';
import { type Asked, accountWithPush, askForCode, registerApns, registerFcm } from '../support/push-devices.ts';
import { refusal } from '../support/refusal.ts';
import { startTestServer, type TestAccount, type TestServer } from '../support/server.ts';
import { watch } from '../support/watch.ts';

let push: PushServers;
let server: TestServer;

beforeAll(async () => {
  push = await startPushServers();
  server = await startTestServer({ ...push.env, COUNTERSIGN_CODE_SHOWN_WITHIN: '3s' });
});
afterAll(async () => {
  await server?.stop();
  await push?.stop();
});

const quickly = { timeout: 12_000, interval: 20 };

const kindOf = (kind: TraceEventKind) => Object.entries(TraceEventKind).find(([, value]) => value === kind)?.[0] ?? '';

async function trace(account: TestAccount): Promise<ChallengeTrace> {
  const { email } = account;
  const answer = await server.service.support.traceChallenge({ account: { case: 'email', value: email } });
  if (answer.trace === undefined) throw new Error('no trace');
  return answer.trace;
}

/** The message of a route and what happened to it, once its explanation is as expected. */
async function explained(account: TestAccount, route: Route, expected: RegExp) {
  return vi.waitFor(async () => {
    const told = await trace(account);
    const message = told.messages.find((each) => each.route === route);
    expect(message?.explanation).toMatch(expected);
    const events = told.events.filter(({ deliveryId }) => deliveryId === message?.deliveryId);
    return {
      message,
      told,
      kinds: events.map(({ kind }) => kindOf(kind)),
      answers: events.map(({ answer }) => answer),
    };
  }, quickly);
}

describe('a push by FCM', () => {
  test.each<[string, FcmBehaviour | FcmBehaviour[], RegExp, string[]]>([
    ['taken', 'ok', /^Google \(FCM\) took it/, ['QUEUED', 'HANDED_OVER', 'ACCEPTED']],
    [
      'to a device that has removed the app',
      fcmAnswers.unregistered,
      /^The app was removed from this device.*404 UNREGISTERED/,
      ['QUEUED', 'HANDED_OVER', 'UNREGISTERED'],
    ],
    [
      'refused for good',
      fcmAnswers.senderIdMismatch,
      /^Google \(FCM\) refused it for good.*403 SENDER_ID_MISMATCH/,
      ['QUEUED', 'HANDED_OVER', 'REFUSED'],
    ],
    [
      'throttled',
      fcmAnswers.quotaExceeded('30'),
      /^Google \(FCM\) asked to try again later.*429 QUOTA_EXCEEDED/,
      ['QUEUED', 'HANDED_OVER', 'RETRY'],
    ],
    [
      'broken off, then taken',
      ['drop-before'],
      /^Google \(FCM\) took it/,
      ['QUEUED', 'HANDED_OVER', 'UNREACHABLE', 'HANDED_OVER', 'ACCEPTED'],
    ],
    [
      'throttled beyond the end of its code',
      fcmAnswers.unavailable('3600'),
      /^No try got through in time.*503 UNAVAILABLE/,
      ['QUEUED', 'HANDED_OVER', 'GAVE_UP'],
    ],
  ])('%s', async (_, behaviour, expected, kinds) => {
    const { account, token } = await accountWithPush(server);
    push.fcm.behave(token, behaviour);
    await askForCode(server, account);
    const found = await explained(account, Route.FCM, expected);
    expect(found.kinds).toEqual(kinds);
    expect(found.message?.destination).toBe("Anna's iPhone (iPhone 17)");
    expect(JSON.stringify(found.answers)).not.toContain(token);
  });
});

test('a push by APNs, told in Apple’s own words', async () => {
  const account = await server.createAccount();
  const device = await server.signInNewDevice(account);
  const token = await registerApns(device.client);
  push.apns.behave(token, apnsAnswers.badDeviceToken);
  await askForCode(server, account);
  const { kinds, answers } = await explained(
    account,
    Route.APNS,
    /^Apple \(APNs\) refused it for good.*BadDeviceToken/,
  );
  expect(kinds).toEqual(['QUEUED', 'HANDED_OVER', 'REFUSED']);
  expect(answers[2]).toBe('400 BadDeviceToken');
});

describe('a mail', () => {
  const open = async (behaviour: MailBehaviour | MailBehaviour[]): Promise<{ account: TestAccount; asked: Asked }> => {
    const account = await server.createAccount();
    server.mail.behave(account.email, behaviour);
    return { account, asked: await askForCode(server, account) };
  };

  test.each<[string, MailBehaviour | MailBehaviour[], RegExp, string[]]>([
    ['taken', 'ok', /^The mail server took it\. It said: .*250.*spam/, ['QUEUED', 'HANDED_OVER', 'ACCEPTED']],
    [
      'to an address that does not exist',
      'unknown-user',
      /^The mail server refused it for good\. It said: .*550 5\.1\.1/,
      ['QUEUED', 'HANDED_OVER', 'REFUSED'],
    ],
    [
      'refused for its content',
      'refused-after-data',
      /^The mail server refused it for good\. It said: .*554 5\.7\.1/,
      ['QUEUED', 'HANDED_OVER', 'REFUSED'],
    ],
    [
      'greylisted, then taken',
      ['greylisted'],
      /^The mail server took it/,
      ['QUEUED', 'HANDED_OVER', 'RETRY', 'HANDED_OVER', 'ACCEPTED'],
    ],
    [
      'broken off, then taken',
      ['drop-before'],
      /^The mail server took it/,
      ['QUEUED', 'HANDED_OVER', 'UNREACHABLE', 'HANDED_OVER', 'ACCEPTED'],
    ],
  ])('%s', async (_, behaviour, expected, kinds) => {
    const { account } = await open(behaviour);
    const found = await explained(account, Route.SMTP, expected);
    expect(found.kinds).toEqual(kinds);
    const masked = `a•••@${account.email.split('@')[1]}`;
    expect(found.message?.destination).toBe(masked);
    expect(found.told.maskedEmail).toBe(masked);
    const [mail] = server.mail.mails.filter((each) => each.to === account.email);
    if (mail !== undefined) expect(mail.raw).toContain(`<${found.message?.deliveryId}@`);
  });

  test('greylisted for now', async () => {
    const { account } = await open('greylisted');
    const { message } = await explained(account, Route.SMTP, /^The mail server asked to try again later.*451 4\.7\.1/);
    expect(message?.delivery).toBe(Delivery.QUEUED);
    expect(message?.nextAttemptTime).toBeDefined();
  });
});

test('a code from its opening to its end, with every wrong code, and never a code or an address', async () => {
  const { account, device, token } = await accountWithPush(server);
  const watcher = watch(device.client);
  await watcher.opened(server, device.session.deviceId);
  const asked = await askForCode(server, account, { 'x-forwarded-for': '129.132.19.216' });
  const { code } = await watcher.next('codeArrived');
  await push.fcm.waitFor(token);
  const { challengeToken } = asked;
  await asked.client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL });
  const mailed = await server.mail.codeFor(account.email, 2);
  const wrong = ['000000', '000001', '000002'].find((each) => each !== code && each !== mailed) ?? '';
  await refusal(asked.client.twoStepAuth.verifyCode({ challengeToken, code: wrong }));
  await asked.client.twoStepAuth.verifyCode({ challengeToken, code });
  const told = await vi.waitFor(async () => {
    const found = await trace(account);
    expect(found.messages.map(({ delivery }) => delivery)).not.toContain(Delivery.QUEUED);
    expect(found.messages).toHaveLength(4);
    return found;
  }, quickly);
  await watcher.stop();
  const kinds = told.events.map(({ kind }) => kindOf(kind));
  for (const kind of ['OPENED', 'QUEUED', 'HANDED_OVER', 'ACCEPTED', 'SHOWN', 'WRONG_CODE', 'VERIFIED']) {
    expect(kinds).toContain(kind);
  }
  expect(kinds[0]).toBe('OPENED');
  expect(kinds.indexOf('SHOWN')).toBeLessThan(kinds.indexOf('VERIFIED'));
  const times = told.events.map(({ time }) => Number(time?.seconds) * 1e9 + (time?.nanos ?? 0));
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  expect(told).toMatchObject({ network: '129.132.19.0/24', location: { countryCode: 'CH' } });
  expect(told.requester).toMatchObject({ model: 'iPhone 17', appVersion: '2.3' });
  const all = JSON.stringify(told, (_, value) => (typeof value === 'bigint' ? String(value) : value));
  for (const secret of [code, mailed, account.email, token, challengeToken]) expect(all).not.toContain(secret);
});

test('what nobody was there to show is told as such', async () => {
  const account = await server.createAccount();
  await server.signInNewDevice(account);
  const asked = await askForCode(server, account);
  const { challengeToken } = asked;
  await asked.client.twoStepAuth.sendCode({ challengeToken, channel: Channel.APP });
  await explained(account, Route.IN_APP, /^It is shown as soon as the app is opened/);
  await explained(account, Route.IN_APP, /^No trusted device had the app open within 3 seconds/);
});

describe('which challenge', () => {
  test('any of the account by its id, and its newest without', async () => {
    const account = await server.createAccount();
    const { challenge: first } = await askForCode(server, account);
    const { challenge: second } = await askForCode(server, account);
    expect((await trace(account)).challengeId).toBe(second.challengeId);
    const by = { case: 'accountId', value: account.accountId } as const;
    const older = await server.service.support.traceChallenge({ account: by, challengeId: first.challengeId });
    expect(older.trace?.challengeId).toBe(first.challengeId);
  });

  test('none of another account, none where there was none, and none of nobody', async () => {
    const account = await server.createAccount();
    const other = await server.createAccount();
    const { challenge } = await askForCode(server, other);
    const { support } = server.service;
    const by = { case: 'email', value: account.email } as const;
    const nobody = { case: 'email', value: 'nobody@example.com' } as const;
    expect((await refusal(support.traceChallenge({ account: by }))).reason).toBe('CHALLENGE_UNKNOWN');
    const stolen = support.traceChallenge({ account: by, challengeId: challenge.challengeId });
    expect((await refusal(stolen)).reason).toBe('CHALLENGE_UNKNOWN');
    expect((await refusal(support.traceChallenge({ account: nobody }))).reason).toBe('ACCOUNT_UNKNOWN');
    expect((await refusal(support.getAccountSecurity({ account: nobody }))).reason).toBe('ACCOUNT_UNKNOWN');
  });
});

test('how an account stands: devices with their models, app versions and ways to be reached, and its challenges', async () => {
  const account = await server.createAccount();
  const phone = await server.signInNewDevice(account);
  await registerFcm(phone.client);
  const watcher = watch(phone.client);
  await watcher.opened(server, phone.session.deviceId);
  await server.signInNewDevice(account, false);
  const by = { case: 'accountId', value: account.accountId } as const;
  const { accountSecurity } = await server.service.support.getAccountSecurity({ account: by });
  await watcher.stop();
  expect(accountSecurity).toMatchObject({
    maskedEmail: `a•••@example.com`,
    twoStepEnabled: true,
    verificationLocked: false,
    wrongCodes: 0,
    defaultChannel: Channel.APP,
  });
  const devices = accountSecurity?.devices.map(({ trusted, signedIn, appOpen, push: by, device }) => ({
    trusted,
    signedIn,
    appOpen,
    by,
    model: device?.model,
    version: device?.appVersion,
  }));
  const common = { signedIn: true, model: 'iPhone 17', version: '2.3' };
  expect(devices?.toSorted((a, b) => Number(b.trusted) - Number(a.trusted))).toEqual([
    { ...common, trusted: true, appOpen: true, by: Route.FCM },
    { ...common, trusted: false, appOpen: false, by: Route.UNSPECIFIED },
  ]);
  expect(accountSecurity?.recentChallenges).toHaveLength(2);
  expect(accountSecurity?.recentChallenges[0]).toMatchObject({ model: 'iPhone 17', appVersion: '2.3' });
  expect(JSON.stringify(accountSecurity, (_, v) => (typeof v === 'bigint' ? 0 : v))).not.toContain(account.email);
});
