// Erasing an account: nothing of it is left, wherever it was kept; its devices are out; and whoever is in the middle of something
// with it is told in words.

import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AppClient } from '../../clients/app/client.ts';
import { outcomesAtOnce, times } from '../support/at-once.ts';
import { eventually } from '../support/eventually.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestAccount, type TestServer } from '../support/server.ts';
import { watch } from '../support/watch.ts';

let server: TestServer;
let replica: TestServer;

beforeAll(async () => {
  server = await startTestServer();
  replica = await startTestServer({}, server);
});
afterAll(async () => {
  await replica?.stop();
  await server?.stop();
});

const deleteAccount = ({ accountId }: TestAccount) => server.service.accounts.deleteAccount({ accountId });

async function openChallenge(client: AppClient, { email, password }: TestAccount): Promise<string> {
  const { result } = await client.twoStepAuth.signIn({ email, password, device: iphone });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  return result.value.challengeToken;
}

/** What tells of sessions that ended outlives the account, for some hours: their ids, and nothing that anybody is known by. */
const outlives = 'revocation';

/** The other tables, ours and those of the queue, that have a row with one of the words in any column; partitions as one. */
async function tablesWith(...words: readonly string[]): Promise<string[]> {
  const tables = await server.query(
    `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('public', 'graphile_worker') and c.relkind in ('r', 'p') and not c.relispartition
       and c.relname <> $1 order by 1`,
    [outlives],
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const [row] = await server.query(
      `select exists (select from ${name} as t where t::text ~ any ($1::text[])) as found`,
      [words],
    );
    if (row?.['found'] === true) found.push(String(name));
  }
  return found;
}

/** The same of what has to be gone: audit records stay. */
async function leftWith(...words: readonly string[]): Promise<string[]> {
  return (await tablesWith(...words)).filter((name) => name !== 'audit_record');
}

/** What an account is known by. */
function namesOf({ accountId, email }: TestAccount): readonly string[] {
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  return [accountId, email, hash(email), hash(`password reset\0${email}`), hash(`password reset try\0${accountId}`)];
}

/** An account with something of it in every table. */
async function accountWithEverything() {
  const account = await server.createAccount();
  const { email } = account;
  const one = await server.signInNewDevice(account);
  const two = await server.signInNewDevice(account);
  const watcher = watch(one.client);
  await watcher.opened(server, one.session.deviceId);
  const topic = 'com.example.app';
  await two.client.trustedDevices.updateDevice({
    pushRegistration: {
      service: {
        case: 'apns',
        value: { token: Buffer.from(account.accountId).toString('hex'), topic, environment: 1 },
      },
    },
  });
  const stranger = server.appClient();
  await refusal(stranger.twoStepAuth.signIn({ ...account, password: 'wrong', device: iphone }));
  await stranger.account.requestPasswordReset({ email });
  const resetToken = await eventually(10_000, () => {
    const links = server.mail.mails.flatMap(({ to, text }) =>
      to === email ? (/\/reset\?token=(\S+)/.exec(text)?.[1] ?? []) : [],
    );
    if (links[0] === undefined) throw new Error('no link yet');
    return decodeURIComponent(links[0]);
  });
  await refusal(stranger.account.resetPassword({ resetToken, newPassword: 'short' }));
  // A code that the mail server does not take yet, and looks at whether the app shows it, are jobs for later.
  server.mail.behave(email, 'greylisted');
  const challengeToken = await openChallenge(stranger, account);
  await stranger.twoStepAuth.sendCode({ challengeToken, channel: 2 }).catch(() => {});
  await eventually(10_000, async () => {
    const jobs = await server.query(
      `select from graphile_worker._private_jobs where payload ->> 'accountId' = $1 and attempts = 0 and run_at > now()`,
      [account.accountId],
    );
    expect(jobs.length).toBeGreaterThan(1);
  });
  await server.query(
    `insert into login_event (account_id, event_id, kind, origin, unusual, reported)
     select $1, uuidv7(interval '1 month' * n), 'CODE_SENT', '{}', '[]', false from generate_series(-1, 5) n`,
    [account.accountId],
  );
  return { account, one, two, watcher, challengeToken };
}

const rowsOf = async ({ accountId }: TestAccount) => {
  const counts: Record<string, number> = {};
  for (const table of ['account', 'directory_account', 'device', 'session', 'challenge', 'delivery', 'login_event']) {
    const rows = await server.query(`select from ${table} where account_id = $1`, [accountId]);
    counts[table] = rows.length;
  }
  return counts;
};

test('an account is erased wherever something of it stands, and nobody else’s rows are', async () => {
  const other = await server.createAccount();
  await server.signInNewDevice(other);
  const { account, one, watcher } = await accountWithEverything();
  const others = await rowsOf(other);
  const withAccount = await server.query(
    `select c.oid::regclass::text as name from pg_class c join pg_attribute a on a.attrelid = c.oid
     where a.attname = 'account_id' and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> $1 order by 1`,
    [outlives],
  );
  const before = await tablesWith(...namesOf(account));
  for (const name of namesOf(account)) expect(await tablesWith(name), name).not.toEqual([]);
  // Every table that there is of accounts: a new one is to be filled here.
  expect(before).toEqual(
    [...withAccount.map(({ name }) => String(name)), 'password_guesses', 'graphile_worker._private_jobs'].sort(),
  );

  await deleteAccount(account);
  await watcher.ended;
  // What internal callers did to it stays, by its id alone.
  const [accountId = '', ...names] = namesOf(account);
  expect(await tablesWith(accountId)).toEqual(['audit_record']);
  expect(await tablesWith(...names, one.session.deviceId)).toEqual([]);
  expect(await rowsOf(other)).toEqual(others);
  // And nothing comes after it: what runs has ended.
  await sleep(1_500);
  expect(await tablesWith(accountId)).toEqual(['audit_record']);
  expect(await tablesWith(...names)).toEqual([]);
  server.mail.behave(account.email, 'ok');
});

test('its address is free, and who takes it gets nothing of what was before', async () => {
  const account = await server.createAccount();
  const { session } = await server.signInNewDevice(account);
  const mails = server.mail.codeMailsTo(account.email).length;
  await deleteAccount(account);
  const { email } = account;
  const again = await server.service.accounts.createAccount({ email, password: 'another correct horse' });
  const accountId = again.account?.accountId ?? '';
  expect(accountId).not.toBe(account.accountId);
  const client = server.appClient();
  const { deviceToken } = session;
  const old = await refusal(client.twoStepAuth.signIn({ ...account, device: iphone, deviceToken }));
  expect(old.reason).toBe('CREDENTIALS_INCORRECT');
  const { result } = await client.twoStepAuth.signIn({
    email,
    password: 'another correct horse',
    device: iphone,
    deviceToken,
  });
  if (result.case !== 'challengeGrant') throw new Error('the old device is trusted by the new account');
  const { challengeToken } = result.value;
  const code = await server.mail.codeFor(email, mails + 1);
  const verified = await client.twoStepAuth.verifyCode({ challengeToken, code });
  if (verified.session === undefined) throw new Error('no session');
  client.useSession(verified.session);
  expect((await client.trustedDevices.listTrustedDevices({})).trustedDevices).toHaveLength(1);
  expect((await client.loginActivity.listLoginActivity({})).events).toHaveLength(3);
});

test('whatever its devices hold is refused at once, on every replica', async () => {
  const account = await server.createAccount();
  const { session } = await server.signInNewDevice(account);
  const stranger = server.appClient();
  const challengeToken = await openChallenge(stranger, account);
  const code = await server.mail.codeFor(account.email, 2);
  await deleteAccount(account);
  for (const at of [server, replica]) {
    const client = at.appClient();
    const headers = { authorization: `Bearer ${session.accessToken}` };
    const unknown = { reason: 'SESSION_INVALID', reasonMetadata: { cause: 'UNKNOWN' } };
    for (const call of [
      () => client.twoStepAuth.getSettings({}, { headers }),
      () => client.trustedDevices.updateDevice({ displayName: 'Mine' }, { headers }),
      () => client.loginActivity.listLoginActivity({}, { headers }),
      () => client.twoStepAuth.refreshSession({ refreshToken: session.refreshToken }),
    ]) {
      expect(await refusal(call())).toMatchObject(unknown);
    }
    const { active } = await at.service.sessions.introspectSession({ accessToken: session.accessToken });
    expect(active).toBe(false);
    for (const call of [
      () => client.twoStepAuth.verifyCode({ challengeToken, code }),
      () => client.twoStepAuth.getChallenge({ challengeToken }),
      () => client.twoStepAuth.sendCode({ challengeToken, channel: 2 }),
    ]) {
      expect((await refusal(call())).reason).toBe('CHALLENGE_UNKNOWN');
    }
    const { deviceToken } = session;
    const signIn = await refusal(client.twoStepAuth.signIn({ ...account, device: iphone, deviceToken }));
    expect(signIn.reason).toBe('CREDENTIALS_INCORRECT');
    const key = { case: 'email', value: account.email } as const;
    expect((await refusal(at.service.accounts.getAccount({ key }))).reason).toBe('ACCOUNT_UNKNOWN');
  }
});

test('its open apps are told that they are signed out, on every replica, and their streams close', async () => {
  const account = await server.createAccount();
  const here = await server.signInNewDevice(account);
  const there = await replica.signInNewDevice(account);
  const watchers = [watch(here.client), watch(there.client)];
  await watchers[0]?.opened(server, here.session.deviceId);
  await watchers[1]?.opened(server, there.session.deviceId);
  await deleteAccount(account);
  for (const watcher of watchers) {
    expect((await watcher.next('signedOut')).cause).toBe('UNKNOWN');
    await watcher.ended;
  }
});

test('one that is not there, or not any more, is unknown', async () => {
  const account = await server.createAccount();
  await deleteAccount(account);
  for (const { accountId } of [account, { accountId: 'nobody' }]) {
    const error = await refusal(server.service.accounts.deleteAccount({ accountId }));
    expect(error.reason).toBe('ACCOUNT_UNKNOWN');
  }
});

test('one with more of everything than one transaction takes is erased in steps', async () => {
  const account = await server.createAccount();
  const { accountId } = account;
  const { client } = await server.signInNewDevice(account);
  await server.query(
    `insert into login_event (account_id, event_id, kind, origin, unusual, reported)
     select $1, uuidv7(interval '-1 minute' * n), 'CODE_SENT', '{}', '[]', false from generate_series(1, 3500) n`,
    [accountId],
  );
  await server.query(
    `insert into device select account_id, uuidv7(), display_name, model, platform, os_version, app_version, null, null, null,
       create_time, last_use_time, last_ip_address, null
     from device, generate_series(1, 450) where account_id = $1`,
    [accountId],
  );
  await server.query(
    `insert into session select account_id, uuidv7(), device_id, '[]', create_time, last_use_time, last_use_time, 'REVOKED', 1, 1,
       uuid_send(uuidv7()), uuid_send(uuidv7()), null, null, null
     from device, generate_series(1, 3) where account_id = $1`,
    [accountId],
  );
  await server.query(
    `insert into delivery (account_id, delivery_id, kind, channel, state, create_time)
     select $1, uuidv7(), 'CODE', 'EMAIL', 'ACCEPTED', now() from generate_series(1, 2001)`,
    [accountId],
  );
  const before = await rowsOf(account);
  expect(before).toMatchObject({ login_event: 3_502, device: 451, session: 1 + 3 * 451 });
  // Somebody has the account's lock: all that is left is for the one transaction that waits for it.
  const holder = new pg.Client({ connectionString: server.databaseUrl });
  await holder.connect();
  await holder.query('begin');
  await holder.query('select from account where account_id = $1 for update', [accountId]);
  const erased = deleteAccount(account);
  try {
    await eventually(15_000, async () => {
      const left = await rowsOf(account);
      expect(left).toMatchObject({ account: 1, login_event: 502, device: 51 });
      expect(left['delivery']).toBeLessThan(1_000);
      expect(left['session']).toBeLessThan(1_000);
    });
  } finally {
    await holder.query('rollback');
    await holder.end();
  }
  await erased;
  expect(await leftWith(accountId)).toEqual([]);
  expect((await refusal(client.twoStepAuth.getSettings({}))).reason).toBe('SESSION_INVALID');
});

describe('at the moment of', () => {
  test('a mail that is on its way, that one is the last, and its job ends', async () => {
    const account = await server.createAccount();
    const { accountId, email } = account;
    server.mail.behave(email, [{ slowMs: 1_000 }]);
    await openChallenge(server.appClient(), account);
    await eventually(5_000, async () => {
      const handed = `select from delivery where account_id = $1 and handover_time is not null and end_time is null`;
      expect(await server.query(handed, [accountId])).toHaveLength(1);
    });
    await deleteAccount(account);
    expect(await leftWith(accountId)).toEqual([]);
    await sleep(2_000);
    expect(server.mail.attemptsOf(email)).toHaveLength(1);
    expect(await leftWith(accountId)).toEqual([]);
  });

  test('mails that wait for their next try, they are not sent', async () => {
    const account = await server.createAccount();
    const { email } = account;
    server.mail.behave(email, 'deferred-after-data');
    await openChallenge(server.appClient(), account);
    await eventually(10_000, () => expect(server.mail.attemptsOf(email).length).toBeGreaterThan(0));
    await deleteAccount(account);
    const tries = server.mail.attemptsOf(email).length;
    server.mail.behave(email, 'ok');
    server.clock.advance(3_600_000);
    await sleep(1_500);
    expect(server.mail.attemptsOf(email).length).toBeLessThanOrEqual(tries + 1);
    expect(server.mail.mails.filter(({ to }) => to === email)).toEqual([]);
    expect(await leftWith(...namesOf(account))).toEqual([]);
  });

  test('an event that is noted of it, none comes behind', async () => {
    const account = await server.createAccount();
    const client = new pg.Client({ connectionString: server.databaseUrl });
    await client.connect();
    await client.query('begin');
    await client.query('delete from account where account_id = $1', [account.accountId]);
    const wrong = refusal(server.appClient().twoStepAuth.signIn({ ...account, password: 'wrong', device: iphone }));
    // Its event waits for who erases the account.
    expect(await Promise.race([wrong, sleep(1_500, 'waits')])).toBe('waits');
    await client.query('commit');
    expect((await wrong).reason).toBe('CREDENTIALS_INCORRECT');
    await client.end();
    expect(await leftWith(account.accountId)).toEqual([]);
  });

  test('an event whose commit is on its way, it waits for it and erases it too', async () => {
    const account = await server.createAccount();
    const client = new pg.Client({ connectionString: server.databaseUrl });
    await client.connect();
    await client.query('begin');
    await client.query('select from account where account_id = $1 for key share', [account.accountId]);
    await client.query(
      `insert into login_event (account_id, event_id, kind, origin, unusual, reported)
       values ($1, uuidv7(), 'PASSWORD_WRONG', '{}', '[]', false)`,
      [account.accountId],
    );
    const erased = deleteAccount(account);
    expect(await Promise.race([erased, sleep(700, 'waits')])).toBe('waits');
    await client.query('commit');
    await erased;
    await client.end();
    expect(await leftWith(account.accountId)).toEqual([]);
  });

  test('sign-ins and codes, each of them gets in before, or is refused in words', async () => {
    for (const account of await Promise.all(times(6, () => server.createAccount()))) {
      const client = server.appClient();
      const challengeToken = await openChallenge(client, account);
      const code = await server.mail.codeFor(account.email);
      const { reasons } = await outcomesAtOnce<unknown>([
        ...times(4, () => () => client.twoStepAuth.signIn({ ...account, device: iphone })),
        ...times(4, () => () => client.twoStepAuth.signIn({ ...account, password: 'wrong', device: iphone })),
        () => deleteAccount(account),
        () => client.twoStepAuth.verifyCode({ challengeToken, code }),
        ...times(2, () => () => client.twoStepAuth.signIn({ ...account, device: iphone })),
        () => client.twoStepAuth.sendCode({ challengeToken, channel: 2 }),
        () => deleteAccount(account),
      ]);
      expect([reasons[8], reasons[13]].sort()).toEqual(['ACCOUNT_UNKNOWN', 'OK']);
      for (const index of [0, 1, 2, 3, 10, 11]) expect(['OK', 'CREDENTIALS_INCORRECT']).toContain(reasons[index]);
      for (const index of [4, 5, 6, 7]) expect(reasons[index]).toBe('CREDENTIALS_INCORRECT');
      expect(['OK', 'CHALLENGE_UNKNOWN']).toContain(reasons[9]);
      expect(['CHALLENGE_UNKNOWN', 'CHALLENGE_CLOSED', 'SEND_TOO_SOON']).toContain(reasons[12]);
      await eventually(5_000, async () => expect(await leftWith(account.accountId)).toEqual([]));
    }
  });
});
