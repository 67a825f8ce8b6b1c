// A server that is killed in the middle of an internal call: whatever it had done by then, a record says that somebody did it.

import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { productionEnv, programs, type ServerProgram } from '../support/processes.ts';

const { serve } = programs();
const gate = 4_071_990_001;
let database: TestDatabase;
let mail: MailServer;
let admin: pg.Client;
let server: ServerProgram;

beforeAll(async () => {
  [database, mail] = await Promise.all([createDatabase(), startMailServer()]);
});
afterAll(async () => {
  await mail?.stop();
  await database?.drop();
});

beforeEach(async () => {
  // PostgreSQL holds a statement back for longer than a test takes.
  server = await serve({
    ...productionEnv({ databaseUrl: database.url, smtpUrl: mail.url }),
    COUNTERSIGN_DATABASE_PATIENCE: '30s',
  });
  admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  await admin.query(`
    create or replace function wait_at_the_gate() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock_shared(${gate}); return new; end $$`);
});
afterEach(async () => {
  await server.kill();
  await admin.query('drop trigger if exists held on audit_record');
  await admin.query('drop trigger if exists held on directory_account');
  await admin.end();
});

/** Holds writes of a table back, kills the server once one waits, and throws that one away, as a lost network would. */
async function killAt(
  when: 'update on audit_record' | 'update on directory_account',
  call: Promise<unknown>,
): Promise<void> {
  const ended = call.then(
    () => 'answered',
    () => 'no answer',
  );
  const waiting = `select pid from pg_locks where locktype = 'advisory' and not granted and objid = ${gate}`;
  await eventually(30_000, async () => expect((await admin.query(waiting)).rows, when).toHaveLength(1));
  await server.kill();
  expect(await ended).toBe('no answer');
  await admin.query(`select pg_terminate_backend(pid, 10000) from (${waiting}) as waits`);
}

const hold = async (when: string) => {
  await admin.query(`select pg_advisory_lock(${gate})`);
  await admin.query(`create trigger held before ${when} for each row execute function wait_at_the_gate()`);
};

const recordsOf = async (requestId: string) =>
  (await admin.query('select rpc, account_id, outcome, details from audit_record where request_id = $1', [requestId]))
    .rows;

async function accountOf(email: string): Promise<string> {
  const { account } = await server.service.accounts.createAccount({ email, password: 'correct horse battery' });
  return account?.accountId ?? '';
}

test('killed when the work is done and not yet noted so, it leaves a record without an outcome', async () => {
  const accountId = await accountOf('done@example.com');
  await hold('update on audit_record');
  const headers = { 'x-request-id': 'killed-after' };
  await killAt(
    'update on audit_record',
    server.service.accounts.updateAccount({ accountId, locale: 'de' }, { headers }),
  );
  const { rows } = await admin.query('select locale from directory_account where account_id = $1', [accountId]);
  expect(rows).toEqual([{ locale: 'de' }]);
  const record = { rpc: 'Accounts.UpdateAccount', account_id: accountId, outcome: '', details: { fields: 'locale' } };
  expect(await recordsOf('killed-after')).toEqual([record]);
});

test('killed before the work is done, it leaves the same: it may have been done', async () => {
  const accountId = await accountOf('not-done@example.com');
  await hold('update on directory_account');
  const headers = { 'x-request-id': 'killed-before' };
  await killAt(
    'update on directory_account',
    server.service.accounts.updateAccount({ accountId, locale: 'de' }, { headers }),
  );
  const { rows } = await admin.query('select locale from directory_account where account_id = $1', [accountId]);
  expect(rows).toEqual([{ locale: 'en' }]);
  const record = { rpc: 'Accounts.UpdateAccount', account_id: accountId, outcome: '', details: { fields: 'locale' } };
  expect(await recordsOf('killed-before')).toEqual([record]);
});
