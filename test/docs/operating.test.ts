// The operating guide, held to what it says: its commands are run word for word, what it watches is there, its sizes are what the
// script makes of what was measured.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { assumptions, edgeTakes } from '../../bench/sizing-model.ts';
import type { AppClient } from '../../clients/app/client.ts';
import { Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { readEdgeConfig } from '../../server/config.ts';
import { ensureInstalled } from '../support/debian-packages.ts';
import { startDebianPostgres } from '../support/debian-postgres.ts';
import { hasHaproxy, startEdge } from '../support/edge.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { blocksOf, terminal } from '../support/pages.ts';
import { productionEnv, programs, type ServerProgram } from '../support/processes.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestServer } from '../support/server.ts';
import { parse } from '../support/telemetry.ts';

const execute = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const guide = await readFile(join(root, 'docs/operating.md'), 'utf8');

const binaries = '/usr/lib/postgresql/15/bin';
const hasEdge = await hasHaproxy();
const hasPostgres = await ensureInstalled([join(binaries, 'initdb'), join(binaries, 'pg_dump')], ['postgresql-15']);

// A dump is made by the programs of the server's own version: the embedded PostgreSQL has none.
describe.skipIf(!hasPostgres)('a restore to an earlier moment', () => {
  const { serve } = programs();
  let cluster: Awaited<ReturnType<typeof startDebianPostgres>>;
  let mail: MailServer;
  let folder: string;

  beforeAll(async () => {
    [cluster, mail] = await Promise.all([startDebianPostgres(15), startMailServer()]);
    folder = await mkdtemp(join(tmpdir(), 'countersign-restore-'));
    await symlink(join(root, 'deploy'), join(folder, 'deploy'));
  }, 120_000);
  afterAll(async () => {
    await mail.stop();
    await cluster.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const newDatabase = async (name: string) => {
    const admin = new pg.Client({ connectionString: cluster.url });
    await admin.connect();
    await admin.query(`create database ${name}`);
    await admin.end();
    return Object.assign(new URL(cluster.url), { pathname: `/${name}` }).href;
  };
  const run = async (name: string, databaseUrl: string) => {
    const [block] = blocksOf(guide, `walk: ${name}`);
    const env = { PATH: `${binaries}:${process.env['PATH']}`, DATABASE_URL: databaseUrl };
    const shell = terminal(block ?? 'false', folder, env);
    expect(await shell.code, shell.output()).toBe(0);
  };

  const account = { email: 'anna@example.com', password: 'correct horse battery' };

  async function signInWithCode(app: AppClient, password = account.password) {
    const before = mail.codeMailsTo(account.email).length;
    const { result } = await app.twoStepAuth.signIn({ ...account, password, device: iphone });
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const { challengeToken } = result.value;
    const code = await mail.codeFor(account.email, before + 1);
    const { session } = await app.twoStepAuth.verifyCode({ challengeToken, code });
    if (session === undefined) throw new Error('no session');
    return session;
  }
  const bearer = ({ accessToken }: { readonly accessToken: string }) => ({
    headers: { authorization: `Bearer ${accessToken}` },
  });
  const stop = async (server: ServerProgram) => {
    server.signal('SIGTERM');
    expect((await server.exit).code).toBe(0);
  };

  test('by the commands of the guide lets nobody in without a new code, and keeps the accounts; without them a removed device is trusted again', {
    timeout: 180_000,
  }, async () => {
    const env = (databaseUrl: string) => productionEnv({ databaseUrl, smtpUrl: mail.url });
    const original = await newDatabase('original');
    const before = await serve(env(original));
    await before.service.accounts.createAccount(account);
    const app = before.appClient();
    const phone = await signInWithCode(app);
    const stolen = await signInWithCode(app);
    const { result } = await app.twoStepAuth.signIn({ ...account, device: iphone });
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const waiting = result.value;
    const code = await mail.codeFor(account.email, 3);
    await run('back up', original);
    await app.trustedDevices.removeTrustedDevice({ deviceId: stolen.deviceId }, bearer(phone));
    await stop(before);

    // Without the guide's commands a removed device is trusted again.
    const careless = await newDatabase('careless');
    await execute(join(binaries, 'pg_restore'), [`--dbname=${careless}`, join(folder, 'countersign.dump')]);
    const client = new pg.Client({ connectionString: careless });
    await client.connect();
    const count = async (sql: string) => (await client.query(sql)).rowCount;
    expect(await count('select from device where trust_end_time is null')).toBe(2);
    expect(await count('select from session where end_time is null')).toBe(2);
    await client.end();

    const restored = await newDatabase('restored');
    await run('restore', restored);
    const after = await serve(env(restored));
    const again = after.appClient();
    for (const { accessToken, refreshToken, deviceToken } of [phone, stolen]) {
      const settings = await refusal(again.twoStepAuth.getSettings({}, bearer({ accessToken })));
      expect(settings).toMatchObject({ reason: 'SESSION_INVALID', reasonMetadata: { cause: 'REVOKED' } });
      expect((await refusal(again.twoStepAuth.refreshSession({ refreshToken }))).reason).toBe('SESSION_INVALID');
      const mails = mail.codeMailsTo(account.email).length;
      const signIn = await again.twoStepAuth.signIn({ ...account, device: iphone, deviceToken });
      if (signIn.result.case !== 'challengeGrant') throw new Error(`no challenge but ${signIn.result.case}`);
      // To no device: none is trusted.
      expect(signIn.result.value.challenge?.defaultChannel).toBe(Channel.EMAIL);
      await mail.codeFor(account.email, mails + 1);
    }
    const closed = await refusal(again.twoStepAuth.verifyCode({ challengeToken: waiting.challengeToken, code }));
    expect(closed.reason).toBe('CHALLENGE_CLOSED');
    const told = new Set<string>();
    for await (const { event } of after.service.sessions.watchRevocations({}, { timeoutMs: 20_000 })) {
      if (event.case === 'revocation') told.add(event.value.sessionId);
      if (event.case === 'caughtUp') break;
    }
    expect(told).toEqual(new Set([phone.sessionId, stolen.sessionId]));

    const fresh = await signInWithCode(again);
    const { trustedDevices } = await again.trustedDevices.listTrustedDevices({}, bearer(fresh));
    expect(trustedDevices.map(({ deviceId }) => deviceId)).toEqual([fresh.deviceId]);
    const { events } = await again.loginActivity.listLoginActivity({}, bearer(fresh));
    expect(events.some(({ device }) => device?.model === iphone.model)).toBe(true);
    expect(events.length).toBeGreaterThan(6);
    await stop(after);
  });

  test('under first_device keeps everybody out until the guide’s statement opens the mailbox for one device', {
    timeout: 180_000,
  }, async () => {
    const env = (databaseUrl: string) => ({
      ...productionEnv({ databaseUrl, smtpUrl: mail.url }),
      COUNTERSIGN_EMAIL_CODES: 'first_device',
    });
    const original = await newDatabase('first_device');
    const before = await serve(env(original));
    await before.service.accounts.createAccount(account);
    const phone = await signInWithCode(before.appClient());
    await run('back up', original);
    await stop(before);

    const restored = await newDatabase('first_device_restored');
    await run('restore', restored);
    const after = await serve(env(restored));
    const again = after.appClient();
    const { deviceToken } = phone;
    for (const token of ['', deviceToken]) {
      const refused = await refusal(again.twoStepAuth.signIn({ ...account, device: iphone, deviceToken: token }));
      expect(refused.reason).toBe('CHANNEL_UNAVAILABLE');
    }
    await run('open the mailbox once', restored);
    const fresh = await signInWithCode(again);
    const { trustedDevices } = await again.trustedDevices.listTrustedDevices({}, bearer(fresh));
    expect(trustedDevices.map(({ deviceId }) => deviceId)).toEqual([fresh.deviceId]);
    const { result } = await again.twoStepAuth.signIn({ ...account, device: iphone, deviceToken });
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const { channels = [] } = result.value.challenge ?? {};
    const open = channels.filter(({ available }) => available).map(({ channel }) => channel);
    expect(open).toEqual([Channel.APP]);
    await stop(after);
  });
});

describe('what is watched', () => {
  let server: TestServer;
  let names: ReadonlySet<string>;
  let samples: ReturnType<typeof parse>['samples'];

  beforeAll(async () => {
    server = await startTestServer();
    await server.signInNewDevice(await server.createAccount());
    await refusal(
      server.appClient().twoStepAuth.signIn({ email: 'nobody@example.com', password: 'x', device: iphone }),
    );
    ({ samples } = parse(await (await fetch(`${server.internalUrl}/metrics`)).text()));
    names = new Set(samples.map(({ name }) => name));
  });
  afterAll(() => server.stop());

  const named = (of = /\b(countersign|nodejs|process)_[a-z0-9_]+\b/g) => [...new Set(guide.match(of))];

  test('is there, by the names of the guide', () => {
    expect(named().length).toBeGreaterThan(8);
    // Jobs are counted where there are any; their names are those of test/store/job-stats.test.ts.
    const counted = named().filter((name) => !name.startsWith('countersign_jobs_'));
    expect(counted.filter((name) => !names.has(name))).toEqual([]);
  });

  test.skipIf(!hasEdge)('is there at the edge, too', async () => {
    const edge = await startEdge({ replicas: [server.publicUrl] });
    onTestFinished(async () => edge?.stop());
    const metrics = await (await fetch(edge?.metricsUrl ?? '')).text();
    expect(named(/\bhaproxy_[a-z0-9_]+\b/g).length).toBeGreaterThan(4);
    for (const [selector, name = '', proxy = ''] of guide.matchAll(/\b(haproxy_[a-z0-9_]+)(?:\{proxy="(\w+)"\})?/g)) {
      const isThere = metrics.includes(proxy === '' ? `\n${name}{` : `\n${name}{proxy="${proxy}"`);
      expect([selector, isThere]).toEqual([selector, true]);
    }
  });

  test('has the calls and outcomes that the guide tells apart', () => {
    for (const [, label = '', values = ''] of guide.matchAll(/\b(rpc|status|outcome|channel)=~?"([\w./|\\]+)"/g)) {
      for (const value of values.replaceAll('\\|', '|').split('|')) {
        const seen = samples.some(({ labels }) => labels[label] === value);
        // What has not happened here is a code of Connect's.
        expect([label, value, seen || (label === 'status' && value in connectCodes)]).toEqual([label, value, true]);
      }
    }
  });
});

/** As Connect writes them. */
const connectCodes = { unavailable: 1, internal: 1, unknown: 1, invalid_argument: 1, unauthenticated: 1 };

describe('the sizes', () => {
  const sizing = (...args: string[]) => execute(process.execPath, ['bench/sizing.ts', ...args], { cwd: root });
  const cells = (page: string, row: string) => {
    const line = page.split('\n').find((each) => each.startsWith(`| ${row} |`)) ?? '';
    return line.split(' | ').map((cell) => cell.replace(/ \|$/, ''));
  };

  test('are those that the script computes from what was measured (npm run sizing)', async () => {
    const { stdout } = await sizing('--print');
    expect(await readFile(join(root, 'docs/sizing.md'), 'utf8')).toBe(stdout);
  });

  test('grow with the accounts and with what their users do', async () => {
    const cellsOf = async (...args: string[]) => {
      const { stdout } = await sizing('--accounts', '1e6,2e6', ...args);
      const [, one = '', two = ''] = cells(stdout, 'streams at the busiest minute');
      return [one, two];
    };
    const [one, two] = await cellsOf();
    expect(two).not.toBe(one);
    expect(await cellsOf('--minutesOpen', '8')).toEqual([two, expect.any(String)]);
  });

  test('of the edge are those of its setting, of what the README says that it takes, and of the guide', async () => {
    expect(readEdgeConfig({}).edge.connections).toBe(assumptions.connectionsAnEdge[0]);
    const { microsecondsACall, microsecondsAConnection, bytesAConnection } = edgeTakes;
    expect((await readFile(join(root, 'README.md'), 'utf8')).replaceAll('\n', ' ')).toContain(
      `${microsecondsACall} µs of CPU a call, ${microsecondsAConnection / 1000} ms for a connection with its TLS handshake and one call, ` +
        `and ${bytesAConnection / 1000} KB a connection`,
    );
    const [, most = ''] = /are ([\d,]+) accounts/.exec(guide.replaceAll('\n', ' ')) ?? [];
    const accounts = Number(most.replaceAll(',', ''));
    const { stdout } = await sizing('--accounts', `${accounts},${accounts * 1.01}`, '--spareEdges', '0');
    expect(cells(stdout, '**edges**').slice(1)).toEqual(['1', '2']);
  });

  test.each([
    [['--opensADay', 'many'], '--opensADay takes a number'],
    [['--busy', '0'], '--busy takes a number above 0'],
    [['--users', '5'], "Unknown option '--users'"],
  ])('refuse %j', async (args, words) => {
    await expect(sizing(...args)).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining(words) });
  });
});
