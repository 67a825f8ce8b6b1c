// Sharding by account stays possible: what any RPC makes a server ask of PostgreSQL touches the rows of one account, as PostgreSQL
// itself plans it, or stands on a short list with the reason why it may not.

import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { RevocationReason } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { Platform } from '../../gen/countersign/v1/device_pb.ts';
import { EventKind } from '../../gen/countersign/v1/login_event_pb.ts';
import { rpcs } from '../support/contract.ts';
import { type PostgresProxy, startPostgresProxy } from '../support/postgres-proxy.ts';
import { watchRevocations } from '../support/revocations.ts';
import { iphone, startTestServer, type TestAccount, type TestDevice, type TestServer } from '../support/server.ts';
import { watch } from '../support/watch.ts';

/** Tables that no account's key finds, and why a service over many shards can live with that. */
const globalTables: Readonly<Record<string, string>> = {
  password_guesses:
    'guesses at an address that may be nobody’s: its key is the SHA-256 of the address, by which they can be spread',
  audit_record:
    'what internal callers did, also to no account; a log by time, which may stand in a database of its own',
  replica: 'which replicas live: one row each, that every shard can hold',
  _private_jobs: 'the queue of jobs; each names one account, and is written where that account is',
  _private_tasks: 'the names of the queue’s tasks',
};

/** Statements on an account's tables that name no account, or several. */
const exceptions: readonly { readonly like: RegExp; readonly why: string }[] = [
  {
    like: /from "directory_account".* where (?:"\w+"\.)?"normalised_email" = \$1/,
    why: 'the e-mail index: an address leads to its account, so it is the one thing that stands before the shards',
  },
  {
    like: /tablesample/,
    why: 'a sample of the directory, for the time that an unknown address takes; each shard has one',
  },
  {
    like: /from directory_account where normalised_email = any \(.*\bfrom account where account_id = any \(/s,
    why: 'an import looks for all of its accounts at once, each shard for its own',
  },
];

let server: TestServer;
let behind: TestServer;
let proxy: PostgresProxy;
let client: pg.Client;
const statements = new Map<string, Set<string>>();
let running = '';

beforeAll(async () => {
  behind = await startTestServer();
  proxy = await startPostgresProxy(behind.databaseUrl);
  const note = (text: string) => {
    const callers = statements.get(text) ?? new Set();
    statements.set(text, callers.add(running));
  };
  proxy.arm(
    ({ application, text }) => {
      // What looks after the queue, old rows, revocations for whoever follows them, and health has connections of its own names, which
      // each shard would have.
      if (application === 'countersign') note(text);
      return 'pass';
    },
    () => {},
  );
  server = await startTestServer({}, { ...behind, databaseUrl: proxy.url });
  client = new pg.Client({ connectionString: behind.databaseUrl });
  await client.connect();
  for (const way of ['seqscan', 'hashjoin', 'mergejoin']) await client.query(`set enable_${way} = off`);
});
afterAll(async () => {
  await client?.end();
  await server?.stop();
  await proxy?.close();
  await behind?.stop();
});

interface Asked {
  readonly challengeToken: string;
  readonly challengeId: string;
}

/** What the calls below find of each other. */
interface Story {
  account: TestAccount;
  first: TestDevice;
  second: TestDevice;
  asked: Asked;
}

async function signIn({ email, password }: TestAccount): Promise<Asked> {
  const { result } = await server.appClient().twoStepAuth.signIn({ email, password, device: iphone });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  return { challengeToken: result.value.challengeToken, challengeId: result.value.challenge?.challengeId ?? '' };
}

const newPassword = 'Zwölf Boxkämpfer jagen';

async function resetTokenOf({ email }: TestAccount): Promise<string> {
  return vi.waitFor(
    () => {
      const found = server.mail.mails
        .filter(({ to }) => to === email)
        .flatMap(({ text }) => text.match(/https?:\S*\/reset\S*/) ?? []);
      const token = found[0] && new URL(found[0]).searchParams.get('token');
      if (!token) throw new Error('no mail with a link');
      return token;
    },
    { timeout: 20_000 },
  );
}

/** Every RPC, in an order in which each does its work; those that decide in several ways do so in each. */
const calls: Readonly<Record<string, (story: Story) => Promise<unknown>>> = {
  'Accounts.CreateAccount': async (story) => {
    story.account = await server.createAccount();
  },
  'TwoStepAuth.SignIn': async ({ account }) => {
    await server
      .appClient()
      .twoStepAuth.signIn({ ...account, password: 'not this one', device: iphone })
      .catch(() => {});
    const nobody = { email: 'nobody@example.com', password: 'not this one', device: iphone };
    await server
      .appClient()
      .twoStepAuth.signIn(nobody)
      .catch(() => {});
    const requestId = crypto.randomUUID();
    const { email, password } = account;
    for (let repeat = 0; repeat < 2; repeat++)
      await server.appClient().twoStepAuth.signIn({ email, password, device: iphone, requestId });
  },
  'TwoStepAuth.VerifyCode': async (story) => {
    story.first = await server.signInNewDevice(story.account);
    story.second = await server.signInNewDevice(story.account);
    await server.signInNewDevice(story.account, false);
    const { email, password } = story.account;
    const { deviceToken } = story.second.session;
    const { result } = await server.appClient().twoStepAuth.signIn({ email, password, device: iphone, deviceToken });
    if (result.case === 'session') story.second.client.useSession(result.value);
    const { challengeToken } = await signIn(story.account);
    await server
      .appClient()
      .twoStepAuth.verifyCode({ challengeToken, code: '000000' })
      .catch(() => {});
  },
  'TrustedDevices.UpdateDevice': async ({ first }) => {
    await first.client.trustedDevices.updateDevice({ displayName: 'Mine' });
    const fcm = { token: 'fcm-0123456789' };
    await first.client.trustedDevices.updateDevice({ pushRegistration: { service: { case: 'fcm', value: fcm } } });
  },
  'TrustedDevices.WatchDevice': async ({ account, first }) => {
    const watcher = watch(first.client);
    await watcher.opened(server, first.session.deviceId);
    await signIn(account);
    await watcher.next('codeArrived');
    await watcher.stop();
  },
  'TwoStepAuth.SendCode': async (story) => {
    story.asked = await signIn(story.account);
    const { challengeToken } = story.asked;
    await server.appClient().twoStepAuth.sendCode({ challengeToken, channel: Channel.APP });
  },
  'TwoStepAuth.GetChallenge': ({ asked: { challengeToken } }) =>
    server.appClient().twoStepAuth.getChallenge({ challengeToken }),
  'TwoStepAuth.ListPendingCodes': ({ first }) => first.client.twoStepAuth.listPendingCodes({}),
  'TwoStepAuth.RefreshSession': async ({ first }) => {
    const { refreshToken } = first.session;
    await server.appClient().twoStepAuth.refreshSession({ refreshToken });
    const { session } = await server.appClient().twoStepAuth.refreshSession({ refreshToken });
    if (session !== undefined) first.client.useSession(session);
  },
  'TwoStepAuth.GetSettings': ({ first }) => first.client.twoStepAuth.getSettings({}),
  'Account.GetAccount': ({ first }) => first.client.account.getAccount({}),
  'TrustedDevices.ListTrustedDevices': ({ first }) => first.client.trustedDevices.listTrustedDevices({}),
  'LoginActivity.ListLoginActivity': async ({ first }) => {
    const page = await first.client.loginActivity.listLoginActivity({ pageSize: 1 });
    await first.client.loginActivity.listLoginActivity({ pageSize: 1, pageToken: page.nextPageToken });
    await first.client.loginActivity.listLoginActivity({ filter: { kinds: [EventKind.CODE_SENT] } });
    await first.client.loginActivity.listLoginActivity({ filter: { unusualOnly: true } });
  },
  'TwoStepAuth.DenyChallenge': ({ first, asked: { challengeId } }) =>
    first.client.twoStepAuth.denyChallenge({ challengeId }),
  'LoginActivity.ReportLoginActivity': async ({ first }) => {
    const filter = { kinds: [EventKind.SIGNED_IN_WITH_CODE] };
    const { events } = await first.client.loginActivity.listLoginActivity({ filter });
    // The newest: of the device that declined trust.
    await first.client.loginActivity.reportLoginActivity({ eventId: events[0]?.eventId ?? '' });
  },
  'TwoStepAuth.UpdateSettings': async ({ account, first }) => {
    server.clock.advance(2 * 3_600_000);
    const before = server.mail.codeMailsTo(account.email).length;
    const { result } = await first.client.twoStepAuth.updateSettings({ twoStepEnabled: false });
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const { challengeToken, challenge } = result.value;
    if (challenge?.defaultChannel !== Channel.EMAIL)
      await first.client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL });
    const code = await server.mail.codeFor(account.email, before + 1);
    await first.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
    const { email, password } = account;
    await server.appClient().twoStepAuth.signIn({ email, password, device: iphone });
    await first.client.twoStepAuth.updateSettings({ twoStepEnabled: true });
  },
  'TrustedDevices.RemoveTrustedDevice': ({ first, second }) =>
    first.client.trustedDevices.removeTrustedDevice({ deviceId: second.session.deviceId }),
  'Account.ChangePassword': async (story) => {
    const { account, first } = story;
    const change = { currentPassword: account.password, newPassword, endTrustedDevices: true };
    await first.client.account.changePassword(change);
    story.account = { ...account, password: newPassword };
  },
  'Account.RequestPasswordReset': ({ account: { email } }) =>
    server.appClient().account.requestPasswordReset({ email }),
  'Sessions.IntrospectSession': async ({ account, first }) => {
    const { email, password } = account;
    const { deviceToken } = first.session;
    const { result } = await server.appClient().twoStepAuth.signIn({ email, password, device: iphone, deviceToken });
    if (result.case !== 'session') throw new Error(`no session but ${result.case}`);
    first.client.useSession(result.value);
    await server.service.sessions.introspectSession({ accessToken: result.value.accessToken });
  },
  'Sessions.ListSessions': ({ account: { accountId } }) => server.service.sessions.listSessions({ accountId }),
  'Sessions.GetSigningKeys': () => server.service.sessions.getSigningKeys({}),
  'Sessions.WatchRevocations': async () => {
    const watcher = watchRevocations(server.internalUrl);
    await watcher.caughtUp();
    await watcher.stop();
  },
  'Support.TraceChallenge': async ({ account: { accountId, email }, asked: { challengeId } }) => {
    await server.service.support.traceChallenge({ account: { case: 'email', value: email } });
    await server.service.support.traceChallenge({ account: { case: 'accountId', value: accountId }, challengeId });
  },
  'Support.GetAccountSecurity': ({ account: { accountId } }) =>
    server.service.support.getAccountSecurity({ account: { case: 'accountId', value: accountId } }),
  'Support.ListAuditRecords': async ({ account: { accountId } }) => {
    await server.service.support.listAuditRecords({});
    await server.service.support.listAuditRecords({ filter: { accountId, rpc: 'Accounts.GetAccount' } });
  },
  'TwoStepAuth.SignOut': ({ first }) => first.client.twoStepAuth.signOut({ everywhere: true }),
  'Account.ResetPassword': async ({ account }) => {
    const resetToken = await resetTokenOf(account);
    await server
      .appClient()
      .account.resetPassword({ resetToken, newPassword: `${newPassword} 2`, endTrustedDevices: true });
  },
  'Accounts.GetAccount': async ({ account: { accountId, email } }) => {
    await server.service.accounts.getAccount({ key: { case: 'accountId', value: accountId } });
    await server.service.accounts.getAccount({ key: { case: 'email', value: email } });
  },
  'Accounts.UpdateAccount': async ({ account: { accountId } }) => {
    await server.service.accounts.updateAccount({ accountId, locale: 'ru' });
    await server.service.accounts.updateAccount({ accountId, email: 'another@example.com' });
  },
  'Accounts.SetPassword': ({ account: { accountId } }) =>
    server.service.accounts.setPassword({ accountId, password: `${newPassword} 3` }),
  'Accounts.ResetVerification': ({ account: { accountId } }) =>
    server.service.accounts.resetVerification({ accountId, forgetTrustedDevices: true }),
  'Accounts.AuthorizeLegacySignIn': async ({ account: { accountId } }) => {
    const asked = { accountId, platform: Platform.IOS, ipAddress: '81.2.69.142' };
    await server.service.accounts.authorizeLegacySignIn({ ...asked, clientVersion: '1.0' });
    await server.service.accounts.authorizeLegacySignIn({ ...asked, clientVersion: '2.3' });
  },
  'Accounts.BatchImportAccounts': () => {
    const passwordHash = `$2b$04$${'.'.repeat(53)}`;
    const accounts = ['one', 'two'].map((accountId) => ({
      accountId,
      email: `${accountId}@example.com`,
      passwordHash,
    }));
    return server.service.accounts.batchImportAccounts({ accounts });
  },
  'Sessions.RevokeSessions': async ({ account: { accountId } }) => {
    const reason = RevocationReason.ADMINISTRATIVE;
    await server.service.sessions.revokeSessions({ accountId, reason });
    await server.service.sessions.revokeSessions({ accountId, reason, deviceId: crypto.randomUUID() });
  },
  'Accounts.DeleteAccount': ({ account: { accountId } }) => server.service.accounts.deleteAccount({ accountId }),
};

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Cond'?: string;
  readonly 'Recheck Cond'?: string;
  readonly Filter?: string;
  readonly Plans?: readonly PlanNode[];
}

const nodesOf = (root: PlanNode): readonly PlanNode[] => [root, ...(root.Plans ?? []).flatMap(nodesOf)];

/** Tables with an account in each row, partitions too. */
async function accountTables(): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attname = 'account_id' and a.attnotnull`,
  );
  return new Set(rows.map(({ name }) => name));
}

/**
 * What a statement touches beside the rows of one account: nothing where it is good. In tables of a few rows PostgreSQL would read them all where it can
 * also follow the keys.
 */
async function strays(text: string, tables: ReadonlySet<string>, touched: Set<string>): Promise<readonly string[]> {
  const { rows } = await client.query<{ 'QUERY PLAN': readonly [{ readonly Plan: PlanNode }] }>(
    `explain (generic_plan, format json) ${text}`,
  );
  const root = rows[0]?.['QUERY PLAN'][0].Plan;
  if (root === undefined) throw new Error('PostgreSQL told no plan');
  return nodesOf(root).flatMap((node) => {
    const table = node['Relation Name'];
    if (table === undefined) return [];
    if (table in globalTables) {
      touched.add(table);
      return [];
    }
    if (!tables.has(table)) return [`${table} has no account`];
    // Its rows come from elsewhere in the plan, or have their account, for there is none without.
    if (node['Node Type'] === 'ModifyTable') return [];
    const conditions = [node['Index Cond'], node['Recheck Cond'], node.Filter].join(' ');
    return /\baccount_id = (?!ANY)/.test(conditions) ? [] : [`${table} by ${conditions.trim() || 'nothing'}`];
  });
}

test('what is asked of PostgreSQL for any RPC is of one account, or is a known exception', {
  timeout: 120_000,
}, async () => {
  const named = rpcs.map(({ method }) => `${method.parent.name}.${method.name}`);
  expect(Object.keys(calls).sort()).toEqual(named.sort());
  const story = {} as Story;
  for (const [name, call] of Object.entries(calls)) {
    running = name;
    await call(story);
  }

  const tables = await accountTables();
  const unused = new Set(exceptions);
  const touched = new Set<string>();
  const found: string[] = [];
  for (const [text, callers] of statements) {
    if (/^(begin|commit|rollback)$/i.test(text)) continue;
    const exception = exceptions.find(({ like }) => like.test(text));
    if (exception !== undefined) unused.delete(exception);
    else
      for (const stray of await strays(text, tables, touched))
        found.push(`${[...callers].join(', ')}: ${stray}: ${text}`);
  }
  expect(found).toEqual([]);
  expect([...unused]).toEqual([]);
  expect([...touched].sort()).toEqual(Object.keys(globalTables).sort());
  expect(statements.size).toBeGreaterThan(80);
});
