// What each flow costs PostgreSQL: its statements and how often it waits, exactly, so that a dearer one is seen without a
// clock. Begin and commit are statements; what is sent together is waited for once.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { iphone, startTestServer, type TestAccount, type TestDevice, type TestServer } from '../support/server.ts';
import { type StatementProxy, startStatementProxy } from '../support/statement-proxy.ts';

/** A server may look after itself in the middle of a flow: the least of several runs is the flow's own. */
const runs = 4;

let behind: TestServer;
let server: TestServer;
let proxy: StatementProxy;

beforeAll(async () => {
  behind = await startTestServer();
  proxy = await startStatementProxy(behind.databaseUrl, 'countersign');
  server = await startTestServer({}, { ...behind, databaseUrl: proxy.url });
});

afterAll(async () => {
  await server?.stop();
  proxy?.close();
  await behind?.stop();
});

/** What `flow` takes: statements, and round trips. `prepare` makes what it needs, which does not count. */
async function costOf<T>(
  prepare: () => Promise<T>,
  flow: (prepared: T) => Promise<unknown>,
): Promise<[number, number]> {
  const costs: [number, number][] = [];
  for (let run = 0; run < runs; run++) {
    const prepared = await prepare();
    const before = { ...proxy.count };
    await flow(prepared);
    costs.push([proxy.count.statements - before.statements, proxy.count.trips - before.trips]);
  }
  const least = (values: readonly number[]) => Math.min(...values);
  return [least(costs.map(([statements]) => statements)), least(costs.map(([, trips]) => trips))];
}

interface SignedIn extends TestDevice {
  readonly account: TestAccount;
}

async function signedIn(): Promise<SignedIn> {
  const account = await server.createAccount();
  const device = await server.signInNewDevice(account);
  // The first use of a session's tokens is noted; the next are not.
  await device.client.twoStepAuth.getSettings({});
  return { account, ...device };
}

async function challenged() {
  const account = await server.createAccount();
  const client = server.appClient();
  const { email, password } = account;
  const mails = server.mail.mails.length;
  const { result } = await client.twoStepAuth.signIn({ email, password, device: iphone });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const code = await server.mail.codeFor(email);
  expect(server.mail.mails.length).toBeGreaterThan(mails);
  return { client, account, challengeToken: result.value.challengeToken, code };
}

test('SignIn with a wrong password', async () => {
  const cost = await costOf(server.createAccount, async ({ email }) => {
    await expect(
      server.appClient().twoStepAuth.signIn({ email, password: 'not this one', device: iphone }),
    ).rejects.toThrow();
  });
  expect(cost).toEqual([4, 4]);
});

test('SignIn on a new device', async () => {
  const cost = await costOf(server.createAccount, ({ email, password }) =>
    server.appClient().twoStepAuth.signIn({ email, password, device: iphone }),
  );
  expect(cost).toEqual([11, 6]);
});

test('SignIn on a trusted device', async () => {
  const cost = await costOf(signedIn, ({ account: { email, password }, session: { deviceToken } }) =>
    server.appClient().twoStepAuth.signIn({ email, password, deviceToken, device: iphone }),
  );
  // The address is looked up after the device, not beside it: nothing asks the directory at a stranger's word.
  expect(cost).toEqual([13, 6]);
});

test('VerifyCode', async () => {
  const cost = await costOf(challenged, ({ client, challengeToken, code }) =>
    client.twoStepAuth.verifyCode({ challengeToken, code }),
  );
  expect(cost).toEqual([8, 2]);
});

test('VerifyCode with a wrong code', async () => {
  const cost = await costOf(challenged, async ({ client, challengeToken, code }) => {
    const wrong = code === '000000' ? '000001' : '000000';
    await expect(client.twoStepAuth.verifyCode({ challengeToken, code: wrong })).rejects.toThrow();
  });
  expect(cost).toEqual([10, 3]);
});

test('SendCode', async () => {
  const cost = await costOf(
    async () => {
      const prepared = await challenged();
      server.clock.advance(60_000);
      return prepared;
    },
    ({ client, challengeToken }) => client.twoStepAuth.sendCode({ challengeToken, channel: 2 }),
  );
  expect(cost).toEqual([7, 3]);
});

test('GetChallenge', async () => {
  const cost = await costOf(challenged, ({ client, challengeToken }) =>
    client.twoStepAuth.getChallenge({ challengeToken }),
  );
  expect(cost).toEqual([3, 2]);
});

test('RefreshSession', async () => {
  const cost = await costOf(signedIn, ({ session: { refreshToken } }) =>
    server.appClient().twoStepAuth.refreshSession({ refreshToken }),
  );
  expect(cost).toEqual([5, 2]);
});

test('SignOut', async () => {
  const cost = await costOf(signedIn, ({ client }) => client.twoStepAuth.signOut({}));
  expect(cost).toEqual([9, 3]);
});

test('GetSettings', async () => {
  const cost = await costOf(signedIn, ({ client }) => client.twoStepAuth.getSettings({}));
  expect(cost).toEqual([3, 2]);
});

test('IntrospectSession', async () => {
  const cost = await costOf(signedIn, ({ session: { accessToken } }) =>
    server.service.sessions.introspectSession({ accessToken }),
  );
  expect(cost).toEqual([1, 1]);
});

test('GetAccount, with its audit record', async () => {
  const cost = await costOf(server.createAccount, ({ accountId }) =>
    server.service.accounts.getAccount({ key: { case: 'accountId', value: accountId } }),
  );
  expect(cost).toEqual([4, 4]);
});

test('ListLoginActivity', async () => {
  const cost = await costOf(signedIn, ({ client }) => client.loginActivity.listLoginActivity({}));
  expect(cost).toEqual([2, 2]);
});

test('RemoveTrustedDevice', async () => {
  const cost = await costOf(
    async () => {
      const { account, client } = await signedIn();
      const { session } = await server.signInNewDevice(account);
      return { client, deviceId: session.deviceId };
    },
    ({ client, deviceId }) => client.trustedDevices.removeTrustedDevice({ deviceId }),
  );
  expect(cost).toEqual([12, 4]);
});
