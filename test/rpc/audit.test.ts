// What records say of RPCs, by the contract alone: the services are stand-ins that answer as they are told.

import { createClient, type ServiceImpl } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { expect, test } from 'vitest';
import { Accounts, ImportOutcome, LegacyRefusal } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import { Sessions } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { Support } from '../../gen/countersign/internal/v1/support_pb.ts';
import { Platform } from '../../gen/countersign/v1/device_pb.ts';
import type { AuditRecord } from '../../server/domain/audit-record.ts';
import { DomainError } from '../../server/domain/errors.ts';
import type { AuditRecords } from '../../server/flows/store-ports.ts';
import { createRandom } from '../../server/platform/clock.ts';
import { createLog } from '../../server/platform/log.ts';
import { hashServiceToken } from '../../server/platform/service-tokens.ts';
import { peerContext } from '../../server/rpc/call.ts';
import { toConnectError } from '../../server/rpc/errors.ts';
import { internalInterceptors } from '../../server/rpc/interceptors.ts';
import { serve } from './serve.ts';

const token = 'a-token-of-the-test';
const headers = { authorization: `Bearer ${token}`, 'x-request-id': 'the-request' };

/** The services behind what stands before every internal call; `seen` has each record as it was opened, and as it was completed. */
async function stand(services: {
  accounts?: Partial<ServiceImpl<typeof Accounts>>;
  sessions?: Partial<ServiceImpl<typeof Sessions>>;
  support?: Partial<ServiceImpl<typeof Support>>;
}) {
  const seen: AuditRecord[] = [];
  const note = async (record: AuditRecord) => void seen.push(record);
  const auditRecords: AuditRecords = {
    insert: note,
    complete: note,
    list: async () => ({ records: [], next: undefined }),
  };
  const grants = [
    { name: 'caller', scopes: ['accounts', 'sessions', 'support', 'legacy'] as const, hash: hashServiceToken(token) },
  ];
  const { url } = await serve({
    routes: (router) =>
      router
        .service(Accounts, services.accounts ?? {})
        .service(Sessions, services.sessions ?? {})
        .service(Support, services.support ?? {}),
    interceptors: internalInterceptors({
      log: createLog('silent'),
      services: { current: () => grants, onChange: () => {} },
      audit: { auditRecords, clock: { now: () => new Date() }, random: createRandom() },
    }),
    toConnectError: (thrown) => toConnectError(thrown),
    contextValues: () => peerContext({ address: '::ffff:192.0.2.7', certificateNames: [], cut: () => {} }),
  });
  const transport = createGrpcTransport({ baseUrl: url });
  const said = () => seen.map(({ recordId: _, ...record }) => record);
  return {
    accounts: createClient(Accounts, transport),
    sessions: createClient(Sessions, transport),
    support: createClient(Support, transport),
    seen,
    said,
  };
}

const common = { caller: 'caller', ipAddress: '192.0.2.7', requestId: 'the-request' };

test('BatchImportAccounts: how many, and what became of them, and none of them', async () => {
  const outcomes = [ImportOutcome.CREATED, ImportOutcome.CREATED, ImportOutcome.EXISTS, ImportOutcome.CONFLICT];
  const { accounts, said } = await stand({
    accounts: {
      batchImportAccounts: () => ({ results: outcomes.map((outcome) => ({ outcome, accountId: 'somebody' })) }),
    },
  });
  const imported = outcomes.map((_, at) => ({
    accountId: `id-${at}`,
    email: `somebody${at}@example.com`,
    passwordHash: 'a hash',
  }));
  await accounts.batchImportAccounts({ accounts: imported }, { headers });
  const record = { ...common, rpc: 'Accounts.BatchImportAccounts', accountId: '' };
  expect(said()).toEqual([
    { ...record, outcome: '', details: { accounts: '4' } },
    { ...record, outcome: 'OK', details: { accounts: '4', created: '2', exists: '1', conflict: '1' } },
  ]);
});

test.each([
  ['2.3', '2.3'],
  ['', undefined],
  ['somebody@example.com', 'malformed'],
])('AuthorizeLegacySignIn with the version "%s"', async (clientVersion, noted) => {
  const { accounts, said } = await stand({
    accounts: {
      authorizeLegacySignIn: () => ({ allowed: false, reason: LegacyRefusal.TWO_STEP_REQUIRED, message: 'words' }),
    },
  });
  const request = { accountId: 'somebody', clientVersion, platform: Platform.ANDROID, ipAddress: '192.0.2.99' };
  await accounts.authorizeLegacySignIn(request, { headers });
  const record = { ...common, rpc: 'Accounts.AuthorizeLegacySignIn', accountId: 'somebody' };
  const details = { platform: 'ANDROID', ...(noted === undefined ? {} : { client_version: noted }) };
  expect(said()).toEqual([
    { ...record, outcome: '', details },
    { ...record, outcome: 'OK', details: { ...details, allowed: 'false', reason: 'TWO_STEP_REQUIRED' } },
  ]);
});

test('ListSessions: whose, and how many', async () => {
  const { sessions, said } = await stand({ sessions: { listSessions: () => ({ sessions: [{}, {}] }) } });
  await sessions.listSessions({ accountId: 'somebody' }, { headers });
  expect(said().at(-1)).toEqual({
    ...common,
    rpc: 'Sessions.ListSessions',
    accountId: 'somebody',
    outcome: 'OK',
    details: { sessions: '2' },
  });
});

test.each([
  ['a refusal', () => new DomainError({ reason: 'ACCOUNT_UNKNOWN' }), 'ACCOUNT_UNKNOWN'],
  ['a failure that nobody expects', () => new Error('words of the inside'), 'INTERNAL'],
])('%s is noted by its reason, on the same record', async (_, thrown, outcome) => {
  const fail = () => {
    throw thrown();
  };
  const { accounts, seen } = await stand({ accounts: { resetVerification: fail } });
  await accounts.resetVerification({ accountId: 'somebody' }, { headers }).catch(() => {});
  expect(seen.map((record) => record.outcome)).toEqual(['', outcome]);
  expect(seen[0]?.recordId).toBe(seen[1]?.recordId);
});

test('an id that looks like an address is noted once an account was found by it', async () => {
  const { accounts, seen } = await stand({ accounts: { resetVerification: () => ({}) } });
  await accounts.resetVerification({ accountId: 'anna@customer' }, { headers });
  expect(seen.map(({ accountId }) => accountId)).toEqual(['', 'anna@customer']);
});

test.each([
  ['once records were found by it', [{ recordId: 'one' }], 'anna@customer'],
  ['never where none were', [], ''],
])('so is one that records are listed by: %s', async (_, auditRecords, noted) => {
  const { support, seen } = await stand({ support: { listAuditRecords: () => ({ auditRecords }) } });
  await support.listAuditRecords({ filter: { accountId: 'anna@customer' } }, { headers });
  expect(seen.map(({ accountId }) => accountId)).toEqual(['', noted]);
});
