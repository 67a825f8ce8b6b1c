// The whole story through the edge, over three replicas that are processes of their own and tell each other over Redis, where that
// may be: in every protocol, by clients of different make.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { bufCurl } from '../story/buf-curl.ts';
import type { Trust } from '../story/driver.ts';
import { drivers } from '../story/drivers.ts';
import { type Scene, story } from '../story/story.ts';
import { type Edge, hasHaproxy, startEdge } from '../support/edge.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { detailsContract, hasPython, makePython } from '../support/generated-callers.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { productionEnv, programs, type ServerProgram } from '../support/processes.ts';
import { ensureRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { iphone, serviceToken } from '../support/server.ts';
import { gate, send } from './http.ts';

const hasIt = await hasHaproxy();
const python = hasIt && (await hasPython());
const root = join(import.meta.dirname, '../..');
const { serve } = programs();
let database: TestDatabase;
let mail: MailServer;
let redis: RedisServer | undefined;
let replicas: readonly ServerProgram[] = [];
let edge: Edge;
let trust: Trust;
let scene: Scene;

beforeAll(async () => {
  if (!hasIt) return;
  if (await ensureRedis()) redis = await startRedis();
  [database, mail] = await Promise.all([createDatabase(), startMailServer()]);
  const port = await freePort();
  const env = {
    ...productionEnv({ databaseUrl: database.url, smtpUrl: mail.url }),
    COUNTERSIGN_PUBLIC_URL: `https://127.0.0.1:${port}`,
    COUNTERSIGN_DATABASE_PATIENCE: '20s',
    ...(redis && { REDIS_URL: redis.url }),
  };
  replicas = await Promise.all([serve(env), serve(env), serve(env)]);
  edge = (await startEdge({
    replicas: replicas.map(({ publicUrl }) => publicUrl),
    env: { COUNTERSIGN_EDGE_ADDRESS: `127.0.0.1:${port}` },
  })) as Edge;
  trust = { path: edge.caPath, pem: edge.ca };
  // What Node's fetch trusts.
  tls.setDefaultCACertificates([edge.ca]);
  const [one] = replicas;
  let accounts = 0;
  scene = {
    publicUrl: edge.url,
    internalUrl: one?.internalUrl ?? '',
    serviceToken,
    mail,
    createAccount: async () => {
      const email = `anna${++accounts}@example.com`;
      const password = `correct horse ${accounts}`;
      const { account } = await (one as ServerProgram).service.accounts.createAccount({ email, password });
      return { accountId: account?.accountId ?? '', email, password };
    },
  };
}, 120_000);
afterAll(async () => {
  await edge?.stop();
  await Promise.all(replicas.map((replica) => replica.kill()));
  await mail?.stop();
  await redis?.discard();
  await database?.drop();
});

// buf curl is a process a call, which takes a minute for the whole of it.
const wholeStory = Object.entries(drivers).filter(([, create]) => create !== bufCurl);

describe.skipIf(!hasIt)('through the edge', () => {
  test.each(wholeStory)('the whole story of an account: %s', { timeout: 120_000 }, async (_name, create) => {
    const driver = create(trust);
    onTestFinished(() => driver.close());
    await story(driver, scene);
  });

  test('buf curl, by the contract', { timeout: 120_000 }, async () => {
    const driver = bufCurl(trust);
    const call = { service: 'countersign.v1.TwoStepAuth', method: 'GetSettings', request: {}, headers: gate };
    expect(await driver.call(edge.url, call)).toMatchObject({
      refused: { code: 'unauthenticated', reason: 'SESSION_INVALID', minimumVersion: '2.3' },
    });
    const health = { service: 'grpc.health.v1.Health', method: 'Check', request: {}, headers: {} };
    expect(await driver.call(edge.url, health)).toEqual({ ok: { status: 'SERVING' } });
  });

  test('every replica took its part', () => {
    for (const { publicUrl } of replicas)
      expect(edge.log()).toMatch(new RegExp(`"replica":"[a-z-]+/${new URL(publicUrl).host}"`));
  });

  test('the pages behind the links of mails', async () => {
    const { email, password } = await scene.createAccount();
    const signIn = await edge.appClient().twoStepAuth.signIn({ email, password, device: iphone });
    expect(signIn.result.case).toBe('challengeGrant');
    await mail.codeFor(email);
    const link =
      /https:\/\/\S+\/deny\?token=[^\s"<]+/.exec(mail.mails.find(({ to }) => to === email)?.text ?? '')?.[0] ?? '';
    expect(new URL(link).origin).toBe(edge.url);
    const page = await fetch(link);
    expect([page.status, page.headers.get('content-security-policy')]).toEqual([
      200,
      expect.stringContaining("default-src 'none'"),
    ]);
    expect(await page.text()).toContain('<form method="post"');
    const token = new URL(link).searchParams.get('token') ?? '';
    const done = await fetch(link, { method: 'POST', body: new URLSearchParams({ token }) });
    expect(done.status).toBe(200);
    expect(edge.log()).not.toContain(token);
    expect((await send(edge, { ':path': '/.well-known/jwks.json', ':method': 'GET' }, '')).body).toContain(
      '"crv":"Ed25519"',
    );
  });

  test('the login activity shows where a client is, whatever it claims', async () => {
    const account = await scene.createAccount();
    const client = edge.appClient({ localAddress: '127.0.0.77' });
    const claims = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9', 'x-real-ip': '203.0.113.9' };
    const { result } = await client.twoStepAuth.signIn({ ...account, device: iphone }, { headers: claims });
    if (result.case !== 'challengeGrant') throw new Error('no challenge');
    const { challengeToken } = result.value;
    const code = await mail.codeFor(account.email);
    const { session } = await client.twoStepAuth.verifyCode({ challengeToken, code }, { headers: claims });
    if (session === undefined) throw new Error('no session');
    client.useSession(session);
    const { events } = await client.loginActivity.listLoginActivity({});
    expect(events.map(({ ipAddress }) => ipAddress)).toEqual(['127.0.0.77', '127.0.0.77']);
  });

  test.skipIf(!python)("Python's grpcio", { timeout: 120_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'countersign-python-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const own = (await readdir(join(root, 'proto/countersign/v1'))).map((name) => `countersign/v1/${name}`);
    const command = await makePython('test/callers/sign_in.py', [...own, ...detailsContract], folder);
    const { email, password } = await scene.createAccount();
    const [file = '', ...more] = command;
    const caller = spawn(file, [...more, `127.0.0.1:${edge.port}`], {
      cwd: root,
      env: { PATH: '/usr/bin:/bin', CA: edge.caPath, EMAIL: email, PASSWORD: password },
    });
    onTestFinished(() => void caller.kill('SIGKILL'));
    let said = '';
    for (const stream of [caller.stdout, caller.stderr]) stream.on('data', (piece) => (said += piece));
    const exit = once(caller, 'close');
    await eventually(60_000, () => expect(said).toContain('challenge\n'));
    caller.stdin.end(`${await mail.codeFor(email)}\n`);
    await exit;
    expect(said.split('\n')).toEqual([
      'old FAILED_PRECONDITION CLIENT_VERSION_UNSUPPORTED 2.3',
      'challenge',
      'signed in from 127.0.0.1',
      'hears keep_alive',
      'inside UNIMPLEMENTED METHOD_UNKNOWN 2.3',
      '',
    ]);
  });
});
