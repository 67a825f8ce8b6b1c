// Accounts of another system, taken over with their hashes: each once, whoever repeats what or is in between; and their owners
// sign in with the passwords that they have.

import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ImportOutcome } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import { startApp } from '../../server/app.ts';
import { createPasswords, ourForm, type Passwords } from '../../server/directory/passwords.ts';
import { createLog } from '../../server/platform/log.ts';
import { outcomesAtOnce, times } from '../support/at-once.ts';
import { eventually } from '../support/eventually.ts';
import { type ForeignHash, foreignHashes } from '../support/foreign-hashes.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestServer, testConfig } from '../support/server.ts';
import { startStatementProxy } from '../support/statement-proxy.ts';

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

const { CREATED, EXISTS, CONFLICT } = ImportOutcome;
const cheap = `$2b$04$${'.'.repeat(53)}`;

interface Given {
  readonly accountId?: string;
  readonly email: string;
  readonly locale?: string;
  readonly passwordHash?: string;
}

async function importAccounts(accounts: readonly Given[], at = server) {
  const batch = accounts.map((account) => ({ passwordHash: cheap, ...account }));
  return (await at.service.accounts.batchImportAccounts({ accounts: batch })).results;
}
const outcomesOf = async (accounts: readonly Given[], at = server) =>
  (await importAccounts(accounts, at)).map(({ outcome }) => outcome);

const rowOf = async (email: string) => {
  const [row] = await server.query(
    `select password_hash, password_as_typed,
       (password_version - mod((extract(epoch from account.create_time) * 1000)::bigint, 1073741824))::int as password_changes
     from directory_account join account using (account_id) where email = $1`,
    [email],
  );
  return row;
};

const signIn = (email: string, password: string) =>
  server.appClient().twoStepAuth.signIn({ email, password, device: iphone });

test('an account keeps its id or gets one, with two-step verification on', async () => {
  const given = { accountId: 'usr/42:~!', email: 'Kept@Example.com', locale: 'de' };
  const [kept, made] = await importAccounts([given, { email: 'made@example.com' }]);
  expect(kept).toMatchObject({ outcome: CREATED, accountId: given.accountId });
  expect(made).toMatchObject({ outcome: CREATED, accountId: expect.stringMatching(/^[\da-f-]{36}$/) });
  const { account } = await server.service.accounts.getAccount({ key: { case: 'email', value: 'kept@example.com' } });
  expect(account).toMatchObject({ ...given, twoStepEnabled: true, passwordChangeRequired: false });
  const other = await server.service.accounts.getAccount({ key: { case: 'accountId', value: made?.accountId ?? '' } });
  expect(other.account).toMatchObject({ email: 'made@example.com', locale: 'en' });
});

test('one that is there stays as it is, its password too; another’s address or id is a conflict', async () => {
  const there = await server.createAccount();
  const before = await server.query('select * from directory_account order by account_id');
  const { accountId, email } = there;
  expect(
    await importAccounts([
      { email: email.toUpperCase() },
      { accountId, email },
      { accountId: 'another', email },
      { accountId, email: 'free@example.com' },
    ]),
  ).toMatchObject([
    { outcome: EXISTS, accountId },
    { outcome: EXISTS, accountId },
    { outcome: CONFLICT, accountId },
    { outcome: CONFLICT, accountId },
  ]);
  expect(await server.query('select * from directory_account order by account_id')).toEqual(before);
  expect((await signIn(email, there.password)).result.case).toBe('challengeGrant');
});

test('a batch that is repeated finds all of it there', async () => {
  const batch = times(100, (at) => ({ accountId: at % 2 ? `twice${at}` : '', email: `twice${at}@example.com` }));
  const first = await importAccounts(batch);
  expect(first.every(({ outcome }) => outcome === CREATED)).toBe(true);
  const again = await importAccounts([...batch].reverse());
  expect(again.every(({ outcome }) => outcome === EXISTS)).toBe(true);
  expect(again.map(({ accountId }) => accountId).reverse()).toEqual(first.map(({ accountId }) => accountId));
});

test('two of one address in a batch are one account', async () => {
  const email = 'same@example.com';
  const twins = [{ email }, { email: ' same@EXAMPLE.com'.trim() }, { accountId: 'mine', email }];
  expect(await outcomesOf(twins)).toEqual([CREATED, EXISTS, CONFLICT]);
  expect(await server.query('select from directory_account where normalised_email = $1', [email])).toHaveLength(1);
});

test('batches that overlap, at once and at several replicas, create each account once and lose none', async () => {
  const all = times(600, (at) => ({ accountId: `at-once-${at}`, email: `at-once-${(at * 7) % 600}@example.com` }));
  const slices = times(6, (at) => {
    const slice = [...all.slice(at * 80), ...all.slice(0, at * 80)].slice(0, 400);
    return at % 2 === 0 ? slice : slice.reverse();
  });
  const calls = slices.map((slice, at) => async () => {
    for (;;) {
      try {
        return await outcomesOf(slice, at % 2 === 0 ? server : replica);
      } catch (error) {
        // Whoever waited too long for the others is told to come again.
        expect(error).toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE' });
      }
    }
  });
  const { good, counts } = await outcomesAtOnce(calls);
  expect(counts).toEqual({ OK: 6 });
  const created = good.flat().filter((outcome) => outcome === CREATED).length;
  expect(good.flat().filter((outcome) => outcome === CONFLICT)).toEqual([]);
  const covered = new Set(slices.flat().map(({ accountId }) => accountId));
  expect(created).toBe(covered.size);
  const rows = await server.query(`select account_id, email from directory_account where account_id like 'at-once-%'`);
  expect(new Map(rows.map((row) => [row['account_id'], row['email']]))).toEqual(
    new Map(all.filter(({ accountId }) => covered.has(accountId)).map(({ accountId, email }) => [accountId, email])),
  );
  expect(await server.query(`select from account where account_id like 'at-once-%'`)).toHaveLength(covered.size);
});

test('an address that somebody takes at the same moment is one account’s', async () => {
  const emails = times(20, (at) => `race${at}@example.com`);
  const { accounts } = server.service;
  const [imported, ...made] = await Promise.all([
    importAccounts(emails.map((email) => ({ email }))),
    ...emails.map((email) =>
      accounts.createAccount({ email, password: 'correct horse battery' }).then(
        () => true,
        (error: unknown) => {
          expect(error).toMatchObject({ reason: 'ACCOUNT_EXISTS' });
          return false;
        },
      ),
    ),
  ]);
  for (const [at, wasMade] of made.entries()) expect(imported[at]?.outcome).toBe(wasMade ? EXISTS : CREATED);
  expect(
    await server.query(`select from account a where not exists
    (select from directory_account d where d.account_id = a.account_id)`),
  ).toEqual([]);
});

test.each([
  ['committed', 'commit', EXISTS],
  ['given up', 'rollback', CREATED],
])(
  'an account that another transaction is making is waited for: once it is %s, that counts',
  async (_, end, outcome) => {
    const email = `between-${end}@example.com`;
    const between = new pg.Client({ connectionString: server.databaseUrl });
    await between.connect();
    await between.query('begin');
    await between.query(
      `insert into account (account_id, create_time, two_step_enabled, password_change_required, password_version, wrong_codes)
     values ($1, now(), true, false, 1, 0)`,
      [`somebody-${end}`],
    );
    await between.query(
      `insert into directory_account (account_id, email, normalised_email, password_hash, locale, create_time, update_time)
     values ($1, $2, $2, $3, 'en', now(), now())`,
      [`somebody-${end}`, email, cheap],
    );
    const importing = importAccounts([{ email: `before-${email}` }, { email }, { email: `behind-${email}` }]);
    await eventually(10_000, async () => {
      const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      expect(await server.query(waiting)).toHaveLength(1);
    });
    await between.query(end);
    await between.end();
    const [before, result, behind] = await importing;
    expect([before?.outcome, result?.outcome, behind?.outcome]).toEqual([CREATED, outcome, CREATED]);
    const [row] = await server.query('select account_id from directory_account where email = $1', [email]);
    expect(row?.['account_id']).toBe(result?.accountId);
    if (outcome === EXISTS) expect(result?.accountId).toBe(`somebody-${end}`);
  },
);

test('a thousand cost a handful of statements', async () => {
  const proxy = await startStatementProxy(server.databaseUrl, 'countersign');
  const behind = await startTestServer({}, { ...server, databaseUrl: proxy.url });
  const before = { ...proxy.count };
  const outcomes = await outcomesOf(
    times(1_000, (at) => ({ email: `thousand${at}@example.com` })),
    behind,
  );
  expect(outcomes.every((outcome) => outcome === CREATED)).toBe(true);
  // Begin, one look-up, two inserts, commit; and what the server does for itself meanwhile.
  expect(proxy.count.statements - before.statements).toBeLessThan(5 + 20);
  await behind.stop();
  proxy.close();
});

describe('what is malformed', () => {
  test('imports nothing, and every hash at fault is named', async () => {
    const accounts = times(10, (at) => ({ email: `bad${at}@example.com`, passwordHash: cheap }));
    for (const at of [3, 7]) Object.assign(accounts[at] ?? {}, { passwordHash: '$1$salt$5nfMBhqIHv0jfpbYXKRdn.' });
    const refused = await refusal(server.service.accounts.batchImportAccounts({ accounts }));
    expect(refused.reason).toBe('REQUEST_INVALID');
    expect(refused.violations).toMatchObject(
      [3, 7].map((at) => ({
        field: `accounts[${at}].password_hash`,
        description: expect.stringMatching(/argon2id.*bcrypt.*scrypt/),
      })),
    );
    expect(await server.query(`select from directory_account where email like 'bad%'`)).toEqual([]);
    expect(server.log.join('')).not.toContain('5nfMBhqIHv0jfpbYXKRdn');
  });

  test.each([
    ['hashes', { email: 'x@example.com', passwordHash: 'none' }, /password_hash$/],
    ['addresses', { email: 'none', passwordHash: cheap }, /email$/],
  ])('is told of a thousand %s as far as headers have room', async (_what, account, field) => {
    const accounts = times(1_000, () => account);
    const refused = await refusal(server.service.accounts.batchImportAccounts({ accounts }));
    expect(refused.reason).toBe('REQUEST_INVALID');
    const last = refused.violations.at(-1);
    const named = refused.violations.slice(0, -1);
    expect(named.length).toBeGreaterThan(5);
    for (const violation of named) expect(violation.field).toMatch(field);
    expect(last?.description).toBe(`and ${1_000 - named.length} more like these`);
  });

  test('is a batch of none, or of more than a thousand', async () => {
    for (const count of [0, 1_001]) {
      const accounts = times(count, (at) => ({ email: `many${at}@example.com`, passwordHash: cheap }));
      const refused = await refusal(server.service.accounts.batchImportAccounts({ accounts }));
      expect(refused).toMatchObject({ reason: 'REQUEST_INVALID', violations: [{ field: 'accounts' }] });
    }
  });
});

describe('a body', () => {
  const post = (rpc: string, body: string) =>
    fetch(`${server.internalUrl}/countersign.internal.v1.Accounts/${rpc}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${server.serviceToken}` },
      body,
    });
  const padded = (request: object, bytes: number) => JSON.stringify(request).padEnd(bytes, ' ');

  test('of an import may have 1 MiB, of any other RPC 64 KiB', async () => {
    const request = { accounts: [{ email: 'padded@example.com', passwordHash: cheap }] };
    expect((await post('BatchImportAccounts', padded(request, 1024 * 1024))).status).toBe(200);
    const larger = await post('BatchImportAccounts', padded(request, 1024 * 1024 + 1));
    expect([larger.status, await larger.text()]).toEqual([400, expect.stringContaining('larger than 1048576 bytes')]);
    const other = await post('GetAccount', padded({ email: 'padded@example.com' }, 64 * 1024 + 1));
    expect([other.status, await other.text()]).toEqual([400, expect.stringContaining('larger than 65536 bytes')]);
  });

  test('that is deep, or many small things, is refused and not fatal', async () => {
    for (const body of [
      '['.repeat(1 << 20),
      '{"accounts":'.repeat(80_000),
      `{"accounts":[${'{},'.repeat(300_000)}{}]}`,
    ]) {
      expect((await post('BatchImportAccounts', body)).status).toBe(400);
    }
  });
});

describe('signing in', () => {
  const emailOf = ({ from }: ForeignHash) => `${from.replace(/[^a-z0-9]+/gi, '-').slice(0, 50)}@example.com`;
  beforeAll(() => importAccounts(foreignHashes.map((each) => ({ email: emailOf(each), passwordHash: each.hash }))));

  test.each(foreignHashes.map((each) => [each.from, each] as const))(
    'with %s: the password is good, and its hash is ours from then on',
    async (_from, foreign) => {
      const email = emailOf(foreign);
      const wrong = await refusal(signIn(email, `${foreign.password}x`));
      expect(wrong.reason).toBe('CREDENTIALS_INCORRECT');
      expect(await rowOf(email)).toEqual({ password_hash: foreign.hash, password_as_typed: true, password_changes: 0 });
      const { result } = await signIn(email, foreign.password);
      expect(result.case).toBe('challengeGrant');
      const renewed = await rowOf(email);
      expect(renewed).toMatchObject({ password_as_typed: false, password_changes: 0 });
      expect(String(renewed?.['password_hash']).startsWith(`${ourForm}$`)).toBe(true);

      // It was no change of the password: the challenge is open, nothing is told, and a code signs in.
      if (result.case !== 'challengeGrant') throw new Error('no challenge');
      const { challengeToken } = result.value;
      const code = await server.mail.codeFor(email);
      expect((await server.appClient().twoStepAuth.verifyCode({ challengeToken, code })).session).toBeDefined();
      expect((await refusal(signIn(email, `${foreign.password}x`))).reason).toBe('CREDENTIALS_INCORRECT');
      expect((await signIn(email, foreign.password)).result.case).toBe('challengeGrant');
      // Nothing more to do.
      expect(await rowOf(email)).toEqual(renewed);
      const notices = server.mail.mails.filter(({ to, subject }) => to === email && /password/i.test(subject));
      expect(notices).toEqual([]);
    },
  );

  test('twice at once, one hash is written', async () => {
    const [foreign = expect.fail()] = foreignHashes;
    const email = 'at-once@example.com';
    await importAccounts([{ email, passwordHash: foreign.hash }]);
    const answers = await Promise.all(times(3, () => signIn(email, foreign.password)));
    expect(answers.map(({ result }) => result.case)).toEqual(answers.map(() => 'challengeGrant'));
    const renewed = await rowOf(email);
    await signIn(email, foreign.password);
    expect(await rowOf(email)).toEqual(renewed);
  });

  test('a password that was set meanwhile is not undone by a renewal', async () => {
    const hash = '$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E';
    const email = 'overtaken@example.com';
    const [imported] = await importAccounts([{ email, passwordHash: hash }]);
    const real = createPasswords(1, 20);
    const [compared, overtaken] = [Promise.withResolvers<boolean>(), Promise.withResolvers<void>()];
    const verify: Passwords['verify'] = async (stored, typed) => {
      compared.resolve(await real.verify(stored, typed));
      await overtaken.promise;
      return compared.promise;
    };
    const config = testConfig({ databaseUrl: server.databaseUrl, smtpUrl: server.mail.url });
    const third = await startApp(config, createLog('silent'), server.clock, { ...real, verify });
    const password = 'another battery staple';
    try {
      const client = server.appClientAt(third.publicAddress);
      const signingIn = refusal(client.twoStepAuth.signIn({ email, password: 'password', device: iphone }));
      expect(await compared.promise).toBe(true);
      await server.service.accounts.setPassword({ accountId: imported?.accountId ?? '', password });
      overtaken.resolve();
      expect((await signingIn).reason).toBe('CREDENTIALS_INCORRECT');
    } finally {
      overtaken.resolve();
      await third.stop();
    }
    expect((await signIn(email, password)).result.case).toBe('challengeGrant');
    expect((await refusal(signIn(email, 'password'))).reason).toBe('CREDENTIALS_INCORRECT');
    expect(await rowOf(email)).toMatchObject({ password_as_typed: false, password_changes: 1 });
  });

  test('bcrypt stays where more was typed than it looks at', async () => {
    const hash = '$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui';
    const first72 = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
    const email = 'long@example.com';
    await importAccounts([{ email, passwordHash: hash }]);
    expect((await signIn(email, `${first72}with a slip`)).result.case).toBe('challengeGrant');
    expect(await rowOf(email)).toMatchObject({ password_hash: hash });
    expect((await signIn(email, `${first72}without one`)).result.case).toBe('challengeGrant');
    expect((await signIn(email, first72)).result.case).toBe('challengeGrant');
    expect(await rowOf(email)).toMatchObject({ password_as_typed: false });
  });

  test('an imported password is changed by who knows it, and forgotten like any other', async () => {
    const [foreign = expect.fail()] = foreignHashes;
    const email = 'changes@example.com';
    const [imported] = await importAccounts([{ email, passwordHash: foreign.hash }]);
    const account = { accountId: imported?.accountId ?? '', email, password: foreign.password };
    const { client } = await server.signInNewDevice(account);
    await server.query('update directory_account set password_hash = $2, password_as_typed = true where email = $1', [
      email,
      foreign.hash,
    ]);
    const newPassword = 'Zwölf Boxkämpfer jagen';
    await client.account.changePassword({ currentPassword: foreign.password, newPassword });
    expect(await rowOf(email)).toMatchObject({ password_as_typed: false, password_changes: 1 });
    expect((await signIn(email, newPassword)).result.case).toBe('challengeGrant');
  });
});

test('an imported account is erased like any other', async () => {
  const email = 'erased@example.com';
  const [imported] = await importAccounts([{ accountId: 'erased', email }]);
  expect(imported?.outcome).toBe(CREATED);
  await server.service.accounts.deleteAccount({ accountId: 'erased' });
  expect(await rowOf(email)).toBeUndefined();
  expect(await outcomesOf([{ accountId: 'erased', email }])).toEqual([CREATED]);
});

test('what was promised to an account that was erased does not hold for one that comes with its id', async () => {
  const email = 'promised@example.com';
  const imported = { accountId: 'promised', email };
  await importAccounts([imported]);
  await server.appClient().account.requestPasswordReset({ email });
  const resetToken = await eventually(10_000, async () => {
    const mail = server.mail.mails.find(({ to }) => to === email);
    const token = /token=(\S+)/.exec(mail?.text ?? '')?.[1];
    expect(token).toBeDefined();
    return decodeURIComponent(token ?? '');
  });
  await server.service.accounts.deleteAccount({ accountId: 'promised' });
  expect(await outcomesOf([imported])).toEqual([CREATED]);
  const reset = server.appClient().account.resetPassword({ resetToken, newPassword: 'Zwölf Boxkämpfer jagen' });
  expect((await refusal(reset)).reason).toBe('RESET_TOKEN_INVALID');
});
