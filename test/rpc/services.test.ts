// Who may call what on the internal listener, by token and by certificate, what each call leaves in the audit records, and callers
// that come and go while the server runs.

import { randomUUID } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code, createClient } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { typedErrors } from '../../clients/errors.ts';
import { createServiceClient, type ServiceClient } from '../../clients/service/client.ts';
import { Accounts } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import type { AuditRecord } from '../../gen/countersign/internal/v1/audit_record_pb.ts';
import { Sessions, type WatchRevocationsResponseSchema } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { Support } from '../../gen/countersign/internal/v1/support_pb.ts';
import { createLog } from '../../server/platform/log.ts';
import {
  hashServiceToken,
  parseServiceTokens,
  type ServiceGrants,
  scopes,
} from '../../server/platform/service-tokens.ts';
import { createTelemetry } from '../../server/platform/telemetry.ts';
import { openWatchedFile } from '../../server/platform/watched-file.ts';
import { scopeOf } from '../../server/rpc/access.ts';
import { peerContext } from '../../server/rpc/call.ts';
import { toConnectError } from '../../server/rpc/errors.ts';
import type { Exchange } from '../../server/rpc/exchange.ts';
import { createRequestHandler } from '../../server/rpc/handler.ts';
import { createServingState } from '../../server/rpc/health.ts';
import { internalInterceptors } from '../../server/rpc/interceptors.ts';
import { listen } from '../../server/rpc/listener.ts';
import { internalRoutes } from '../../server/rpc/routes.ts';
import { createAuthority, thisMachine } from '../support/certificate.ts';
import { goodRequest, internalRpcs, isStream, named, nobody, type Rpc } from '../support/contract.ts';
import { eventually } from '../support/eventually.ts';
import { errorOf } from '../support/plain-calls.ts';
import { refusal } from '../support/refusal.ts';
import { startTestServer, type TestServer, testConfig } from '../support/server.ts';
import { serve } from './serve.ts';

const hex = (token: string) => Buffer.from(hashServiceToken(token)).toString('hex');
const grantsOf = (...lines: readonly string[]) => parseServiceTokens(lines.join('\n'));

let server: TestServer;
let folder: string;
beforeAll(async () => {
  [server, folder] = await Promise.all([startTestServer(), mkdtemp(join(tmpdir(), 'countersign-services-'))]);
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What a connection would know of a verified client certificate, said by a header: TLS is the listener's. */
const peerWithCertificate = (exchange: Exchange) =>
  peerContext({
    address: exchange.peerAddress,
    certificateNames: [exchange.headers['x-test-certificate'] ?? []].flat().flatMap((names) => names.split(',')),
    cut: () => exchange.cut(),
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

const long: MessageInitShape<typeof WatchRevocationsResponseSchema> = {
  event: { case: 'revocation', value: { accountId: 'x'.repeat(100_000) } },
};

describe('an open stream', () => {
  let lines: readonly string[];
  let changed: () => void;
  const services: ServiceGrants = {
    current: () => grantsOf(...lines),
    onChange: (listener) => {
      changed = listener;
    },
  };
  const change = (...to: readonly string[]) => {
    lines = to;
    changed();
  };
  const router = `router:sessions:${hex('router-one')}`;
  const second = `router:sessions:${hex('router-two')}`;
  const byCertificate = 'spiffe://example.org/router:sessions:certificate';

  /** A service that streams, behind what stands before every internal call. `ended` says how often a stream was. */
  async function serveStreams(first: readonly string[], messages = 0) {
    lines = first;
    const log: string[] = [];
    const logger = createLog('info', { write: (line) => log.push(line) });
    const ended: number[] = [];
    let opened = 0;
    const { url } = await serve({
      routes: (to) =>
        to.service(Sessions, {
          async *watchRevocations(_, { signal }) {
            const id = ++opened;
            try {
              yield { event: { case: 'caughtUp', value: {} } };
              for (let at = 0; at < messages; at++) yield long;
              await new Promise((resolve) => signal.addEventListener('abort', resolve));
            } finally {
              ended.push(id);
            }
          },
        }),
      interceptors: internalInterceptors({ log: logger, services, audit: server.app.deps }),
      toConnectError: (thrown) => toConnectError(thrown),
      contextValues: peerWithCertificate,
    });
    const transport = createGrpcTransport({ baseUrl: url, interceptors: [typedErrors] });
    /** What comes after the first event. */
    const open = async (headers: Record<string, string>) => {
      const stream = createClient(Sessions, transport).watchRevocations({}, { headers });
      const events = stream[Symbol.asyncIterator]();
      expect((await events.next()).value?.event.case).toBe('caughtUp');
      const next = events.next();
      next.catch(() => {});
      return { next };
    };
    return { url, open, ended, log };
  }

  const bearer = (token: string) => ({ authorization: `Bearer ${token}`, 'x-request-id': token });
  const certificate = { 'x-test-certificate': 'spiffe://example.org/router' };
  const other = `billing:sessions:${hex('billing')}`;

  test('ends when its token is taken out or loses the scope, or its certificate’s name does, while others go on', async () => {
    const { open, ended, log } = await serveStreams([router, second, other, byCertificate]);
    const one = await open(bearer('router-one'));
    const two = await open(bearer('router-two'));
    const three = await open(bearer('billing'));
    const four = await open(certificate);

    change(second, other, byCertificate, '# the same in another order, with a new one', `new:support:${hex('new')}`);
    expect(await refusal(one.next)).toMatchObject({ code: Code.Unauthenticated, reason: 'SERVICE_TOKEN_INVALID' });
    await eventually(10_000, () => expect(ended).toEqual([1]));

    change(second.replace('sessions', 'accounts'), other, byCertificate);
    expect(await refusal(two.next)).toMatchObject({ code: Code.PermissionDenied, reason: 'SCOPE_MISSING' });
    await eventually(10_000, () => expect(ended).toEqual([1, 2]));

    change(other);
    expect(await refusal(four.next)).toMatchObject({ code: Code.Unauthenticated, reason: 'SERVICE_TOKEN_INVALID' });
    await eventually(10_000, () => expect(ended).toEqual([1, 2, 4]));

    change(other.replace('billing', 'renamed'));
    const open3 = Promise.race([
      three.next.then(() => 'ended'),
      new Promise((resolve) => setTimeout(resolve, 200, 'open')),
    ]);
    expect(await open3).toBe('open');
    change(router);
    expect(await refusal(three.next)).toMatchObject({ reason: 'SERVICE_TOKEN_INVALID' });
    const told = log.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'an open stream is ended');
    expect(told.map(({ service, reason }) => [service, reason])).toEqual([
      ['router', 'SERVICE_TOKEN_INVALID'],
      ['router', 'SCOPE_MISSING'],
      ['spiffe://example.org/router', 'SERVICE_TOKEN_INVALID'],
      ['billing', 'SERVICE_TOKEN_INVALID'],
    ]);
    expect(told[0]).toMatchObject({
      rpc: 'countersign.internal.v1.Sessions/WatchRevocations',
      requestId: 'router-one',
    });
  });

  test('of a client that does not read is cut', async () => {
    const { url, ended } = await serveStreams([router], 100);
    const session = connect(url, { settings: { initialWindowSize: 0 } });
    onTestFinished(() => session.destroy());
    const stream = session.request({
      ':method': 'POST',
      ':path': '/countersign.internal.v1.Sessions/WatchRevocations',
      'content-type': 'application/grpc+proto',
      authorization: 'Bearer router-one',
    });
    const closed = new Promise((resolve) => stream.once('close', () => resolve(undefined)));
    stream.on('error', () => {});
    stream.end(encodeEnvelope(0, new Uint8Array()));
    // Its head has come, and nothing of its body can: the stream waits until it is read.
    await new Promise((resolve) => stream.once('response', resolve));
    change(second);
    await closed;
    await eventually(10_000, () => expect(ended).toEqual([1]));
  });

  test('that ended by itself is forgotten: a later change finds nothing to end', async () => {
    const { url, ended, log } = await serveStreams([router]);
    const leave = new AbortController();
    const transport = createGrpcTransport({ baseUrl: url });
    const stream = createClient(Sessions, transport).watchRevocations(
      {},
      { headers: bearer('router-one'), signal: leave.signal },
    );
    await stream[Symbol.asyncIterator]().next();
    leave.abort();
    await eventually(10_000, () => expect(ended).toEqual([1]));
    change(second);
    expect(log.filter((line) => line.includes('an open stream is ended'))).toEqual([]);
  });
});

describe('callers in a file', () => {
  let path: string;
  let server: TestServer;
  const write = async (...lines: readonly string[]) => {
    await writeFile(`${path}.next`, lines.join('\n'));
    await rename(`${path}.next`, path);
  };
  const clientOf = (serviceToken: string): ServiceClient =>
    createServiceClient({ baseUrl: server.internalUrl, serviceToken, timeoutMs: 20_000 });
  const ask = (token: string) => clientOf(token).sessions.getSigningKeys({});
  const entry = (token: string) => `router:sessions:${hex(token)}`;

  beforeAll(async () => {
    path = join(folder, 'service-tokens');
    await write(entry('token-0'), entry('token-1'));
    server = await startTestServer({ COUNTERSIGN_SERVICE_TOKENS_FILE: path });
  });
  afterAll(() => server?.stop());

  test('change twenty times under load, tokens overlapping: none is refused, and the removed ones are', {
    timeout: 180_000,
  }, async () => {
    // The one in use, and the one that comes next, are in the file.
    let current = 1;
    let over = false;
    let calls = 0;
    const clients = new Map<number, ServiceClient>();
    const clientNow = () => {
      const known = clients.get(current) ?? clientOf(`token-${current}`);
      clients.set(current, known);
      return known;
    };
    const turns = Array.from({ length: 8 }, () => 0);
    const callers = turns.map(async (_, caller) => {
      while (!over) {
        const client = clientNow();
        await client.sessions.getSigningKeys({});
        calls += 1;
        turns[caller] = (turns[caller] ?? 0) + 1;
      }
    });
    const load = Promise.all(callers);
    load.catch(() => {});
    for (let at = 1; at <= 20; at++) {
      await write(entry(`token-${at}`), entry(`token-${at + 1}`));
      await eventually(20_000, () => ask(`token-${at + 1}`));
      await eventually(20_000, async () =>
        expect((await refusal(ask(`token-${at - 1}`))).reason).toBe('SERVICE_TOKEN_INVALID'),
      );
      current = at + 1;
      // No call with the token before is on its way when that one is taken out.
      const before = [...turns];
      await Promise.race([
        load,
        eventually(20_000, () => expect(turns.every((turn, caller) => turn > (before[caller] ?? 0) + 1)).toBe(true)),
      ]);
    }
    over = true;
    await load;
    expect(calls).toBeGreaterThan(20 * 8);
    for (let at = 0; at < 20; at++) expect((await refusal(ask(`token-${at}`))).reason).toBe('SERVICE_TOKEN_INVALID');
  });

  test('stay as they were while the file can not be used, which is logged once, without its content', async () => {
    await write(entry('good'));
    await eventually(20_000, () => ask('good'));
    await write(entry('other'), 'router:sessions:s3cret-word');
    const complaints = () => server.log.filter((line) => line.includes('a watched file is refused'));
    await eventually(20_000, () => expect(complaints()).toHaveLength(1));
    await ask('good');
    expect((await refusal(ask('other'))).reason).toBe('SERVICE_TOKEN_INVALID');
    expect(JSON.parse(complaints()[0] ?? '')).toMatchObject({
      level: 'error',
      setting: 'COUNTERSIGN_SERVICE_TOKENS_FILE',
      file: path,
      why: expect.stringMatching(/^line 2: it takes name:scope/),
    });
    expect(server.log.join('')).not.toContain('s3cret-word');
    await rm(path);
    await eventually(20_000, () => expect(complaints()).toHaveLength(2));
    await ask('good');
    await write(entry('better'));
    await eventually(20_000, () => ask('better'));
    expect((await refusal(ask('good'))).reason).toBe('SERVICE_TOKEN_INVALID');
  });

  test('an open stream ends when its token is taken out of the file', async () => {
    await write(entry('watching'), entry('staying'));
    const file = await openWatchedFile({
      path,
      parse: (content) => parseServiceTokens(content.toString()),
      log: createLog('silent'),
      name: 'COUNTERSIGN_SERVICE_TOKENS_FILE',
    });
    onTestFinished(() => file.close());
    const { url } = await serve({
      routes: (to) =>
        to.service(Sessions, {
          async *watchRevocations(_, { signal }) {
            while (!signal.aborted) {
              yield { event: { case: 'keepAlive', value: {} } };
              await new Promise((resolve) => setTimeout(resolve, 20));
            }
          },
        }),
      interceptors: internalInterceptors({ log: createLog('silent'), services: file, audit: server.app.deps }),
      toConnectError: (thrown) => toConnectError(thrown),
      contextValues: peerWithCertificate,
    });
    const watch = async (token: string) => {
      const transport = createGrpcTransport({ baseUrl: url, interceptors: [typedErrors] });
      let count = 0;
      const headers = { authorization: `Bearer ${token}` };
      const over = (async () => {
        for await (const _ of createClient(Sessions, transport).watchRevocations({}, { headers })) count += 1;
      })();
      over.catch(() => {});
      await eventually(10_000, () => expect(count).toBeGreaterThan(2));
      return { over, count: () => count };
    };
    const one = await watch('watching');
    const two = await watch('staying');
    await write(entry('staying'));
    expect((await refusal(one.over)).reason).toBe('SERVICE_TOKEN_INVALID');
    const then = two.count();
    await eventually(10_000, () => expect(two.count()).toBeGreaterThan(then + 2));
  });
});
