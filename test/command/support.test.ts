// The command in the hands of a support desk: accounts, sessions, traces, audit records, in words and as JSON.

import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code, ConnectError } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Support } from '../../gen/countersign/internal/v1/support_pb.ts';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { hashServiceToken } from '../../server/platform/service-tokens.ts';
import { createAuthority, thisMachine } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { iphone, startTestServer, type TestAccount, type TestServer } from '../support/server.ts';
import { countersign, errorOf, jsonOf, startCountersign } from './run.ts';

let server: TestServer;
let account: TestAccount;
let env: Record<string, string>;

beforeAll(async () => {
  server = await startTestServer();
  env = { COUNTERSIGN_INTERNAL_URL: server.internalUrl, COUNTERSIGN_SERVICE_TOKEN: server.serviceToken };
  account = await server.createAccount();
  await server.signInNewDevice(account);
});
afterAll(() => server.stop());

const run = (args: string, stdin = '') => countersign(args.split(' '), { env, stdin });
const unknownId = '01997a3c-5f0e-7c3b-8b0e-2f6a4d1c9e77';

describe('an account', () => {
  test('is created with a password from standard input, and signs in with it', async () => {
    const created = await run(
      'accounts create --email new@example.com --locale de --password-stdin',
      'a long horse 12\n',
    );
    expect(created).toMatchObject({ code: 0, stderr: '' });
    expect(created.stdout).toMatch(/^address +new@example\.com$/m);
    expect(created.stdout).toMatch(/^two-step verification +on$/m);
    expect(created.stdout).not.toContain('a long horse');
    const signIn = { email: 'new@example.com', password: 'a long horse 12', device: iphone };
    expect((await server.appClient().twoStepAuth.signIn(signIn)).result.case).toBe('challengeGrant');

    const asJson = await run('accounts create --email json@example.com --password-stdin --json', 'a long horse 12');
    expect(jsonOf(asJson)).toMatchObject({ account: { email: 'json@example.com', twoStepEnabled: true } });
  });

  test('that is there already, or whose password is weak, is refused with the reason', async () => {
    const there = await run(`accounts create --email ${account.email} --password-stdin`, 'a long horse 12');
    expect(there).toMatchObject({ code: 1, stdout: '' });
    expect(there.stderr).toMatch(/^countersign: ACCOUNT_EXISTS: .+\n {2}.+accounts show.+\n/);
    const weak = await run('accounts create --email weak@example.com --password-stdin --json', 'password');
    expect(weak).toMatchObject({ code: 1, stdout: '' });
    expect(errorOf(weak)).toMatchObject({
      exitCode: 1,
      reason: 'PASSWORD_WEAK',
      requestId: expect.stringMatching(/./),
    });
  });

  test('takes no password by an argument, none from nowhere, and no empty one', async () => {
    const byArgument = await run('accounts create --email x@example.com --password secret-word-12');
    expect(byArgument.code).toBe(2);
    expect(await run('accounts create --email x@example.com')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--password-stdin'),
    });
    expect(await run('accounts create --email x@example.com --password-stdin', '\n')).toMatchObject({ code: 2 });
  });

  test('is shown by its address and by its id', async () => {
    const shown = await run(`accounts show ${account.email}`);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toContain(account.accountId);
    expect(shown.stdout).toMatch(/^device +app +trusted/m);
    expect(shown.stdout).toContain("Anna's iPhone (iPhone 17, ios 19.1)");
    expect(shown.stdout).toMatch(/^challenge +purpose +state/m);
    const asJson = await run(`accounts show id:${account.accountId} --json`);
    expect(jsonOf(asJson)).toMatchObject({
      account: { accountId: account.accountId, email: account.email, verificationLocked: false },
      accountSecurity: { wrongCodes: 0, devices: [{ trusted: true, push: 'ROUTE_UNSPECIFIED' }] },
    });
  });

  test('is shown to a support desk that may do no more, with its address masked', async () => {
    const token = 'a-token-of-the-support-desk';
    const hash = Buffer.from(hashServiceToken(token)).toString('hex');
    const beside = await startTestServer({ COUNTERSIGN_SERVICE_TOKENS: `desk:support:${hash}` }, server);
    try {
      const desk = { COUNTERSIGN_INTERNAL_URL: beside.internalUrl, COUNTERSIGN_SERVICE_TOKEN: token };
      const shown = await countersign(['accounts', 'show', account.email], { env: desk });
      expect(shown).toMatchObject({ code: 0, stderr: '' });
      expect(shown.stdout).toMatch(new RegExp(`^account +${account.accountId}\naddress +a•••@example\\.com$`, 'm'));
      expect(shown.stdout).toMatch(/^verification locked +no$/m);
      expect(shown.stdout).toMatch(/^device +app +trusted/m);
      const asJson = await countersign(['accounts', 'show', account.email, '--json'], { env: desk });
      expect(jsonOf(asJson)).toMatchObject({ account: null, accountSecurity: { accountId: account.accountId } });
      const unlock = await countersign(['accounts', 'unlock', account.email], { env: desk });
      expect(unlock).toMatchObject({ code: 1, stderr: expect.stringContaining('SCOPE_MISSING') });
    } finally {
      await beside.stop();
    }
  });

  test('is unlocked', async () => {
    await server.query('update account set wrong_codes = 100 where account_id = $1', [account.accountId]);
    expect((await run(`accounts show ${account.email}`)).stdout).toMatch(/^verification locked +yes/m);
    expect(await run(`accounts unlock ${account.email}`)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('open'),
    });
    expect(jsonOf(await run(`accounts unlock ${account.accountId} --json`))).toMatchObject({
      account: { verificationLocked: false },
    });
  });

  test('whose owner has lost every device is unlocked with them forgotten', async () => {
    const person = await server.createAccount();
    await server.signInNewDevice(person);
    const unlocked = await run(`accounts unlock ${person.email} --forget-devices`);
    expect(unlocked).toMatchObject({ code: 0, stdout: expect.stringContaining('devices are put out') });
    expect((await run(`sessions list ${person.email}`)).stdout).not.toContain('iPhone');
  });

  test('is erased only where that is said to be meant', async () => {
    const other = await server.createAccount();
    expect(await run(`accounts delete ${other.accountId}`)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--yes'),
    });
    expect((await run(`accounts show ${other.accountId}`)).code).toBe(0);
    expect(await run(`accounts delete ${other.accountId} --yes --json`)).toMatchObject({ code: 0, stdout: '{}\n' });
    const gone = await run(`accounts delete ${other.accountId} --yes`);
    expect(gone).toMatchObject({ code: 1, stderr: expect.stringContaining('ACCOUNT_UNKNOWN') });
  });
});

describe('sessions', () => {
  test('end: one, those of a device, all', async () => {
    const person = await server.createAccount();
    const [one, two] = [await server.signInNewDevice(person), await server.signInNewDevice(person)];
    await server.signInNewDevice(person);
    const single = await run(`sessions revoke ${person.email} --session ${one.session.sessionId}`);
    expect(single).toMatchObject({ code: 0, stdout: '1 session ended.\n' });
    const ofDevice = await run(`sessions revoke ${person.accountId} --device ${two.session.deviceId} --json`);
    expect(jsonOf(ofDevice)).toEqual({ revokedSessions: 1 });
    const rest = await run(`sessions revoke ${person.email} --reason password-changed`);
    expect(rest.stdout).toBe('1 session ended.\n');
    expect((await run(`sessions revoke ${person.email}`)).stdout).toBe('No session ended.\n');
    expect((await run(`sessions revoke ${person.email} --reason spring`)).code).toBe(2);
  });

  test('are listed', async () => {
    const listed = await run(`sessions list ${account.email}`);
    expect(listed).toMatchObject({ code: 0, stderr: '' });
    expect(listed.stdout).toMatch(/^session +device +trusted/m);
    expect(listed.stdout).toContain("Anna's iPhone");
    const asJson = jsonOf<{ sessions: object[] }>(await run(`sessions list ${account.accountId} --json`));
    expect(asJson.sessions).toMatchObject([{ trusted: true, amr: ['pwd', 'otp'] }]);
    const nobody = await server.createAccount();
    expect((await run(`sessions list ${nobody.email}`)).stdout).toBe('Nobody is signed in.\n');
  });
});

describe('a trace', () => {
  test('tells a challenge as a timeline, with the words of the mail server', async () => {
    const traced = await run(`trace ${account.email}`);
    expect(traced).toMatchObject({ code: 0, stderr: '' });
    expect(traced.stdout).toMatch(/^state +verified$/m);
    expect(traced.stdout).toMatch(/^#1 {2}code by smtp to a•••@example\.com: .+\n {4}The mail server took it\./m);
    expect(traced.stdout).toMatch(/\+0\.00 s +- +opened/);
    expect(traced.stdout).toMatch(/#1 +accepted +.*250/);
    expect(traced.stdout).toMatch(/verified/);
    const asJson = jsonOf<{ trace: { challengeId: string } }>(await run(`trace ${account.accountId} --json`));
    expect(asJson).toMatchObject({ trace: { state: 'CHALLENGE_STATE_VERIFIED', messages: [{ route: 'ROUTE_SMTP' }] } });
    const again = await run(`trace ${account.email} --challenge ${asJson.trace.challengeId}`);
    expect(again.stdout).toBe(traced.stdout);
  });

  test('of a challenge that there is not is refused, with what that means', async () => {
    expect(await run(`trace ${account.email} --challenge ${unknownId}`)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/CHALLENGE_UNKNOWN: .+\n {2}challenges are kept for 30 days/),
    });
    expect((await run(`trace ${account.email} --challenge newest`)).stderr).toContain('REQUEST_INVALID');
  });
});

test('audit records are listed, by account, caller, RPC and time', async () => {
  await run(`accounts unlock ${account.email}`);
  const all = await run('audit');
  expect(all).toMatchObject({ code: 0, stderr: '' });
  expect(all.stdout).toMatch(/^time +caller +from +rpc/m);
  const filtered = `audit --account ${account.email} --caller test --rpc Accounts.ResetVerification --since 1h --json`;
  const records = jsonOf<{ auditRecords: { rpc: string; accountId: string }[] }>(await run(filtered)).auditRecords;
  expect(records.length).toBeGreaterThan(0);
  for (const record of records) {
    expect(record).toMatchObject({ rpc: 'Accounts.ResetVerification', accountId: account.accountId, outcome: 'OK' });
  }
  expect((await run('audit --caller nobody')).stdout).toBe('No records.\n');
  expect((await run('audit --since tomorrow')).code).toBe(2);
});

test('what a device calls itself does nothing to a terminal, and forges no line', async () => {
  const person = await server.createAccount();
  await server.signInNewDevice(person);
  const name = '\u001b]0;owned\u0007\u001b[2J\u009b31mred\u202e\r\nverification locked  no';
  await server.query('update device set display_name = $2 where account_id = $1', [person.accountId, name]);
  await server.query(
    `update challenge set device = jsonb_set(device, '{displayName}', to_jsonb($2::text)) where account_id = $1`,
    [person.accountId, name],
  );
  for (const command of ['accounts show', 'trace']) {
    const shown = await run(`${command} ${person.email}`);
    expect(shown.code, shown.stderr).toBe(0);
    expect(shown.stdout).toContain('verification locked no');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not be there.
    expect(shown.stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    const asJson = await run(`${command} ${person.email} --json`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not be there.
    expect(asJson.stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    expect(JSON.stringify(jsonOf(asJson))).toContain(JSON.stringify(name).slice(1, -1));
  }
});

test.each(['\u001b]0;owned\u0007\u009b31m\u202e\r\nTHAT', 'constructor'])(
  'nor does a reason that no server of ours gives, %j, nor is it taken for one of ours',
  async (reason) => {
    const stranger = createHttp2Server(
      connectNodeAdapter({
        routes: (router) =>
          router.service(Support, {
            traceChallenge: () => {
              const info = { desc: ErrorInfoSchema, value: { reason } };
              throw new ConnectError('no \u001b[2J', Code.FailedPrecondition, undefined, [info]);
            },
          }),
      }),
    ).listen(0, '127.0.0.1');
    onTestFinished(() => void stranger.close());
    await once(stranger, 'listening');
    const { port } = stranger.address() as AddressInfo;
    const { code, stderr } = await run(`trace ${account.email} --url http://127.0.0.1:${port}`);
    expect(code).toBe(1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not be there.
    expect(stderr).toMatch(/^countersign: [^\x00-\x1f\x7f-\x9f\u202e]*(THAT|constructor): no [^\x00-\x1f]*\n$/);
  },
);

describe('a server', () => {
  test('that is not there, or is silent, is told apart from one that refuses', async () => {
    const nobody = await countersign(['trace', account.email, '--url', `http://127.0.0.1:${await freePort()}`], {
      env,
    });
    expect(nobody).toMatchObject({ code: 3, stdout: '' });
    expect(nobody.stderr).toMatch(/^countersign: the server can't be reached: .+\n {2}is the server running/);
    const asJson = await countersign(['trace', account.email, '--json', '--url', 'http://127.0.0.1:1'], { env });
    expect(errorOf(asJson)).toMatchObject({ exitCode: 3, reason: '' });
  });

  test('that speaks another protocol is no server of ours', async () => {
    const other = createServer((socket) => {
      socket.on('error', () => {});
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
    }).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const { code, stderr } = await countersign(['trace', account.email, '--url', `http://127.0.0.1:${port}`], { env });
    other.close();
    expect([1, 3]).toContain(code);
    expect(stderr).toMatch(/^countersign: [^\n]+\n {2}[^\n]+\n$/);
  });

  test('is the internal listener: the public one has none of this', async () => {
    const { code, stderr } = await countersign(['trace', account.email, '--url', server.publicUrl], { env });
    expect(code).toBe(1);
    expect(stderr).toContain('--url has to lead to the internal listener');
  });
});

test('over TLS it trusts whom it is told to, and shows a certificate where it is asked for one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-command-tls-'));
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const authority = createAuthority();
  const [own, caller] = [authority.issue(thisMachine), authority.issue({ dns: ['support.example.com'] })];
  const ca = await file('ca.pem', authority.cert);
  const secure = await startTestServer({
    COUNTERSIGN_INTERNAL_TLS_CERT: await file('cert.pem', own.cert),
    COUNTERSIGN_INTERNAL_TLS_KEY: await file('key.pem', own.key),
    COUNTERSIGN_INTERNAL_CLIENT_CA: ca,
    COUNTERSIGN_SERVICE_TOKENS: 'support.example.com:support:certificate',
  });
  try {
    const args = ['trace', 'nobody@example.com', '--url', secure.internalUrl];
    const shown = [
      '--client-cert',
      await file('caller.pem', caller.cert),
      '--client-key',
      await file('caller.key', caller.key),
    ];
    const byToken = await countersign([...args, '--ca', ca, ...shown], { env });
    expect(byToken).toMatchObject({ code: 1, stderr: expect.stringContaining('ACCOUNT_UNKNOWN') });
    // Its names are those of a caller: it needs no token.
    const byName = await countersign([...args, '--ca', ca, ...shown]);
    expect(byName).toMatchObject({ code: 1, stderr: expect.stringContaining('ACCOUNT_UNKNOWN') });
    expect((await countersign([...args, ...shown], { env })).code).toBe(3);
    expect((await countersign([...args, '--ca', ca], { env })).code).toBe(3);
    expect((await countersign([...args, '--ca', 'package.json'], { env })).code).toBe(78);
  } finally {
    await secure.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

describe('a token', () => {
  test('that the server does not know is refused, and not repeated', async () => {
    const wrong = { ...env, COUNTERSIGN_SERVICE_TOKEN: 'wrong-word-0123456789' };
    const { code, stdout, stderr } = await countersign(['trace', account.email], { env: wrong });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^countersign: SERVICE_TOKEN_INVALID: .+\n {2}.+--token-file/);
    expect(stderr).not.toContain('wrong-word');
  });

  test('comes from a file too, or from the data folder of development; without one, that is said', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'countersign-command-'));
    try {
      const { COUNTERSIGN_SERVICE_TOKEN: token = '', ...without } = env;
      const args = ['trace', account.email];
      await writeFile(join(folder, 'token'), `${token}\n`);
      const fromFile = await countersign([...args, '--token-file', join(folder, 'token')], { env: without });
      expect(fromFile).toMatchObject({ code: 0, stderr: '' });
      const noFile = await countersign([...args, '--token-file', join(folder, 'none')], { env: without });
      expect(noFile).toMatchObject({ code: 78, stderr: expect.stringContaining('ENOENT') });
      await writeFile(join(folder, 'no-token'), 'correct!horse,battery');
      const noToken = await countersign([...args, '--token-file', join(folder, 'no-token')], { env: without });
      expect(noToken).toMatchObject({ code: 78, stderr: expect.stringContaining('takes a file with a service token') });

      const withFolder = { ...without, COUNTERSIGN_DATA_DIR: folder };
      const missing = await countersign(args, { env: withFolder });
      expect(missing).toMatchObject({ code: 78, stdout: '' });
      expect(missing.stderr).toMatch(/^countersign: COUNTERSIGN_SERVICE_TOKEN is missing: .+\n$/);
      await writeFile(join(folder, 'development.json'), JSON.stringify({ serviceToken: token }));
      expect(await countersign(args, { env: withFolder })).toMatchObject({ code: 0, stderr: '' });
      // Nor is that token sent to any other machine.
      const elsewhere = await countersign([...args, '--url', 'http://countersign.invalid'], { env: withFolder });
      expect(elsewhere.code).toBe(78);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('usage', () => {
  test.each([
    '',
    'accounts',
    'bogus',
    'accounts bogus',
    'trace',
    'trace a b',
    'trace a --bogus',
    'accounts import x --patience soon',
  ])('`countersign %s` is wrong: exit code 2, and nothing on standard output', async (args) => {
    const { code, stdout, stderr } = await countersign(args === '' ? [] : args.split(' '), { env });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).not.toBe('');
  });

  test('is shown with examples, and wrong usage is JSON where that is asked for', async () => {
    const help = await run('accounts import --help');
    expect(help).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('Examples:') });
    const wrong = await run('trace --json');
    expect(errorOf(wrong)).toMatchObject({ exitCode: 2, message: expect.stringContaining('EMAIL|ID') });
  });

  test('a reader that leaves early is no error', async () => {
    const { child, ended } = startCountersign(['accounts', 'show', account.email, '--json'], { env });
    child.stdin.end();
    child.stdout.destroy();
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
  });
});
