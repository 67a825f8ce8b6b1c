// Accounts in another system that is slow, dead, or lies: nobody gets in by it, nobody is charged for it, and everybody is told that
// it is not their fault; and what it means that accounts are not ours.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code } from '@connectrpc/connect';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { RevocationReason } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { EventKind } from '../../gen/countersign/v1/login_event_pb.ts';
import { secrets } from '../../server/platform/secrets.ts';
import { times } from '../support/at-once.ts';
import { selfSigned } from '../support/certificate.ts';
import {
  type Answered,
  type Asked,
  accountMessage,
  type Behaviour,
  type DirectoryStandIn,
  type Method,
  startDirectoryStandIn,
} from '../support/directory-stand-in.ts';
import { eventually } from '../support/eventually.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestAccount, type TestServer } from '../support/server.ts';

const token = 'the-token-of-the-directory';
const people: (TestAccount & { readonly locale: string })[] = [];

/** One more person with an account, whom the server has not heard of. */
function somebody(): TestAccount {
  const number = people.length + 1;
  const person = {
    accountId: `user/${number} ü`,
    email: `person${number}@example.com`,
    password: `s3cret of person ${number}`,
    locale: '',
  };
  people.push(person);
  return person;
}

/** As a directory that is well. */
function honest({ method, ...asked }: Asked): Behaviour {
  const { accountId, email, password } = asked;
  const found = people.find((person) =>
    method === 'getAccount' ? person.accountId === accountId : person.email === email.trim().toLowerCase(),
  );
  return { account: method !== 'verifyPassword' || found?.password === password ? found : undefined };
}

/** The same, but for one method. */
const but = (method: Method, behaviour: Behaviour) => (asked: Asked) =>
  asked.method === method ? behaviour : honest(asked);

let directory: DirectoryStandIn;
let server: TestServer;

beforeAll(async () => {
  directory = await startDirectoryStandIn();
  directory.behave(honest);
  server = await startTestServer({
    COUNTERSIGN_DIRECTORY_URL: directory.url,
    COUNTERSIGN_DIRECTORY_TOKEN: token,
    COUNTERSIGN_DIRECTORY_PATIENCE: '20s',
  });
});
afterAll(async () => {
  await server?.stop();
  await directory?.stop();
});
afterEach(() => directory.behave(honest));

const signIn = ({ email, password }: Pick<TestAccount, 'email' | 'password'>, at = server) =>
  at.appClient().twoStepAuth.signIn({ email, password, device: iphone });

const getAccount = ({ accountId }: TestAccount, at = server) =>
  at.service.accounts.getAccount({ key: { case: 'accountId', value: accountId } });
const lookUp = ({ email }: TestAccount, at = server) =>
  at.service.accounts.getAccount({ key: { case: 'email', value: email } });

const passwordChanged = ({ accountId }: TestAccount, at = server) =>
  at.service.sessions.revokeSessions({ accountId, reason: RevocationReason.PASSWORD_CHANGED });

/** The call is refused as an outage; its caller got nothing, paid nothing, and the log says nothing of a person. */
async function expectOutage(call: Promise<unknown>, { accountId, email, password }: TestAccount, at = server) {
  const error = await refusal(call);
  expect(error).toMatchObject({ code: Code.Unavailable, reason: 'DEPENDENCY_UNAVAILABLE' });
  expect(error.retryAfter).toBeGreaterThan(0);
  expect(error.localizedMessage).toBe('This does not work right now. Please try again in a moment.');
  const got = `select 'session' from session where account_id = $1 union all select 'challenge' from challenge where account_id = $1`;
  expect(await at.query(got, [accountId])).toEqual([]);
  const guesses = await at.query('select guesses from password_guesses where email_hash = $1', [secrets.hashOf(email)]);
  expect(guesses.flatMap((row) => row['guesses'])).toEqual([]);
  const text = at.log.join('\n');
  for (const secret of [password, email, 'words of its own', token]) expect(text).not.toContain(secret);
}

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

type Lie = (person: TestAccount) => Behaviour;

const named =
  (more: Partial<Answered>): Lie =>
  ({ accountId, email }) => ({ bytes: accountMessage({ accountId, email, ...more }) });
const bytes =
  (...values: number[]): Lie =>
  () => ({ bytes: Uint8Array.from(values) });

/** What no directory may say, whatever it was asked. */
const lies: Readonly<Record<string, Lie>> = {
  'who does not know our token': () => ({ status: 16, words: 'words of its own' }),
  'who fails inside, and repeats what it was asked': ({ email, password }) => ({
    status: 13,
    words: `no ${password} of ${email}`,
  }),
  'who knows no such call': () => ({ status: 12 }),
  'whose proxy says that it is not there': () => ({ http: 503 }),
  'whose proxy answers with a page': ({ email }) => ({ http: 200, body: `<h1>${email}</h1>` }),
  'who breaks the call off': () => 'reset',
  'who breaks the connection off': () => 'cut',
  'who is away': () => ({ status: 14, words: 'words of its own' }),
  'whose message can not be decoded': bytes(0x0a, 0x7f, 0x61),
  'whose message has a number for the account': bytes(0x08, 0x01),
  'whose account has a number for its id': bytes(0x0a, 0x02, 0x08, 0x01),
  'whose text is not UTF-8': bytes(0x0a, 0x04, 0x0a, 0x02, 0xff, 0xfe),
  // All right but for a field that nobody knows, number 99, of 64 KiB.
  'whose message is larger than 64 KiB': ({ accountId, email }) => {
    const head = Uint8Array.of(0x9a, 0x06, 0x80, 0x80, 0x04);
    return { bytes: Buffer.concat([accountMessage({ accountId, email }), head, Buffer.alloc(64 * 1024)]) };
  },
  'whose account has no id': named({ accountId: '' }),
  'whose account has an id of 130 bytes': named({ accountId: 'ü'.repeat(65) }),
  'whose account has an id with a NUL': named({ accountId: 'user/1\0' }),
  'whose account has no address': named({ email: '' }),
  'whose account has an address that is none': named({ email: 'anna' }),
  'whose account has an address of 255 characters': named({ email: `${'a'.repeat(243)}@example.com` }),
  'whose account has two lines for an address': named({ email: 'anna@example.com\r\nbcc: x@example.com' }),
  'whose account has a language that is none': named({ locale: 'German, please' }),
};

describe.each(Object.entries(lies))('a directory %s', (_, lie) => {
  test.each(['lookUpAccount', 'verifyPassword'] as const)('lets nobody in by %s', async (method) => {
    const person = somebody();
    directory.behave(but(method, lie(person)));
    await expectOutage(signIn(person), person);
    directory.behave(honest);
    expect((await signIn(person)).result.case).toBe('challengeGrant');
  });

  test('tells of nobody by getAccount', async () => {
    const person = somebody();
    directory.behave(but('getAccount', lie(person)));
    await expectOutage(getAccount(person), person);
    expect(await server.query('select from account where account_id = $1', [person.accountId])).toEqual([]);
  });
});

describe('a directory', () => {
  test('that takes a password for another’s, or for nobody’s, lets nobody in', async () => {
    const [person, other] = [somebody(), somebody()];
    for (const account of [other, { ...person, accountId: `${person.accountId} ` }]) {
      directory.behave(but('verifyPassword', { account }));
      await expectOutage(signIn(person), person);
    }
    directory.behave(but('lookUpAccount', { account: undefined }));
    await expectOutage(signIn(person), person);
    directory.behave(but('lookUpAccount', { account: other }));
    await expectOutage(signIn(person), person);
  });

  test('that tells of another account than it was asked for tells of none', async () => {
    const [person, account] = [somebody(), somebody()];
    directory.behave(but('getAccount', { account }));
    await expectOutage(getAccount(person), person);
  });

  test('that lies of one account, however often, keeps nobody else out', async () => {
    const [person, other] = [somebody(), somebody()];
    for (const lie of [bytes(0xff), () => ({ status: 13 }), () => ({ status: 16 })] satisfies Lie[]) {
      directory.behave((asked) => (asked.email === person.email ? lie(person) : honest(asked)));
      await Promise.all(times(30, () => expectOutage(lookUp(person), person)));
      expect((await lookUp(other)).account?.accountId).toBe(other.accountId);
    }
  });

  test('that is away for a moment is asked again, and nobody sees it', async () => {
    const person = somebody();
    let away = 2;
    directory.behave((asked) => {
      away -= 1;
      return away >= 0 ? { status: 14 } : honest(asked);
    });
    expect((await signIn(person)).result.case).toBe('challengeGrant');
  });

  test('that stays away is asked three times', async () => {
    const person = somebody();
    directory.behave(() => ({ status: 14 }));
    await expectOutage(signIn(person), person);
    expect(directory.asked.filter(({ email }) => email === person.email)).toHaveLength(3);
  });

  test('that says no is not asked twice', async () => {
    const person = somebody();
    directory.behave(() => ({ status: 16 }));
    await expectOutage(signIn(person), person);
    expect(directory.asked.filter(({ email }) => email === person.email)).toHaveLength(1);
  });

  test('that restarts between two calls is found again, and nobody sees it', async () => {
    const person = somebody();
    await lookUp(person);
    await directory.down();
    await directory.up();
    expect((await signIn(person)).result.case).toBe('challengeGrant');
  });

  test('whose answer about one account makes no sense holds up nobody else’s mail, and is asked again', async () => {
    const [person, other] = [somebody(), somebody()];
    let lying = true;
    directory.behave((asked) =>
      lying && asked.accountId === person.accountId ? { bytes: Uint8Array.of(0xff) } : honest(asked),
    );
    for (let opened = 0; opened < 10; opened++) await signIn(person);
    await signIn(other);
    await server.mail.codeFor(other.email);
    expect(server.mail.codeMailsTo(person.email)).toEqual([]);
    await vi.waitFor(async () => {
      const account = { case: 'email', value: person.email } as const;
      const { trace } = await server.service.support.traceChallenge({ account });
      expect(trace?.messages[0]?.explanation).toContain('the directory of accounts did not answer');
    }, 10_000);
    lying = false;
    await server.mail.codeFor(person.email, 10);
    expect(server.log.join('\n')).not.toContain(person.email);
  });

  test('that is away keeps nobody from saying "it wasn’t me" by a mail’s link', async () => {
    const person = somebody();
    await signIn(person);
    await server.mail.codeFor(person.email);
    const [mail] = server.mail.codeMailsTo(person.email);
    const found = /\/deny\?token=(\S+)/.exec(mail?.text.replaceAll('\n', ' ') ?? '')?.[1] ?? '';
    directory.behave(() => ({ status: 14 }));
    const body = new URLSearchParams({ token: decodeURIComponent(found) });
    const page = await fetch(`${server.publicUrl}/deny`, { method: 'POST', body });
    expect(page.status).toBe(200);
    const denied = 'select from challenge where account_id = $1 and deny_time is not null';
    expect(await server.query(denied, [person.accountId])).toHaveLength(1);
  });
});

describe('a directory that does not answer', () => {
  let dead: DirectoryStandIn;
  let impatient: TestServer;
  beforeAll(async () => {
    dead = await startDirectoryStandIn();
    dead.behave(honest);
    impatient = await startTestServer({
      COUNTERSIGN_DIRECTORY_URL: dead.url,
      COUNTERSIGN_DIRECTORY_PATIENCE: '1s',
    });
  });
  afterAll(async () => {
    await impatient?.stop();
    await dead?.stop();
  });

  const said = (words: string) => impatient.log.filter((line) => line.includes(words)).length;
  /** Until nobody is asked any more. */
  const giveUp = async (person: TestAccount) => {
    const before = said('the directory is out of reach');
    await eventually(30_000, async () => {
      await Promise.all(times(12, () => refusal(getAccount(person, impatient))));
      expect(said('the directory is out of reach')).toBeGreaterThan(before);
    });
  };
  const comeBack = (person: TestAccount) =>
    eventually(30_000, async () => {
      expect((await getAccount(person, impatient)).account?.accountId).toBe(person.accountId);
    });

  test('is waited for no longer than the patience, then not asked at all, and then asked again by one', async () => {
    const person = somebody();
    dead.behave(() => 'silent');
    await expectOutage(signIn(person, impatient), person, impatient);
    await giveUp(person);
    await eventually(30_000, async () => {
      const before = dead.asked.length;
      await expectOutage(signIn(person, impatient), person, impatient);
      expect(dead.asked).toHaveLength(before);
    });
    expect(said('not asked, for it was out of reach a moment ago')).toBeGreaterThan(0);

    dead.behave(honest);
    await comeBack(person);
    expect(said('the directory answers again')).toBeGreaterThan(0);
    expect((await signIn(person, impatient)).result.case).toBe('challengeGrant');
    // The connection that was silent was not trusted again.
    expect(dead.connections).toBeGreaterThan(1);
  });

  test('because nobody listens is found when somebody does', async () => {
    const person = somebody();
    await dead.down();
    await expectOutage(signIn(person, impatient), person, impatient);
    expect(said('ECONNREFUSED')).toBeGreaterThan(0);
    await giveUp(person);
    await dead.up();
    await comeBack(person);
    expect((await signIn(person, impatient)).result.case).toBe('challengeGrant');
  });

  test.each([{ status: 14 }, 'silent'] satisfies Behaviour[])(
    'about one account (%j), and is asked for little else, is taken for one that is away, for a while',
    async (trouble) => {
      const [person, other] = [somebody(), somebody()];
      dead.behave((asked) => (asked.email === person.email ? trouble : honest(asked)));
      await comeBack(other);
      await eventually(30_000, async () => {
        await Promise.all(times(30, () => refusal(lookUp(person, impatient))));
        expect((await refusal(lookUp(other, impatient))).reason).toBe('DEPENDENCY_UNAVAILABLE');
      });
      await comeBack(other);
    },
  );

  test('holds up nothing that needs no address', async () => {
    const person = somebody();
    const { client } = await impatient.signInNewDevice(person);
    const { result } = await signIn(person, impatient);
    if (result.case !== 'challengeGrant') throw new Error('no challenge');
    const code = await impatient.mail.codeFor(person.email, 2);
    await dead.down();
    try {
      expect((await refusal(client.twoStepAuth.getSettings({}))).reason).toBe('DEPENDENCY_UNAVAILABLE');
      await client.twoStepAuth.refreshSession({ refreshToken: client.tokens?.refreshToken ?? '' });
      const { challengeToken } = result.value;
      const { session } = await impatient.appClient().twoStepAuth.verifyCode({ challengeToken, code });
      expect(session?.deviceToken).toBeTruthy();
    } finally {
      await dead.up();
    }
  });
});

test('after all of this no password stands in the log or in the database, nor does the token', async () => {
  const kept = [...server.log];
  for (const { table } of await server.query(`select format('%I', relname) as table from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`)) {
    const rows = await server.query(`select t::text as row from ${table} t`);
    kept.push(...rows.map(({ row }) => String(row)));
  }
  const text = kept.join('\n');
  expect(text).toContain(people[0]?.accountId);
  expect([token, ...people.map(({ password }) => password)].filter((secret) => text.includes(secret))).toEqual([]);
});

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
