// The accounts as the app's backend handles them.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

test('an address is taken once, however it is written', async () => {
  const { accounts } = server.service;
  const { account } = await accounts.createAccount({ email: 'Mixed.Case@Example.com', password: 'correct horse' });
  expect(account).toMatchObject({ email: 'Mixed.Case@Example.com', locale: 'en', twoStepEnabled: true });
  const error = await refusal(accounts.createAccount({ email: 'mixed.case@example.COM', password: 'correct horse' }));
  expect(error.reason).toBe('ACCOUNT_EXISTS');
  const byEmail = await accounts.getAccount({ key: { case: 'email', value: ' MIXED.case@example.com ' } });
  expect(byEmail.account?.accountId).toBe(account?.accountId);
  const { result } = await server
    .appClient()
    .twoStepAuth.signIn({ email: 'MIXED.CASE@EXAMPLE.COM', password: 'correct horse', device: iphone });
  expect(result.case).toBe('challengeGrant');
});

test.each([
  ['too short', () => 'seven77', [/at least 8 characters/]],
  ['the address itself', (email: string) => email, [/e-mail address/]],
  ['one character repeated', () => 'aaaaaaaaaaaa', [/one character repeated/]],
  ['easy to guess', () => 'Adelaide75!', [/harder to guess.*words/]],
  ['made of the product’s name', () => 'Countersign2024!', [/harder to guess/]],
  ['one of the commonest', () => 'qwertyuiop', [/harder to guess/, /list of breached or common passwords/]],
])('a password that is %s is refused with what it lacks', async (_what, passwordFor, lacks) => {
  const { accounts } = server.service;
  const { accountId, email } = await server.createAccount();
  const password = passwordFor(email);
  for (const call of [
    () => accounts.createAccount({ email, password }),
    () => accounts.setPassword({ accountId, password }),
  ]) {
    const error = await refusal(call());
    expect(error.reason).toBe('PASSWORD_WEAK');
    expect(error.violations).toMatchObject(
      lacks.map((description) => ({ field: 'password', description: expect.stringMatching(description) })),
    );
  }
});

test('an account that does not exist is unknown to every call', async () => {
  const { accounts } = server.service;
  const accountId = 'nobody';
  for (const call of [
    () => accounts.getAccount({ key: { case: 'accountId', value: accountId } }),
    () => accounts.getAccount({ key: { case: 'email', value: 'nobody@example.com' } }),
    () => accounts.updateAccount({ accountId, locale: 'ru' }),
    () => accounts.setPassword({ accountId, password: 'correct horse' }),
    () => accounts.resetVerification({ accountId }),
    () => accounts.deleteAccount({ accountId }),
  ]) {
    expect((await refusal(call())).reason).toBe('ACCOUNT_UNKNOWN');
  }
});

describe('a new address', () => {
  test('closes the open challenges, is told to the old one, and gets the codes from then on', async () => {
    const account = await server.createAccount();
    const client = server.appClient();
    const { result } = await client.twoStepAuth.signIn({ ...account, device: iphone });
    if (result.case !== 'challengeGrant') throw new Error('no challenge');
    const code = await server.mail.codeFor(account.email);
    const email = 'new.address@example.com';
    const updated = await server.service.accounts.updateAccount({ accountId: account.accountId, email });
    expect(updated.account?.email).toBe(email);

    const { challengeToken } = result.value;
    const error = await refusal(client.twoStepAuth.verifyCode({ challengeToken, code }));
    expect(error.reason).toBe('CHALLENGE_CLOSED');
    const [, notice] = await server.mail.waitFor(account.email, 2);
    expect(notice?.text).toContain('n•••@example.com');
    await server.appClient().twoStepAuth.signIn({ ...account, email, device: iphone });
    await server.mail.codeFor(email);
    const [row] = await server.query(`select address from delivery where account_id = $1 and kind = 'EMAIL_CHANGED'`, [
      account.accountId,
    ]);
    expect(row).toEqual({ address: null });
  });

  test('that is another account’s is refused', async () => {
    const [one, two] = [await server.createAccount(), await server.createAccount()];
    const error = await refusal(
      server.service.accounts.updateAccount({ accountId: one.accountId, email: two.email.toUpperCase() }),
    );
    expect(error.reason).toBe('ACCOUNT_EXISTS');
  });
});

test('a new language is the one of the next mail', async () => {
  const account = await server.createAccount();
  await server.service.accounts.updateAccount({ accountId: account.accountId, locale: 'ru' });
  await server.appClient().twoStepAuth.signIn({ ...account, device: iphone });
  const [mail] = await server.mail.waitFor(account.email);
  expect(mail?.subject).toMatch(/[а-я]/);
});

test('a new password ends sessions and challenges, keeps trust, and alone is good from then on', async () => {
  const account = await server.createAccount();
  const { client, session } = await server.signInNewDevice(account);
  const open = await server.appClient().twoStepAuth.signIn({ ...account, device: iphone });
  const code = await server.mail.codeFor(account.email, 2);
  const password = 'another battery staple';
  await server.service.accounts.setPassword({ accountId: account.accountId, password });

  const ended = await refusal(client.twoStepAuth.getSettings({}));
  expect(ended).toMatchObject({ reason: 'SESSION_INVALID', reasonMetadata: { cause: 'PASSWORD_CHANGED' } });
  if (open.result.case !== 'challengeGrant') throw new Error('no challenge');
  const { challengeToken } = open.result.value;
  const closed = await refusal(client.twoStepAuth.verifyCode({ challengeToken, code }));
  expect(closed.reason).toBe('CHALLENGE_CLOSED');
  const { deviceToken } = session;
  const old = await refusal(client.twoStepAuth.signIn({ ...account, device: iphone, deviceToken }));
  expect(old.reason).toBe('CREDENTIALS_INCORRECT');
  const { result } = await client.twoStepAuth.signIn({ ...account, password, device: iphone, deviceToken });
  expect(result.case).toBe('session');
});
