// What is decided twice is done once: each transaction is lost at its commit, as if another had been first, and decided again. What there
// is afterwards is what there is where none was lost.

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { emailWhereAppFailed } from '../../server/flows/fallback.ts';
import { iphone, loseCommits, startTestServer, type TestServer } from '../support/server.ts';
import { tour } from '../support/tour.ts';

/** What goes by itself where nobody looks at an app is not to come in between on a slow machine. */
const env = { COUNTERSIGN_CODE_SHOWN_WITHIN: '5m' };
let steady: TestServer;
let losing: TestServer;

beforeAll(async () => {
  steady = await startTestServer(env);
  // Where one is lost, the next is it again.
  loseCommits(2);
  losing = await startTestServer(env);
});
afterAll(async () => {
  await losing?.stop();
  await steady?.stop();
});

/** Of each table what does not differ from run to run. The mail of a forgotten password is decided by a job, some time later. */
const kept = {
  account: `two_step_enabled, password_change_required, wrong_codes, countries,
    password_version - (extract(epoch from create_time) * 1000)::bigint % (1 << 30) from account`,
  directory_account: 'email, locale from directory_account',
  challenge: `purpose, state, wrong_codes, deny_time is null, session_id is null, device_id is null, default_channel,
    sends -> 'EMAIL' -> 'count', sends -> 'APP' -> 'count' from challenge`,
  session: 'amr, end_cause, generation, oldest_generation, spent_time is null, first_use_time is null from session',
  device: 'display_name, token_hash is null, trust_time is null, trust_end_time is null from device',
  push_registration: 'service from push_registration',
  open_stream: 'device_id is null from open_stream',
  delivery: `kind, channel, push_service, challenge_id is null from delivery where kind <> 'PASSWORD_RESET'`,
  login_event: 'kind, channel, device_id is null, session_id is null, reported from login_event',
  revocation: 'cause from revocation',
  password_guesses: 'jsonb_array_length(guesses) from password_guesses',
  audit_record: 'rpc, outcome from audit_record',
};

async function rowsOf(server: TestServer): Promise<readonly string[]> {
  const rows: string[] = [];
  for (const [table, columns] of Object.entries(kept)) {
    // As text, for some columns have no names.
    for (const { row } of await server.query(`select found::text as row from (select ${columns}) found`))
      rows.push(`${table}: ${row}`);
  }
  return rows.sort();
}

interface Found {
  /** What there is before each call, and in the end. */
  readonly rows: ReadonlyMap<string, readonly string[]>;
  readonly mails: readonly string[];
}

async function found(server: TestServer): Promise<Found> {
  const rows = new Map<string, readonly string[]>();
  await tour(server, async (name) => {
    // What is still on its way may be sent in another language then, or not at all.
    await nothingQueued(server);
    rows.set(name, await rowsOf(server));
  });
  rows.set('the end', await rowsOf(server));
  return { rows, mails: server.mail.mails.map(({ to, subject }) => `${to}: ${subject}`).sort() };
}

const nothingQueued = (server: TestServer) =>
  vi.waitFor(
    async () =>
      expect(await server.query(`select from delivery where state = 'QUEUED' and channel = 'EMAIL'`)).toEqual([]),
    { timeout: 20_000 },
  );

test('of every RPC, in every table', { timeout: 120_000 }, async () => {
  const [once, twice] = await Promise.all([found(steady), found(losing)]);
  for (const [name, rows] of once.rows) expect([name, twice.rows.get(name)]).toEqual([name, rows]);
  expect(twice.mails).toEqual(once.mails);
  const [lost] = await losing.query('select last_value::int / 2 as count from test_commits');
  expect(lost?.['count']).toBeGreaterThan(Object.keys(once.rows).length);
});

test('the mail that goes where no app has shown the code', async () => {
  const account = await losing.createAccount();
  const { session } = await losing.signInNewDevice(account);
  // A device that seems to watch, and hears nothing.
  await losing.query(
    `insert into open_stream (account_id, stream_id, session_id, device_id, replica_id)
     select $1, gen_random_uuid(), $2, $3, replica_id from replica`,
    [account.accountId, session.sessionId, session.deviceId],
  );
  const { email, password, accountId } = account;
  const client = losing.appClient();
  const { result } = await client.twoStepAuth.signIn({ email, password, device: iphone });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const { challengeToken, challenge } = result.value;
  if (challenge?.defaultChannel !== Channel.APP) throw new Error('it went by mail');
  losing.clock.advance(5 * 60_000);
  await losing.query(`select setval('test_commits', 1)`);
  for (let repeat = 0; repeat < 2; repeat++) {
    expect(await emailWhereAppFailed(losing.app.deps, accountId, challenge.challengeId)).toBeUndefined();
  }
  const sent = await losing.query(
    `select channel from delivery where account_id = $1 and challenge_id = $2 order by delivery_id`,
    [accountId, challenge.challengeId],
  );
  expect(sent).toEqual([{ channel: 'APP' }, { channel: 'EMAIL' }]);
  const code = await losing.mail.codeFor(email, 2);
  expect((await client.twoStepAuth.verifyCode({ challengeToken, code })).session).toBeDefined();
});
