// The whole server in this process, on a database of its own, with a clock that a test can move and a mail server that
// keeps what it gets. Nothing of ours is replaced.

import { createConnectTransport } from '@connectrpc/connect-node';
import pg from 'pg';
import { vi } from 'vitest';
import { type AppClient, type AppClientOptions, createAppClient } from '../../clients/app/client.ts';
import { createServiceClient, type ServiceClient } from '../../clients/service/client.ts';
import { RevocationReason } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { Platform } from '../../gen/countersign/v1/device_pb.ts';
import type { Session } from '../../gen/countersign/v1/session_pb.ts';
import type { AppConfig } from '../../server/app/app-config.ts';
import { type App, startApp } from '../../server/app.ts';
import { readConfig } from '../../server/config.ts';
import type { Clock } from '../../server/flows/ports.ts';
import { createLog } from '../../server/platform/log.ts';
import { hashServiceToken, scopes } from '../../server/platform/service-tokens.ts';
import { startTestDirectory, type TestDirectory } from './directory.ts';
import { type MailServer, startMailServer } from './mail-server.ts';
import { type PgBouncer, startPgBouncer } from './pgbouncer.ts';
import { createDatabase } from './postgres.ts';

/** A clock that runs as time does, from wherever a test has moved it to. */
export interface TestClock extends Clock {
  advance(ms: number): void;
}

export function createTestClock(): TestClock {
  let offset = 0;
  return {
    now: () => new Date(Date.now() + offset),
    advance: (ms) => {
      offset += ms;
    },
  };
}

export interface TestAccount {
  readonly accountId: string;
  readonly email: string;
  readonly password: string;
}

/** A device with its client, and what it was given. */
export interface TestDevice {
  readonly client: AppClient;
  readonly session: Session;
}

export interface TestServer {
  readonly app: App;
  readonly publicUrl: string;
  readonly internalUrl: string;
  readonly serviceToken: string;
  readonly databaseUrl: string;
  readonly clock: TestClock;
  readonly mail: MailServer;
  /** Where the accounts live; undefined where that is beside the server's own tables. */
  readonly directory: TestDirectory | undefined;
  /** What is between the server and its database, if anything. */
  readonly pooler: PgBouncer | undefined;
  readonly service: ServiceClient;
  /** Everything that was logged. */
  readonly log: readonly string[];
  /** The client of one more app. */
  appClient(options?: Partial<AppClientOptions>): AppClient;
  /** The same at another replica. */
  appClientAt(baseUrl: string): AppClient;
  createAccount(): Promise<TestAccount>;
  /** Gives an account a new password, where it lives: by SetPassword, or in the other system, which reports it. */
  setPassword(account: TestAccount, password: string): Promise<void>;
  /** Signs a new device in with the code from its mail. */
  signInNewDevice(account: TestAccount, trustDevice?: boolean): Promise<TestDevice>;
  query(sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}

export const serviceToken = 'test-service-token-0123456789';

/** What SignIn needs of a device. */
export const iphone = { displayName: "Anna's iPhone", model: 'iPhone 17', platform: Platform.IOS, osVersion: '19.1' };

/** The settings of a server in tests, on given outside parts; `env` as an operator would set them. */
export function testConfig(
  parts: { readonly databaseUrl: string; readonly smtpUrl: string },
  env: Readonly<Record<string, string>> = {},
): AppConfig {
  const config = readConfig({
    COUNTERSIGN_PUBLIC_ADDRESS: '127.0.0.1:0',
    COUNTERSIGN_INTERNAL_ADDRESS: '127.0.0.1:0',
    COUNTERSIGN_LOG_LEVEL: 'debug',
    // A test machine may be slow for reasons of its own.
    COUNTERSIGN_DATABASE_PATIENCE: '20s',
    COUNTERSIGN_CODE_KEYS: `test:${Buffer.alloc(32, 1).toString('base64')}`,
    COUNTERSIGN_SIGNING_KEYS: `test:${Buffer.alloc(32, 2).toString('base64')}`,
    ...env,
  });
  return {
    ...config,
    ...parts,
    codeKeys: config.codeKeys ?? { entries: [] },
    signingKeys: config.signingKeys ?? { entries: [] },
    serviceTokens: [...config.serviceTokens, { name: 'test', scopes, hash: hashServiceToken(serviceToken) }],
  };
}

/** A machine that has much to do needs longer than it is waited for by itself. */
const quietly = { timeout: 20_000, interval: 50 };

let accountsElsewhere = false;

/** From now on the accounts of a test file's servers live in a system of their own: so its suites are run over that as well. */
export function keepAccountsElsewhere(): void {
  accountsElsewhere = true;
}

export const accountsAreElsewhere = (): boolean => accountsElsewhere;

let pooled = false;

/** From now on a test file's servers reach PostgreSQL through PgBouncer: so its suites are run over that as well. */
export function goThroughPgBouncer(whether = true): void {
  pooled = whether;
}

let lost: number | undefined;

/**
 * From now on one of so many transactions of a test file's servers that change something of an account fails at its commit, as if
 * another had been first: so its suites show that what was decided may be decided again.
 */
export function loseCommits(oneOf = 3): void {
  lost = oneOf;
}

/** Once a transaction, and past its end: a sequence is not rolled back. What a test itself writes is not lost. */
const losing = (oneOf: number) => `
  create sequence test_commits;
  create function test_lose() returns trigger language plpgsql as $$
  begin
    if current_setting('application_name') <> 'countersign' then return null; end if;
    if current_setting('test.decided', true) = 'yes' then return null; end if;
    perform set_config('test.decided', 'yes', true);
    if nextval('test_commits') % ${oneOf} = 0 then raise exception 'lost' using errcode = 'serialization_failure'; end if;
    return null;
  end $$;
  do $$
  declare name text;
  begin
    for name in
      select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and a.attname in ('account_id', 'email_hash')
    loop
      execute format('create constraint trigger test_lose after insert or update or delete on %I
        deferrable initially deferred for each row execute function test_lose()', name);
    end loop;
  end $$`;

/** Reads as little at a time, and has as few connections, as it can be set to: what is cut or shared wrongly shows. */
const strictly = { pkt_buf: 512, default_pool_size: 3 };

async function run(databaseUrl: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(sql);
  await client.end();
}

/** @param beside another server, whose database, mail server and clock this one shares: one more replica. */
export async function startTestServer(
  env: Readonly<Record<string, string>> = {},
  beside?: Pick<TestServer, 'databaseUrl' | 'mail' | 'clock' | 'directory'>,
): Promise<TestServer> {
  const [database, mail] = beside
    ? [{ url: beside.databaseUrl, drop: async () => {} }, beside.mail]
    : await Promise.all([createDatabase(), startMailServer()]);
  const directory = beside ? beside.directory : accountsElsewhere ? await startTestDirectory() : undefined;
  if (lost !== undefined && beside === undefined) await run(database.url, losing(lost));
  const pooler = pooled ? await startPgBouncer(database.url, strictly) : undefined;
  const ways = pooler && { DATABASE_URL: pooler.url, COUNTERSIGN_DATABASE_DIRECT_URL: database.url };
  const clock = beside?.clock ?? createTestClock();
  const log: string[] = [];
  const config = testConfig(
    { databaseUrl: pooler?.url ?? database.url, smtpUrl: mail.url },
    { ...ways, ...directory?.env, ...env },
  );
  const app = await startApp(config, createLog(config.logLevel, { write: (line) => log.push(line) }), clock);
  const pool = new pg.Pool({ connectionString: database.url, max: 4 });
  pool.on('error', () => {});
  const service = createServiceClient({ baseUrl: app.internalAddress, serviceToken, timeoutMs: 20_000 });
  const transportAt =
    (baseUrl: string): AppClientOptions['transport'] =>
    (needs) =>
      createConnectTransport({ baseUrl, httpVersion: '2', ...needs });
  const appClient = (options: Partial<AppClientOptions> = {}) =>
    createAppClient({
      transport: transportAt(app.publicAddress),
      clientVersion: '2.3',
      platform: 'ios',
      timeoutMs: 20_000,
      ...options,
    });

  let accounts = 0;
  const createAccount = async () => {
    accounts += 1;
    const email = `anna${accounts}@example.com`;
    const password = `correct horse ${accounts}`;
    if (directory !== undefined) {
      const accountId = `user-${accounts}`;
      await directory.put(accountId, email, password);
      return { accountId, email, password };
    }
    const { account } = await service.accounts.createAccount({ email, password });
    return { accountId: account?.accountId ?? '', email, password };
  };

  return {
    app,
    publicUrl: app.publicAddress,
    internalUrl: app.internalAddress,
    serviceToken,
    databaseUrl: database.url,
    clock,
    mail,
    directory,
    pooler,
    service,
    log,
    appClient,
    appClientAt: (baseUrl) => appClient({ transport: transportAt(baseUrl) }),
    createAccount,
    setPassword: async ({ accountId, email }, password) => {
      if (directory === undefined) {
        await service.accounts.setPassword({ accountId, password });
        return;
      }
      await directory.put(accountId, email, password);
      await service.sessions.revokeSessions({ accountId, reason: RevocationReason.PASSWORD_CHANGED });
    },
    signInNewDevice: async (account, trustDevice = true) => {
      const client = appClient();
      const { email, password } = account;
      // A mail of before that is still on its way is not the one that is waited for.
      await vi.waitFor(async () => {
        const queued = `select from delivery where account_id = $1 and channel = 'EMAIL' and state = 'QUEUED'`;
        if ((await pool.query(queued, [account.accountId])).rowCount) throw new Error('mails are on their way');
      }, quietly);
      const before = mail.codeMailsTo(email).length;
      const { result } = await client.twoStepAuth.signIn({ email, password, device: iphone });
      if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
      const { challengeToken, challenge } = result.value;
      if (challenge?.defaultChannel !== Channel.EMAIL) {
        await client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL });
      }
      const code = await mail.codeFor(email, before + 1);
      const { session } = await client.twoStepAuth.verifyCode({ challengeToken, code, trustDevice });
      if (session === undefined) throw new Error('no session');
      client.useSession(session);
      return { client, session };
    },
    query: async (sql, values = []) => (await pool.query(sql, [...values])).rows,
    stop: async () => {
      await app.stop();
      await pool.end();
      if (beside === undefined) await mail.stop();
      if (beside === undefined) directory?.stop();
      await pooler?.discard();
      await database.drop();
    },
  };
}
