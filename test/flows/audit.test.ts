// What internal callers did, as it is noted and read: before and after each call, without a word of a person, or not at all.

import { randomUUID } from 'node:crypto';
import { timestampFromDate, timestampMs } from '@bufbuild/protobuf/wkt';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createServiceClient, type ServiceClient } from '../../clients/service/client.ts';
import { RevocationReason } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { hashServiceToken } from '../../server/platform/service-tokens.ts';
import { refusal } from '../support/refusal.ts';
import { startTestServer, type TestAccount, type TestServer } from '../support/server.ts';

let server: TestServer;
/** Another caller, whose records no other test makes. */
let desk: ServiceClient;
const deskToken = 'the-token-of-the-desk';

beforeAll(async () => {
  const hash = Buffer.from(hashServiceToken(deskToken)).toString('hex');
  server = await startTestServer({ COUNTERSIGN_SERVICE_TOKENS: `desk:accounts+sessions+support:${hash}` });
  desk = createServiceClient({ baseUrl: server.internalUrl, serviceToken: deskToken, timeoutMs: 20_000 });
});
afterAll(() => server?.stop());

const nobody = '00000000-0000-7000-8000-000000000000';

/** What a call left, without what differs from run to run. */
async function recordOf(call: (headers: HeadersInit) => Promise<unknown>) {
  const requestId = randomUUID();
  await call({ 'x-request-id': requestId }).catch(() => {});
  const rows = await server.query(
    'select caller, rpc, account_id, outcome, details, ip_address from audit_record where request_id = $1',
    [requestId],
  );
  expect(rows).toHaveLength(1);
  const { ip_address, ...record } = rows[0] ?? {};
  expect(ip_address).toBe('127.0.0.1');
  return record;
}

describe('a record', () => {
  let account: TestAccount;
  let accountId: string;
  let email: string;
  beforeEach(async () => {
    account = await server.createAccount();
    ({ accountId, email } = account);
  });

  test('says who, what, whom, how it ended and what tells it apart', async () => {
    const { accounts, sessions, support } = desk;
    const { session } = await server.signInNewDevice(account);
    const { deviceId, sessionId } = session;
    const administrative = { accountId, reason: RevocationReason.ADMINISTRATIVE };
    const of = async (rpc: string, call: (headers: HeadersInit) => Promise<unknown>, more: object) =>
      expect(await recordOf(call), rpc).toEqual({
        caller: 'desk',
        rpc,
        account_id: accountId,
        outcome: 'OK',
        details: {},
        ...more,
      });

    await of(
      'Accounts.GetAccount',
      (headers) => accounts.getAccount({ key: { case: 'accountId', value: accountId } }, { headers }),
      {
        details: { by: 'account_id' },
      },
    );
    await of(
      'Accounts.GetAccount',
      (headers) => accounts.getAccount({ key: { case: 'email', value: email } }, { headers }),
      {
        details: { by: 'email' },
      },
    );
    await of(
      'Accounts.UpdateAccount',
      (headers) => accounts.updateAccount({ accountId, email: `new-${email}`, locale: 'de' }, { headers }),
      {
        details: { fields: 'email,locale' },
      },
    );
    await of('Accounts.SetPassword', (headers) => accounts.setPassword({ accountId, password: 'weak' }, { headers }), {
      outcome: 'PASSWORD_WEAK',
    });
    await of('Accounts.ResetVerification', (headers) => accounts.resetVerification({ accountId }, { headers }), {});
    await of(
      'Sessions.RevokeSessions',
      (headers) =>
        sessions.revokeSessions({ ...administrative, deviceId: deviceId.toUpperCase(), sessionId }, { headers }),
      { details: { reason: 'ADMINISTRATIVE', device_id: deviceId, session_id: sessionId, revoked: '1' } },
    );
    await of(
      'Sessions.RevokeSessions',
      (headers) => sessions.revokeSessions({ accountId, reason: RevocationReason.PASSWORD_CHANGED }, { headers }),
      { details: { reason: 'PASSWORD_CHANGED', revoked: '0' } },
    );
    await of(
      'Support.TraceChallenge',
      (headers) => support.traceChallenge({ account: { case: 'email', value: `new-${email}` } }, { headers }),
      {
        details: { by: 'email', challenge_id: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      },
    );
    await of(
      'Support.TraceChallenge',
      (headers) =>
        support.traceChallenge({ account: { case: 'accountId', value: accountId }, challengeId: nobody }, { headers }),
      { outcome: 'CHALLENGE_UNKNOWN', details: { by: 'account_id', challenge_id: nobody } },
    );
    await of(
      'Support.GetAccountSecurity',
      (headers) => support.getAccountSecurity({ account: { case: 'email', value: `new-${email}` } }, { headers }),
      { details: { by: 'email' } },
    );
    await of(
      'Support.ListAuditRecords',
      (headers) => support.listAuditRecords({ filter: { accountId, caller: 'desk' }, pageSize: 3 }, { headers }),
      { details: { filter: 'account_id,caller', page: 'first', records: '3' } },
    );
    await of('Accounts.DeleteAccount', (headers) => accounts.deleteAccount({ accountId }, { headers }), {});
    await of('Accounts.DeleteAccount', (headers) => accounts.deleteAccount({ accountId }, { headers }), {
      outcome: 'ACCOUNT_UNKNOWN',
    });
  });

  test('of a new account has the id that it was given', async () => {
    const created = { email: `created-${email}`, password: 'correct horse battery' };
    const record = await recordOf((headers) => desk.accounts.createAccount(created, { headers }));
    const { account } = await desk.accounts.getAccount({ key: { case: 'email', value: created.email } });
    expect(record).toEqual({
      caller: 'desk',
      rpc: 'Accounts.CreateAccount',
      account_id: account?.accountId,
      outcome: 'OK',
      details: {},
    });
  });

  test.each([
    ['an address that nobody has', { case: 'email', value: 'somebody@example.com' }, 'ACCOUNT_UNKNOWN', 'email'],
    [
      'an address in the place of an id',
      { case: 'accountId', value: 'somebody@example.com' },
      'ACCOUNT_UNKNOWN',
      'account_id',
    ],
    ['an id that is too long', { case: 'accountId', value: 'a'.repeat(129) }, 'REQUEST_INVALID', 'account_id'],
    ['an id that PostgreSQL can’t hold', { case: 'accountId', value: 'a\0b' }, 'REQUEST_INVALID', 'account_id'],
  ] as const)('of %s names nobody', async (_, key, outcome, by) => {
    expect(await recordOf((headers) => desk.accounts.getAccount({ key }, { headers }))).toEqual({
      caller: 'desk',
      rpc: 'Accounts.GetAccount',
      account_id: '',
      outcome,
      details: { by },
    });
  });

  test('of a malformed request has what of it is well-formed, and nothing else', async () => {
    const rpc = 'Sessions.RevokeSessions';
    const request = { accountId, deviceId: 'somebody@example.com', sessionId: nobody, reason: 17 as RevocationReason };
    expect(await recordOf((headers) => desk.sessions.revokeSessions(request, { headers }))).toEqual({
      caller: 'desk',
      rpc,
      account_id: accountId,
      outcome: 'REQUEST_INVALID',
      details: { session_id: nobody },
    });
  });

  test('has the address of the connection, whatever a caller says of it', async () => {
    await recordOf((headers) =>
      desk.accounts.resetVerification({ accountId }, { headers: { ...headers, 'x-forwarded-for': '192.0.2.9' } }),
    );
  });
});

describe('a call that can not be noted', () => {
  afterEach(async () => {
    await server.query('alter table audit_record drop constraint if exists broken');
    await server.query('drop trigger if exists broken on audit_record');
  });

  test('before it is done, is not done', async () => {
    const account = await server.createAccount();
    const { accountId, email } = account;
    const device = await server.signInNewDevice(account);
    const before = await desk.accounts.getAccount({ key: { case: 'accountId', value: accountId } });
    const records = await server.query('select from audit_record');
    await server.query('alter table audit_record add constraint broken check (false) not valid');
    const password = 'another correct horse';
    for (const call of [
      () => desk.accounts.createAccount({ email: `other-${email}`, password }),
      () => desk.accounts.updateAccount({ accountId, email: `new-${email}` }),
      () => desk.accounts.setPassword({ accountId, password }),
      () => desk.accounts.resetVerification({ accountId }),
      () => desk.accounts.deleteAccount({ accountId }),
      () => desk.accounts.getAccount({ key: { case: 'accountId', value: accountId } }),
      () => desk.sessions.revokeSessions({ accountId, reason: RevocationReason.ADMINISTRATIVE }),
      () => desk.support.getAccountSecurity({ account: { case: 'accountId', value: accountId } }),
      () => desk.support.listAuditRecords({}),
    ]) {
      expect(await refusal(call())).toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfter: 1_000 });
    }
    // What is not noted goes on.
    expect((await desk.sessions.introspectSession({ accessToken: device.session.accessToken })).active).toBe(true);
    await server.query('alter table audit_record drop constraint broken');
    expect(await server.query('select from audit_record')).toHaveLength(records.length);
    expect(await desk.accounts.getAccount({ key: { case: 'accountId', value: accountId } })).toEqual(before);
    expect((await refusal(desk.accounts.getAccount({ key: { case: 'email', value: `other-${email}` } }))).reason).toBe(
      'ACCOUNT_UNKNOWN',
    );
    await device.client.twoStepAuth.getSettings({});
    await server.appClient().twoStepAuth.signIn({ ...account, device: { platform: 1 } });
  });

  const refuseUpdates = async () => {
    await server.query(`
      create or replace function refuse() returns trigger language plpgsql as $$ begin raise 'no more of that'; end $$`);
    await server.query('create trigger broken before update on audit_record for each row execute function refuse()');
  };

  test('after it was done, is answered all the same, and logged', async () => {
    const { accountId } = await server.createAccount();
    await refuseUpdates();
    const record = await recordOf(async (headers) => {
      const { account } = await desk.accounts.updateAccount({ accountId, locale: 'fr' }, { headers });
      expect(account?.locale).toBe('fr');
    });
    expect(record).toEqual({
      caller: 'desk',
      rpc: 'Accounts.UpdateAccount',
      account_id: accountId,
      outcome: '',
      details: { fields: 'locale' },
    });
    const line = server.log.map((text) => JSON.parse(text)).find(({ msg }) => msg === 'how a call ended is not noted');
    expect(line).toMatchObject({ level: 'error', rpc: 'Accounts.UpdateAccount', service: 'desk', outcome: 'OK' });
    await refusal(desk.accounts.setPassword({ accountId, password: 'weak' })).then(({ reason }) =>
      expect(reason).toBe('PASSWORD_WEAK'),
    );
  });

  test('with whom it found, tells nothing of them; one that made somebody is answered, and the log says whom', async () => {
    const { accountId, email } = await server.createAccount();
    await refuseUpdates();
    const [byAddress, byId] = [
      { case: 'email', value: email },
      { case: 'accountId', value: accountId },
    ] as const;
    for (const call of [
      () => desk.accounts.getAccount({ key: byAddress }),
      () => desk.support.getAccountSecurity({ account: byAddress }),
    ]) {
      expect(await refusal(call())).toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfter: 1_000 });
    }
    await desk.accounts.getAccount({ key: byId });
    await desk.support.getAccountSecurity({ account: byId });
    const { account } = await desk.accounts.createAccount({
      email: `made-${email}`,
      password: 'correct horse battery',
    });
    const lines = server.log
      .map((text) => JSON.parse(text))
      .filter(({ msg }) => msg === 'how a call ended is not noted');
    expect(lines.at(-1)).toMatchObject({ rpc: 'Accounts.CreateAccount', accountId: account?.accountId, outcome: 'OK' });
  });
});

describe('ListAuditRecords', () => {
  test('pages through what fits its filter, newest first, each record once, and not its own', async () => {
    const { accountId } = await server.createAccount();
    const other = await server.createAccount();
    for (let at = 0; at < 7; at++) {
      await desk.accounts.resetVerification({ accountId });
      await server.service.accounts.resetVerification({ accountId });
      await desk.accounts.updateAccount({ accountId: other.accountId, locale: 'en' });
    }
    const rows = await server.query(
      'select record_id, caller, rpc, account_id from audit_record order by record_id desc',
    );
    const idsWhere = (fits: (row: Record<string, unknown>) => boolean) =>
      rows.filter(fits).map((row) => row['record_id']);
    for (const [filter, fits] of [
      [{ accountId }, (row) => row['account_id'] === accountId],
      [{ accountId, caller: 'desk' }, (row) => row['account_id'] === accountId && row['caller'] === 'desk'],
      [
        { caller: 'desk', rpc: 'Accounts.UpdateAccount' },
        (row) => row['caller'] === 'desk' && row['rpc'] === 'Accounts.UpdateAccount',
      ],
      [{ rpc: 'Accounts.ResetVerification' }, (row) => row['rpc'] === 'Accounts.ResetVerification'],
      [
        { accountId, rpc: 'Accounts.CreateAccount' },
        (row) => row['account_id'] === accountId && row['rpc'] === 'Accounts.CreateAccount',
      ],
      [{ accountId, rpc: 'Accounts.SetPassword' }, () => false],
      [{ caller: 'nobody' }, () => false],
    ] as readonly (readonly [object, (row: Record<string, unknown>) => boolean])[]) {
      // What the list itself leaves is of another caller, account and RPC.
      const found: string[] = [];
      let pageToken = '';
      do {
        const page = await server.service.support.listAuditRecords({ filter, pageSize: 3, pageToken });
        expect(page.auditRecords.length).toBeLessThanOrEqual(3);
        found.push(
          ...page.auditRecords.filter(({ rpc }) => rpc !== 'Support.ListAuditRecords').map(({ recordId }) => recordId),
        );
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      expect(found, JSON.stringify(filter)).toEqual(idsWhere(fits));
    }
    const { auditRecords } = await desk.support.listAuditRecords({ pageSize: 1 });
    expect(auditRecords[0]).toMatchObject({ caller: 'test', rpc: 'Support.ListAuditRecords', outcome: 'OK' });
  });

  test('takes times, to the millisecond', async () => {
    const { accountId } = await server.createAccount();
    server.clock.advance(10);
    await desk.accounts.resetVerification({ accountId });
    server.clock.advance(10);
    await desk.accounts.resetVerification({ accountId });
    const { auditRecords } = await desk.support.listAuditRecords({
      filter: { accountId, rpc: 'Accounts.ResetVerification' },
    });
    const [newest, oldest] = auditRecords.map(({ time }) => (time === undefined ? Number.NaN : timestampMs(time)));
    const at = (ms: number | undefined) => timestampFromDate(new Date(ms ?? Number.NaN));
    const within = async (startTime: number | undefined, endTime: number | undefined) => {
      const filter = { accountId, rpc: 'Accounts.ResetVerification', startTime: at(startTime), endTime: at(endTime) };
      return (await desk.support.listAuditRecords({ filter })).auditRecords.map(({ recordId }) => recordId);
    };
    const ids = auditRecords.map(({ recordId }) => recordId);
    expect(await within(oldest, newest)).toEqual([ids[1]]);
    expect(await within(newest, (newest ?? 0) + 1)).toEqual([ids[0]]);
    expect(await within(oldest, (newest ?? 0) + 1)).toEqual(ids);
    const backwards = desk.support.listAuditRecords({ filter: { startTime: at(newest), endTime: at(oldest) } });
    expect(await refusal(backwards)).toMatchObject({
      reason: 'REQUEST_INVALID',
      violations: [{ field: 'filter.start_time' }],
    });
  });

  test('takes a page token of the same filter only', async () => {
    const { nextPageToken: pageToken } = await desk.support.listAuditRecords({
      filter: { caller: 'test' },
      pageSize: 1,
    });
    expect(pageToken).not.toBe('');
    await desk.support.listAuditRecords({ filter: { caller: 'test', rpc: '' }, pageToken });
    const now = timestampFromDate(server.clock.now());
    for (const filter of [
      {},
      { caller: 'desk' },
      { caller: 'test', rpc: 'Accounts.GetAccount' },
      { accountId: 'test' },
      { caller: 'test', endTime: now },
    ]) {
      expect(await refusal(desk.support.listAuditRecords({ filter, pageToken }))).toMatchObject({
        reason: 'REQUEST_INVALID',
        violations: [{ field: 'page_token' }],
      });
    }
  });

  test('tells nothing that is older than records are kept, though it is not deleted yet', async () => {
    const { accountId } = await server.createAccount();
    const first = await desk.support.listAuditRecords({ filter: { accountId } });
    expect(first.auditRecords.map(({ rpc }) => rpc)).toEqual(['Accounts.CreateAccount']);
    server.clock.advance(401 * 24 * 3_600_000);
    const later = await desk.support.listAuditRecords({ filter: { accountId } });
    expect(later.auditRecords.map(({ rpc }) => rpc)).toEqual([]);
  });
});
