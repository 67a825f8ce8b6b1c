// Wrong codes add up over channels, challenges and sign-ins: first they have to wait, at last nothing opens or verifies.

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { AppClient } from '../../clients/app/client.ts';
import type { ChallengeGrant } from '../../gen/countersign/v1/challenge_pb.ts';
import { Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestAccount, type TestServer } from '../support/server.ts';

// A hundred wrong codes take many sign-ins, and a slow machine its time.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const minute = 60_000;
const hour = 60 * minute;

interface Opened {
  readonly client: AppClient;
  readonly challengeToken: string;
  readonly code: string;
}

/** The code as it stands in the mail, which need not be waited for here. */
function opened(client: AppClient, { challengeToken, challenge }: ChallengeGrant): Opened {
  const challengeId = challenge?.challengeId ?? '';
  return {
    client,
    challengeToken,
    code: server.app.deps.codes.derive({ challengeId, codeKeyId: 'test' }, 'EMAIL'),
  };
}

async function openChallenge({ email, password }: TestAccount): Promise<Opened> {
  const client = server.appClient();
  const { result } = await client.twoStepAuth.signIn({ email, password, device: iphone });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  return opened(client, result.value);
}

const verify = ({ client, challengeToken }: Opened, code: string) =>
  client.twoStepAuth.verifyCode({ challengeToken, code });

const tryWrong = (challenge: Opened) => refusal(verify(challenge, challenge.code === '000000' ? '000001' : '000000'));

/** Spends wrong codes over as many sign-ins as it takes; waits out what has to be waited for. */
async function spend(account: TestAccount, count: number): Promise<void> {
  let challenge: Opened | undefined;
  for (let spent = 0; spent < count; ) {
    if (challenge === undefined) {
      // Ten challenges an hour, and none outlives ten minutes.
      server.clock.advance(10 * minute);
      challenge = await openChallenge(account);
    }
    const error = await tryWrong(challenge);
    if (error.reason === 'CODE_INCORRECT') spent += 1;
    else if (error.reason === 'RATE_LIMITED') server.clock.advance(error.retryAfter ?? 0);
    else if (error.reason === 'CHALLENGE_CLOSED' || error.reason === 'CHALLENGE_EXPIRED') challenge = undefined;
    else throw error;
  }
}

async function isLocked({ accountId }: TestAccount): Promise<boolean | undefined> {
  const { account } = await server.service.accounts.getAccount({ key: { case: 'accountId', value: accountId } });
  return account?.verificationLocked;
}

async function counted({ accountId }: TestAccount): Promise<unknown> {
  const [row] = await server.query('select wrong_codes from account where account_id = $1', [accountId]);
  return row?.['wrong_codes'];
}

test('from the 30th wrong code on, a try waits a minute, twice as long each time, and an hour at most', async () => {
  const account = await server.createAccount();
  await spend(account, 29);
  server.clock.advance(hour);
  let challenge = await openChallenge(account);
  expect((await tryWrong(challenge)).reason).toBe('CODE_INCORRECT');
  for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
    const refused = await refusal(verify(challenge, challenge.code));
    expect(refused.reason).toBe('RATE_LIMITED');
    expect(refused.retryAfter).toBeGreaterThan(minutes * minute - 20_000);
    expect(refused.retryAfter).toBeLessThanOrEqual(minutes * minute);

    server.clock.advance((refused.retryAfter ?? 0) - 20_000);
    // A new sign-in and its new code are to be had, and don't shorten the wait.
    challenge = await openChallenge(account);
    const early = await refusal(verify(challenge, challenge.code));
    expect(early.reason).toBe('RATE_LIMITED');
    expect(early.retryAfter).toBeLessThanOrEqual(20_000);
    server.clock.advance(early.retryAfter ?? 0);
    expect((await tryWrong(challenge)).reason).toBe('CODE_INCORRECT');
  }
  expect(await isLocked(account)).toBe(false);
});

test('a try that has to wait is neither compared nor counted, and a right one afterwards clears the count', async () => {
  const account = await server.createAccount();
  await spend(account, 30);
  const challenge = await openChallenge(account);
  for (let tries = 0; tries < 10; tries++) expect((await tryWrong(challenge)).reason).toBe('RATE_LIMITED');
  expect(await counted(account)).toBe(30);
  server.clock.advance(minute);
  expect((await verify(challenge, challenge.code)).session?.accessToken).toBeTruthy();
  expect(await counted(account)).toBe(0);
  expect((await tryWrong(await openChallenge(account))).reason).toBe('CODE_INCORRECT');
  expect((await tryWrong(await openChallenge(account))).reason).toBe('CODE_INCORRECT');
});

test('neither a new sign-in, a resent code nor a trusted device’s sign-in resets the count', async () => {
  const account = await server.createAccount();
  const trusted = await server.signInNewDevice(account);
  const challenge = await openChallenge(account);
  await tryWrong(challenge);
  server.clock.advance(30_000);
  await challenge.client.twoStepAuth.sendCode({ challengeToken: challenge.challengeToken, channel: Channel.EMAIL });
  await tryWrong(challenge);
  await tryWrong(await openChallenge(account));
  const { result } = await trusted.client.twoStepAuth.signIn({
    ...account,
    device: iphone,
    deviceToken: trusted.session.deviceToken,
  });
  expect(result.case).toBe('session');
  expect(await counted(account)).toBe(3);
});

test('wrong codes for a switch-off count with those of sign-ins, and a right one clears them', async () => {
  const account = await server.createAccount();
  const { client } = await server.signInNewDevice(account);
  await tryWrong(await openChallenge(account));
  const { result } = await client.twoStepAuth.updateSettings({ twoStepEnabled: false });
  if (result.case !== 'challengeGrant') throw new Error('no challenge');
  const { challengeToken, code } = opened(client, result.value);
  const wrong = code === '000000' ? '000001' : '000000';
  const switchOff = (given: string) =>
    client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code: given });
  expect((await refusal(switchOff(wrong))).reason).toBe('CODE_INCORRECT');
  expect(await counted(account)).toBe(2);
  await switchOff(code);
  expect(await counted(account)).toBe(0);
});

describe('after 100 wrong codes', () => {
  let account: TestAccount;
  let trusted: Awaited<ReturnType<TestServer['signInNewDevice']>>;
  let left: Opened;
  let leftSwitchOff: Opened;

  beforeAll(async () => {
    account = await server.createAccount();
    trusted = await server.signInNewDevice(account);
    await spend(account, 99);
    // What is open already must not be a way around the lock.
    server.clock.advance(hour);
    const { result: again } = await trusted.client.twoStepAuth.signIn({
      ...account,
      device: iphone,
      deviceToken: trusted.session.deviceToken,
    });
    if (again.case !== 'session') throw new Error('no session');
    trusted.client.useSession(again.value);
    const { result } = await trusted.client.twoStepAuth.updateSettings({ twoStepEnabled: false });
    if (result.case !== 'challengeGrant') throw new Error('no challenge');
    leftSwitchOff = opened(trusted.client, result.value);
    left = await openChallenge(account);
    expect(await isLocked(account)).toBe(false);
    expect((await tryWrong(await openChallenge(account))).reason).toBe('CODE_INCORRECT');
  });

  test('the account says so, and no code verifies any more, neither now nor later', async () => {
    expect(await isLocked(account)).toBe(true);
    const error = await refusal(verify(left, left.code));
    expect(error.reason).toBe('VERIFICATION_LOCKED');
    expect(error.retryAfter).toBeUndefined();
    const { challengeToken, code } = leftSwitchOff;
    const switchOff = trusted.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
    expect((await refusal(switchOff)).reason).toBe('VERIFICATION_LOCKED');
    server.clock.advance(2 * minute);
    expect((await refusal(verify(left, left.code))).reason).toBe('VERIFICATION_LOCKED');
    expect(await counted(account)).toBe(100);
  });

  test('no challenge opens, for a sign-in or for a switch-off, also days later', async () => {
    server.clock.advance(3 * 24 * hour);
    const signIn = server.appClient().twoStepAuth.signIn({ ...account, device: iphone });
    expect((await refusal(signIn)).reason).toBe('VERIFICATION_LOCKED');
    const { result } = await trusted.client.twoStepAuth.signIn({
      ...account,
      device: iphone,
      deviceToken: trusted.session.deviceToken,
    });
    if (result.case !== 'session') throw new Error(`a trusted device was asked: ${result.case}`);
    trusted.client.useSession(result.value);
    const switchOff = trusted.client.twoStepAuth.updateSettings({ twoStepEnabled: false });
    expect((await refusal(switchOff)).reason).toBe('VERIFICATION_LOCKED');
    expect(await isLocked(account)).toBe(true);
  });

  test('a wrong password is still answered as one', async () => {
    const wrong = server.appClient().twoStepAuth.signIn({ ...account, password: 'wrong', device: iphone });
    expect((await refusal(wrong)).reason).toBe('CREDENTIALS_INCORRECT');
  });

  test.each(['ResetVerification', 'a new password'])('%s lifts it', async (call) => {
    const { accountId } = account;
    await server.query('update account set wrong_codes = 100, last_wrong_code_time = $2 where account_id = $1', [
      accountId,
      server.clock.now(),
    ]);
    expect(await isLocked(account)).toBe(true);
    if (call === 'ResetVerification') await server.service.accounts.resetVerification({ accountId });
    else {
      account = { ...account, password: 'a new horse' };
      await server.setPassword(account, account.password);
    }
    const { account: after } = await server.service.accounts.getAccount({
      key: { case: 'accountId', value: accountId },
    });
    expect(after?.verificationLocked).toBe(false);
    expect(await isLocked(account)).toBe(false);
    const challenge = await openChallenge(account);
    expect((await tryWrong(challenge)).reason).toBe('CODE_INCORRECT');
    expect((await verify(challenge, challenge.code)).session?.accessToken).toBeTruthy();
  });
});
