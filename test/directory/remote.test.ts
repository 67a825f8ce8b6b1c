// Accounts in another system: what it is asked, what an account and a password that changes there are, and what is not ours.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code } from '@connectrpc/connect';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { RevocationReason } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { EventKind } from '../../gen/countersign/v1/login_event_pb.ts';
import { secrets } from '../../server/platform/secrets.ts';
import { times } from '../support/at-once.ts';
import { selfSigned } from '../support/certificate.ts';
import { type DirectoryStandIn, startDirectoryStandIn } from '../support/directory-stand-in.ts';
import { eventually } from '../support/eventually.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestServer } from '../support/server.ts';
import { remoteSite, token } from './remote-site.ts';

const site = remoteSite();
const { somebody, honest, signIn, getAccount, lookUp, passwordChanged, expectOutage } = site;

let directory: DirectoryStandIn;
let server: TestServer;

beforeAll(async () => {
  ({ directory, server } = await site.start());
});
afterAll(() => site.stop());
afterEach(() => directory.behave(honest));

describe('what is asked', () => {
  test('comes with the token, the words as they were typed, and where from', async () => {
    const { password, email } = somebody();
    const from = directory.asked.length;
    await signIn({ email: ` ${email.toUpperCase()}`, password });
    const asked = directory.asked.slice(from);
    expect(asked.map(({ method }) => method).slice(0, 2)).toEqual(['lookUpAccount', 'verifyPassword']);
    expect(asked[1]).toMatchObject({ email: ` ${email.toUpperCase()}`, password, ipAddress: '127.0.0.1' });
    for (const { headers } of asked) {
      expect(headers['authorization']).toBe(`Bearer ${token}`);
      expect(headers['grpc-timeout']).toMatch(/^\d+m$/);
    }
    await server.mail.codeFor(email);
  });

  test('is the same, in the same order, for an address that nobody has', async () => {
    const questionsFor = async (email: string) => {
      const from = directory.asked.length;
      expect((await refusal(signIn({ email, password: 'wrong' }))).reason).toBe('CREDENTIALS_INCORRECT');
      return directory.asked.slice(from).flatMap((asked) => (asked.email === email ? [asked.method] : []));
    };
    const known = await questionsFor(somebody().email);
    expect(known).toEqual(['lookUpAccount', 'verifyPassword']);
    expect(await questionsFor('nobody@example.com')).toEqual(known);
  });
});

describe('an account', () => {
  test('has its row from when it is first named, with two-step verification on', async () => {
    const person = somebody();
    const rows = () => server.query('select * from account where account_id = $1', [person.accountId]);
    expect(await rows()).toEqual([]);
    const { account } = await lookUp(person);
    expect(account).toMatchObject({ accountId: person.accountId, locale: 'en', twoStepEnabled: true });
    expect(await rows()).toHaveLength(1);
  });

  test('is made once, though fifty see it first, and none is made for nobody', async () => {
    const person = somebody();
    await Promise.all(times(50, (index) => (index % 2 === 0 ? getAccount(person) : lookUp(person))));
    expect(await server.query('select from account where account_id = $1', [person.accountId])).toHaveLength(1);
    await refusal(signIn({ email: 'nobody@example.com', password: 'wrong' }));
    expect(await server.query(`select account_id from account where account_id not like 'user/%'`)).toEqual([]);
  });

  test('that nobody has named yet is no unknown one to who asks by its id', async () => {
    const { accounts, sessions } = server.service;
    const reason = RevocationReason.ADMINISTRATIVE;
    expect((await sessions.listSessions(somebody())).sessions).toEqual([]);
    expect((await sessions.revokeSessions({ accountId: somebody().accountId, reason })).revokedSessions).toBe(0);
    const person = somebody();
    expect((await accounts.resetVerification(person)).account?.accountId).toBe(person.accountId);
    for (const call of [
      () => sessions.listSessions({ accountId: 'nobody' }),
      () => sessions.revokeSessions({ accountId: 'nobody', reason }),
      () => accounts.resetVerification({ accountId: 'nobody' }),
    ]) {
      expect((await refusal(call())).reason).toBe('ACCOUNT_UNKNOWN');
    }
  });

  test('has no budget of guesses for each spelling that its system takes for its address', async () => {
    const { email } = somebody();
    const spellings = ['á', 'à', 'â', 'ä', 'ã', 'å', 'ā', 'ă', 'ą', '\u0001a', 'a\u00ad', 'a\u200b', 'a\u0301\u0302'];
    const plain = (typed: string) => typed.normalize('NFD').replace(/[\p{M}\p{C}]/gu, '');
    directory.behave((asked) => honest({ ...asked, email: plain(asked.email).replace(/a/, 'e') }));
    const reasons: unknown[] = [];
    for (const spelling of spellings) {
      const typed = email.replace('e', spelling);
      reasons.push((await refusal(signIn({ email: typed, password: 'wrong' }))).reason);
    }
    expect(reasons.slice(-3)).toEqual(times(3, () => 'RATE_LIMITED'));
  });

  test('is not asked for at the word of a device that nobody has: the budget comes first', async () => {
    const { email, accountId } = somebody();
    const stranger = { email, password: 'wrong', device: iphone, deviceToken: secrets.issue(accountId).token };
    const from = directory.asked.length;
    const reasons: unknown[] = [];
    for (let guess = 0; guess < 13; guess++) {
      reasons.push((await refusal(server.appClient().twoStepAuth.signIn(stranger))).reason);
    }
    expect(reasons.slice(-3)).toEqual(times(3, () => 'RATE_LIMITED'));
    const asked = directory.asked.slice(from).filter((each) => each.email === email);
    expect(asked).toHaveLength(2 * reasons.filter((reason) => reason === 'CREDENTIALS_INCORRECT').length);
  });

  test('that is given a wrong password finds that in its login activity', async () => {
    const person = somebody();
    await refusal(signIn({ ...person, password: 'wrong' }));
    const { client } = await server.signInNewDevice(person);
    const { events } = await client.loginActivity.listLoginActivity({});
    expect(events.at(-1)?.kind).toBe(EventKind.PASSWORD_WRONG);
  });

  test('that was erased here, and is known there, begins anew', async () => {
    const person = somebody();
    const { accountId, email } = person;
    await refusal(signIn({ ...person, password: 'wrong' }));
    await server.signInNewDevice(person);
    await server.query('update account set two_step_enabled = false where account_id = $1', [accountId]);
    await server.service.accounts.deleteAccount({ accountId });
    expect(await server.query('select from account where account_id = $1', [accountId])).toEqual([]);
    const guesses = 'select from password_guesses where email_hash = $1';
    expect(await server.query(guesses, [secrets.hashOf(email)])).toEqual([]);
    expect((await signIn(person)).result.case).toBe('challengeGrant');
  });

  test('that its system no longer knows keeps its session and the app its tokens, and its mails end', async () => {
    const person = somebody();
    const { client, session } = await server.signInNewDevice(person);
    const mails = 'select from delivery where account_id = $1';
    const before = (await server.query(mails, [person.accountId])).length;
    directory.behave(() => ({ account: undefined }));
    const refused = await refusal(client.twoStepAuth.getSettings({}));
    expect(refused).toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfter: 30_000 });
    directory.behave(honest);
    await client.twoStepAuth.getSettings({});
    directory.behave(() => ({ account: undefined }));
    await passwordChanged(person);
    await eventually(10_000, async () => {
      const dropped = `${mails} and answer = 'not sent: the account is gone' and state = 'FAILED'`;
      expect(await server.query(dropped, [person.accountId])).toHaveLength(1);
    });
    expect(await server.query(mails, [person.accountId])).toHaveLength(before + 1);
    const { active } = await server.service.sessions.introspectSession({ accessToken: session.accessToken });
    expect(active).toBe(false);
  });

  test('keeps its session where its system has lost its memory, until somebody ends it', async () => {
    const person = somebody();
    const { session } = await server.signInNewDevice(person);
    const { accessToken } = session;
    directory.behave(() => ({ account: undefined }));
    expect((await refusal(getAccount(person))).reason).toBe('ACCOUNT_UNKNOWN');
    expect((await server.service.sessions.introspectSession({ accessToken })).active).toBe(true);
    await server.service.accounts.deleteAccount({ accountId: person.accountId });
    expect((await server.service.sessions.introspectSession({ accessToken })).active).toBe(false);
  });
});

describe('a password that changes there', () => {
  test('while it is compared here makes the sign-in void', async () => {
    const person = somebody();
    directory.behave(async (asked) => {
      if (asked.method === 'verifyPassword') await passwordChanged(person);
      return honest(asked);
    });
    expect((await refusal(signIn(person))).reason).toBe('CREDENTIALS_INCORRECT');
  });

  test('is told to an owner who has never signed in', async () => {
    const person = somebody();
    expect((await passwordChanged(person)).revokedSessions).toBe(0);
    const [mail] = await server.mail.waitFor(person.email);
    expect(mail?.subject).toMatch(/password .* changed/);
  });

  test('is reported while the system that holds it is away', async () => {
    const person = somebody();
    const { client } = await server.signInNewDevice(person);
    directory.behave(() => ({ status: 14 }));
    expect((await passwordChanged(person)).revokedSessions).toBe(1);
    expect((await refusal(client.twoStepAuth.getSettings({}))).reasonMetadata['cause']).toBe('PASSWORD_CHANGED');
  });

  test('is no report of nobody’s', async () => {
    const nobody = { accountId: 'nobody', email: 'nobody@example.com', password: '' };
    expect((await refusal(passwordChanged(nobody))).reason).toBe('ACCOUNT_UNKNOWN');
  });

  test('is no report where only one session or device is named, or for another reason', async () => {
    const { accountId, ...person } = somebody();
    const { session } = await server.signInNewDevice({ accountId, ...person });
    const { sessionId, deviceId } = session;
    const versions = () => server.query('select password_version from account where account_id = $1', [accountId]);
    const before = await versions();
    const reason = RevocationReason.PASSWORD_CHANGED;
    await server.service.sessions.revokeSessions({ accountId, sessionId, reason });
    await server.service.sessions.revokeSessions({ accountId, deviceId, reason });
    await server.service.sessions.revokeSessions({ accountId, reason: RevocationReason.ADMINISTRATIVE });
    expect(await versions()).toEqual(before);
  });
});

describe('that accounts are not ours to write', () => {
  const newPassword = 'Zwölf Boxkämpfer jagen';

  test('says every call that would', async () => {
    const person = somebody();
    const { client } = await server.signInNewDevice(person);
    const { accounts } = server.service;
    const { accountId, email, password } = person;
    for (const call of [
      () => accounts.createAccount({ email: 'new@example.com', password: 'short' }),
      () => accounts.batchImportAccounts({ accounts: [{ email: 'new@example.com', passwordHash: 'any' }] }),
      () => accounts.updateAccount({ accountId, locale: 'ru' }),
      () => accounts.setPassword({ accountId, password: newPassword }),
      () => client.account.changePassword({ currentPassword: password, newPassword }),
      () => server.appClient().account.requestPasswordReset({ email }),
      () => server.appClient().account.resetPassword({ resetToken: 'any', newPassword }),
    ]) {
      const error = await refusal(call());
      expect(error).toMatchObject({ code: Code.Unimplemented, reason: 'ACCOUNTS_ELSEWHERE' });
      expect(error.localizedMessage).toMatch(/another system/);
    }
    const profile = await client.account.getAccount({});
    expect(profile.account).toMatchObject({ accountId, email, locale: 'en' });
  });

  test('says the page of a link from before, to who opens it and to who sends its form', async () => {
    const url = `${server.publicUrl}/reset?token=any`;
    const body = new URLSearchParams({ token: 'any', new_password: newPassword });
    for (const page of [await fetch(url), await fetch(url, { method: 'POST', body })]) {
      expect(page.status).toBe(501);
      expect(await page.text()).toMatch(/another system/);
    }
  });

  test('ends what was promised before: no mail has a link that can not work', async () => {
    const person = somebody();
    await lookUp(person);
    const promise = `select graphile_worker.add_job('password_reset', json_build_object('accountId', $1::text))`;
    await server.query(promise, [person.accountId]);
    await eventually(10_000, async () =>
      expect(await server.query(`select from graphile_worker.jobs where task_identifier = 'password_reset'`)).toEqual(
        [],
      ),
    );
    expect(await server.query(`select from delivery where kind = 'PASSWORD_RESET'`)).toEqual([]);
  });
});

test('after all of this no password stands in the log or in the database, nor does the token', () =>
  site.expectNoSecretKept());

test('a certificate that COUNTERSIGN_DIRECTORY_CA names is trusted, and no other', async () => {
  const certificate = selfSigned();
  const folder = await mkdtemp(join(tmpdir(), 'countersign-directory-'));
  const ca = join(folder, 'ca.pem');
  await writeFile(ca, certificate.cert);
  const secure = await startDirectoryStandIn(certificate);
  secure.behave(honest);
  const env = { COUNTERSIGN_DIRECTORY_URL: secure.url, COUNTERSIGN_DIRECTORY_PATIENCE: '20s' };
  const [trusting, other] = await Promise.all([
    startTestServer({ ...env, COUNTERSIGN_DIRECTORY_CA: ca }),
    startTestServer(env),
  ]);
  try {
    const person = somebody();
    await expectOutage(signIn(person, other), person, other);
    expect(other.log.join('\n')).toContain('DEPTH_ZERO_SELF_SIGNED_CERT');
    expect((await signIn(person, trusting)).result.case).toBe('challengeGrant');
  } finally {
    await Promise.all([trusting.stop(), other.stop()]);
    await secure.stop();
    await rm(folder, { recursive: true });
  }
});
