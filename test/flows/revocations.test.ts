// Revocations: whatever ends a session is told on the stream of another replica.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { RevocationReason } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { EventKind } from '../../gen/countersign/v1/login_event_pb.ts';
import { eventually } from '../support/eventually.ts';
import { refusal } from '../support/refusal.ts';
import { insertSessions, type RevocationWatcher, watchRevocations } from '../support/revocations.ts';
import { iphone, startTestServer, type TestAccount, type TestDevice, type TestServer } from '../support/server.ts';

const trustedDevices = 4;
const newPassword = 'Zwölf Boxkämpfer jagen';
let server: TestServer;
let replica: TestServer;
let watcher: RevocationWatcher;

beforeAll(async () => {
  server = await startTestServer({ COUNTERSIGN_TRUSTED_DEVICES: String(trustedDevices) });
  replica = await startTestServer({}, server);
  watcher = watchRevocations(replica.internalUrl);
  await watcher.caughtUp();
});
afterAll(async () => {
  await watcher?.stop();
  await replica?.stop();
  await server?.stop();
});

interface Stage {
  readonly account: TestAccount;
  /** The one whose session ends. */
  readonly ends: TestDevice;
  /** The one that was there before it. */
  readonly other: TestDevice;
}

const entryOf = async ({ ends, other }: Stage, kind: EventKind) => {
  const { events } = await other.client.loginActivity.listLoginActivity({});
  const found = events.find((event) => event.kind === kind && event.deviceId === ends.session.deviceId);
  return found?.eventId ?? '';
};

async function resetPassword({ account: { email } }: Stage): Promise<void> {
  const stranger = server.appClient();
  await stranger.account.requestPasswordReset({ email });
  const resetToken = await eventually(20_000, () => {
    const mail = server.mail.mails.find(({ to, text }) => to === email && text.includes('/reset?token='));
    const token = /\/reset\?token=(\S+)/.exec(mail?.text ?? '')?.[1];
    if (token === undefined) throw new Error('no link yet');
    return decodeURIComponent(token);
  });
  await stranger.account.resetPassword({ resetToken, newPassword });
}

/** The newest challenge was that of the device whose session ends. */
async function denyItsChallenge({ account, other }: Stage): Promise<void> {
  const key = { case: 'accountId', value: account.accountId } as const;
  const { trace } = await server.service.support.traceChallenge({ account: key });
  await other.client.twoStepAuth.denyChallenge({ challengeId: trace?.challengeId ?? '' });
}

const revoke = ({ accountId }: TestAccount, filter: { readonly deviceId?: string; readonly sessionId?: string }) =>
  server.service.sessions.revokeSessions({ accountId, ...filter, reason: RevocationReason.ADMINISTRATIVE });

const ways: Readonly<Record<string, readonly [cause: string, end: (stage: Stage) => Promise<unknown>]>> = {
  'signing out': ['SIGNED_OUT', ({ ends }) => ends.client.twoStepAuth.signOut({})],
  'signing out everywhere, elsewhere': [
    'SIGNED_OUT',
    ({ other }) => other.client.twoStepAuth.signOut({ everywhere: true }),
  ],
  'removing its device': [
    'DEVICE_REMOVED',
    ({ ends, other }) => other.client.trustedDevices.removeTrustedDevice({ deviceId: ends.session.deviceId }),
  ],
  'a device too many': [
    'DEVICE_REMOVED',
    async ({ account, other }) => {
      // The other one is the last that was used.
      await other.client.twoStepAuth.refreshSession({ refreshToken: other.session.refreshToken });
      for (let count = 2; count <= trustedDevices; count++) await server.signInNewDevice(account);
    },
  ],
  'signing in again on its device': [
    'REPLACED',
    ({ account, ends }) =>
      ends.client.twoStepAuth.signIn({ ...account, device: iphone, deviceToken: ends.session.deviceToken }),
  ],
  'using a refresh token again': [
    'TOKEN_REUSED',
    async ({ ends: { session } }) => {
      const client = server.appClient();
      const { session: next } = await client.twoStepAuth.refreshSession({ refreshToken: session.refreshToken });
      await client.twoStepAuth.refreshSession({ refreshToken: next?.refreshToken ?? '' });
      const again = client.twoStepAuth.refreshSession({ refreshToken: session.refreshToken });
      expect((await refusal(again)).reasonMetadata).toEqual({ cause: 'TOKEN_REUSED' });
    },
  ],
  'a new password, set by an internal service': [
    'PASSWORD_CHANGED',
    ({ account: { accountId } }) => server.service.accounts.setPassword({ accountId, password: newPassword }),
  ],
  'a new password, chosen on another device': [
    'PASSWORD_CHANGED',
    ({ account, other }) => other.client.account.changePassword({ currentPassword: account.password, newPassword }),
  ],
  'a new password, set by a link': ['PASSWORD_CHANGED', resetPassword],
  'revoking all of the account': ['REVOKED', ({ account }) => revoke(account, {})],
  'revoking those of its device': [
    'REVOKED',
    ({ account, ends }) => revoke(account, { deviceId: ends.session.deviceId }),
  ],
  'revoking it': ['REVOKED', ({ account, ends }) => revoke(account, { sessionId: ends.session.sessionId })],
  'reporting its sign-in': [
    'DEVICE_REMOVED',
    async (stage) =>
      stage.other.client.loginActivity.reportLoginActivity({
        eventId: await entryOf(stage, EventKind.SIGNED_IN_WITH_CODE),
      }),
  ],
  'denying the challenge that let it in': ['DEVICE_REMOVED', denyItsChallenge],
  'deleting its account': [
    'UNKNOWN',
    ({ account: { accountId } }) => server.service.accounts.deleteAccount({ accountId }),
  ],
};

test.each(Object.entries(ways))('a session that ends by %s is told', async (_, [cause, end]) => {
  const account = await server.createAccount();
  const other = await server.signInNewDevice(account);
  const ends = await server.signInNewDevice(account);
  const before = Date.now();
  await end({ account, ends, other });
  const { accountId } = account;
  const { sessionId, deviceId, accessToken } = ends.session;
  const [told, ...again] = await watcher.told(sessionId);
  expect(told).toMatchObject({ accountId, sessionId, deviceId, cause });
  // By PostgreSQL's clock, which is this machine's.
  const time = Number(told?.revokeTime?.seconds) * 1_000;
  expect(Math.abs(time - before)).toBeLessThan(60_000);
  expect(again).toEqual([]);
  expect((await server.service.sessions.introspectSession({ accessToken })).active).toBe(false);
});

test('no session that lives on is told, however often it is refreshed', async () => {
  const { session, client } = await server.signInNewDevice(await server.createAccount());
  let newest = session.refreshToken;
  for (let times = 0; times < 3; times++) {
    newest = (await client.twoStepAuth.refreshSession({ refreshToken: newest })).session?.refreshToken ?? '';
  }
  const after = await server.signInNewDevice(await server.createAccount());
  await after.client.twoStepAuth.signOut({});
  await watcher.told(after.session.sessionId);
  expect(watcher.events.some(({ value }) => (value as { sessionId?: string }).sessionId === session.sessionId)).toBe(
    false,
  );
});

test('the oldest of too many sessions without a code is told', async () => {
  const account = await server.createAccount();
  await server.query('update account set two_step_enabled = false where account_id = $1', [account.accountId]);
  const sessionIds: string[] = [];
  for (let count = 0; count <= 50; count++) {
    const { result } = await server.appClient().twoStepAuth.signIn({ ...account, device: iphone });
    if (result.case !== 'session') throw new Error(`no session but ${result.case}`);
    sessionIds.push(result.value.sessionId);
  }
  expect(await watcher.told(sessionIds[0] ?? '')).toMatchObject([{ cause: 'REPLACED' }]);
});

test('every session of an account that is deleted in steps is told', async () => {
  const { accountId } = await server.createAccount();
  const live = await insertSessions(server.query, accountId, 1_200);
  await server.service.accounts.deleteAccount({ accountId });
  const told = await eventually(20_000, () => {
    const of = watcher.events.flatMap(({ case: kind, value }) =>
      kind === 'revocation' && value.accountId === accountId ? [value] : [],
    );
    expect(of).toHaveLength(1_200);
    return of;
  });
  expect(told.map(({ sessionId }) => sessionId).sort()).toEqual(live.toSorted());
  expect(new Set(told.map(({ cause }) => cause))).toEqual(new Set(['UNKNOWN']));
});

test('a session that ended before its account was deleted is told once, with its own cause', async () => {
  const account = await server.createAccount();
  const { session, client } = await server.signInNewDevice(account);
  await client.twoStepAuth.signOut({});
  await server.service.accounts.deleteAccount(account);
  const after = watchRevocations(server.internalUrl);
  await after.caughtUp();
  expect(await after.told(session.sessionId)).toMatchObject([{ cause: 'SIGNED_OUT' }]);
  await after.stop();
});
