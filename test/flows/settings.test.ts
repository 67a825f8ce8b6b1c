// Switching two-step verification off asks for a code; switching it on never does.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ChallengePurpose, Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestAccount, type TestDevice, type TestServer } from '../support/server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

async function askToSwitchOff({ client }: TestDevice, account: TestAccount) {
  const before = server.mail.codeMailsTo(account.email).length;
  const { result } = await client.twoStepAuth.updateSettings({ twoStepEnabled: false });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const code = await server.mail.codeFor(account.email, before + 1);
  return { challengeToken: result.value.challengeToken, challenge: result.value.challenge, code };
}

async function switchOff(device: TestDevice, account: TestAccount) {
  const { challengeToken, code } = await askToSwitchOff(device, account);
  return device.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
}

test('a new account has two-step verification on, and its code goes by e-mail', async () => {
  const { client } = await server.signInNewDevice(await server.createAccount());
  const settings = await client.twoStepAuth.getSettings({});
  expect(settings).toMatchObject({
    twoStepEnabled: true,
    defaultChannel: Channel.EMAIL,
    passwordChangeRequired: false,
  });
  expect(settings.channels.map(({ destination }) => destination)).toEqual(['a•••@example.com', '0 trusted devices']);
});

test('switching off needs the code; then a new device signs in without one, and is not trusted for it', async () => {
  const account = await server.createAccount();
  const device = await server.signInNewDevice(account);
  const { challenge, challengeToken, code } = await askToSwitchOff(device, account);
  expect(challenge?.purpose).toBe(ChallengePurpose.SWITCH_OFF);
  const wrong = code === '000000' ? '000001' : '000000';
  const { twoStepAuth } = device.client;
  const refused = await refusal(twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code: wrong }));
  expect(refused).toMatchObject({ reason: 'CODE_INCORRECT', challenge: { attemptsRemaining: 4 } });
  const { result } = await twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
  expect(result).toMatchObject({ case: 'settings', value: { twoStepEnabled: false } });

  const newDevice = server.appClient();
  const signedIn = await newDevice.twoStepAuth.signIn({ ...account, device: iphone });
  if (signedIn.result.case !== 'session') throw new Error(`no session but ${signedIn.result.case}`);
  expect(signedIn.result.value.deviceToken).toBe('');
  newDevice.useSession(signedIn.result.value);
  const { trustedDevices } = await newDevice.trustedDevices.listTrustedDevices({});
  expect(trustedDevices.map(({ deviceId }) => deviceId)).toEqual([device.session.deviceId]);

  // The password alone got it in: it may switch on, but not off.
  await newDevice.twoStepAuth.updateSettings({ twoStepEnabled: true });
  const error = await refusal(newDevice.twoStepAuth.updateSettings({ twoStepEnabled: false }));
  expect(error.reason).toBe('DEVICE_NOT_TRUSTED');
});

test('the mail for switching off says what its code does', async () => {
  const account = await server.createAccount();
  const device = await server.signInNewDevice(account);
  await askToSwitchOff(device, account);
  const [signIn, off] = server.mail.codeMailsTo(account.email);
  expect(off?.subject).not.toBe(signIn?.subject);
  expect(off?.text).toMatch(/off/i);
});

describe('the token of a challenge', () => {
  test('for switching off does not sign in, and one for signing in does not switch off', async () => {
    const account = await server.createAccount();
    const device = await server.signInNewDevice(account);
    const off = await askToSwitchOff(device, account);
    const verified = await refusal(
      server.appClient().twoStepAuth.verifyCode({ challengeToken: off.challengeToken, code: off.code }),
    );
    expect(verified.reason).toBe('CHALLENGE_UNKNOWN');

    const { result } = await server.appClient().twoStepAuth.signIn({ ...account, device: iphone });
    if (result.case !== 'challengeGrant') throw new Error('no challenge');
    const code = await server.mail.codeFor(account.email, 3);
    const { challengeToken } = result.value;
    const switched = await refusal(
      device.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code }),
    );
    expect(switched.reason).toBe('CHALLENGE_UNKNOWN');
  });

  test('for switching off serves only the session that asked', async () => {
    const account = await server.createAccount();
    const one = await server.signInNewDevice(account);
    const two = await server.signInNewDevice(account);
    const { challengeToken, code } = await askToSwitchOff(one, account);
    const error = await refusal(two.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code }));
    expect(error.reason).toBe('CHALLENGE_UNKNOWN');
  });
});

test('a code switches off once: after switching on again it is spent', async () => {
  const account = await server.createAccount();
  const device = await server.signInNewDevice(account);
  const { challengeToken, code } = await askToSwitchOff(device, account);
  const { twoStepAuth } = device.client;
  await twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
  // The answer was lost: asking again changes nothing, and says how it is.
  const { result } = await twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
  expect(result).toMatchObject({ case: 'settings', value: { twoStepEnabled: false } });
  await twoStepAuth.updateSettings({ twoStepEnabled: true });
  const error = await refusal(twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code }));
  expect(error.reason).toBe('CHALLENGE_CLOSED');
});

test('an update that sets nothing changes nothing', async () => {
  const account = await server.createAccount();
  const device = await server.signInNewDevice(account);
  await switchOff(device, account);
  const { result } = await device.client.twoStepAuth.updateSettings({});
  expect(result).toMatchObject({ case: 'settings', value: { twoStepEnabled: false } });
});
