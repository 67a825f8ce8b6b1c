// "This wasn't me" on an entry of the login activity: one step, after which whoever it was is out.

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Advice } from '../../gen/countersign/v1/advice_pb.ts';
import { ChallengeState, Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { EventKind, type LoginEvent } from '../../gen/countersign/v1/login_event_pb.ts';
import { callsFrom } from '../support/geoip.ts';
import { codeIn, type Mail } from '../support/mail-server.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestAccount, type TestDevice, type TestServer } from '../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

async function eventsOf({ client }: TestDevice): Promise<LoginEvent[]> {
  return (await client.loginActivity.listLoginActivity({ pageSize: 100 })).events;
}

async function entry(device: TestDevice, kind: EventKind, deviceId?: string): Promise<LoginEvent> {
  const found = (await eventsOf(device)).find(
    (event) => event.kind === kind && (deviceId === undefined || event.deviceId === deviceId),
  );
  if (found === undefined) throw new Error(`no ${kind}`);
  return found;
}

/** An account with a device of its owner and one of somebody else's. */
async function robbed() {
  const account = await server.createAccount();
  const owner = await server.signInNewDevice(account);
  const intruder = await server.signInNewDevice(account);
  return { account, owner, intruder };
}

const advices = (notes: readonly { readonly advice: Advice }[]) => notes.map(({ advice }) => advice);

test('the session and its device’s trust end, what is pending closes, and the account needs a new password', async () => {
  const { account, owner, intruder } = await robbed();
  const { email, password } = account;
  const pending = await server.appClient().twoStepAuth.signIn({ email, password, device: iphone });
  if (pending.result.case !== 'challengeGrant') throw new Error('no challenge');
  const { challengeToken } = pending.result.value;

  const { eventId } = await entry(owner, EventKind.SIGNED_IN_WITH_CODE, intruder.session.deviceId);
  const { advice } = await owner.client.loginActivity.reportLoginActivity({ eventId });
  expect(advices(advice)).toEqual([
    Advice.CHANGE_PASSWORD,
    Advice.CHANGE_PASSWORD_ELSEWHERE,
    Advice.REVIEW_TRUSTED_DEVICES,
    // Its code came by mail.
    Advice.CHECK_MAILBOX,
  ]);
  expect(advice[0]?.text).not.toBe('');

  const refused = await refusal(intruder.client.twoStepAuth.getSettings({}));
  expect([refused.reason, refused.reasonMetadata['cause']]).toEqual(['SESSION_INVALID', 'DEVICE_REMOVED']);
  const { refreshToken, deviceToken } = intruder.session;
  expect((await refusal(server.appClient().twoStepAuth.refreshSession({ refreshToken }))).reason).toBe(
    'SESSION_INVALID',
  );
  // From another network: that of the intruder waits, as after a denial.
  const again = await server
    .appClient()
    .twoStepAuth.signIn({ email, password, device: iphone, deviceToken }, callsFrom('192.0.2.77'));
  expect(again.result.case).toBe('challengeGrant');
  const { challenge } = await server.appClient().twoStepAuth.getChallenge({ challengeToken });
  expect(challenge?.state).toBe(ChallengeState.CLOSED);

  expect((await owner.client.twoStepAuth.getSettings({})).passwordChangeRequired).toBe(true);
  const { accessToken } = owner.session;
  expect((await server.service.sessions.introspectSession({ accessToken })).passwordChangeRequired).toBe(true);
  const events = await eventsOf(owner);
  expect(events.find((event) => event.eventId === eventId)?.reported).toBe(true);
  expect(events.find(({ kind }) => kind === EventKind.DEVICE_REMOVED)?.deviceId).toBe(intruder.session.deviceId);
});

test('every later sign-in carries the advice until the password changes', async () => {
  const { account, owner } = await robbed();
  const { email, password } = account;
  const { eventId } = await entry(owner, EventKind.SIGNED_IN_WITH_CODE);
  await owner.client.loginActivity.reportLoginActivity({ eventId });
  const { deviceToken } = owner.session;
  const adviceOf = async (password: string) => {
    const { result } = await owner.client.twoStepAuth.signIn({ email, password, device: iphone, deviceToken });
    if (result.case !== 'session') throw new Error(`no session but ${result.case}`);
    return advices(result.value.advice);
  };
  expect(await adviceOf(password)).toEqual([Advice.CHANGE_PASSWORD, Advice.CHANGE_PASSWORD_ELSEWHERE]);
  expect(await adviceOf(password)).toEqual([Advice.CHANGE_PASSWORD, Advice.CHANGE_PASSWORD_ELSEWHERE]);
  const better = 'Zwölf Boxkämpfer jagen';
  await server.setPassword(account, better);
  expect(await adviceOf(better)).toEqual([]);
});

test('repeating it gets the same advice and changes nothing', async () => {
  const { account, owner, intruder } = await robbed();
  const { eventId } = await entry(owner, EventKind.SIGNED_IN_WITH_CODE, intruder.session.deviceId);
  const first = await owner.client.loginActivity.reportLoginActivity({ eventId });
  const events = (await eventsOf(owner)).length;
  await server.setPassword(account, 'Zwölf Boxkämpfer jagen');
  const { email } = account;
  const { deviceToken } = owner.session;
  const { result } = await owner.client.twoStepAuth.signIn({
    email,
    password: 'Zwölf Boxkämpfer jagen',
    device: iphone,
    deviceToken,
  });
  if (result.case !== 'session') throw new Error('no session');
  owner.client.useSession(result.value);
  const again = await owner.client.loginActivity.reportLoginActivity({ eventId });
  expect(advices(again.advice)).toEqual(advices(first.advice));
  expect((await owner.client.twoStepAuth.getSettings({})).passwordChangeRequired).toBe(false);
  // The new password and the sign-in with it.
  expect(await eventsOf(owner)).toHaveLength(events + 2);
});

test('at once, by two devices, puts the device out once', async () => {
  const { account, owner, intruder } = await robbed();
  const tablet = await server.signInNewDevice(account);
  const { eventId } = await entry(owner, EventKind.SIGNED_IN_WITH_CODE, intruder.session.deviceId);
  await Promise.all([owner, tablet].map(({ client }) => client.loginActivity.reportLoginActivity({ eventId })));
  const removed = (await eventsOf(owner)).filter(({ kind }) => kind === EventKind.DEVICE_REMOVED);
  expect(removed).toHaveLength(1);
});

test('on an entry of a code that is still open, its challenge closes, and its network waits', async () => {
  const account = await server.createAccount();
  const owner = await server.signInNewDevice(account);
  const { email, password } = account;
  const stranger = server.appClient();
  const from = callsFrom('198.51.100.7');
  const { result } = await stranger.twoStepAuth.signIn({ email, password, device: iphone }, from);
  if (result.case !== 'challengeGrant') throw new Error('no challenge');
  const { eventId } = await entry(owner, EventKind.CODE_SENT);
  await owner.client.loginActivity.reportLoginActivity({ eventId });
  const { challenge } = await stranger.twoStepAuth.getChallenge({ challengeToken: result.value.challengeToken });
  expect(challenge?.state).toBe(ChallengeState.CLOSED);
  const refused = await refusal(stranger.twoStepAuth.signIn({ email, password, device: iphone }, from));
  expect(refused.reason).toBe('RATE_LIMITED');
});

/** Somebody else's device switches two-step verification off, with a code of the owner's screen. */
async function switchedOff() {
  const { owner, intruder } = await robbed();
  const grant = await intruder.client.twoStepAuth.updateSettings({ twoStepEnabled: false });
  if (grant.result.case !== 'challengeGrant') throw new Error('no grant');
  const { challengeToken } = grant.result.value;
  await intruder.client.twoStepAuth.sendCode({ challengeToken, channel: Channel.APP });
  const [pending] = (await owner.client.twoStepAuth.listPendingCodes({})).pendingCodes;
  const code = pending?.code ?? '';
  await intruder.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
  const isOn = async () => (await owner.client.twoStepAuth.getSettings({})).twoStepEnabled;
  expect(await isOn()).toBe(false);
  return { owner, intruder, isOn };
}

test('on a switch-off, it is on again', async () => {
  const { owner, intruder, isOn } = await switchedOff();
  const { eventId } = await entry(owner, EventKind.SETTINGS_CHANGED);
  await owner.client.loginActivity.reportLoginActivity({ eventId });
  expect(await isOn()).toBe(true);
  expect((await refusal(intruder.client.twoStepAuth.getSettings({}))).reason).toBe('SESSION_INVALID');
});

test('on the sign-in of who switched off, it is on again', async () => {
  const { owner, intruder, isOn } = await switchedOff();
  const { eventId } = await entry(owner, EventKind.SIGNED_IN_WITH_CODE, intruder.session.deviceId);
  await owner.client.loginActivity.reportLoginActivity({ eventId });
  expect(await isOn()).toBe(true);
});

test('on the own device, it is signed out', async () => {
  const account = await server.createAccount();
  const owner = await server.signInNewDevice(account);
  const { eventId } = await entry(owner, EventKind.SIGNED_IN_WITH_CODE);
  await owner.client.loginActivity.reportLoginActivity({ eventId });
  expect((await refusal(owner.client.twoStepAuth.getSettings({}))).reasonMetadata['cause']).toBe('DEVICE_REMOVED');
});

test('another account’s entry, one that is none, and one that is too old are unknown', async () => {
  const { account, owner } = await robbed();
  const other = await server.signInNewDevice(await server.createAccount());
  const foreign = await entry(other, EventKind.SIGNED_IN_WITH_CODE);
  const mine = await entry(owner, EventKind.SIGNED_IN_WITH_CODE);
  const reasonOf = async (eventId: string) =>
    (await refusal(owner.client.loginActivity.reportLoginActivity({ eventId }))).reason;
  expect(await reasonOf(foreign.eventId)).toBe('EVENT_UNKNOWN');
  expect(await reasonOf(crypto.randomUUID())).toBe('EVENT_UNKNOWN');
  expect(await reasonOf('no uuid')).toBe('REQUEST_INVALID');
  const old = '01876c5d-0000-7000-8000-000000000001';
  await server.query(`create table if not exists login_event_2023_04 partition of login_event
    for values from ('01873a2d-5c00-0000-0000-000000000000') to ('0187d53f-8800-0000-0000-000000000000')`);
  await server.query(
    `insert into login_event select account_id, $2, kind, device, device_id, session_id, challenge_id, channel, origin,
       unusual, reported, unusual_details from login_event where account_id = $1 and event_id = $3`,
    [account.accountId, old, mine.eventId],
  );
  expect(await reasonOf(old)).toBe('EVENT_UNKNOWN');
});

test('a session without code may not report', async () => {
  const account = await server.createAccount();
  const owner = await server.signInNewDevice(account);
  await server.query('update account set two_step_enabled = false where account_id = $1', [account.accountId]);
  const { email, password } = account;
  const weak = server.appClient();
  const { result } = await weak.twoStepAuth.signIn({ email, password, device: iphone });
  if (result.case !== 'session') throw new Error('no session');
  weak.useSession(result.value);
  const { eventId } = await entry(owner, EventKind.SIGNED_IN_WITH_CODE);
  expect((await refusal(weak.loginActivity.reportLoginActivity({ eventId }))).reason).toBe('DEVICE_NOT_TRUSTED');
});

/** An account that was signed in to without a code, and the link in the notice of it. */
async function noticed(): Promise<{ account: TestAccount; owner: TestDevice; intruder: TestDevice; link: string }> {
  const account = await server.createAccount();
  const owner = await server.signInNewDevice(account);
  await server.query('update account set two_step_enabled = false where account_id = $1', [account.accountId]);
  const { email, password } = account;
  const client = server.appClient();
  const { result } = await client.twoStepAuth.signIn({ email, password, device: iphone });
  if (result.case !== 'session') throw new Error('no session');
  client.useSession(result.value);
  const notices = () => server.mail.mails.filter((mail) => mail.to === email && codeIn(mail) === undefined);
  await vi.waitFor(() => expect(notices()).toHaveLength(2));
  return { account, owner, intruder: { client, session: result.value }, link: linkIn(notices()[1]) };
}

const linkIn = (mail: Mail | undefined) => {
  const path = /\/deny\?token=\S+/.exec(mail?.text ?? '')?.[0];
  if (path === undefined) throw new Error('no link');
  return `${server.publicUrl}${path}`;
};

test('by the link in the notice of a sign-in without code: looking changes nothing, pressing puts out, once', async () => {
  const { owner, intruder, link } = await noticed();
  for (const method of ['GET', 'HEAD']) expect((await fetch(link, { method })).status).toBe(200);
  await intruder.client.twoStepAuth.getSettings({});
  const page = await (await fetch(link)).text();
  expect(page).toContain('iPhone 17');

  const press = async () => {
    const token = new URL(link).searchParams.get('token') ?? '';
    const answer = await fetch(link, { method: 'POST', body: new URLSearchParams({ token }) });
    return { status: answer.status, page: await answer.text() };
  };
  const pressed = await press();
  expect(pressed.status).toBe(200);
  expect((await refusal(intruder.client.twoStepAuth.getSettings({}))).reasonMetadata['cause']).toBe('DEVICE_REMOVED');
  expect((await owner.client.twoStepAuth.getSettings({})).passwordChangeRequired).toBe(true);
  const events = (await eventsOf(owner)).length;
  expect((await press()).page).not.toBe(pressed.page);
  expect(await eventsOf(owner)).toHaveLength(events);
});
