// From "I got a code that I didn't ask for" to a safe account, the whole way as its owner goes it.

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Advice } from '../../gen/countersign/v1/advice_pb.ts';
import { Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { EventKind } from '../../gen/countersign/v1/login_event_pb.ts';
import { callsFrom as from } from '../support/geoip.ts';
import { codeIn } from '../support/mail-server.ts';
import { type PushServers, startPushServers } from '../support/push.ts';
import { registerFcm } from '../support/push-devices.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestServer } from '../support/server.ts';

let push: PushServers;
let server: TestServer;
beforeAll(async () => {
  push = await startPushServers();
  server = await startTestServer(push.env);
});
afterAll(async () => {
  await server?.stop();
  await push?.stop();
});

const android = { ...iphone, displayName: 'Pixel', model: 'Pixel 11' };
const kindsOf = (notes: readonly { readonly advice: Advice }[]) => notes.map(({ advice }) => advice);

test('from an unasked code to a safe account', { timeout: 120_000 }, async () => {
  const account = await server.createAccount();
  const { accountId, email, password } = account;
  const phone = await server.signInNewDevice(account);
  const phoneToken = await registerFcm(phone.client);

  // Somebody has the password. The phone shows a code that nobody here asked for.
  const mallory = server.appClient();
  const first = await mallory.twoStepAuth.signIn({ email, password, device: android }, from('198.51.100.7'));
  if (first.result.case !== 'challengeGrant') throw new Error('no challenge');
  await push.fcm.waitFor(phoneToken);
  const [unasked] = (await phone.client.twoStepAuth.listPendingCodes({})).pendingCodes;
  expect(unasked?.challenge?.requester).toMatchObject({ ipAddress: '198.51.100.7', device: { model: 'Pixel 11' } });

  // "It wasn't me."
  const challengeId = unasked?.challenge?.challengeId ?? '';
  const denied = await phone.client.twoStepAuth.denyChallenge({ challengeId });
  expect(kindsOf(denied.advice)).toEqual([Advice.CHANGE_PASSWORD, Advice.CHANGE_PASSWORD_ELSEWHERE]);
  const { challengeToken: closed } = first.result.value;
  const code = unasked?.code ?? '';
  expect((await refusal(mallory.twoStepAuth.verifyCode({ challengeToken: closed, code }))).reason).toBe(
    'CHALLENGE_CLOSED',
  );
  const sameNetwork = mallory.twoStepAuth.signIn({ email, password, device: android }, from('198.51.100.9'));
  expect((await refusal(sameNetwork)).reason).toBe('RATE_LIMITED');

  // The advice is not followed at once, and whoever it is reads the mailbox, too. From elsewhere, they get in.
  const codes = server.mail.codeMailsTo(email).length;
  const second = await mallory.twoStepAuth.signIn({ email, password, device: android }, from('203.0.113.5'));
  if (second.result.case !== 'challengeGrant') throw new Error('no challenge');
  const { challengeToken } = second.result.value;
  await mallory.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL });
  const mailed = await server.mail.codeFor(email, codes + 1);
  const { session } = await mallory.twoStepAuth.verifyCode({ challengeToken, code: mailed }, from('203.0.113.5'));
  if (session === undefined) throw new Error('no session');
  mallory.useSession(session);
  const malloryToken = await registerFcm(mallory);
  const watched: string[] = [];
  const stop = new AbortController();
  const watching = (async () => {
    for await (const event of mallory.watch(stop.signal)) watched.push(event.case ?? '');
  })();
  await vi.waitFor(async () => {
    const rows = await server.query('select from open_stream where device_id = $1', [session.deviceId]);
    expect(rows).toHaveLength(1);
  });

  // The owner is told, by mail and on the phone, and finds it in the login activity.
  await vi.waitFor(() => {
    const notices = push.fcm.pushes.flatMap((each) =>
      each.token === phoneToken ? [each.message.data?.['notice']] : [],
    );
    expect(notices).toContain('new_sign_in');
    expect(server.mail.mails.filter((mail) => mail.to === email && codeIn(mail) === undefined).length).toBeGreaterThan(
      2,
    );
  });
  const { events } = await phone.client.loginActivity.listLoginActivity({});
  const theirs = events.find(({ kind }) => kind === EventKind.SIGNED_IN_WITH_CODE);
  expect(theirs).toMatchObject({ ipAddress: '203.0.113.5', device: { model: 'Pixel 11' }, currentDevice: false });

  // "This wasn't me."
  const reported = await phone.client.loginActivity.reportLoginActivity({ eventId: theirs?.eventId ?? '' });
  expect(kindsOf(reported.advice)).toEqual([
    Advice.CHANGE_PASSWORD,
    Advice.CHANGE_PASSWORD_ELSEWHERE,
    Advice.REVIEW_TRUSTED_DEVICES,
    Advice.CHECK_MAILBOX,
  ]);
  await vi.waitFor(() => expect(watched).toEqual(['signedOut']));
  stop.abort();
  await watching;
  const { accessToken, refreshToken, deviceToken } = session;
  const introspected = await server.service.sessions.introspectSession({ accessToken });
  expect(introspected.active).toBe(false);
  expect((await refusal(mallory.twoStepAuth.refreshSession({ refreshToken }))).reason).toBe('SESSION_INVALID');

  // They try once more, with all that they have left.
  const third = await mallory.twoStepAuth.signIn({ email, password, device: android, deviceToken }, from('192.0.2.77'));
  if (third.result.case !== 'challengeGrant') throw new Error('a removed device got in');

  // A new password, and no trust but this phone's. Their open challenge ends with it.
  const newPassword = 'Zwölf Boxkämpfer jagen';
  const { advice } = (
    await phone.client.twoStepAuth.refreshSession({ refreshToken: phone.client.tokens?.refreshToken ?? '' })
  ).session ?? { advice: [] };
  expect(kindsOf(advice)).toContain(Advice.CHANGE_PASSWORD);
  const signedIn = await phone.client.twoStepAuth.signIn({
    email,
    password,
    device: iphone,
    deviceToken: phone.session.deviceToken,
  });
  if (signedIn.result.case !== 'session') throw new Error('the owner is asked for a code');
  phone.client.useSession(signedIn.result.value);
  await phone.client.account.changePassword({ currentPassword: password, newPassword, endTrustedDevices: true });

  // Nothing of theirs is left.
  const { challengeToken: last } = third.result.value;
  await server.mail.codeFor(email, codes + 1);
  expect((await refusal(mallory.twoStepAuth.sendCode({ challengeToken: last, channel: Channel.EMAIL }))).reason).toBe(
    'CHALLENGE_CLOSED',
  );
  const again = mallory.twoStepAuth.signIn({ email, password, device: android, deviceToken }, from('192.0.2.77'));
  expect((await refusal(again)).reason).toBe('CREDENTIALS_INCORRECT');
  const left = await server.query(
    `select 'session' as what from session where account_id = $1 and device_id = $2 and end_time is null
     union all select 'trust' from device where account_id = $1 and device_id = $2 and trust_end_time is null
     union all select 'push' from push_registration where account_id = $1 and device_id = $2
     union all select 'stream' from open_stream where account_id = $1 and device_id = $2
     union all select 'challenge' from challenge where account_id = $1 and state = 'PENDING'`,
    [accountId, session.deviceId],
  );
  expect(left).toEqual([]);
  expect(malloryToken).not.toBe(phoneToken);
  const { trustedDevices } = await phone.client.trustedDevices.listTrustedDevices({});
  expect(trustedDevices.map(({ current }) => current)).toEqual([true]);

  // And the owner goes on as if nothing had been: no code, no advice.
  const after = await phone.client.twoStepAuth.signIn({
    email,
    password: newPassword,
    device: iphone,
    deviceToken: phone.session.deviceToken,
  });
  if (after.result.case !== 'session') throw new Error('the owner is asked for a code');
  expect(after.result.value.advice).toEqual([]);
});
