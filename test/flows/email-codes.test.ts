// Codes by e-mail, where operators have closed that way: for accounts that had a trusted device, or for all.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Channel } from '../../gen/countersign/v1/challenge_pb.ts';
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
    expect(await open.query('select from challenge where account_id = $1', [account.accountId])).toHaveLength(1);
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
