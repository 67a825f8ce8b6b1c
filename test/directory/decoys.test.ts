// What an unknown address is compared with: of each form as often as the directory has it, always the same for an address, and
// with as few changes as can be where the mix changes.

import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createServiceClient } from '../../clients/service/client.ts';
import { startApp } from '../../server/app.ts';
import { createDecoys, type HeldForm } from '../../server/directory/decoys.ts';
import { createPasswords, ourForm, type Passwords } from '../../server/directory/passwords.ts';
import { DomainError } from '../../server/domain/errors.ts';
import { parsePasswordHash } from '../../server/domain/password-hash.ts';
import { systemClock } from '../../server/platform/clock.ts';
import { createDraw } from '../../server/platform/draws.ts';
import { createLog } from '../../server/platform/log.ts';
import { Database } from '../../server/store/database.ts';
import { readHeldForms } from '../../server/store/store.ts';
import { times } from '../support/at-once.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, testConfig } from '../support/server.ts';

const draw = createDraw({ current: () => ({ keyId: 'test', key: Buffer.alloc(32, 1) }) }, systemClock);
const log = { info: () => {}, warn: () => {}, error: (details: object) => expect.fail(JSON.stringify(details)) };
const held = (example: string, count: number, passwordAsTyped = true): HeldForm => ({
  example,
  count,
  passwordAsTyped,
});
const ours = (count: number) => held(`${ourForm}$${'A'.repeat(22)}$${'A'.repeat(43)}`, count, false);
const bcrypt = (count: number, cost = 10) => held(`$2b$${cost}$${'.'.repeat(53)}`, count);
const scrypt = (count: number) => held(`$scrypt$ln=14,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`, count);
const addresses = times(3_000, (at) => `nobody${at}@example.com`);

async function formsWith(mix: readonly HeldForm[]) {
  const decoys = createDecoys(async () => mix, draw, log);
  await decoys.refresh();
  return addresses.map((email) => parsePasswordHash(decoys.for(email).passwordHash)?.form ?? '');
}

const share = (forms: readonly string[], form: string) => forms.filter((each) => each === form).length / forms.length;

test('each form comes as often as the directory has it', async () => {
  const forms = await formsWith([ours(60), bcrypt(30), scrypt(10)]);
  // Three standard deviations of 3,000 draws are 0.027 at most; they are the same at each run.
  expect(share(forms, ourForm)).toBeCloseTo(0.6, 1);
  expect(share(forms, '$2b$10')).toBeCloseTo(0.3, 1);
  expect(share(forms, '$scrypt$ln=14,r=8,p=1')).toBeCloseTo(0.1, 1);
});

test('an address has one form, however it is written, at every replica and after every look', async () => {
  const mix = [ours(60), bcrypt(40)];
  expect(await formsWith(mix)).toEqual(await formsWith([...mix].reverse()));
  const decoys = createDecoys(async () => mix, draw, log);
  await decoys.refresh();
  const form = (email: string) => parsePasswordHash(decoys.for(email).passwordHash)?.form;
  for (const email of addresses.slice(0, 50)) expect(form(` ${email.toUpperCase()} `)).toBe(form(email));
});

test('where hashes are replaced by ours, an address changes to ours or not at all', async () => {
  const before = await formsWith([ours(20), bcrypt(50), scrypt(30)]);
  const after = await formsWith([ours(50), bcrypt(30), scrypt(20)]);
  const changed = after.flatMap((form, at) => (form === before[at] ? [] : [form]));
  expect(changed.length).toBeGreaterThan(0);
  expect(share(changed, ourForm)).toBeGreaterThan(0.9);
});

test('a decoy is a hash of its form, of lengths as they are, and nobody’s', async () => {
  for (const form of [ours(1), bcrypt(1), scrypt(1), bcrypt(1, 15)]) {
    const decoys = createDecoys(async () => [form], draw, log);
    await decoys.refresh();
    const { passwordHash, passwordAsTyped } = decoys.for('nobody@example.com');
    expect(passwordHash).toHaveLength(form.example.length);
    expect(passwordHash).not.toBe(form.example);
    expect(passwordAsTyped).toBe(form.passwordAsTyped);
    expect(parsePasswordHash(passwordHash)?.params).toEqual(parsePasswordHash(form.example)?.params);
  }
});

test('an empty directory has ours; one that can’t be read what it had, and that is told', async () => {
  const told: string[] = [];
  const answers: (() => readonly HeldForm[])[] = [
    () => [],
    () => [bcrypt(1)],
    () => {
      throw new Error('no');
    },
    () => {
      throw new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 1 });
    },
    () => [ours(1), held('$6$a$b', 1)],
  ];
  const decoys = createDecoys(async () => answers.shift()?.() ?? [], draw, {
    ...log,
    warn: (_, message) => told.push(message),
    error: (_, message) => told.push(message),
  });
  const form = () => parsePasswordHash(decoys.for('nobody@example.com').passwordHash)?.form;
  expect(form()).toBe(ourForm);
  await decoys.refresh();
  expect(form()).toBe(ourForm);
  await decoys.refresh();
  expect(form()).toBe('$2b$10');
  expect(told).toEqual([]);
  expect(await decoys.refresh()).toBe(false);
  expect(form()).toBe('$2b$10');
  expect(told).toHaveLength(1);
  expect(await decoys.refresh()).toBe(false);
  expect(told).toHaveLength(2);
  // A form that the store knows and we do not is told, too.
  expect(await decoys.refresh()).toBe(true);
  expect(form()).toBe(ourForm);
  expect(told).toHaveLength(3);
});

describe('the forms of a directory', () => {
  let own: TestDatabase;
  let database: Database;
  beforeAll(async () => {
    own = await createDatabase();
    database = new Database({ url: own.url, poolSize: 2, patienceMs: 30_000 });
  });
  afterAll(async () => {
    await database.close();
    await own.drop();
  });
  /** Accounts with hashes of one form, each with a salt of its own. */
  const insert = async (from: number, to: number, { example, passwordAsTyped }: HeldForm) => {
    const { form = '' } = parsePasswordHash(example) ?? {};
    const client = new pg.Client({ connectionString: own.url });
    await client.connect();
    await client.query(
      `with made as (insert into account (account_id, create_time, two_step_enabled, password_change_required,
           password_version, wrong_codes)
         select n, now(), true, false, 1, 0 from generate_series($1::int, $2::int) n returning account_id)
       insert into directory_account (account_id, email, normalised_email, password_hash, password_as_typed, locale,
         create_time, update_time)
       select account_id, account_id, account_id, $3 || '$' || lpad(account_id, 21, 'A') || $4, $5, 'en', now(), now()
       from made`,
      [from, to, form, example.slice(form.length + 1 + 21), passwordAsTyped],
    );
    await client.end();
  };

  test('are counted in a small one, and estimated from the same few pages in a large one', async () => {
    expect(await readHeldForms(database)).toEqual([]);
    await insert(1, 30, bcrypt(1));
    await insert(31, 50, ours(1));
    await insert(51, 60, { ...ours(1), passwordAsTyped: true });
    await insert(61, 65, bcrypt(1, 12));
    expect((await readHeldForms(database)).map(({ count }) => count)).toEqual([30, 20, 10, 5]);

    await insert(1_000, 60_999, scrypt(1));
    const forms = await readHeldForms(database);
    const [first] = forms;
    expect(parsePasswordHash(first?.example ?? '')?.form).toBe('$scrypt$ln=14,r=8,p=1');
    // 400 of some 1,500 pages.
    expect(first?.count).toBeLessThan(40_000);
    expect(first?.count).toBeGreaterThan(4_000);
    expect(await readHeldForms(database)).toEqual(forms);
  });
});

test('a server that starts compares unknown addresses with what the directory holds', async () => {
  const beside = await startTestServer();
  const accounts = times(8, (at) => ({ email: `bcrypt${at}@example.com`, passwordHash: bcrypt(1, 12).example }));
  await beside.service.accounts.batchImportAccounts({ accounts });
  const real = createPasswords(1, 20);
  const compared: string[] = [];
  const verify: Passwords['verify'] = (stored, password) => {
    compared.push(stored.passwordHash);
    return real.verify(stored, password);
  };
  const config = testConfig({ databaseUrl: beside.databaseUrl, smtpUrl: beside.mail.url });
  const app = await startApp(config, createLog('silent'), beside.clock, { ...real, verify });
  try {
    for (const email of ['nobody@example.com', 'bcrypt1@example.com']) {
      const client = beside.appClientAt(app.publicAddress);
      const refused = await refusal(client.twoStepAuth.signIn({ email, password: 'not this one', device: iphone }));
      expect(refused.reason).toBe('CREDENTIALS_INCORRECT');
    }
    expect(compared.map((hash) => parsePasswordHash(hash)?.form)).toEqual(['$2b$12', '$2b$12']);
    expect(compared[1]).not.toBe(compared[0]);

    // After an import here at once.
    const scrypts = times(100, (at) => ({ email: `scrypt${at}@example.com`, passwordHash: scrypt(1).example }));
    const { accounts } = createServiceClient({ baseUrl: app.internalAddress, serviceToken: beside.serviceToken });
    await accounts.batchImportAccounts({ accounts: scrypts });
    compared.length = 0;
    for (const email of times(8, (at) => `nobody${at}@example.com`)) {
      const client = beside.appClientAt(app.publicAddress);
      await refusal(client.twoStepAuth.signIn({ email, password: 'not this one', device: iphone }));
    }
    expect(compared.map((hash) => parsePasswordHash(hash)?.form)).toContain('$scrypt$ln=14,r=8,p=1');
  } finally {
    await app.stop();
    await beside.stop();
  }
});
