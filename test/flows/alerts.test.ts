// What the owner is told of without having asked: by e-mail and on the other trusted devices; and "it wasn't me" by the link in
// an e-mail.

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ChallengeState, Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { codeIn, type Mail } from '../support/mail-server.ts';
import { type PushServers, startPushServers } from '../support/push.ts';
import { askForCode, registerFcm } from '../support/push-devices.ts';
import { refusal } from '../support/refusal.ts';
import {
  accountsAreElsewhere,
  startTestServer,
  type TestAccount,
  type TestDevice,
  type TestServer,
} from '../support/server.ts';

let push: PushServers;
let server: TestServer;

beforeAll(async () => {
  push = await startPushServers();
  server = await startTestServer({ ...push.env, COUNTERSIGN_BRAND_NAME: 'Routerwerk' });
});
afterAll(async () => {
  await server?.stop();
  await push?.stop();
});

const quickly = { timeout: 8_000, interval: 20 };
const notices = (email: string) => server.mail.mails.filter((mail) => mail.to === email && codeIn(mail) === undefined);

/** The subjects of the notices by mail, and what the device was pushed, once there are so many. */
async function told(account: TestAccount, mails: number, token: string, pushes: number) {
  const pushed = () =>
    push.fcm.pushes.flatMap(({ token: to, message }) => (to === token ? [message.data?.['notice'] ?? 'code'] : []));
  await vi.waitFor(() => {
    expect(notices(account.email)).toHaveLength(mails);
    expect(pushed()).toHaveLength(pushes);
  }, quickly);
  return { subjects: notices(account.email).map(({ subject }) => subject), pushed: pushed() };
}

interface Owned {
  readonly account: TestAccount;
  readonly phone: TestDevice;
  readonly tablet: TestDevice;
  /** Of the phone. */
  readonly token: string;
}

/** An account with two trusted devices, the first of which takes pushes; its two notices of sign-ins have arrived. */
async function owned(): Promise<Owned> {
  const account = await server.createAccount();
  const phone = await server.signInNewDevice(account);
  const tablet = await server.signInNewDevice(account);
  await vi.waitFor(() => expect(notices(account.email)).toHaveLength(2), quickly);
  return { account, phone, tablet, token: await registerFcm(phone.client) };
}

describe('told by e-mail, and on the other trusted devices', () => {
  test('a sign-in by code of a new device', async () => {
    const { account, token } = await owned();
    const asked = await askForCode(server, account);
    const [arrived] = await push.fcm.waitFor(token);
    const code = /\d{6}/.exec(arrived?.message.notification?.body ?? '')?.[0] ?? '';
    await asked.client.twoStepAuth.verifyCode({ challengeToken: asked.challengeToken, code });
    await vi.waitFor(() => {
      expect(notices(account.email)).toHaveLength(3);
      const kinds = push.fcm.pushes.flatMap((each) => (each.token === token ? [each.message.data?.['notice']] : []));
      expect(kinds).toContain('new_sign_in');
    }, quickly);
    const [, , mail] = notices(account.email);
    expect(mail?.subject).toContain('Routerwerk');
    expect(mail?.text).toContain('iPhone 17');
    expect(linkIn(mail)).toBeDefined();
  });

  test('switching off and on, but not to the device that does it', async () => {
    const { account, phone, tablet, token } = await owned();
    const grant = await tablet.client.twoStepAuth.updateSettings({ twoStepEnabled: false });
    if (grant.result.case !== 'challengeGrant') throw new Error('no grant');
    const { challengeToken } = grant.result.value;
    const [code] = (await phone.client.twoStepAuth.listPendingCodes({})).pendingCodes;
    await tablet.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code: code?.code ?? '' });
    await tablet.client.twoStepAuth.updateSettings({ twoStepEnabled: true });
    // The code, its end, and both notices.
    const { subjects, pushed } = await told(account, 4, token, 4);
    expect(new Set(subjects.slice(2)).size).toBe(2);
    expect(pushed.filter((notice) => notice !== 'code').toSorted()).toEqual(['two_step_off', 'two_step_on']);
    await phone.client.twoStepAuth.updateSettings({ twoStepEnabled: true });
    await told(account, 4, token, 4);
  });

  test('a sign-in of a new device without two-step verification', async () => {
    const { account, phone, token } = await owned();
    const { challengeToken, code } = await switchOffGrant(phone, account);
    await phone.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
    const { email, password } = account;
    await server.appClient().twoStepAuth.signIn({ email, password, device: { model: 'Pixel 10', platform: 2 } });
    const { pushed } = await told(account, 4, token, 1);
    expect(pushed).toEqual(['new_sign_in']);
    const last = notices(account.email).at(-1);
    expect(last?.text).toContain('Pixel 10');
    // No challenge is denied by it: the entry is reported.
    expect(linkIn(last)).toBeDefined();
  });

  test('sign-ins with the password alone, but no more than ten within an hour', async () => {
    const { account, phone } = await owned();
    const { challengeToken, code } = await switchOffGrant(phone, account);
    await phone.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
    const { email, password } = account;
    for (let count = 0; count < 12; count++) {
      await server.appClient().twoStepAuth.signIn({ email, password, device: { model: 'Pixel 10', platform: 2 } });
    }
    await vi.waitFor(async () => {
      const waiting = await server.query(
        `select from delivery where account_id = $1 and channel = 'EMAIL' and state = 'QUEUED'`,
        [account.accountId],
      );
      expect(waiting).toHaveLength(0);
    }, quickly);
    // Two of the devices that were there, one of switching off, and what is left of ten.
    expect(notices(email)).toHaveLength(2 + 1 + 8);
    const events = await server.query(
      `select from login_event where account_id = $1 and kind = 'SIGNED_IN_WITHOUT_TWO_STEP'`,
      [account.accountId],
    );
    expect(events).toHaveLength(12);
  });

  test('a removed device, whose own token gets nothing more', async () => {
    const { account, phone, tablet, token } = await owned();
    const tabletToken = await registerFcm(tablet.client);
    await phone.client.trustedDevices.removeTrustedDevice({ deviceId: tablet.session.deviceId });
    await phone.client.trustedDevices.removeTrustedDevice({ deviceId: tablet.session.deviceId });
    const { subjects } = await told(account, 3, token, 0);
    expect(subjects[2]).toMatch(/removed/i);
    expect(push.fcm.attemptsOf(tabletToken)).toHaveLength(0);
  });

  test('a new password', async () => {
    const { account, token } = await owned();
    await server.setPassword(account, 'quite another one');
    const { subjects, pushed } = await told(account, 3, token, 1);
    expect(subjects[2]).toMatch(/password/i);
    expect(pushed).toEqual(['password_changed']);
  });

  test('a denial, to the others but the device that denied', async () => {
    const { account, phone, tablet, token } = await owned();
    const tabletToken = await registerFcm(tablet.client);
    const asked = await askForCode(server, account);
    await Promise.all([push.fcm.waitFor(token), push.fcm.waitFor(tabletToken)]);
    await phone.client.twoStepAuth.denyChallenge({ challengeId: asked.challenge.challengeId });
    await vi.waitFor(() => {
      const kinds = (to: string) =>
        push.fcm.pushes.flatMap((each) => (each.token === to ? [each.message.data?.['kind']] : [])).toSorted();
      expect(kinds(tabletToken)).toEqual(['challenge_resolved', 'code_arrived', 'security_notice']);
      expect(kinds(token)).toEqual(['challenge_resolved', 'code_arrived']);
      expect(notices(account.email)).toHaveLength(3);
    }, quickly);
    expect(notices(account.email)[2]?.text).toContain('iPhone 17');
  });
});

async function switchOffGrant(device: TestDevice, account: TestAccount) {
  const before = server.mail.codeMailsTo(account.email).length;
  const { result } = await device.client.twoStepAuth.updateSettings({ twoStepEnabled: false });
  if (result.case !== 'challengeGrant') throw new Error('no grant');
  const { challengeToken, challenge } = result.value;
  if (challenge?.defaultChannel !== Channel.EMAIL) {
    await device.client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL });
  }
  return { challengeToken, code: await server.mail.codeFor(account.email, before + 1) };
}

/** The link of a mail, led to this server. */
function linkIn(mail: Mail | undefined): string | undefined {
  const path = /http:\/\/127\.0\.0\.1:8080(\/deny\?token=[\w.%-]+)/.exec(mail?.text.replaceAll('\n', ' ') ?? '')?.[1];
  return path && `${server.publicUrl}${path}`;
}

function press(url: string, headers: Record<string, string> = {}): Promise<Response> {
  const token = new URL(url).searchParams.get('token') ?? '';
  return fetch(`${server.publicUrl}/deny`, { method: 'POST', body: new URLSearchParams({ token }), headers });
}

// An address that changes elsewhere, changes without a word to us.
test.skipIf(accountsAreElsewhere())('a notice that is late goes to the address that the account had then', async () => {
  const account = await server.createAccount();
  server.mail.behave(account.email, ['ok', 'greylisted']);
  await server.signInNewDevice(account);
  await vi.waitFor(() => expect(server.mail.attemptsOf(account.email)).toHaveLength(2), quickly);
  const stolen = `stolen-${account.email}`;
  await server.service.accounts.updateAccount({ accountId: account.accountId, email: stolen });
  // The notice of the sign-in, and that of the change.
  await vi.waitFor(() => expect(notices(account.email)).toHaveLength(2), { timeout: 15_000, interval: 50 });
  expect(notices(stolen)).toHaveLength(0);
});

describe('the link of an e-mail', () => {
  test('asks first: whatever only opens it changes nothing, and the button closes the challenge', async () => {
    const account = await server.createAccount();
    const asked = await askForCode(server, account, { 'x-forwarded-for': '129.132.19.216' });
    const [mail] = await server.mail.waitFor(account.email);
    const url = linkIn(mail) ?? '';
    expect(mail?.html).toContain(new URL(url).searchParams.get('token'));
    for (const method of ['GET', 'HEAD', 'GET', 'OPTIONS', 'PUT']) {
      const opened = await fetch(url, { method, headers: { 'accept-language': 'de' } });
      expect(opened.status).toBe(['GET', 'HEAD'].includes(method) ? 200 : 405);
      if (method !== 'GET') continue;
      const page = await opened.text();
      expect(page).toContain('lang="de"');
      expect(page.match(/<form /g)).toHaveLength(1);
      expect(opened.headers.get('cache-control')).toBe('no-store');
      expect(opened.headers.get('referrer-policy')).toBe('no-referrer');
      expect(opened.headers.get('content-security-policy')).toContain("default-src 'none'");
    }
    const { challengeToken } = asked;
    const before = await asked.client.twoStepAuth.getChallenge({ challengeToken });
    expect(before.challenge?.state).toBe(ChallengeState.PENDING);

    const done = await press(url);
    expect(done.status).toBe(200);
    expect(await done.text()).not.toContain('<form');
    const after = await asked.client.twoStepAuth.getChallenge({ challengeToken });
    expect(after.challenge?.state).toBe(ChallengeState.CLOSED);
    const next = await refusal(askForCode(server, account, { 'x-forwarded-for': '129.132.19.216' }));
    expect(next.reason).toBe('RATE_LIMITED');
    await vi.waitFor(() => expect(notices(account.email)).toHaveLength(1), quickly);
  });

  test('works once: a second press, and twenty at once, deny no more', async () => {
    const account = await server.createAccount();
    await askForCode(server, account);
    const url = linkIn((await server.mail.waitFor(account.email))[0]) ?? '';
    const pages = await Promise.all(Array.from({ length: 20 }, async () => (await press(url)).text()));
    expect(new Set(pages).size).toBe(2);
    const events = await server.query(`select from login_event where account_id = $1 and kind = 'CHALLENGE_DENIED'`, [
      account.accountId,
    ]);
    expect(events).toHaveLength(1);
    expect(await (await fetch(url)).text()).not.toContain('<form');
  });

  test('after the sign-in puts the intruder out, and asks for a new password', async () => {
    const account = await server.createAccount();
    const owner = await server.signInNewDevice(account);
    const intruder = await server.signInNewDevice(account);
    await vi.waitFor(() => expect(notices(account.email)).toHaveLength(2), quickly);
    const url = linkIn(notices(account.email)[1]) ?? '';
    expect((await press(url)).status).toBe(200);
    const error = await refusal(intruder.client.twoStepAuth.getSettings({}));
    expect(error.reason).toBe('SESSION_INVALID');
    const settings = await owner.client.twoStepAuth.getSettings({});
    expect(settings.passwordChangeRequired).toBe(true);
  });

  test('of a switch-off switches on again, and puts out who switched off', async () => {
    const account = await server.createAccount();
    const owner = await server.signInNewDevice(account);
    const intruder = await server.signInNewDevice(account);
    const { challengeToken, code } = await switchOffGrant(intruder, account);
    await intruder.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
    await vi.waitFor(() => expect(notices(account.email)).toHaveLength(3), quickly);
    const url = linkIn(notices(account.email)[2]) ?? '';
    expect((await press(url)).status).toBe(200);
    const settings = await owner.client.twoStepAuth.getSettings({});
    expect(settings).toMatchObject({ twoStepEnabled: true, passwordChangeRequired: true });
    expect((await refusal(intruder.client.twoStepAuth.getSettings({}))).reason).toBe('SESSION_INVALID');
  });

  test('is over after a week, and was never one if a byte of it is another', async () => {
    const account = await server.createAccount();
    await askForCode(server, account);
    const url = linkIn((await server.mail.waitFor(account.email))[0]) ?? '';
    const forged = [url.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')), `${server.publicUrl}/deny`];
    for (const other of forged) {
      expect((await fetch(other)).status).toBe(404);
      expect((await press(other)).status).toBe(404);
    }
    server.clock.advance(7 * 24 * 3_600_000);
    expect((await fetch(url)).status).toBe(404);
    expect((await press(url)).status).toBe(404);
    const events = await server.query(`select kind from login_event where account_id = $1`, [account.accountId]);
    expect(events.map(({ kind }) => kind)).toEqual(['CODE_SENT']);
  });

  test('is in no log, and takes no form that is too large', async () => {
    const account = await server.createAccount();
    await askForCode(server, account);
    const url = linkIn((await server.mail.waitFor(account.email))[0]) ?? '';
    await fetch(url);
    const large = await fetch(`${server.publicUrl}/deny`, { method: 'POST', body: `token=${'a'.repeat(100_000)}` });
    expect(large.status).toBe(404);
    await press(url);
    expect(server.log.join('\n')).not.toContain(new URL(url).searchParams.get('token'));
  });
});
