// Internal callers that come and go while the server runs: what becomes of their open streams, and of those in a file.

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
import { Sessions, type WatchRevocationsResponseSchema } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { createLog } from '../../server/platform/log.ts';
import { parseServiceTokens, type ServiceGrants } from '../../server/platform/service-tokens.ts';
import { openWatchedFile } from '../../server/platform/watched-file.ts';
import { toConnectError } from '../../server/rpc/errors.ts';
import { internalInterceptors } from '../../server/rpc/interceptors.ts';
import { eventually } from '../support/eventually.ts';
import { refusal } from '../support/refusal.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { serve } from './serve.ts';
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
