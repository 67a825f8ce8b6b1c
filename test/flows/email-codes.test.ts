// Codes by e-mail, where operators have closed that way: for accounts that had a trusted device, or for all.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TraceEventKind } from '../../gen/countersign/internal/v1/challenge_trace_pb.ts';
import { ChallengeState, Channel, Delivery } from '../../gen/countersign/v1/challenge_pb.ts';
import { EventKind } from '../../gen/countersign/v1/login_event_pb.ts';
import { emailWhereAppFailed } from '../../server/flows/fallback.ts';
import { maintain } from '../../server/store/maintenance.ts';
import { eventually } from '../support/eventually.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestAccount, type TestServer } from '../support/server.ts';
import { watch } from '../support/watch.ts';

let open: TestServer;
let firstDevice: TestServer;
let off: TestServer;

beforeAll(async () => {
  open = await startTestServer();
  firstDevice = await startTestServer({ COUNTERSIGN_EMAIL_CODES: 'first_device' }, open);
  off = await startTestServer({ COUNTERSIGN_EMAIL_CODES: 'off' }, open);
});
afterAll(async () => {
  await off?.stop();
  await firstDevice?.stop();
  await open?.stop();
});

const signIn = (server: TestServer, { email, password }: TestAccount) =>
  server.appClient().twoStepAuth.signIn({ email, password, device: iphone });

async function askForCode(server: TestServer, account: TestAccount) {
  const { result } = await signIn(server, account);
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  return result.value;
}

interface Options {
  readonly channels: readonly { readonly channel: Channel; readonly available: boolean }[];
}
const available = (of: Options | undefined) =>
  of?.channels.filter((option) => option.available).map(({ channel }) => channel);

/** Mails are sent by jobs: none has come, and none is to come. */
async function expectNoMoreCodes(account: TestAccount, before: number): Promise<void> {
  await eventually(20_000, async () => {
    const waiting = await open.query(
      `select from delivery where account_id = $1 and state = 'QUEUED' and channel = 'EMAIL'`,
      [account.accountId],
    );
    expect(waiting).toEqual([]);
  });
  expect(open.mail.codeMailsTo(account.email)).toHaveLength(before);
}

describe.each([
  ['first_device', () => firstDevice],
  ['off', () => off],
] as const)('%s', (_, at) => {
  test('an account with an open trusted device is shown the code there, and is never mailed one', async () => {
    const server = at();
    const account = await open.createAccount();
    const device = await open.signInNewDevice(account);
    const watching = server.appClient();
    watching.useSession(device.session);
    const watcher = watch(watching);
    await watcher.opened(open, device.session.deviceId);
    const { challenge, challengeToken } = await askForCode(server, account);
    expect(challenge?.defaultChannel).toBe(Channel.APP);
    expect(available(challenge)).toEqual([Channel.APP]);
    const shown = await watcher.next('codeArrived');
    expect(available(shown.challenge)).toEqual([Channel.APP]);

    const client = server.appClient();
    const refused = await refusal(client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL }));
    expect(refused.reason).toBe('CHANNEL_UNAVAILABLE');
    expect(available((await client.twoStepAuth.getChallenge({ challengeToken })).challenge)).toEqual([Channel.APP]);
    await client.twoStepAuth.verifyCode({ challengeToken, code: shown.code });
    await expectNoMoreCodes(account, 1);
    await watcher.stop();
  });

  test('no mail goes by itself where no device has shown the code', async () => {
    const server = at();
    const account = await open.createAccount();
    const device = await open.signInNewDevice(account);
    // Signed in, but neither open nor with notifications: the code waits for the app to be opened.
    const { challenge } = await askForCode(server, account);
    expect(challenge?.defaultChannel).toBe(Channel.APP);
    const waiting = await open.query(
      `select task_identifier from graphile_worker.jobs where key like '%' || $1 || '%'`,
      [challenge?.challengeId],
    );
    expect(waiting).toEqual([]);
    expect((await device.client.twoStepAuth.listPendingCodes({})).pendingCodes).toHaveLength(1);
    await expectNoMoreCodes(account, 1);
  });

  test('where no trusted device is signed in, the sign-in is refused, and says that no channel is available', async () => {
    const server = at();
    const account = await open.createAccount();
    const device = await open.signInNewDevice(account);
    await device.client.twoStepAuth.signOut({});
    const refused = await refusal(signIn(server, account));
    expect(refused.reason).toBe('CHANNEL_UNAVAILABLE');
    expect(available(refused.challenge)).toEqual([]);
    expect(refused.challenge).toMatchObject({ state: ChallengeState.CLOSED, defaultChannel: Channel.APP });
    const { accountSecurity } = await server.service.support.getAccountSecurity({
      account: { case: 'accountId', value: account.accountId },
    });
    expect(accountSecurity).toMatchObject({ defaultChannel: Channel.APP, emailOpen: false });

    // Its own device needs no code, and then shows it.
    const { email, password } = account;
    const { deviceToken } = device.session;
    const again = await server.appClient().twoStepAuth.signIn({ email, password, device: iphone, deviceToken });
    expect(again.result.case).toBe('session');
    expect(available((await askForCode(server, account)).challenge)).toEqual([Channel.APP]);
    await expectNoMoreCodes(account, 1);
  });

  test('such a sign-in leaves its trace, for its owner and for support, and can be said not to be theirs', async () => {
    const server = at();
    const account = await open.createAccount();
    const { accountId, email, password } = account;
    const device = await open.signInNewDevice(account);
    await device.client.twoStepAuth.signOut({});
    const { challenge } = await refusal(signIn(server, account));
    const by = { case: 'accountId', value: accountId } as const;
    const { trace } = await server.service.support.traceChallenge({ account: by });
    expect(trace).toMatchObject({ challengeId: challenge?.challengeId, state: ChallengeState.CLOSED, messages: [] });
    expect(trace?.events.map(({ kind }) => kind)).toEqual([
      TraceEventKind.OPENED,
      TraceEventKind.NOT_SENT,
      TraceEventKind.CLOSED,
    ]);
    expect(trace?.events[1]?.answer).toMatch(/^not sent: no way was open/);
    const { accountSecurity } = await server.service.support.getAccountSecurity({ account: by });
    expect(accountSecurity?.recentChallenges[0]).toMatchObject({
      challengeId: challenge?.challengeId,
      byApp: Delivery.NOT_SENT,
      byEmail: Delivery.NOT_SENT,
    });
    const [mail] = await eventually(20_000, () => {
      const stopped = open.mail.mails.filter(({ to, subject }) => to === email && /with your password/.test(subject));
      expect(stopped).toHaveLength(1);
      return stopped;
    });
    const url = /\S+\/deny\?token=\S+/.exec(mail?.text ?? '')?.[0] ?? '';

    const { deviceToken } = device.session;
    const app = server.appClient();
    const { result } = await app.twoStepAuth.signIn({ email, password, device: iphone, deviceToken });
    if (result.case !== 'session') throw new Error(`no session but ${result.case}`);
    app.useSession(result.value);
    const { events } = await app.loginActivity.listLoginActivity({});
    expect(events[1]).toMatchObject({
      kind: EventKind.CHALLENGE_DENIED,
      channel: Channel.UNSPECIFIED,
      device: { model: 'iPhone 17' },
    });
    const { pathname, searchParams } = new URL(url);
    await fetch(`${server.publicUrl}${pathname}`, { method: 'POST', body: searchParams });
    expect((await refusal(signIn(server, account))).reason).toBe('RATE_LIMITED');
  });

  test('who has the password is stopped after ten of them an hour, and then runs out of guesses, too', async () => {
    const server = at();
    const account = await open.createAccount();
    const device = await open.signInNewDevice(account);
    await device.client.twoStepAuth.signOut({});
    open.clock.advance(3_600_000);
    const reasons: string[] = [];
    for (let count = 0; count < 20; count++) reasons.push((await refusal(signIn(server, account))).reason);
    expect(reasons).toEqual([...Array(10).fill('CHANNEL_UNAVAILABLE'), ...Array(10).fill('RATE_LIMITED')]);
    // No password is compared any more: a wrong one is not told from the right one.
    const wrong = { ...account, password: 'not this one' };
    expect((await refusal(signIn(server, wrong))).reason).toBe('RATE_LIMITED');
    const told = await open.query(`select kind from delivery where account_id = $1 and kind = 'CODE_NOT_SENT'`, [
      account.accountId,
    ]);
    expect(told).toHaveLength(10);
  });

  test('a mail that was promised for a code which nobody shows is not sent once the way is closed', async () => {
    const server = at();
    const account = await open.createAccount();
    await open.signInNewDevice(account);
    const { challenge, challengeToken } = await askForCode(server, account);
    open.clock.advance(20_000);
    await emailWhereAppFailed(server.app.deps, account.accountId, challenge?.challengeId ?? '');
    const seen = (await server.appClient().twoStepAuth.getChallenge({ challengeToken })).challenge;
    expect(seen?.channels.map(({ delivery }) => delivery)).toEqual([Delivery.FAILED, Delivery.NOT_SENT]);
    await expectNoMoreCodes(account, 1);
  });

  test('a person with one device can not switch two-step verification off by the mailbox', async () => {
    const server = at();
    const account = await open.createAccount();
    const device = await open.signInNewDevice(account);
    const client = server.appClient();
    client.useSession(device.session);
    const settings = await client.twoStepAuth.getSettings({});
    expect(settings.defaultChannel).toBe(Channel.APP);
    expect(available(settings)).toEqual([]);
    const refused = await refusal(client.twoStepAuth.updateSettings({ twoStepEnabled: false }));
    expect(refused.reason).toBe('CHANNEL_UNAVAILABLE');
    await expectNoMoreCodes(account, 1);
  });

  test('who reads the mailbox does not open it for codes by removing the devices, now or when they are forgotten', async () => {
    const server = at();
    const account = await open.createAccount();
    const device = await open.signInNewDevice(account);
    const { deviceId } = device.session;
    await device.client.trustedDevices.removeTrustedDevice({ deviceId });
    expect((await refusal(signIn(server, account))).reason).toBe('CHANNEL_UNAVAILABLE');
    const aYearLater = new Date(open.clock.now().getTime() + 365 * 86_400_000);
    await maintain(open.databaseUrl, open.app.deps.limits, aYearLater);
    expect((await refusal(signIn(server, account))).reason).toBe('CHANNEL_UNAVAILABLE');
    await expectNoMoreCodes(account, 1);
  });
});

test('first_device: the first device of an account is let in by a mailed code, the second is not', async () => {
  const account = await open.createAccount();
  const { challenge, challengeToken } = await askForCode(firstDevice, account);
  expect(available(challenge)).toEqual([Channel.EMAIL]);
  const client = firstDevice.appClient();
  const code = await open.mail.codeFor(account.email);
  const { session } = await client.twoStepAuth.verifyCode({ challengeToken, code });
  expect(session?.deviceToken).not.toBe('');
  expect(available((await askForCode(firstDevice, account)).challenge)).toEqual([Channel.APP]);
  await expectNoMoreCodes(account, 1);
});

/** Asks for a code that goes by mail, and reads it. */
async function readMailedCode(server: TestServer, account: TestAccount) {
  const before = open.mail.codeMailsTo(account.email).length;
  const { challengeToken } = await askForCode(server, account);
  return { challengeToken, code: await open.mail.codeFor(account.email, before + 1) };
}

test.each([
  ['the first that was asked for', 0, 1],
  ['the last one', 1, 0],
])(
  'first_device: of two mailed codes one is taken, %s, and the other is a wrong one from then on',
  async (_, one, other) => {
    const account = await open.createAccount();
    const asked = [await readMailedCode(firstDevice, account), await readMailedCode(firstDevice, account)];
    const client = firstDevice.appClient();
    const [taken, late] = [asked[one], asked[other]];
    const { session } = await client.twoStepAuth.verifyCode({ ...taken });
    expect(session?.deviceToken).not.toBe('');
    const refused = await refusal(client.twoStepAuth.verifyCode({ ...late }));
    expect(refused.reason).toBe('CODE_INCORRECT');
    expect(refused.challenge?.attemptsRemaining).toBe(4);
    const counted = await open.query('select wrong_codes from account where account_id = $1', [account.accountId]);
    expect(counted).toEqual([{ wrong_codes: 1 }]);
    if (session === undefined) throw new Error('no session');
    // What the device shows opens that challenge all the same.
    client.useSession(session);
    const { challengeToken = '' } = late ?? {};
    await client.twoStepAuth.sendCode({ challengeToken, channel: Channel.APP });
    const [pending] = (await client.twoStepAuth.listPendingCodes({})).pendingCodes;
    const second = await firstDevice.appClient().twoStepAuth.verifyCode({ challengeToken, code: pending?.code ?? '' });
    expect(second.session?.deviceToken).not.toBe('');
  },
);

test('first_device: a lost answer to the code of the first device can be asked for again', async () => {
  const account = await open.createAccount();
  const mailed = await readMailedCode(firstDevice, account);
  const client = firstDevice.appClient();
  const first = await client.twoStepAuth.verifyCode(mailed);
  const again = await client.twoStepAuth.verifyCode(mailed);
  expect(again.session?.sessionId).toBe(first.session?.sessionId);
});

test('first_device: a mailed code to switch off is no good once a device is trusted', async () => {
  const account = await open.createAccount();
  const guest = firstDevice.appClient();
  const { session } = await guest.twoStepAuth.verifyCode({
    ...(await readMailedCode(firstDevice, account)),
    trustDevice: false,
  });
  if (session === undefined) throw new Error('no session');
  guest.useSession(session);
  const { result } = await guest.twoStepAuth.updateSettings({ twoStepEnabled: false });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const { challengeToken } = result.value;
  const code = await open.mail.codeFor(account.email, 2);
  await firstDevice.appClient().twoStepAuth.verifyCode(await readMailedCode(firstDevice, account));
  const refused = await refusal(guest.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code }));
  expect(refused.reason).toBe('CODE_INCORRECT');
  expect((await guest.twoStepAuth.getSettings({})).twoStepEnabled).toBe(true);
});

test('off: a code that was mailed before it was set is taken no more', async () => {
  const account = await open.createAccount();
  const mailed = await readMailedCode(open, account);
  expect((await refusal(off.appClient().twoStepAuth.verifyCode(mailed))).reason).toBe('CODE_INCORRECT');
});

test('first_device: who holds a lost phone is put out with it: the code that it has shown, and a session without trust', async () => {
  const account = await open.createAccount();
  const { accountId } = account;
  const lost = await open.signInNewDevice(account);
  const guest = await open.signInNewDevice(account, false);
  const { challengeToken } = await askForCode(firstDevice, account);
  const [read] = (await lost.client.twoStepAuth.listPendingCodes({})).pendingCodes;
  await firstDevice.service.accounts.resetVerification({ accountId, forgetTrustedDevices: true });

  const thief = firstDevice.appClient();
  const late = await refusal(thief.twoStepAuth.verifyCode({ challengeToken, code: read?.code ?? '' }));
  expect(late.reason).toBe('CHALLENGE_CLOSED');
  const ended = await refusal(guest.client.twoStepAuth.getSettings({}));
  expect([ended.reason, ended.reasonMetadata['cause']]).toEqual(['SESSION_INVALID', 'REVOKED']);
  expect(available((await askForCode(firstDevice, account)).challenge)).toEqual([Channel.EMAIL]);
});

test('an operator who forgets five devices sends one mail; the login activity has each', async () => {
  const account = await open.createAccount();
  const { accountId } = account;
  for (let count = 0; count < 5; count++) await open.signInNewDevice(account);
  await open.service.accounts.resetVerification({ accountId, forgetTrustedDevices: true });
  const told = await open.query(`select from delivery where account_id = $1 and kind = 'DEVICE_REMOVED'`, [accountId]);
  expect(told).toHaveLength(1);
  const events = await open.query(
    `select distinct device_id from login_event where account_id = $1 and kind = 'DEVICE_REMOVED'`,
    [accountId],
  );
  expect(events).toHaveLength(5);
});

test('first_device: an operator helps who has lost every device; the lost ones are out, and the owner is told', async () => {
  const account = await open.createAccount();
  const { accountId, email, password } = account;
  const lost = await open.signInNewDevice(account);
  await firstDevice.service.accounts.resetVerification({ accountId });
  await firstDevice.service.accounts.resetVerification({ accountId, forgetTrustedDevices: true });

  const ended = await refusal(lost.client.twoStepAuth.getSettings({}));
  expect([ended.reason, ended.reasonMetadata['cause']]).toEqual(['SESSION_INVALID', 'DEVICE_REMOVED']);
  const { deviceToken } = lost.session;
  const found = await firstDevice.appClient().twoStepAuth.signIn({ email, password, device: iphone, deviceToken });
  expect(found.result.case).toBe('challengeGrant');
  expect(available((await askForCode(firstDevice, account)).challenge)).toEqual([Channel.EMAIL]);
  await eventually(20_000, () =>
    expect(open.mail.mails.filter(({ to, subject }) => to === email && /removed/i.test(subject))).toHaveLength(1),
  );
  const { auditRecords } = await firstDevice.service.support.listAuditRecords({ filter: { accountId } });
  expect(auditRecords[0]).toMatchObject({
    rpc: 'Accounts.ResetVerification',
    details: { forget_trusted_devices: 'true' },
  });
});

test('off: an account that never had a trusted device is mailed no code', async () => {
  const account = await open.createAccount();
  expect((await refusal(signIn(off, account))).reason).toBe('CHANNEL_UNAVAILABLE');
  await expectNoMoreCodes(account, 0);
});

test('notices and links to a new password go by mail all the same', async () => {
  const account = await open.createAccount();
  await open.signInNewDevice(account);
  await off.appClient().account.requestPasswordReset({ email: account.email });
  await eventually(20_000, () => {
    const subjects = open.mail.mails.filter(({ to }) => to === account.email).map(({ subject }) => subject);
    expect(subjects.some((subject) => /password/i.test(subject))).toBe(true);
    expect(subjects.some((subject) => /new device|sign-in/i.test(subject))).toBe(true);
  });
});
