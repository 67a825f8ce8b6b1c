// Sign-in with the code from a mail, as an app does it; what a lost answer, a wrong code and a trusted device get.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CountersignError } from '../../clients/app/client.ts';
import { ChallengeState, Channel, Delivery } from '../../gen/countersign/v1/challenge_pb.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestAccount, type TestServer } from '../support/server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

async function openChallenge(account: TestAccount, requestId?: string) {
  const client = server.appClient();
  const before = server.mail.mails.filter(({ to }) => to === account.email).length;
  const { email, password } = account;
  const { result } = await client.twoStepAuth.signIn({
    email,
    password,
    device: iphone,
    ...(requestId === undefined ? {} : { requestId }),
  });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const { challengeToken, challenge } = result.value;
  return { client, challengeToken, challenge, mailsBefore: before };
}

const wrongCode = (code: string) => (code === '000000' ? '000001' : '000000');

test('a new device signs in with the code from its mail, and is trusted from then on', async () => {
  const account = await server.createAccount();
  const { client, challengeToken, challenge } = await openChallenge(account);
  expect(challenge).toMatchObject({
    state: ChallengeState.PENDING,
    defaultChannel: Channel.EMAIL,
    attemptsRemaining: 5,
  });
  expect(challenge?.channels[0]).toMatchObject({
    channel: Channel.EMAIL,
    destination: 'a•••@example.com',
    available: true,
    sendsRemaining: 4,
    delivery: Delivery.QUEUED,
  });
  expect(challenge?.requester).toBeUndefined();

  const code = await server.mail.codeFor(account.email);
  const { session } = await client.twoStepAuth.verifyCode({ challengeToken, code });
  expect(session).toMatchObject({ accountId: account.accountId });
  expect(session?.deviceToken).not.toBe('');

  const again = await client.twoStepAuth.signIn({
    ...account,
    device: iphone,
    deviceToken: session?.deviceToken ?? '',
  });
  expect(again.result.case).toBe('session');
  expect(again.result.value).toMatchObject({ deviceId: session?.deviceId, deviceToken: '' });
});

test('the mail says what the code is for, from which device, and never in its subject', async () => {
  const account = await server.createAccount();
  await openChallenge(account);
  const code = await server.mail.codeFor(account.email);
  const [mail] = await server.mail.waitFor(account.email);
  expect(mail?.subject).not.toContain(code);
  expect(mail?.text).toContain("Anna's iPhone");
  expect(mail?.html).toContain('iPhone 17');
  expect(mail?.raw).toContain('Auto-Submitted: auto-generated');
});

test('a caller who reads Russian is answered and written to in Russian', async () => {
  const account = await server.createAccount();
  const client = server.appClient({ acceptLanguage: 'nl, ru-RU;q=0.9, en;q=0.5' });
  await client.twoStepAuth.signIn({ ...account, device: iphone });
  const [mail] = await server.mail.waitFor(account.email);
  expect(mail?.subject).toMatch(/[а-я]/);
  const error = await refusal(client.twoStepAuth.signIn({ ...account, password: 'wrong', device: iphone }));
  expect(error.localizedMessage).toBe('Неверный адрес электронной почты или пароль.');
});

describe('a code', () => {
  test('is taken wrong five times, each counted in the answer, and then its challenge is closed', async () => {
    const account = await server.createAccount();
    const { client, challengeToken } = await openChallenge(account);
    const code = await server.mail.codeFor(account.email);
    for (const remaining of [4, 3, 2, 1, 0]) {
      const error = await refusal(client.twoStepAuth.verifyCode({ challengeToken, code: wrongCode(code) }));
      expect(error.reason).toBe('CODE_INCORRECT');
      expect(error.challenge?.attemptsRemaining).toBe(remaining);
    }
    const error = await refusal(client.twoStepAuth.verifyCode({ challengeToken, code }));
    expect(error.reason).toBe('CHALLENGE_CLOSED');
    expect(error.challenge?.state).toBe(ChallengeState.CLOSED);
  });

  test('is good for ten minutes and not a moment longer', async () => {
    const account = await server.createAccount();
    const { client, challengeToken } = await openChallenge(account);
    const code = await server.mail.codeFor(account.email);
    server.clock.advance(10 * 60_000);
    const error = await refusal(client.twoStepAuth.verifyCode({ challengeToken, code }));
    expect(error.reason).toBe('CHALLENGE_EXPIRED');
    expect(error.challenge?.state).toBe(ChallengeState.EXPIRED);
    const { challenge } = await client.twoStepAuth.getChallenge({ challengeToken });
    expect(challenge?.state).toBe(ChallengeState.EXPIRED);
  });

  test('stays the same when it is sent again, after a wait that grows, five times in all', async () => {
    const account = await server.createAccount();
    const { client, challengeToken } = await openChallenge(account);
    const code = await server.mail.codeFor(account.email);
    for (const [sends, wait] of [30, 60, 120, 240].entries()) {
      server.clock.advance((wait - 2) * 1000);
      const early = await refusal(client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL }));
      expect(early.reason).toBe('SEND_TOO_SOON');
      expect(early.retryAfter).toBeGreaterThan(0);
      expect(early.retryAfter).toBeLessThanOrEqual(2_000);
      server.clock.advance(2_000);
      const { challenge } = await client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL });
      expect(challenge?.channels[0]?.sendsRemaining).toBe(3 - sends);
      expect(await server.mail.codeFor(account.email, sends + 2)).toBe(code);
    }
    server.clock.advance(1000);
    const error = await refusal(client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL }));
    expect(error.reason).toBe('SENDS_EXHAUSTED');
  });

  test('of one challenge does not open another', async () => {
    const account = await server.createAccount();
    const one = await openChallenge(account);
    const code = await server.mail.codeFor(account.email, 1);
    const two = await openChallenge(account);
    await server.mail.codeFor(account.email, 2);
    const { challengeToken } = two;
    const error = await refusal(two.client.twoStepAuth.verifyCode({ challengeToken, code }));
    expect(error.reason).toBe('CODE_INCORRECT');
    const { session } = await one.client.twoStepAuth.verifyCode({ challengeToken: one.challengeToken, code });
    expect(session?.accessToken).toBeTruthy();
  });
});

describe('an answer that was lost', () => {
  test('of SignIn is given again for the same request: the same challenge, a new token, no second mail', async () => {
    const account = await server.createAccount();
    const requestId = crypto.randomUUID();
    const first = await openChallenge(account, requestId);
    const code = await server.mail.codeFor(account.email);
    const second = await openChallenge(account, requestId);
    expect(second.challenge?.challengeId).toBe(first.challenge?.challengeId);
    expect(second.challengeToken).not.toBe(first.challengeToken);
    const stale = await refusal(first.client.twoStepAuth.verifyCode({ challengeToken: first.challengeToken, code }));
    expect(stale.reason).toBe('CHALLENGE_UNKNOWN');
    await second.client.twoStepAuth.verifyCode({ challengeToken: second.challengeToken, code });
    expect(await server.mail.waitFor(account.email)).toHaveLength(1);
  });

  test('of SignIn is a new challenge after two minutes', async () => {
    const account = await server.createAccount();
    const requestId = crypto.randomUUID();
    const first = await openChallenge(account, requestId);
    server.clock.advance(121_000);
    const second = await openChallenge(account, requestId);
    expect(second.challenge?.challengeId).not.toBe(first.challenge?.challengeId);
  });

  test('of VerifyCode is given again with fresh tokens for the same session, and those before are void', async () => {
    const account = await server.createAccount();
    const { client, challengeToken } = await openChallenge(account);
    const code = await server.mail.codeFor(account.email);
    const { session: lost } = await client.twoStepAuth.verifyCode({ challengeToken, code });
    const { session: kept } = await client.twoStepAuth.verifyCode({ challengeToken, code });
    expect(kept?.sessionId).toBe(lost?.sessionId);
    expect(kept?.deviceId).toBe(lost?.deviceId);

    const introspect = (accessToken = '') => server.service.sessions.introspectSession({ accessToken });
    expect((await introspect(lost?.accessToken)).active).toBe(false);
    const refresh = await refusal(client.twoStepAuth.refreshSession({ refreshToken: lost?.refreshToken ?? '' }));
    expect(refresh.reason).toBe('SESSION_INVALID');
    const { result } = await client.twoStepAuth.signIn({
      ...account,
      device: iphone,
      deviceToken: lost?.deviceToken ?? '',
    });
    expect(result.case).toBe('challengeGrant');
    expect((await introspect(kept?.accessToken)).active).toBe(true);
    expect((await client.trustedDevices.listTrustedDevices({}, bearer(kept?.accessToken))).trustedDevices).toHaveLength(
      1,
    );
  });

  test('of VerifyCode is not given again once a token of it was used, after two minutes, or for a wrong code', async () => {
    const account = await server.createAccount();
    const used = await openChallenge(account);
    const usedCode = await server.mail.codeFor(account.email);
    const { session } = await used.client.twoStepAuth.verifyCode({
      challengeToken: used.challengeToken,
      code: usedCode,
    });
    await used.client.twoStepAuth.getSettings({}, bearer(session?.accessToken));
    const again = await refusal(
      used.client.twoStepAuth.verifyCode({ challengeToken: used.challengeToken, code: usedCode }),
    );
    expect(again.reason).toBe('CHALLENGE_CLOSED');
    expect(again.challenge?.state).toBe(ChallengeState.VERIFIED);

    const late = await openChallenge(account);
    const lateCode = await server.mail.codeFor(account.email, 2);
    const { challengeToken } = late;
    await late.client.twoStepAuth.verifyCode({ challengeToken, code: lateCode });
    const wrong = await refusal(late.client.twoStepAuth.verifyCode({ challengeToken, code: wrongCode(lateCode) }));
    expect(wrong.reason).toBe('CHALLENGE_CLOSED');
    server.clock.advance(121_000);
    const afterwards = await refusal(late.client.twoStepAuth.verifyCode({ challengeToken, code: lateCode }));
    expect(afterwards.reason).toBe('CHALLENGE_CLOSED');
  });
});

test('a device that declines trust is not listed, and needs a code again', async () => {
  const account = await server.createAccount();
  const { client, session } = await server.signInNewDevice(account, false);
  expect(session.deviceToken).toBe('');
  const { trustedDevices } = await client.trustedDevices.listTrustedDevices({});
  expect(trustedDevices).toEqual([]);
});

test('the 21st trusted device displaces the one that was longest unused', async () => {
  const small = await startTestServer({ COUNTERSIGN_TRUSTED_DEVICES: '2' });
  try {
    const account = await small.createAccount();
    const oldest = await small.signInNewDevice(account);
    small.clock.advance(1000);
    const middle = await small.signInNewDevice(account);
    small.clock.advance(1000);
    const newest = await small.signInNewDevice(account);
    const { trustedDevices } = await newest.client.trustedDevices.listTrustedDevices({});
    expect(trustedDevices.map(({ deviceId }) => deviceId)).toEqual([newest.session.deviceId, middle.session.deviceId]);
    const error = await refusal(oldest.client.twoStepAuth.getSettings({}));
    expect(error).toMatchObject({ reason: 'SESSION_INVALID', reasonMetadata: { cause: 'DEVICE_REMOVED' } });
  } finally {
    await small.stop();
  }
});

test('a trusted device has one session: signing in again on it ends the one before', async () => {
  const account = await server.createAccount();
  const { client, session } = await server.signInNewDevice(account);
  const { result } = await client.twoStepAuth.signIn({ ...account, device: iphone, deviceToken: session.deviceToken });
  expect(result.case).toBe('session');
  const error = await refusal(client.twoStepAuth.getSettings({}));
  expect(error).toMatchObject({ reason: 'SESSION_INVALID', reasonMetadata: { cause: 'REPLACED' } });
});

test('trust lapses after 180 unused days', async () => {
  const account = await server.createAccount();
  const { client, session } = await server.signInNewDevice(account);
  server.clock.advance(180 * 86_400_000);
  const { result } = await client.twoStepAuth.signIn({ ...account, device: iphone, deviceToken: session.deviceToken });
  expect(result.case).toBe('challengeGrant');
});

test('an eleventh challenge within the hour has to wait', async () => {
  const account = await server.createAccount();
  for (let opened = 0; opened < 10; opened++) await openChallenge(account);
  const error = await refusal(server.appClient().twoStepAuth.signIn({ ...account, device: iphone }));
  expect(error.reason).toBe('RATE_LIMITED');
  expect(error.retryAfter).toBeGreaterThan(3_500_000);
  server.clock.advance(3_600_000);
  await openChallenge(account);
});

test('a password guess is counted by network, and a trusted device has a budget of its own', async () => {
  const account = await server.createAccount();
  const { session } = await server.signInNewDevice(account);
  const client = server.appClient();
  const guess = (ip: string) =>
    refusal(
      client.twoStepAuth.signIn(
        { ...account, password: 'wrong', device: iphone },
        { headers: { 'x-forwarded-for': ip } },
      ),
    );
  for (let tries = 0; tries < 10; tries++) {
    expect((await guess(`203.0.113.${tries}`)).reason).toBe('CREDENTIALS_INCORRECT');
  }
  const limited = await guess('203.0.113.200');
  expect(limited.reason).toBe('RATE_LIMITED');
  expect(limited.retryAfter).toBeGreaterThan(890_000);
  expect((await guess('198.51.100.1')).reason).toBe('CREDENTIALS_INCORRECT');

  const { result } = await client.twoStepAuth.signIn(
    { ...account, device: iphone, deviceToken: session.deviceToken },
    { headers: { 'x-forwarded-for': '203.0.113.1' } },
  );
  expect(result.case).toBe('session');
});

test('a stranger learns nothing of an address: the same answer for a known and an unknown one', async () => {
  const account = await server.createAccount();
  const client = server.appClient();
  const known = await refusal(client.twoStepAuth.signIn({ ...account, password: 'wrong', device: iphone }));
  const unknown = await refusal(
    client.twoStepAuth.signIn({ email: 'nobody@example.com', password: 'wrong', device: iphone }),
  );
  const shape = ({ code, reason, message, localizedMessage, reasonMetadata }: CountersignError) => ({
    code,
    reason,
    message,
    localizedMessage,
    reasonMetadata,
  });
  expect(shape(unknown)).toEqual(shape(known));
});

function bearer(accessToken: string | undefined) {
  return { headers: { authorization: `Bearer ${accessToken}` } };
}
