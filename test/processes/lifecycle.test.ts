// The life of a server, as an operator and a developer see it: exit codes, words, signals, a second start.

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAppClient } from '../../clients/app/client.ts';
import { CountersignError } from '../../clients/errors.ts';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { startEmbeddedPostgres } from '../../server/development/embedded-postgres.ts';
import { eventually } from '../support/eventually.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { productionEnv, programs, type ServerProgram } from '../support/processes.ts';
import { refusal } from '../support/refusal.ts';
import { iphone } from '../support/server.ts';

const { start, serve, endOf } = programs();
let database: TestDatabase;
let mail: MailServer;

beforeAll(async () => {
  [database, mail] = await Promise.all([createDatabase(), startMailServer()]);
});
afterAll(async () => {
  await mail.stop();
  await database.drop();
});

const env = () => productionEnv({ databaseUrl: database.url, smtpUrl: mail.url });

describe('a stop', () => {
  let at = 0;

  /** A server with a challenge that can be answered. */
  async function withChallenge(): Promise<{ server: ServerProgram; accountId: string; challengeToken: string }> {
    const server = await serve(env());
    at += 1;
    const email = `stop${at}@example.com`;
    const password = 'correct horse battery';
    const { account } = await server.service.accounts.createAccount({ email, password });
    const { result } = await server.appClient().twoStepAuth.signIn({ email, password, device: iphone });
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    await mail.waitFor(email);
    return { server, accountId: account?.accountId ?? '', challengeToken: result.value.challengeToken };
  }

  /** A call whose body never ends, as one from a device that lost its network. */
  async function hangingCall(server: ServerProgram): Promise<Socket> {
    const { port } = new URL(server.publicUrl);
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(
      'POST /countersign.v1.TwoStepAuth/SignIn HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n' +
        'countersign-client-version: 2.3\r\ncountersign-client-platform: ios\r\ncontent-length: 100\r\n\r\n{',
    );
    // Another call on another connection is answered after it: the first was seen.
    await refusal(server.appClient().twoStepAuth.getChallenge({ challengeToken: 'x' }));
    return socket;
  }

  test('lets an open call finish, takes no new one, and ends with 0', async () => {
    const { server, accountId, challengeToken } = await withChallenge();
    const db = new pg.Client({ connectionString: database.url });
    await db.connect();
    try {
      await db.query('begin');
      await db.query('select from account where account_id = $1 for update', [accountId]);
      const open = refusal(server.appClient().twoStepAuth.verifyCode({ challengeToken, code: '000000' }));
      await eventually(1_000, async () => {
        const { rowCount } = await db.query(
          `select from pg_stat_activity where application_name = 'countersign' and wait_event_type = 'Lock'`,
        );
        expect(rowCount).toBe(1);
      });
      server.signal('SIGTERM');
      await eventually(1_000, async () => {
        const { code, message } = await refusal(server.appClient().twoStepAuth.getChallenge({ challengeToken }));
        expect({ code, message }).toMatchObject({ message: expect.stringContaining('ECONNREFUSED') });
      });
      await db.query('rollback');
      expect((await open).reason).toBe('CODE_INCORRECT');
      expect(await server.exit).toEqual({ code: 0, signal: null });
      expect(server.stderr()).toBe('');
    } finally {
      await db.end();
    }
  });

  test('says so at once, and for its drain delay takes calls, connections and streams as before', async () => {
    const server = await serve({ ...env(), COUNTERSIGN_DRAIN_DELAY: '3s' });
    const health = (url: string) => createClient(Health, createGrpcTransport({ baseUrl: url }));
    const watches = await Promise.all(
      [server.publicUrl, server.internalUrl].map(async (url) => {
        const watch = health(url).watch({})[Symbol.asyncIterator]();
        expect((await watch.next()).value?.status).toBe(Status.SERVING);
        return watch;
      }),
    );
    const keptOpen = server.service;
    const signalled = performance.now();
    server.signal('SIGTERM');
    for (const watch of watches) expect((await watch.next()).value?.status).toBe(Status.NOT_SERVING);
    const ends = watches.map((watch) =>
      refusal(watch.next().catch((error) => Promise.reject(new CountersignError(error)))),
    );
    const late = health(server.publicUrl).watch({})[Symbol.asyncIterator]();
    expect((await late.next()).value?.status).toBe(Status.NOT_SERVING);
    let taken = 0;
    for (;;) {
      // An open connection, and new ones.
      const calls = [
        keptOpen.sessions.getSigningKeys({}),
        ...[server.publicUrl, server.internalUrl].map((url) => health(url).check({})),
      ];
      const answers = await Promise.allSettled(calls);
      if (answers.some(({ status }) => status === 'rejected')) break;
      taken += 1;
    }
    expect(taken).toBeGreaterThan(1);
    expect(performance.now() - signalled).toBeGreaterThan(2_900);
    for (const { code, reason, retryAfter } of await Promise.all(ends)) {
      expect({ code, reason, retryAfter }).toEqual({
        code: Code.Unavailable,
        reason: 'DEPENDENCY_UNAVAILABLE',
        retryAfter: 500,
      });
    }
    expect(await server.exit).toEqual({ code: 0, signal: null });
    expect(performance.now() - signalled).toBeLessThan(10_000);
    expect(server.stderr()).toBe('');
  });

  test('ends with 0 within 10 s, although a call hangs', async () => {
    const { server } = await withChallenge();
    const socket = await hangingCall(server);
    const stopped = performance.now();
    server.signal('SIGTERM');
    expect(await server.exit).toEqual({ code: 0, signal: null });
    const ms = performance.now() - stopped;
    // It was waited for.
    expect(ms).toBeGreaterThan(5_000);
    expect(ms).toBeLessThan(10_000);
    socket.destroy();
  });

  test('ends at once at the second signal', async () => {
    const { server } = await withChallenge();
    const socket = await hangingCall(server);
    server.signal('SIGTERM');
    await server.waitFor((stdout) => (stdout.includes('"stopping"') ? true : undefined));
    const second = performance.now();
    server.signal('SIGINT');
    expect(await server.exit).toEqual({ code: 1, signal: null });
    expect(performance.now() - second).toBeLessThan(1_000);
    socket.destroy();
  });
});

describe('development mode', () => {
  let dataDir: string;

  beforeAll(async () => {
    dataDir = await realpath(await mkdtemp(join(tmpdir(), 'countersign-lifecycle-')));
    // As root, PostgreSQL runs as another user, who must get in.
    await chmod(dataDir, 0o755);
  });
  afterAll(async () => {
    // Whatever a failed test left running is adopted, and stopped.
    if (existsSync(lockFile())) {
      const left = await startEmbeddedPostgres({ dataDir: join(dataDir, 'postgres'), log: pino({ level: 'silent' }) });
      await left.stop();
    }
    await rm(dataDir, { recursive: true, force: true });
  });

  /** There while PostgreSQL runs. */
  const lockFile = () => join(dataDir, 'postgres', 'postgres', 'cluster', 'postmaster.pid');

  const settings = (): Record<string, string> => ({
    COUNTERSIGN_DATA_DIR: dataDir,
    COUNTERSIGN_PUBLIC_ADDRESS: '127.0.0.1:0',
    COUNTERSIGN_INTERNAL_ADDRESS: '127.0.0.1:0',
    COUNTERSIGN_MAILBOX_ADDRESS: '127.0.0.1:0',
    COUNTERSIGN_MAILBOX_SMTP_ADDRESS: '127.0.0.1:0',
  });

  /** What a start prints for a person, by its name. */
  function introduced(stdout: string): Readonly<Record<string, string>> | undefined {
    if (!stdout.includes('Ctrl+C stops it.')) return undefined;
    return Object.fromEntries(
      [...stdout.matchAll(/^ {2}(\w[\w ]*?) {2,}(\S+)$/gm)].map((match) => [match[1], match[2]]),
    );
  }

  const clientOf = (baseUrl = '') =>
    createAppClient({
      transport: (needs) => createConnectTransport({ baseUrl, httpVersion: '1.1', ...needs }),
      clientVersion: '2.3',
      platform: 'ios',
    });

  test('prints what is needed to sign in, and keeps it and its data over a kill', { timeout: 120_000 }, async () => {
    const first = start(settings());
    const printed = await first.waitFor(introduced);
    expect(existsSync(lockFile())).toBe(true);
    expect(printed).toEqual({
      'public API': expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      'internal API': expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      mailbox: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      'service token': expect.any(String),
      'demo account': 'demo@example.com',
      'demo password': expect.any(String),
      data: dataDir,
    });
    const demo = { email: printed['demo account'] ?? '', password: printed['demo password'] ?? '', device: iphone };
    const client = clientOf(printed['public API']);
    const { result } = await client.twoStepAuth.signIn(demo);
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const code = await eventually(5_000, async () => {
      const mails = (await (await fetch(`${printed['mailbox']}/api/email`)).json()) as { text: string }[];
      const found = /^\s*(\d{6})\s*$/m.exec(mails.at(-1)?.text ?? '')?.[1];
      expect(found).toBeDefined();
      return found ?? '';
    });
    const { session } = await client.twoStepAuth.verifyCode({ challengeToken: result.value.challengeToken, code });

    await first.kill();
    const restarted = performance.now();
    const running = start(settings());
    const again = await running.waitFor(introduced);
    // Told, not held to a bound: other test files have the machine too.
    process.stdout.write(`development mode was back ${Math.round(performance.now() - restarted)} ms after its start\n`);
    expect(again['demo password']).toBe(demo.password);
    expect(again['service token']).toBe(printed['service token']);
    const known = await clientOf(again['public API']).twoStepAuth.signIn({
      ...demo,
      deviceToken: session?.deviceToken ?? '',
    });
    expect(known.result.case).toBe('session');

    running.signal('SIGINT');
    expect(await running.exit).toEqual({ code: 0, signal: null });
    expect(existsSync(lockFile())).toBe(false);
    expect(running.stderr()).toBe('');
  });

  test('has no demo account where accounts live elsewhere, and says where', { timeout: 120_000 }, async () => {
    const url = 'http://127.0.0.1:1';
    const program = start({ ...settings(), DATABASE_URL: database.url, COUNTERSIGN_DIRECTORY_URL: url });
    const printed = await program.waitFor(introduced);
    expect(printed['accounts']).toBe(url);
    expect(Object.keys(printed)).not.toContain('demo account');
    program.signal('SIGINT');
    expect(await program.exit).toEqual({ code: 0, signal: null });
  });

  test.each(['COUNTERSIGN_MAILBOX_ADDRESS', 'COUNTERSIGN_MAILBOX_SMTP_ADDRESS'])(
    '%s: a taken port is told in one line',
    async (name) => {
      const taken = createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      const address = taken.address();
      const port = typeof address === 'object' ? address?.port : 0;
      const { code, stderr } = await endOf({ ...settings(), DATABASE_URL: database.url, [name]: `127.0.0.1:${port}` });
      taken.close();
      expect(code).toBe(78);
      expect(stderr).toMatch(new RegExp(`^countersign: [^\\n]*${port}, which is taken[^\\n]*${name}[^\\n]*\\n$`));
    },
  );
});
