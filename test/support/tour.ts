// Every RPC once, in an order in which each does its work; those that decide in several ways do so in each.

import { vi } from 'vitest';
import { RevocationReason } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { Platform } from '../../gen/countersign/v1/device_pb.ts';
import { EventKind } from '../../gen/countersign/v1/login_event_pb.ts';
import { watchRevocations } from './revocations.ts';
import { iphone, type TestAccount, type TestDevice, type TestServer } from './server.ts';
import { watch } from './watch.ts';

interface Asked {
  readonly challengeToken: string;
  readonly challengeId: string;
}

/** Where the calls go, and what they find of each other. */
interface Story {
  readonly server: TestServer;
  account: TestAccount;
  first: TestDevice;
  second: TestDevice;
  asked: Asked;
}

async function signIn(server: TestServer, { email, password }: TestAccount): Promise<Asked> {
  const { result } = await server.appClient().twoStepAuth.signIn({ email, password, device: iphone });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  return { challengeToken: result.value.challengeToken, challengeId: result.value.challenge?.challengeId ?? '' };
}

const patiently = { timeout: 20_000 };
const newPassword = 'Zwölf Boxkämpfer jagen';

async function resetTokenOf(server: TestServer, { email }: TestAccount): Promise<string> {
  return vi.waitFor(() => {
    const found = server.mail.mails
      .filter(({ to }) => to === email)
      .flatMap(({ text }) => text.match(/https?:\S*\/reset\S*/) ?? []);
    const token = found[0] && new URL(found[0]).searchParams.get('token');
    if (!token) throw new Error('no mail with a link');
    return token;
  }, patiently);
}

const calls: Readonly<Record<string, (story: Story) => Promise<unknown>>> = {
  'Accounts.CreateAccount': async (story) => {
    const { server } = story;
    story.account = await server.createAccount();
  },
  'TwoStepAuth.SignIn': async ({ server, account }) => {
    await server
      .appClient()
      .twoStepAuth.signIn({ ...account, password: 'not this one', device: iphone })
      .catch(() => {});
    const nobody = { email: 'nobody@example.com', password: 'not this one', device: iphone };
    await server
      .appClient()
      .twoStepAuth.signIn(nobody)
      .catch(() => {});
    const requestId = crypto.randomUUID();
    const { email, password } = account;
    for (let repeat = 0; repeat < 2; repeat++)
      await server.appClient().twoStepAuth.signIn({ email, password, device: iphone, requestId });
  },
  'TwoStepAuth.VerifyCode': async (story) => {
    const { server } = story;
    story.first = await server.signInNewDevice(story.account);
    story.second = await server.signInNewDevice(story.account);
    await server.signInNewDevice(story.account, false);
    const { email, password } = story.account;
    const { deviceToken } = story.second.session;
    const { result } = await server.appClient().twoStepAuth.signIn({ email, password, device: iphone, deviceToken });
    if (result.case === 'session') story.second.client.useSession(result.value);
    const { challengeToken } = await signIn(server, story.account);
    await server
      .appClient()
      .twoStepAuth.verifyCode({ challengeToken, code: '000000' })
      .catch(() => {});
  },
  'TrustedDevices.UpdateDevice': async ({ first }) => {
    await first.client.trustedDevices.updateDevice({ displayName: 'Mine' });
    const fcm = { token: 'fcm-0123456789' };
    await first.client.trustedDevices.updateDevice({ pushRegistration: { service: { case: 'fcm', value: fcm } } });
  },
  'TrustedDevices.WatchDevice': async ({ server, account, first }) => {
    const watcher = watch(first.client);
    await watcher.opened(server, first.session.deviceId);
    await signIn(server, account);
    await watcher.next('codeArrived');
    await watcher.stop();
    // As long as it seems open, codes go there first.
    await vi.waitFor(async () => {
      if ((await server.query('select from open_stream')).length > 0) throw new Error('a stream is open');
    }, patiently);
  },
  'TwoStepAuth.SendCode': async (story) => {
    const { server } = story;
    story.asked = await signIn(server, story.account);
    const { challengeToken } = story.asked;
    await server.appClient().twoStepAuth.sendCode({ challengeToken, channel: Channel.APP });
  },
  'TwoStepAuth.GetChallenge': ({ server, asked: { challengeToken } }) =>
    server.appClient().twoStepAuth.getChallenge({ challengeToken }),
  'TwoStepAuth.ListPendingCodes': ({ first }) => first.client.twoStepAuth.listPendingCodes({}),
  'TwoStepAuth.RefreshSession': async ({ server, first }) => {
    const { refreshToken } = first.session;
    await server.appClient().twoStepAuth.refreshSession({ refreshToken });
    const { session } = await server.appClient().twoStepAuth.refreshSession({ refreshToken });
    if (session !== undefined) first.client.useSession(session);
  },
  'TwoStepAuth.GetSettings': ({ first }) => first.client.twoStepAuth.getSettings({}),
  'Account.GetAccount': ({ first }) => first.client.account.getAccount({}),
  'TrustedDevices.ListTrustedDevices': ({ first }) => first.client.trustedDevices.listTrustedDevices({}),
  'LoginActivity.ListLoginActivity': async ({ first }) => {
    const page = await first.client.loginActivity.listLoginActivity({ pageSize: 1 });
    await first.client.loginActivity.listLoginActivity({ pageSize: 1, pageToken: page.nextPageToken });
    await first.client.loginActivity.listLoginActivity({ filter: { kinds: [EventKind.CODE_SENT] } });
    await first.client.loginActivity.listLoginActivity({ filter: { unusualOnly: true } });
  },
  'TwoStepAuth.DenyChallenge': ({ first, asked: { challengeId } }) =>
    first.client.twoStepAuth.denyChallenge({ challengeId }),
  'LoginActivity.ReportLoginActivity': async ({ first }) => {
    const filter = { kinds: [EventKind.SIGNED_IN_WITH_CODE] };
    const { events } = await first.client.loginActivity.listLoginActivity({ filter });
    // The newest: of the device that declined trust.
    await first.client.loginActivity.reportLoginActivity({ eventId: events[0]?.eventId ?? '' });
  },
  'TwoStepAuth.UpdateSettings': async ({ server, account, first }) => {
    server.clock.advance(2 * 3_600_000);
    const before = server.mail.codeMailsTo(account.email).length;
    const { result } = await first.client.twoStepAuth.updateSettings({ twoStepEnabled: false });
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const { challengeToken, challenge } = result.value;
    if (challenge?.defaultChannel !== Channel.EMAIL)
      await first.client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL });
    const code = await server.mail.codeFor(account.email, before + 1);
    await first.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
    const { email, password } = account;
    await server.appClient().twoStepAuth.signIn({ email, password, device: iphone });
    await first.client.twoStepAuth.updateSettings({ twoStepEnabled: true });
  },
  'TrustedDevices.RemoveTrustedDevice': ({ first, second }) =>
    first.client.trustedDevices.removeTrustedDevice({ deviceId: second.session.deviceId }),
  'Account.ChangePassword': async (story) => {
    const { account, first } = story;
    const change = { currentPassword: account.password, newPassword, endTrustedDevices: true };
    await first.client.account.changePassword(change);
    story.account = { ...account, password: newPassword };
  },
  'Account.RequestPasswordReset': ({ server, account: { email } }) =>
    server.appClient().account.requestPasswordReset({ email }),
  'Sessions.IntrospectSession': async ({ server, account, first }) => {
    const { email, password } = account;
    const { deviceToken } = first.session;
    const { result } = await server.appClient().twoStepAuth.signIn({ email, password, device: iphone, deviceToken });
    if (result.case !== 'session') throw new Error(`no session but ${result.case}`);
    first.client.useSession(result.value);
    await server.service.sessions.introspectSession({ accessToken: result.value.accessToken });
  },
  'Sessions.ListSessions': ({ server, account: { accountId } }) => server.service.sessions.listSessions({ accountId }),
  'Sessions.GetSigningKeys': ({ server }) => server.service.sessions.getSigningKeys({}),
  'Sessions.WatchRevocations': async ({ server }) => {
    const watcher = watchRevocations(server.internalUrl);
    await watcher.caughtUp();
    await watcher.stop();
  },
  'Support.TraceChallenge': async ({ server, account: { accountId, email }, asked: { challengeId } }) => {
    await server.service.support.traceChallenge({ account: { case: 'email', value: email } });
    await server.service.support.traceChallenge({ account: { case: 'accountId', value: accountId }, challengeId });
  },
  'Support.GetAccountSecurity': ({ server, account: { accountId } }) =>
    server.service.support.getAccountSecurity({ account: { case: 'accountId', value: accountId } }),
  'Support.ListAuditRecords': async ({ server, account: { accountId } }) => {
    await server.service.support.listAuditRecords({});
    await server.service.support.listAuditRecords({ filter: { accountId, rpc: 'Accounts.GetAccount' } });
  },
  'TwoStepAuth.SignOut': ({ first }) => first.client.twoStepAuth.signOut({ everywhere: true }),
  'Account.ResetPassword': async ({ server, account }) => {
    const resetToken = await resetTokenOf(server, account);
    await server
      .appClient()
      .account.resetPassword({ resetToken, newPassword: `${newPassword} 2`, endTrustedDevices: true });
  },
  'Accounts.GetAccount': async ({ server, account: { accountId, email } }) => {
    await server.service.accounts.getAccount({ key: { case: 'accountId', value: accountId } });
    await server.service.accounts.getAccount({ key: { case: 'email', value: email } });
  },
  'Accounts.UpdateAccount': async ({ server, account: { accountId } }) => {
    await server.service.accounts.updateAccount({ accountId, locale: 'ru' });
    await server.service.accounts.updateAccount({ accountId, email: 'another@example.com' });
  },
  'Accounts.SetPassword': ({ server, account: { accountId } }) =>
    server.service.accounts.setPassword({ accountId, password: `${newPassword} 3` }),
  'Accounts.ResetVerification': ({ server, account: { accountId } }) =>
    server.service.accounts.resetVerification({ accountId, forgetTrustedDevices: true }),
  'Accounts.AuthorizeLegacySignIn': async ({ server, account: { accountId } }) => {
    const asked = { accountId, platform: Platform.IOS, ipAddress: '81.2.69.142' };
    await server.service.accounts.authorizeLegacySignIn({ ...asked, clientVersion: '1.0' });
    await server.service.accounts.authorizeLegacySignIn({ ...asked, clientVersion: '2.3' });
  },
  'Accounts.BatchImportAccounts': ({ server }) => {
    const passwordHash = `$2b$04$${'.'.repeat(53)}`;
    const accounts = ['one', 'two'].map((accountId) => ({
      accountId,
      email: `${accountId}@example.com`,
      passwordHash,
    }));
    return server.service.accounts.batchImportAccounts({ accounts });
  },
  'Sessions.RevokeSessions': async ({ server, account: { accountId } }) => {
    const reason = RevocationReason.ADMINISTRATIVE;
    await server.service.sessions.revokeSessions({ accountId, reason });
    await server.service.sessions.revokeSessions({ accountId, reason, deviceId: crypto.randomUUID() });
  },
  'Accounts.DeleteAccount': ({ server, account: { accountId } }) =>
    server.service.accounts.deleteAccount({ accountId }),
};

/** @param before is told of each call, by its name, and waited for. */
export async function tour(
  server: TestServer,
  before: (name: string) => Promise<void> | void = () => {},
): Promise<readonly string[]> {
  const story = { server } as Story;
  for (const [name, call] of Object.entries(calls)) {
    await before(name);
    await call(story);
  }
  return Object.keys(calls);
}
