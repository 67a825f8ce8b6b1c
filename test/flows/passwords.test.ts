// The owner's own ways to a new password: by the old one, and by a link in the mailbox.

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { EventKind } from '../../gen/countersign/v1/login_event_pb.ts';
import { callsFrom } from '../support/geoip.ts';
import { codeIn } from '../support/mail-server.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestAccount, type TestServer } from '../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

const newPassword = 'Zwölf Boxkämpfer jagen';

const signInWith = (account: TestAccount, password: string, deviceToken = '') =>
  server.appClient().twoStepAuth.signIn({ email: account.email, password, device: iphone, deviceToken });

/** A link is sent within 2 s, at a moment that says nothing. */
const patiently = { timeout: 15_000, interval: 20 };

const mailsTo = (email: string) => server.mail.mails.filter((mail) => mail.to === email && codeIn(mail) === undefined);

test('GetAccount says who is signed in', async () => {
  const account = await server.createAccount();
  const { client } = await server.signInNewDevice(account);
  const { account: profile } = await client.account.getAccount({});
  expect(profile).toMatchObject({
    accountId: account.accountId,
    email: account.email,
    locale: 'en',
    twoStepEnabled: true,
    passwordChangeRequired: false,
  });
});

describe('ChangePassword', () => {
  test('ends the other sessions, closes what is open, and keeps trust and this session', async () => {
    const account = await server.createAccount();
    const phone = await server.signInNewDevice(account);
    const tablet = await server.signInNewDevice(account);
    const open = await signInWith(account, account.password);
    if (open.result.case !== 'challengeGrant') throw new Error('no challenge');
    await server.query('update account set password_change_required = true where account_id = $1', [account.accountId]);

    const changed = await phone.client.account.changePassword({ currentPassword: account.password, newPassword });
    expect(changed.account?.passwordChangeRequired).toBe(false);
    await phone.client.twoStepAuth.getSettings({});
    const refused = await refusal(tablet.client.twoStepAuth.getSettings({}));
    expect(refused.reasonMetadata['cause']).toBe('PASSWORD_CHANGED');
    const { challengeToken } = open.result.value;
    const verify = server.appClient().twoStepAuth.verifyCode({ challengeToken, code: '000000' });
    expect((await refusal(verify)).reason).toBe('CHALLENGE_CLOSED');

    expect((await refusal(signInWith(account, account.password))).reason).toBe('CREDENTIALS_INCORRECT');
    const again = await signInWith(account, newPassword, tablet.session.deviceToken);
    expect(again.result.case).toBe('session');
    const { events } = await phone.client.loginActivity.listLoginActivity({});
    expect(events.find(({ kind }) => kind === EventKind.PASSWORD_CHANGED)?.currentDevice).toBe(true);
    // Two sign-ins and the change.
    await vi.waitFor(() => expect(mailsTo(account.email)).toHaveLength(3), patiently);
  });

  test('ends trust too, where the user wants it', async () => {
    const account = await server.createAccount();
    const phone = await server.signInNewDevice(account);
    const tablet = await server.signInNewDevice(account);
    const { password: currentPassword } = account;
    await phone.client.account.changePassword({ currentPassword, newPassword, endTrustedDevices: true });
    const { trustedDevices } = await phone.client.trustedDevices.listTrustedDevices({});
    expect(trustedDevices.map(({ deviceId }) => deviceId)).toEqual([phone.session.deviceId]);
    const again = await signInWith(account, newPassword, tablet.session.deviceToken);
    expect(again.result.case).toBe('challengeGrant');
  });

  test('counts wrong passwords by device, apart from those of strangers', async () => {
    const account = await server.createAccount();
    const { client } = await server.signInNewDevice(account);
    const change = (currentPassword: string) => client.account.changePassword({ currentPassword, newPassword });
    for (let tries = 0; tries < 10; tries++) {
      expect((await refusal(change(`wrong ${tries}`))).reason).toBe('CREDENTIALS_INCORRECT');
    }
    const limited = await refusal(change(account.password));
    expect(limited.reason).toBe('RATE_LIMITED');
    expect(limited.retryAfter).toBeGreaterThan(0);
    // Somebody who signs in elsewhere is not held up.
    expect((await signInWith(account, account.password)).result.case).toBe('challengeGrant');
    const { events } = await client.loginActivity.listLoginActivity({});
    expect(events.filter(({ kind }) => kind === EventKind.PASSWORD_WRONG)).toHaveLength(10);
    server.clock.advance(15 * 60_000);
    await change(account.password);
  });

  test('does not count a right one, whatever else is refused', async () => {
    const account = await server.createAccount();
    const { client } = await server.signInNewDevice(account);
    const { password: currentPassword } = account;
    for (const weak of ['12345678', account.email, currentPassword, 'password1', 'aaaaaaaaaaaa', 'short']) {
      const refused = await refusal(client.account.changePassword({ currentPassword, newPassword: weak }));
      expect(refused.reason, weak).toBe('PASSWORD_WEAK');
      expect(refused.violations.map(({ field }) => field)).toContain('new_password');
    }
    for (let tries = 0; tries < 6; tries++) {
      await refusal(client.account.changePassword({ currentPassword, newPassword: 'short' }));
    }
    await client.account.changePassword({ currentPassword, newPassword });
  });

  test('twice at once, with the same old password, is done once', async () => {
    const account = await server.createAccount();
    const phone = await server.signInNewDevice(account);
    const tablet = await server.signInNewDevice(account);
    const { password: currentPassword } = account;
    const results = await Promise.allSettled(
      [phone, tablet].map(({ client }, index) =>
        client.account.changePassword({ currentPassword, newPassword: `${newPassword} ${index}` }),
      ),
    );
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    const won = results.findIndex(({ status }) => status === 'fulfilled');
    expect((await signInWith(account, `${newPassword} ${won}`)).result.case).toBe('challengeGrant');
    expect((await refusal(signInWith(account, `${newPassword} ${1 - won}`))).reason).toBe('CREDENTIALS_INCORRECT');
  });

  test('takes more than a session without code, where two-step verification is on or trust is to end', async () => {
    const account = await server.createAccount();
    const owner = await server.signInNewDevice(account);
    await server.query('update account set two_step_enabled = false where account_id = $1', [account.accountId]);
    const { result } = await signInWith(account, account.password);
    if (result.case !== 'session') throw new Error('no session');
    const weak = server.appClient();
    weak.useSession(result.value);
    const change = { currentPassword: account.password, newPassword };
    const ending = weak.account.changePassword({ ...change, endTrustedDevices: true });
    expect((await refusal(ending)).reason).toBe('DEVICE_NOT_TRUSTED');
    await owner.client.twoStepAuth.updateSettings({ twoStepEnabled: true });
    expect((await refusal(weak.account.changePassword(change))).reason).toBe('DEVICE_NOT_TRUSTED');
    await server.query('update account set two_step_enabled = false where account_id = $1', [account.accountId]);
    await weak.account.changePassword(change);
  });

  test('is told with a link that puts out who did it', async () => {
    const account = await server.createAccount();
    await server.signInNewDevice(account);
    const intruder = await server.signInNewDevice(account);
    await intruder.client.account.changePassword({ currentPassword: account.password, newPassword });
    await vi.waitFor(() => expect(mailsTo(account.email)).toHaveLength(3), patiently);
    const token = decodeURIComponent(/\/deny\?token=(\S+)/.exec(mailsTo(account.email).at(-1)?.text ?? '')?.[1] ?? '');
    const body = new URLSearchParams({ token });
    expect((await fetch(`${server.publicUrl}/deny`, { method: 'POST', body })).status).toBe(200);
    const refused = await refusal(intruder.client.twoStepAuth.getSettings({}));
    expect(refused.reasonMetadata['cause']).toBe('DEVICE_REMOVED');
  });

  test('lifts no lock of verification', async () => {
    const account = await server.createAccount();
    const { client } = await server.signInNewDevice(account);
    await server.query('update account set wrong_codes = 100, last_wrong_code_time = now() where account_id = $1', [
      account.accountId,
    ]);
    await client.account.changePassword({ currentPassword: account.password, newPassword });
    expect((await refusal(signInWith(account, newPassword))).reason).toBe('VERIFICATION_LOCKED');
  });
});

/** The link of the newest mail that has one. */
async function resetLink(email: string, count = 1): Promise<string> {
  return vi.waitFor(() => {
    const links = mailsTo(email).flatMap(({ text }) => /\/reset\?token=\S+/.exec(text)?.[0] ?? []);
    if (links.length < count) throw new Error(`${links.length} links`);
    return `${server.publicUrl}${links.at(-1)}`;
  }, patiently);
}

async function forgotten(language?: string) {
  const account = await server.createAccount();
  const device = await server.signInNewDevice(account);
  const stranger = server.appClient();
  await stranger.account.requestPasswordReset(
    { email: ` ${account.email.toUpperCase()}` },
    language === undefined ? {} : { headers: { 'accept-language': language } },
  );
  const link = await resetLink(account.email);
  const resetToken = new URL(link).searchParams.get('token') ?? '';
  return { account, device, stranger, link, resetToken };
}

describe('A forgotten password', () => {
  test('is set by the link of a mail, once; every session ends, trust stays', async () => {
    const { account, device, stranger, resetToken } = await forgotten();
    await stranger.account.resetPassword({ resetToken, newPassword });
    expect((await refusal(device.client.twoStepAuth.getSettings({}))).reasonMetadata['cause']).toBe('PASSWORD_CHANGED');
    expect((await signInWith(account, newPassword, device.session.deviceToken)).result.case).toBe('session');
    expect((await refusal(signInWith(account, account.password))).reason).toBe('CREDENTIALS_INCORRECT');
    const again = stranger.account.resetPassword({ resetToken, newPassword: `${newPassword} 2` });
    expect((await refusal(again)).reason).toBe('RESET_TOKEN_INVALID');
  });

  test('ends trust too, where the user wants it', async () => {
    const { account, device, stranger, resetToken } = await forgotten();
    await stranger.account.resetPassword({ resetToken, newPassword, endTrustedDevices: true });
    expect((await signInWith(account, newPassword, device.session.deviceToken)).result.case).toBe('challengeGrant');
  });

  test('of a link that is 30 minutes old stays', async () => {
    const { stranger, resetToken } = await forgotten();
    server.clock.advance(29 * 60_000);
    const weak = stranger.account.resetPassword({ resetToken, newPassword: 'short' });
    expect((await refusal(weak)).reason).toBe('PASSWORD_WEAK');
    server.clock.advance(60_001);
    const late = stranger.account.resetPassword({ resetToken, newPassword });
    expect((await refusal(late)).reason).toBe('RESET_TOKEN_INVALID');
  });

  test('stays for a link that another new password has overtaken, and for anything that is no such link', async () => {
    const { account, device, stranger, resetToken } = await forgotten();
    const { password: currentPassword } = account;
    await device.client.account.changePassword({ currentPassword, newPassword });
    const deny = mailsTo(account.email).flatMap(({ text }) => /\/deny\?token=(\S+)/.exec(text)?.[1] ?? []);
    expect(deny).not.toEqual([]);
    for (const token of [resetToken, ...deny.map(decodeURIComponent), 'nothing', `${resetToken}x`]) {
      const reset = stranger.account.resetPassword({ resetToken: token, newPassword: `${newPassword} 2` });
      expect((await refusal(reset)).reason).toBe('RESET_TOKEN_INVALID');
    }
    // Nor does a reset link say "it wasn't me".
    const wrong = await fetch(`${server.publicUrl}/deny?token=${encodeURIComponent(resetToken)}`);
    expect(wrong.status).toBe(404);
  });

  test('stays for a link to an address that is not the account’s any more', async () => {
    const { account, stranger, resetToken } = await forgotten();
    const email = `new-${account.email}`;
    await server.service.accounts.updateAccount({ accountId: account.accountId, email });
    const reset = stranger.account.resetPassword({ resetToken, newPassword });
    expect((await refusal(reset)).reason).toBe('RESET_TOKEN_INVALID');
  });

  test('can not be guessed by the link', async () => {
    const { account, stranger, resetToken } = await forgotten();
    const tryTo = (password: string) => stranger.account.resetPassword({ resetToken, newPassword: password });
    for (let tries = 0; tries < 20; tries++) await refusal(tryTo(account.password));
    expect((await refusal(tryTo(newPassword))).reason).toBe('RATE_LIMITED');
  });

  test('is asked for by its owner however often others ask, and by others not without end', async () => {
    const { email } = await server.createAccount();
    const ask = (network: number) =>
      server.appClient().account.requestPasswordReset({ email }, callsFrom(`198.18.${network}.1`));
    for (let asked = 0; asked < 5; asked++) await ask(1);
    expect((await refusal(ask(1))).reason).toBe('RATE_LIMITED');
    await ask(2);
    for (let asked = 6; asked < 20; asked++) await ask(asked);
    expect((await refusal(ask(50))).reason).toBe('RATE_LIMITED');
  });

  test('is set once, whoever uses the link at once', async () => {
    const { account, stranger, resetToken } = await forgotten();
    const passwords = Array.from({ length: 5 }, (_, index) => `${newPassword} ${index}`);
    const results = await Promise.allSettled(
      passwords.map((password) => stranger.account.resetPassword({ resetToken, newPassword: password })),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const won = results.findIndex(({ status }) => status === 'fulfilled');
    expect((await signInWith(account, passwords[won] ?? '')).result.case).toBe('challengeGrant');
  });

  test('is not set again to what it was', async () => {
    const { account, stranger, resetToken } = await forgotten();
    const same = stranger.account.resetPassword({ resetToken, newPassword: account.password });
    expect((await refusal(same)).reason).toBe('PASSWORD_WEAK');
  });

  test('is answered alike for an address that nobody has, down to the limit', async () => {
    const account = await server.createAccount();
    const stranger = server.appClient();
    const outcomes = async (email: string) => {
      const said: unknown[] = [];
      for (let asked = 0; asked < 6; asked++) {
        said.push(
          await stranger.account.requestPasswordReset({ email }).then(
            (answer) => ({ ...answer }),
            (error) => error.reason,
          ),
        );
      }
      return said;
    };
    const known = await outcomes(account.email);
    expect(await outcomes('nobody@example.com')).toEqual(known);
    expect(known.at(-1)).toBe('RATE_LIMITED');
    await vi.waitFor(() => expect(mailsTo(account.email)).toHaveLength(5), patiently);
    const waiting = `select from graphile_worker.jobs where task_identifier = 'password_reset'`;
    await vi.waitFor(async () => expect(await server.query(waiting)).toEqual([]), patiently);
    expect(mailsTo('nobody@example.com')).toEqual([]);
    server.clock.advance(3_600_000);
    await stranger.account.requestPasswordReset({ email: account.email });
  });

  test('costs the database the same for an address that nobody has', async () => {
    const account = await server.createAccount();
    const before = await server.query('select count(*)::int as count from password_guesses');
    await server.appClient().account.requestPasswordReset({ email: 'no-such@example.com' });
    await server.appClient().account.requestPasswordReset({ email: account.email });
    const after = await server.query('select count(*)::int as count from password_guesses');
    expect(Number(after[0]?.['count']) - Number(before[0]?.['count'])).toBe(2);
  });

  test('is asked for in the language of who asks', async () => {
    const { account } = await forgotten('de-AT');
    const mail = mailsTo(account.email).find(({ text }) => text.includes('/reset?token='));
    expect(mail?.text).toMatch(/Passwort/);
    expect(mail?.subject).not.toMatch(/token/);
  });

  test('nothing secret of it is stored or logged', async () => {
    const { resetToken, stranger } = await forgotten();
    await stranger.account.resetPassword({ resetToken, newPassword });
    const tables = await server.query(
      `select table_schema || '.' || table_name as name from information_schema.tables
       where table_type = 'BASE TABLE' and table_schema in ('public', 'graphile_worker')`,
    );
    for (const { name } of tables) {
      const rows = JSON.stringify(await server.query(`select * from ${name}`));
      expect(rows, String(name)).not.toContain(resetToken);
      expect(rows, String(name)).not.toContain(newPassword);
    }
    expect(server.log.join('')).not.toContain(resetToken);
    expect(server.log.join('')).not.toContain(newPassword);
  });
});

describe('The page behind the link', () => {
  const submit = async (link: string, fields: Record<string, string>) => {
    const token = new URL(link).searchParams.get('token') ?? '';
    const body = new URLSearchParams({ token, ...fields });
    const answer = await fetch(link, { method: 'POST', body, headers: { 'accept-language': 'en' } });
    return { status: answer.status, page: await answer.text() };
  };

  test('asks, says what is too weak, takes a good one, and is over then', async () => {
    const { account, device, link } = await forgotten();
    for (const method of ['GET', 'HEAD']) expect((await fetch(link, { method })).status).toBe(200);
    const weak = await submit(link, { new_password: 'short' });
    expect(weak.status).toBe(200);
    expect(weak.page).toContain('role="alert"');
    expect(weak.page).not.toContain('value="short"');
    expect((await signInWith(account, account.password)).result.case).toBe('challengeGrant');

    const done = await submit(link, { new_password: newPassword, end_trusted_devices: 'on' });
    expect(done.status).toBe(200);
    const signedIn = await signInWith(account, newPassword, device.session.deviceToken);
    expect(signedIn.result.case).toBe('challengeGrant');
    expect((await fetch(link)).status).toBe(404);
    expect((await submit(link, { new_password: `${newPassword} 2` })).status).toBe(404);
  });

  test('takes no other method, no broken form, and shows nothing to a frame or a cache', async () => {
    const { link } = await forgotten();
    expect((await fetch(link, { method: 'PUT' })).status).toBe(405);
    expect((await fetch(link, { method: 'POST', body: 'x'.repeat(100_000) })).status).toBe(404);
    // What SignIn would not take is not set.
    const long = await submit(link, { new_password: 'Zwölf Boxkämpfer jagen '.repeat(60) });
    expect(long.page).toContain('too long');
    const { headers } = await fetch(link);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(headers.get('referrer-policy')).toBe('no-referrer');
  });
});
