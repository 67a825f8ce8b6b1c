// What must never be written down: after everything that a user can do, no secret is in the database or in a log.

import { randomBytes } from 'node:crypto';
import { createConnectTransport } from '@connectrpc/connect-node';
import pg from 'pg';
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { AppClientOptions } from '../clients/app/client.ts';
import { createServiceClient } from '../clients/service/client.ts';
import { RevocationReason } from '../gen/countersign/internal/v1/sessions_pb.ts';
import type { ChallengeGrant } from '../gen/countersign/v1/challenge_pb.ts';
import { Channel } from '../gen/countersign/v1/challenge_pb.ts';
import type { Session } from '../gen/countersign/v1/session_pb.ts';
import { startApp } from '../server/app.ts';
import { createLog } from '../server/platform/log.ts';
import { apnsAnswers } from './support/apns-server.ts';
import { fcmAnswers } from './support/fcm-server.ts';
import { createDatabase } from './support/postgres.ts';
import { type PushServers, startPushServers } from './support/push.ts';
import { askForCode, registerApns, registerFcm } from './support/push-devices.ts';
import { refusal } from './support/refusal.ts';
import {
  createTestClock,
  iphone,
  serviceToken,
  startTestServer,
  type TestAccount,
  type TestServer,
  testConfig,
} from './support/server.ts';

const codeKey = randomBytes(32);
const signingKey = randomBytes(32);

/** What was secret in the run, by what it is. */
interface Secret {
  readonly what: string;
  readonly value: string;
}

let server: TestServer;
let push: PushServers;
const secrets: Secret[] = [];

beforeAll(async () => {
  push = await startPushServers(() => server?.clock.now() ?? new Date());
  server = await startTestServer({
    ...push.env,
    // By chance, nine digits don't turn up in ids and times.
    COUNTERSIGN_CODE_DIGITS: '9',
    COUNTERSIGN_LOG_LEVEL: 'debug',
    COUNTERSIGN_CODE_KEYS: `test:${codeKey.toString('base64')}`,
    COUNTERSIGN_SIGNING_KEYS: `test:${signingKey.toString('base64')}`,
  });
  secrets.push({ what: 'service token', value: server.serviceToken });
  secrets.push(...formsOf('code key', codeKey), ...formsOf('signing key', signingKey));
});
afterAll(async () => {
  await server?.stop();
  await push?.stop();
});

/** Bytes as they may be spelled; alone, without padding, so that no longer spelling escapes. */
function formsOf(what: string, bytes: Buffer): Secret[] {
  const forms = [bytes.toString('hex'), bytes.toString('base64').replace(/=+$/, ''), bytes.toString('base64url')];
  return [...new Set(forms)].map((value) => ({ what, value }));
}

function keep<T extends string>(what: string, value: T): T {
  if (value !== '') secrets.push({ what, value });
  return value;
}

/** A token of ours, and what in it is secret: as it stands there and as bytes. */
function keepToken(what: string, token: string): void {
  if (token === '') return;
  keep(what, token);
  const part = token.split('.').at(-1) ?? '';
  const bytes = Buffer.from(part, 'base64url');
  secrets.push(...formsOf(`${what}, secret part`, bytes));
  // A refresh token's secret is two: the part that stays with the session, and the part that changes.
  if (what === 'refresh token') {
    secrets.push(...formsOf(`${what}, family`, bytes.subarray(0, 16)));
    secrets.push(...formsOf(`${what}, changing part`, bytes.subarray(16)));
  }
}

function keepSession(session: Session | undefined): Session {
  if (session === undefined) throw new Error('no session');
  keepToken('access token', session.accessToken);
  keepToken('refresh token', session.refreshToken);
  keepToken('device token', session.deviceToken);
  return session;
}

function keepGrant(result: { readonly case?: string | undefined; readonly value?: unknown }): string {
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const { challengeToken } = result.value as ChallengeGrant;
  keepToken('challenge token', challengeToken);
  return challengeToken;
}

/** The code of the newest mail, in the spellings of a number too. */
async function mailedCode(account: TestAccount, count: number): Promise<string> {
  return keep('code', await server.mail.codeFor(account.email, count));
}

const wrongOf = (code: string) => keep('wrong code', String((Number(code) + 123_456_789) % 1e9).padStart(9, '0'));

/** A life of an account, with every call that takes or gives a secret. */
async function live(): Promise<void> {
  const account = await server.createAccount();
  keep('password', account.password);
  const client = server.appClient();
  const wrongPassword = keep('wrong password', 'a horse that was never correct');
  await refusal(client.twoStepAuth.signIn({ ...account, password: wrongPassword, device: iphone }));
  const nobody = { email: 'nobody@example.com', password: wrongPassword, device: iphone };
  await refusal(client.twoStepAuth.signIn(nobody));
  // In the wrong field, as people do.
  await refusal(client.twoStepAuth.signIn({ ...nobody, email: account.password }));

  const requestId = crypto.randomUUID();
  keepGrant((await client.twoStepAuth.signIn({ ...account, device: iphone, requestId })).result);
  const challengeToken = keepGrant((await client.twoStepAuth.signIn({ ...account, device: iphone, requestId })).result);
  const code = await mailedCode(account, 1);
  await refusal(client.twoStepAuth.verifyCode({ challengeToken, code: wrongOf(code) }));
  await refusal(client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL }));
  await refusal(client.twoStepAuth.sendCode({ challengeToken, channel: Channel.APP }));
  server.clock.advance(30_000);
  await client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL });
  expect(await mailedCode(account, 2)).toBe(code);
  await client.twoStepAuth.getChallenge({ challengeToken });
  keepSession((await client.twoStepAuth.verifyCode({ challengeToken, code })).session);
  const session = keepSession((await client.twoStepAuth.verifyCode({ challengeToken, code })).session);
  client.useSession(session);
  await client.twoStepAuth.getSettings({});
  await server.service.sessions.introspectSession({ accessToken: session.accessToken });

  const { refreshToken, deviceToken } = session;
  keepSession((await client.twoStepAuth.refreshSession({ refreshToken })).session);
  const refreshed = keepSession((await client.twoStepAuth.refreshSession({ refreshToken })).session);
  client.useSession(refreshed);

  const switchOff = keepGrant((await client.twoStepAuth.updateSettings({ twoStepEnabled: false })).result);
  const offCode = await mailedCode(account, 3);
  const off = { twoStepEnabled: false, challengeToken: switchOff };
  await refusal(client.twoStepAuth.updateSettings({ ...off, code: wrongOf(offCode) }));
  await client.twoStepAuth.updateSettings({ ...off, code: offCode });
  const { result } = await server.appClient().twoStepAuth.signIn({ ...account, device: iphone });
  if (result.case !== 'session') throw new Error(`no session but ${result.case}`);
  keepSession(result.value);
  await client.twoStepAuth.updateSettings({ twoStepEnabled: true });

  const password = keep('new password', 'a battery that is correct');
  await refusal(
    server.service.accounts.setPassword({ accountId: account.accountId, password: keep('weak', 'wk-pw7#') }),
  );
  await server.service.accounts.setPassword({ accountId: account.accountId, password });
  await refusal(client.twoStepAuth.getSettings({}));
  await refusal(client.twoStepAuth.refreshSession({ refreshToken: refreshed.refreshToken }));
  const again = await client.twoStepAuth.signIn({ ...account, password, device: iphone, deviceToken });
  if (again.result.case !== 'session') throw new Error(`no session but ${again.result.case}`);
  client.useSession(keepSession(again.result.value));
  // A token that was spent long ago ends the session.
  const stolen = again.result.value.refreshToken;
  const next = keepSession((await client.twoStepAuth.refreshSession({ refreshToken: stolen })).session);
  keepSession((await client.twoStepAuth.refreshSession({ refreshToken: next.refreshToken })).session);
  expect((await refusal(client.twoStepAuth.refreshSession({ refreshToken: stolen }))).reason).toBe('SESSION_INVALID');
  const last = await client.twoStepAuth.signIn({ ...account, password, device: iphone, deviceToken });
  if (last.result.case !== 'session') throw new Error(`no session but ${last.result.case}`);
  client.useSession(keepSession(last.result.value));
  await client.trustedDevices.listTrustedDevices({});
  await client.loginActivity.listLoginActivity({});
  await client.twoStepAuth.signOut({ everywhere: true });

  const taken = server.service.accounts.createAccount({
    email: account.email,
    password: keep('password', 'third horse'),
  });
  await refusal(taken);
  await server.service.accounts.updateAccount({ accountId: account.accountId, email: 'anna.new@example.com' });
  await livePushed();
}

/** Codes by both push services, one after a refusal, and the link of a mail. */
async function livePushed(): Promise<void> {
  const account = await server.createAccount();
  keep('password', account.password);
  const phone = await server.signInNewDevice(account);
  const tablet = await server.signInNewDevice(account);
  for (const { session } of [phone, tablet]) keepSession(session);
  for (const { text } of server.mail.codeMailsTo(account.email)) keep('code', /^\s*(\d{9})\s*$/m.exec(text)?.[1] ?? '');
  const apnsToken = await registerApns(phone.client);
  const fcmToken = await registerFcm(tablet.client);
  push.apns.behave(apnsToken, [apnsAnswers.expiredProviderToken]);
  push.fcm.behave(fcmToken, [fcmAnswers.unavailable()]);
  const { client, challengeToken } = await askForCode(server, account);
  keepToken('challenge token', challengeToken);
  const [byFcm] = await push.fcm.waitFor(fcmToken);
  await push.apns.waitFor(apnsToken);
  keep('pushed code', /\d{9}/.exec(byFcm?.message.notification?.body ?? '')?.[0] ?? '');
  await client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL });
  await mailedCode(account, 3);
  for (const { text } of server.mail.mails) {
    const token = /\/deny\?token=([\w.-]+)/.exec(text)?.[1];
    if (token !== undefined) keepToken('deny link', token);
  }
  const { text = '' } = server.mail.codeMailsTo(account.email).at(-1) ?? {};
  const token = /\/deny\?token=([\w.-]+)/.exec(text)?.[1] ?? '';
  await fetch(`${server.publicUrl}/deny?token=${token}`);
  await fetch(`${server.publicUrl}/deny`, { method: 'POST', body: new URLSearchParams({ token }) });
  for (const value of [...push.fcm.secrets, ...push.apns.providerTokens]) keep('token of a push service', value);
}

/** Failures that nobody expects are logged with their cause, and statements carry values. */
async function failInside(): Promise<void> {
  const account = await server.createAccount();
  keep('password', account.password);
  const client = server.appClient();
  const challengeToken = keepGrant((await client.twoStepAuth.signIn({ ...account, device: iphone })).result);
  const code = await mailedCode(account, 1);
  const internal = { code: 13 };
  await server.query('alter table session add constraint broken check (false) not valid');
  expect(await refusal(client.twoStepAuth.verifyCode({ challengeToken, code }))).toMatchObject(internal);
  await server.query('alter table session drop constraint broken');
  await server.query('alter table directory_account add constraint broken check (false) not valid');
  const password = keep('password', 'a horse that fails inside');
  const { accountId } = account;
  expect(await refusal(server.service.accounts.setPassword({ accountId, password }))).toMatchObject(internal);
  const email = 'new@example.com';
  expect(await refusal(server.service.accounts.createAccount({ email, password }))).toMatchObject(internal);
  await server.query('alter table directory_account drop constraint broken');
}

/** Every row of every table, as text: bytes in hex, and once more as base64 and base64url. */
async function dump(query: TestServer['query'] = server.query): Promise<string> {
  const tables = await query(`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema') order by 1`);
  const parts: string[] = [];
  for (const { name } of tables) {
    for (const { row } of await query(`select t::text as row from ${name} t`)) {
      const text = String(row);
      parts.push(text);
      for (const [, hex = ''] of text.matchAll(/\\x([0-9a-f]+)/g)) {
        const bytes = Buffer.from(hex, 'hex');
        parts.push(bytes.toString('base64'), bytes.toString('base64url'), bytes.toString('latin1'));
      }
    }
  }
  return parts.join('\n');
}

const transportTo =
  (baseUrl: string): AppClientOptions['transport'] =>
  (needs) =>
    createConnectTransport({ baseUrl, httpVersion: '2', ...needs });

/** Which secrets stand in a text: named, so that a failure shows none. */
function found(text: string, among: readonly Secret[] = secrets): string[] {
  return [...new Set(among.filter(({ value }) => text.includes(value)).map(({ what }) => what))];
}

describe('after the whole life of an account, and failures inside', () => {
  let database: string;

  beforeAll(async () => {
    await live();
    await failInside();
    await vi.waitFor(
      async () =>
        expect(
          await server.query(`select from graphile_worker.jobs where task_identifier not in ('settle', 'fall_back')`),
        ).toEqual([]),
      {
        timeout: 10_000,
      },
    );
    database = await dump();
  });

  test('everything that is secret was seen, and is found where it does stand', () => {
    const kinds = new Set(secrets.map(({ what }) => what));
    expect([...kinds]).toEqual(
      expect.arrayContaining([
        'code',
        'wrong code',
        'password',
        'new password',
        'access token',
        'refresh token, family',
        'refresh token, changing part',
        'device token, secret part',
        'challenge token, secret part',
        'service token',
        'code key',
        'signing key',
        'pushed code',
        'deny link, secret part',
        'token of a push service',
      ]),
    );
    // The mails do hold codes: the search finds what is there.
    const mails = found(server.mail.mails.map(({ text }) => text).join('\n'));
    expect(mails.toSorted()).toEqual(['code', 'deny link', 'deny link, secret part']);
    // And it reads what was written: rows of ours, of the worker and of the partitions; and lines of each kind.
    for (const words of ['anna.new@example.com', '$argon2id$', 'SIGNED_IN_WITH_CODE', ',mail)']) {
      expect(database.includes(words), words).toBe(true);
    }
    const log = server.log.join('');
    for (const words of [
      'countersign.v1.TwoStepAuth/VerifyCode',
      '"msg":"delivery"',
      'call failed',
      '"level":"debug"',
    ]) {
      expect(log.includes(words), words).toBe(true);
    }
  });

  test('the database holds none of it', () => {
    expect(found(database)).toEqual([]);
  });

  test('the audit records hold no address either, also not of calls that sent one where none belongs', async () => {
    const { accounts, sessions, support } = server.service;
    const address = 'anna.misplaced@example.com';
    const password = keep('password', 'a horse in the wrong field');
    const reason = RevocationReason.ADMINISTRATIVE;
    for (const call of [
      () => accounts.getAccount({ key: { case: 'accountId', value: address } }),
      () => accounts.getAccount({ key: { case: 'email', value: address } }),
      () => accounts.setPassword({ accountId: address, password }),
      () => accounts.updateAccount({ accountId: address, email: address, locale: password }),
      () =>
        accounts.authorizeLegacySignIn({
          accountId: address,
          clientVersion: password,
          platform: 1,
          ipAddress: address,
        }),
      () =>
        accounts.batchImportAccounts({ accounts: [{ accountId: address, email: address, passwordHash: password }] }),
      () => sessions.revokeSessions({ accountId: address, deviceId: address, sessionId: password, reason }),
      () => support.traceChallenge({ account: { case: 'email', value: address }, challengeId: password }),
      () => support.listAuditRecords({ filter: { caller: address, rpc: password }, pageToken: address }),
    ]) {
      await refusal(call());
    }
    const rows = await server.query('select t::text as row from audit_record t');
    const text = rows.map(({ row }) => String(row)).join('\n');
    for (const words of [
      'Accounts.SetPassword',
      'Support.ListAuditRecords',
      'REQUEST_INVALID',
      'ACCOUNT_UNKNOWN',
      ',test,',
    ]) {
      expect(text.includes(words), words).toBe(true);
    }
    expect(found(text)).toEqual([]);
    expect(text).not.toContain('@');
  });

  test('the logs hold none of it', () => {
    expect(found(server.log.join(''))).toEqual([]);
  });

  test('the logs hold no password hash and no address of an account either, but the code of a failure', () => {
    const log = server.log.join('');
    expect(log.includes('$argon2id$')).toBe(false);
    expect(/[\w.]+@example\.com/.exec(log)?.[0]).toBeUndefined();
    // check_violation
    expect(log.includes('"errorCode":"23514"')).toBe(true);
  });
});

describe('a mail server that quotes what it was given', () => {
  const answers = [
    ['took', null, 'Ok: taken'],
    ['took, with bytes that PostgreSQL can’t hold,', null, 'Ok: \0 taken \ud83d'],
    ['refused', 550, 'no such mail here'],
    ['could not take now', 451, 'try later'],
  ] as const;

  test.each(answers)('and %s it gets neither code nor address into the database or a log', async (_, status, words) => {
    const codes: string[] = [];
    const quoting = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS', 'AUTH'],
      onData(stream, { envelope }, callback) {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', async () => {
          const { text = '' } = await PostalMime.parse(Buffer.concat(chunks));
          const code = /^\s*(\d{9})\s*$/m.exec(text)?.[1] ?? '';
          codes.push(code);
          const answer = `${words} <${envelope.rcptTo[0]?.address}> "Your code: ${code}"`;
          if (status === null) callback(null, answer);
          else callback(Object.assign(new Error(answer), { responseCode: status }));
        });
      },
    });
    quoting.on('error', () => {});
    await new Promise<void>((resolve) => quoting.listen(0, '127.0.0.1', resolve));
    const address = quoting.server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const database = await createDatabase();
    const config = testConfig(
      { databaseUrl: database.url, smtpUrl: `smtp://127.0.0.1:${port}` },
      { COUNTERSIGN_CODE_DIGITS: '9' },
    );
    const log: string[] = [];
    const app = await startApp(config, createLog('debug', { write: (line) => log.push(line) }), createTestClock());
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      const account = { email: 'quoted@example.com', password: 'correct horse' };
      const services = createServiceClient({ baseUrl: app.internalAddress, serviceToken });
      await services.accounts.createAccount(account);
      await server
        .appClient({ transport: transportTo(app.publicAddress) })
        .twoStepAuth.signIn({ ...account, device: iphone });
      const answer = await vi.waitFor(
        async () => {
          const { rows } = await client.query('select answer from delivery where answer is not null');
          expect(rows).toHaveLength(1);
          return String(rows[0].answer);
        },
        { timeout: 10_000 },
      );
      for (const word of words.match(/[\w:]+/g) ?? []) expect(answer).toContain(word);
      const quoted = codes.map((value) => ({ what: 'code', value }));
      expect(quoted[0]?.value).toMatch(/^\d{9}$/);
      expect(found(answer, [...quoted, { what: 'address', value: account.email }])).toEqual([]);
      expect(found(await dump((sql) => client.query(sql).then(({ rows }) => rows)), quoted)).toEqual([]);
      expect(found(log.join(''), [...quoted, { what: 'address', value: account.email }])).toEqual([]);
    } finally {
      await client.end();
      await app.stop();
      await new Promise<void>((resolve) => quoting.close(() => resolve()));
      await database.drop();
    }
  });
});
