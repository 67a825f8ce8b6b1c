// Who may call what on the internal listener, by token and by certificate, and what each call leaves in the audit records.

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { typedErrors } from '../../clients/errors.ts';
import { Accounts } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import type { AuditRecord } from '../../gen/countersign/internal/v1/audit_record_pb.ts';
import { Support } from '../../gen/countersign/internal/v1/support_pb.ts';
import { createLog } from '../../server/platform/log.ts';
import { scopes } from '../../server/platform/service-tokens.ts';
import { createTelemetry } from '../../server/platform/telemetry.ts';
import { scopeOf } from '../../server/rpc/access.ts';
import { createRequestHandler } from '../../server/rpc/handler.ts';
import { createServingState } from '../../server/rpc/health.ts';
import { listen } from '../../server/rpc/listener.ts';
import { internalRoutes } from '../../server/rpc/routes.ts';
import { createAuthority, thisMachine } from '../support/certificate.ts';
import { goodRequest, internalRpcs, isStream, named, nobody, type Rpc } from '../support/contract.ts';
import { errorOf } from '../support/plain-calls.ts';
import { refusal } from '../support/refusal.ts';
import { startTestServer, type TestServer, testConfig } from '../support/server.ts';
import { grantsOf, hex, peerWithCertificate } from './service-callers.ts';

let server: TestServer;
let folder: string;
beforeAll(async () => {
  [server, folder] = await Promise.all([startTestServer(), mkdtemp(join(tmpdir(), 'countersign-services-'))]);
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What is not audited: it reads nothing of a person, or nothing but what its caller holds already. */
const unaudited = ['IntrospectSession', 'WatchRevocations', 'GetSigningKeys'];

describe('every internal RPC', () => {
  const callers = [
    ...scopes.map((scope) => `token-of-${scope}:${scope}:${hex(`secret-of-${scope}`)}`),
    ...scopes.map((scope) => `spiffe://example.org/${scope}:${scope}:certificate`),
  ];
  let url: string;
  let close: () => Promise<void>;
  const log: string[] = [];

  beforeAll(async () => {
    const logger = createLog('info', { write: (line) => log.push(line) });
    const known = grantsOf(...callers);
    const handler = createRequestHandler({
      ...internalRoutes({
        config: testConfig({ databaseUrl: '', smtpUrl: '' }),
        services: { current: () => known, onChange: () => {} },
        deps: server.app.deps,
        log: logger,
        telemetry: await createTelemetry({ otlpUrl: undefined, serviceName: 'test', log: logger }),
        serving: createServingState(true),
        brand: { name: '', color: '', logoCid: undefined, support: undefined },
        pendingCount: { add: () => {}, stop: () => {} },
        callLimiter: undefined,
        shutdownSignal: new AbortController().signal,
      }),
      contextValues: peerWithCertificate,
    });
    const listener = await listen({ host: '127.0.0.1', port: 0, handler, log: logger });
    url = `http://127.0.0.1:${listener.address.port}`;
    close = () => listener.close(0);
  });
  afterAll(() => close());

  /** Requests that the rules of the contract alone do not make. */
  const bodies: Readonly<Record<string, object>> = {
    AuthorizeLegacySignIn: {
      accountId: nobody,
      clientVersion: '2.3',
      platform: 'PLATFORM_IOS',
      ipAddress: '192.0.2.1',
    },
  };

  /** The reason of a refusal; '' where it was let in and done, or goes on. */
  async function call(rpc: Rpc, headers: Record<string, string>): Promise<string> {
    const body = JSON.stringify(bodies[rpc.method.name] ?? goodRequest(rpc.method.input));
    const leave = new AbortController();
    const answer = await fetch(url + rpc.path, {
      method: 'POST',
      headers: { 'content-type': isStream(rpc) ? 'application/connect+json' : 'application/json', ...headers },
      body: isStream(rpc) ? encodeEnvelope(0, Buffer.from(body)) : body,
      signal: leave.signal,
    });
    if (!isStream(rpc)) return errorOf(await answer.text()).reason;
    const first = Buffer.from((await answer.body?.getReader().read())?.value ?? []);
    leave.abort();
    return first[0] === 2 ? errorOf(JSON.stringify(JSON.parse(first.subarray(5).toString()).error ?? {})).reason : '';
  }

  /** The records of a call, as they are kept and as they are listed. */
  async function recordsOf(requestId: string) {
    const rows = await server.query('select * from audit_record where request_id = $1', [requestId]);
    const { auditRecords } = await server.service.support.listAuditRecords({ pageSize: 100 });
    const listed = auditRecords.filter((record) => record.requestId === requestId);
    const plain = ({ $typeName: _, time: __, ...record }: AuditRecord) => record;
    expect(listed.map(plain)).toEqual(
      rows.map((row) => ({
        recordId: row['record_id'],
        caller: row['caller'],
        rpc: row['rpc'],
        accountId: row['account_id'],
        ipAddress: row['ip_address'],
        outcome: row['outcome'],
        details: row['details'],
        requestId,
      })),
    );
    return listed;
  }

  async function outcomeOf(rpc: Rpc, headers: Record<string, string>) {
    const requestId = randomUUID();
    const reason = await call(rpc, { ...headers, 'x-request-id': requestId });
    return { requestId, reason, records: await recordsOf(requestId) };
  }

  describe.each(named(internalRpcs))('%s', (_, rpc) => {
    const scope = scopeOf(rpc.method);
    const audited = !unaudited.includes(rpc.method.name);
    const name = `${rpc.method.parent.name}.${rpc.method.name}`;

    test.each([
      ['no token', {}],
      ['a wrong token', { authorization: 'Bearer a-token-that-nobody-knows' }],
      ['an empty token', { authorization: 'Bearer ' }],
      ['another scheme', { authorization: 'Basic dGVzdA==' }],
      ['a certificate of nobody', { 'x-test-certificate': 'spiffe://example.org/nobody,example.org' }],
      [
        'a wrong token beside the right certificate',
        { authorization: 'Bearer a-token-that-nobody-knows', 'x-test-certificate': `spiffe://example.org/${scope}` },
      ],
      [
        'another scheme beside the right certificate',
        { authorization: 'Basic dGVzdA==', 'x-test-certificate': `spiffe://example.org/${scope}` },
      ],
    ])('%s: refused, and only in the log', async (_, headers) => {
      const { reason, records, requestId } = await outcomeOf(rpc, headers);
      expect(reason).toBe('SERVICE_TOKEN_INVALID');
      expect(records).toEqual([]);
      const line = log.map((text) => JSON.parse(text)).find((each) => each.requestId === requestId);
      expect(line).toMatchObject({ reason: 'SERVICE_TOKEN_INVALID', status: 'Unauthenticated' });
    });

    test.each(
      scopes.flatMap(
        (each) =>
          [
            ['token', each, `token-of-${each}`, { authorization: `Bearer secret-of-${each}` }],
            [
              'certificate',
              each,
              `spiffe://example.org/${each}`,
              { 'x-test-certificate': `example.org,spiffe://example.org/${each}` },
            ],
          ] as const,
      ),
    )('a %s of the scope %s', async (_, of, caller, headers) => {
      const { reason, records } = await outcomeOf(rpc, headers);
      if (of !== scope) expect(reason).toBe('SCOPE_MISSING');
      else expect(['SERVICE_TOKEN_INVALID', 'SCOPE_MISSING', 'REQUEST_INVALID', 'INTERNAL']).not.toContain(reason);
      const record = { caller, rpc: name, outcome: reason || 'OK', ipAddress: '127.0.0.1' };
      expect(records).toEqual(audited ? [expect.objectContaining(record)] : []);
    });
  });
});

test('a caller is who its certificate says over TLS, and its record says so', async () => {
  const [ours, theirs] = [createAuthority(), createAuthority()];
  const own = ours.issue(thisMachine);
  const at = (name: string) => join(folder, name);
  await Promise.all([writeFile(at('cert'), own.cert), writeFile(at('key'), own.key), writeFile(at('ca'), theirs.cert)]);
  const one = await startTestServer({
    COUNTERSIGN_SERVICE_TOKENS: 'spiffe://example.org/desk:support:certificate',
    COUNTERSIGN_INTERNAL_TLS_CERT: at('cert'),
    COUNTERSIGN_INTERNAL_TLS_KEY: at('key'),
    COUNTERSIGN_INTERNAL_CLIENT_CA: at('ca'),
  });
  onTestFinished(() => one.stop());
  const clientOf = (names: { dns?: string[]; uris?: string[] }) => {
    const nodeOptions = { ca: ours.cert, ...theirs.issue(names) };
    const transport = createGrpcTransport({ baseUrl: one.internalUrl, interceptors: [typedErrors], nodeOptions });
    return { support: createClient(Support, transport), accounts: createClient(Accounts, transport) };
  };
  const desk = clientOf({ dns: ['desk.example.org'], uris: ['spiffe://example.org/desk'] });
  const unknown = { account: { case: 'accountId', value: nobody } } as const;
  expect((await refusal(desk.support.getAccountSecurity(unknown))).reason).toBe('ACCOUNT_UNKNOWN');
  expect((await refusal(desk.accounts.deleteAccount({ accountId: nobody }))).reason).toBe('SCOPE_MISSING');
  const wrong = { headers: { authorization: 'Bearer a-token-that-nobody-knows' } };
  expect((await refusal(desk.support.getAccountSecurity(unknown, wrong))).reason).toBe('SERVICE_TOKEN_INVALID');
  const stranger = clientOf({ uris: ['spiffe://example.org/desk/2'] });
  expect((await refusal(stranger.support.listAuditRecords({}))).reason).toBe('SERVICE_TOKEN_INVALID');
  const { auditRecords } = await desk.support.listAuditRecords({});
  expect(auditRecords.map(({ caller, rpc, outcome }) => [caller, rpc, outcome])).toEqual([
    ['spiffe://example.org/desk', 'Accounts.DeleteAccount', 'SCOPE_MISSING'],
    ['spiffe://example.org/desk', 'Support.GetAccountSecurity', 'ACCOUNT_UNKNOWN'],
  ]);
});
