// What many calls at one moment get: budgets are spent exactly, and what may happen once happens once.

import { createHash } from 'node:crypto';
import { createConnectTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { AppClient } from '../../clients/app/client.ts';
import { CountersignError } from '../../clients/errors.ts';
import { Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import type { Session } from '../../gen/countersign/v1/session_pb.ts';
import { outcomesAtOnce, times } from '../support/at-once.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestAccount, type TestServer } from '../support/server.ts';

// Hundreds of calls at once take a slow machine its time.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const minute = 60_000;

/** The same, with how many answers were lost on the way. */
async function atOnce<T>(calls: readonly (() => Promise<T>)[]) {
  const lostBefore = lost;
  return { ...(await outcomesAtOnce(calls)), lost: lost - lostBefore };
}

/** How many answers were lost: a slow machine refuses the last of a queue, and a call is then made again, as clients do. */
let lost = 0;

async function patient<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!CountersignError.is(error, 'DEPENDENCY_UNAVAILABLE')) throw error;
      lost += 1;
    }
  }
}

/** An app that makes a call again when the server could not take it. */
const patientApp = () =>
  server.appClient({
    timeoutMs: 120_000,
    transport: (needs) =>
      createConnectTransport({
        baseUrl: server.publicUrl,
        httpVersion: '2',
        ...needs,
        interceptors: [(next) => (request) => patient(() => next(request)), ...needs.interceptors],
      }),
  });

/** Exactly so many got what is scarce, and all others the refusal. Only an answer that was lost may be missing. */
function expectScarce(
  { counts, lost }: { readonly counts: Record<string, number>; readonly lost: number },
  scarce: Readonly<Record<string, number>>,
  others: Readonly<Record<string, number>>,
): void {
  const [[got, exact] = ['', 0]] = Object.entries(scarce);
  const [[refused, rest] = ['', 0]] = Object.entries(others);
  expect(counts[got] ?? 0).toBeLessThanOrEqual(exact);
  expect((counts[got] ?? 0) + lost).toBeGreaterThanOrEqual(exact);
  expect((counts[got] ?? 0) + (counts[refused] ?? 0)).toBe(exact + rest);
}

async function openChallenge(account: TestAccount, client = patientApp(), requestId = '', ip = '127.0.0.1') {
  const { email, password } = account;
  const { result } = await client.twoStepAuth.signIn(
    { email, password, device: iphone, requestId },
    { headers: { 'x-forwarded-for': ip } },
  );
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const { challengeToken, challenge } = result.value;
  const challengeId = challenge?.challengeId ?? '';
  return { client, challengeToken, challengeId, code: codeOf(challengeId) };
}

/** As it stands in the mail, which need not be waited for here. */
const codeOf = (challengeId: string) => server.app.deps.codes.derive({ challengeId, codeKeyId: 'test' }, 'EMAIL');

/** Codes that differ from each other and from the right one. */
function wrongCodes(count: number, right: string): string[] {
  return times(count, (index) => String((Number(right) + 1 + index * 7) % 1_000_000).padStart(6, '0'));
}

const guess = (client: AppClient, account: { email: string; password: string }, ip: string, deviceToken = '') =>
  client.twoStepAuth.signIn(
    { email: account.email, password: account.password, device: iphone, deviceToken },
    { headers: { 'x-forwarded-for': ip } },
  );

async function countOf(from: string, ...values: unknown[]): Promise<number> {
  const [row] = await server.query(`select count(*)::int as count from ${from}`, values);
  return Number(row?.['count']);
}

const events = (account: TestAccount, kind: string) =>
  countOf('login_event where account_id = $1 and kind = $2', account.accountId, kind);
/** What was counted. */
async function guessesAt(email: string): Promise<unknown> {
  const hash = createHash('sha256').update(email).digest();
  const [row] = await server.query(
    'select jsonb_array_length(guesses) as count from password_guesses where email_hash = $1',
    [hash],
  );
  return row?.['count'];
}
const liveSessions = (account: TestAccount) =>
  countOf('session where account_id = $1 and end_time is null', account.accountId);

async function wrongCodesOf({ accountId }: TestAccount, challengeId: string) {
  const [row] = await server.query(
    `select a.wrong_codes as account, c.wrong_codes as challenge, c.state
     from account a join challenge c using (account_id) where account_id = $1 and challenge_id = $2`,
    [accountId, challengeId],
  );
  return row;
}

/** Once every job of an account is done, and so every mail is out that will be. */
async function allSent({ accountId }: TestAccount): Promise<void> {
  const jobs = `graphile_worker._private_jobs where payload->>'accountId' = $1`;
  await vi.waitFor(async () => expect(await countOf(jobs, accountId)).toBe(0), { timeout: 60_000, interval: 20 });
}

const isActive = async (session: Session | undefined) =>
  (await patient(() => server.service.sessions.introspectSession({ accessToken: session?.accessToken ?? '' }))).active;

describe('guesses at a code', () => {
  test('200 wrong ones at once are compared five times, and the right one comes too late', async () => {
    const account = await server.createAccount();
    const { client, challengeToken, challengeId, code } = await openChallenge(account);
    const answers = await atOnce(
      wrongCodes(200, code).map((wrong) => () => client.twoStepAuth.verifyCode({ challengeToken, code: wrong })),
    );
    expectScarce(answers, { CODE_INCORRECT: 5 }, { CHALLENGE_CLOSED: 195 });
    expect(await wrongCodesOf(account, challengeId)).toEqual({ account: 5, challenge: 5, state: 'CLOSED' });
    expect(await events(account, 'CODE_WRONG')).toBe(5);
    expect((await refusal(client.twoStepAuth.verifyCode({ challengeToken, code }))).reason).toBe('CHALLENGE_CLOSED');
    expect(await liveSessions(account)).toBe(0);
  });

  test.each([0, 3, 4, 5, 100])('200 at once with the right one in place %i open one session at most', async (place) => {
    const account = await server.createAccount();
    const { client, challengeToken, challengeId, code } = await openChallenge(account);
    const codes = wrongCodes(199, code).toSpliced(place, 0, code);
    const { good, counts } = await atOnce(
      codes.map((each) => () => client.twoStepAuth.verifyCode({ challengeToken, code: each })),
    );
    const opened = await countOf('session where account_id = $1', account.accountId);
    expect(opened).toBeLessThanOrEqual(1);
    // Its answer may be lost, and given again; what is compared after the right one opens nothing and is counted too.
    expect(new Set(good.map(({ session }) => session?.sessionId)).size).toBeLessThanOrEqual(opened);
    expect((counts['CODE_INCORRECT'] ?? 0) + opened).toBeLessThanOrEqual(5);
    expect(good.length + (counts['CODE_INCORRECT'] ?? 0) + (counts['CHALLENGE_CLOSED'] ?? 0)).toBe(200);
    const counted = await wrongCodesOf(account, challengeId);
    expect(counted?.['challenge']).toBe(5);
    expect(counted?.['state']).toBe(opened === 1 ? 'VERIFIED' : 'CLOSED');
    expect(await events(account, 'CODE_WRONG')).toBe(5);
    expect((await refusal(client.twoStepAuth.verifyCode({ challengeToken, code }))).reason).toBe('CHALLENGE_CLOSED');
  });

  test('20 right ones at once make one session, and one set of its tokens is alive', async () => {
    const account = await server.createAccount();
    const { client, challengeToken, code } = await openChallenge(account);
    const { good, counts } = await atOnce(
      times(20, () => () => client.twoStepAuth.verifyCode({ challengeToken, code })),
    );
    expect((counts['OK'] ?? 0) + (counts['CHALLENGE_CLOSED'] ?? 0)).toBe(20);
    const sessions = good.map(({ session }) => session);
    expect(new Set(sessions.map((session) => session?.sessionId)).size).toBe(1);
    expect(await countOf('session where account_id = $1', account.accountId)).toBe(1);
    expect(await countOf('device where account_id = $1', account.accountId)).toBe(1);
    expect(await events(account, 'SIGNED_IN_WITH_CODE')).toBe(1);

    const devices = await server.query('select token_hash from device where account_id = $1', [account.accountId]);
    const kept = Buffer.from(devices[0]?.['token_hash'] as Uint8Array).toString('hex');
    const deviceAlive = sessions.map((session) => secretHash(session?.deviceToken ?? '') === kept);
    const accessAlive = await Promise.all(sessions.map(isActive));
    const refreshAlive: boolean[] = [];
    for (const session of sessions) {
      const refreshed = client.twoStepAuth.refreshSession({ refreshToken: session?.refreshToken ?? '' });
      refreshAlive.push(
        await refreshed.then(
          () => true,
          () => false,
        ),
      );
    }
    expect(accessAlive.filter(Boolean)).toHaveLength(1);
    expect(refreshAlive).toEqual(accessAlive);
    expect(deviceAlive).toEqual(accessAlive);
    expect(await liveSessions(account)).toBe(1);
  });
});

/** As the server keeps it. */
function secretHash(token: string): string {
  return createHash('sha256')
    .update(Buffer.from(token.split('.')[1] ?? '', 'base64url'))
    .digest('hex');
}

test('50 refreshes of one token at once leave one session with one live pair, and any other pair is a stolen one', async () => {
  const account = await server.createAccount();
  const { session } = await server.signInNewDevice(account);
  const client = patientApp();
  const { good, counts } = await atOnce(
    times(50, () => () => client.twoStepAuth.refreshSession({ refreshToken: session.refreshToken })),
  );
  expect(counts).toEqual({ OK: 50 });
  const pairs = good.map((answer) => answer.session);
  expect(new Set(pairs.map((pair) => pair?.sessionId))).toEqual(new Set([session.sessionId]));
  expect(await liveSessions(account)).toBe(1);

  const alive = await Promise.all(pairs.map(isActive));
  expect(alive.filter(Boolean)).toHaveLength(1);
  const kept = pairs[alive.indexOf(true)];
  const dead = pairs[alive.indexOf(false)];
  const { session: next } = await client.twoStepAuth.refreshSession({ refreshToken: kept?.refreshToken ?? '' });
  expect(await isActive(next)).toBe(true);

  const reused = await refusal(client.twoStepAuth.refreshSession({ refreshToken: dead?.refreshToken ?? '' }));
  expect(reused).toMatchObject({ reason: 'SESSION_INVALID', reasonMetadata: { cause: 'TOKEN_REUSED' } });
  expect(await isActive(next)).toBe(false);
});

describe('guesses at a password', () => {
  test('100 wrong ones at once from a network are looked at ten times, and a right one is not looked at', async () => {
    const account = await server.createAccount();
    const client = patientApp();
    const answers = await atOnce(
      times(100, (i) => () => guess(client, { ...account, password: 'wrong' }, `203.0.113.${i}`)),
    );
    expectScarce(answers, { CREDENTIALS_INCORRECT: 10 }, { RATE_LIMITED: 90 });
    expect(await guessesAt(account.email)).toBe(10);
    // And looked at, unless it was lost on the way.
    expect(await events(account, 'PASSWORD_WRONG')).toBeLessThanOrEqual(10);
    expect((await events(account, 'PASSWORD_WRONG')) + answers.lost).toBeGreaterThanOrEqual(10);
    const right = await refusal(guess(client, account, '203.0.113.200'));
    expect(right.reason).toBe('RATE_LIMITED');
    expect(right.retryAfter).toBeGreaterThan(14 * minute);
    expect(await countOf('challenge where account_id = $1', account.accountId)).toBe(0);
    // Its owner gets in from elsewhere.
    expect((await guess(client, account, '198.51.100.1')).result.case).toBe('challengeGrant');
  });

  test('100 at once for an unknown address get the same answers', async () => {
    const client = patientApp();
    const nobody = { email: 'nobody@example.com', password: 'wrong' };
    const answers = await atOnce(times(100, (i) => () => guess(client, nobody, `203.0.113.${i}`)));
    expectScarce(answers, { CREDENTIALS_INCORRECT: 10 }, { RATE_LIMITED: 90 });
  });

  test.each(['known', 'unknown'])(
    'from many networks at once, 100 an hour are looked at (%s address)',
    async (kind) => {
      const account = kind === 'known' ? await server.createAccount() : { email: 'none@example.com', password: 'x' };
      const client = patientApp();
      const answers = await atOnce(
        times(
          144,
          (i) => () => guess(client, { ...account, password: 'wrong' }, `10.0.${Math.floor(i / 12)}.${i % 12}`),
        ),
      );
      expectScarce(answers, { CREDENTIALS_INCORRECT: 100 }, { RATE_LIMITED: 44 });
      expect(await guessesAt(account.email)).toBe(100);
      const right = await refusal(guess(client, account, '198.51.100.1'));
      expect(right.reason).toBe('RATE_LIMITED');
      expect(right.retryAfter).toBeGreaterThan(59 * minute);
    },
  );

  test('a trusted device spends its own ten, whichever networks it is in, and none of the others’', async () => {
    const account = await server.createAccount();
    const { session } = await server.signInNewDevice(account);
    const client = patientApp();
    const wrong = { ...account, password: 'wrong' };
    const answers = await atOnce(times(40, (i) => () => guess(client, wrong, `203.0.${i}.1`, session.deviceToken)));
    expectScarce(answers, { CREDENTIALS_INCORRECT: 10 }, { RATE_LIMITED: 30 });
    const right = await refusal(guess(client, account, '203.0.113.1', session.deviceToken));
    expect(right.reason).toBe('RATE_LIMITED');
    const strangers = await atOnce(times(20, () => () => guess(client, wrong, '203.0.1.1')));
    expectScarce(strangers, { CREDENTIALS_INCORRECT: 10 }, { RATE_LIMITED: 10 });
  });
});

test('sign-ins with one request id at once open one challenge, send one mail, and leave one token alive', async () => {
  const account = await server.createAccount();
  const client = patientApp();
  const requestId = crypto.randomUUID();
  const opened = await Promise.all(times(20, (i) => openChallenge(account, client, requestId, `203.0.${i}.1`)));
  expect(new Set(opened.map(({ challengeId }) => challengeId)).size).toBe(1);
  expect(await countOf('challenge where account_id = $1', account.accountId)).toBe(1);
  const answers = await atOnce(
    opened.map(
      ({ challengeToken }) =>
        () =>
          client.twoStepAuth.getChallenge({ challengeToken }),
    ),
  );
  expectScarce(answers, { OK: 1 }, { CHALLENGE_UNKNOWN: 19 });
  await allSent(account);
  expect(await server.mail.waitFor(account.email)).toHaveLength(1);
});

test('a code that is asked for again by many calls at once is sent once', async () => {
  const account = await server.createAccount();
  const { client, challengeToken } = await openChallenge(account);
  server.clock.advance(30_000);
  const answers = await atOnce(
    times(20, () => () => client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL })),
  );
  expectScarce(answers, { OK: 1 }, { SEND_TOO_SOON: 19 });
  await allSent(account);
  expect(await server.mail.waitFor(account.email, 2)).toHaveLength(2);
});

test('an address that is taken by many calls at once, in any case, makes one account', async () => {
  const before = await countOf('account');
  const spellings = [
    'race@example.com',
    'Race@example.com',
    'RACE@EXAMPLE.COM',
    'race@Example.com',
    'rAcE@example.com',
  ];
  const answers = await atOnce(
    [...spellings, ...spellings].map(
      (email) => () => patient(() => server.service.accounts.createAccount({ email, password: 'correct horse' })),
    ),
  );
  expectScarce(answers, { OK: 1 }, { ACCOUNT_EXISTS: 9 });
  expect(await countOf(`directory_account where normalised_email = 'race@example.com'`)).toBe(1);
  expect(await countOf('account')).toBe(before + 1);
});

test('two accounts that move to one address at once: one gets it, and the other keeps its own', async () => {
  const [one, two] = [await server.createAccount(), await server.createAccount()];
  for (let round = 0; round < 20; round++) {
    const email = `Wanted${round}@example.com`;
    const { counts, reasons } = await atOnce(
      [one, two].map(
        ({ accountId }) =>
          () =>
            patient(() => server.service.accounts.updateAccount({ accountId, email })),
      ),
    );
    expect(counts).toEqual({ OK: 1, ACCOUNT_EXISTS: 1 });
    const winner = reasons[0] === 'OK' ? one : two;
    const { account } = await server.service.accounts.getAccount({ key: { case: 'email', value: email } });
    expect(account?.accountId).toBe(winner.accountId);
  }
});

test('no sign-in with the old password outlives a new one, however they meet', async () => {
  const account = await server.createAccount();
  const device = await server.signInNewDevice(account);
  let { password } = account;
  for (let round = 0; round < 50; round++) {
    server.clock.advance(20 * minute);
    const old = { ...account, password };
    const { client, challengeToken, code } = await openChallenge(old);
    password = `correct horse, round ${round}`;
    const challenges: string[] = [];
    const signIn = (deviceToken: string) => async (): Promise<Session[]> => {
      const { result } = await guess(client, old, '203.0.113.1', deviceToken);
      if (result.case === 'challengeGrant') challenges.push(result.value.challengeToken);
      return result.case === 'session' ? [result.value] : [];
    };
    const calls = [
      async () => {
        await patient(() => server.service.accounts.setPassword({ accountId: account.accountId, password }));
        return [];
      },
      signIn(device.session.deviceToken),
      async () => {
        const { session } = await client.twoStepAuth.verifyCode({ challengeToken, code, trustDevice: false });
        return session === undefined ? [] : [session];
      },
      signIn(''),
      signIn(device.session.deviceToken),
    ];
    // Each of them is first, second … in its turn.
    const first = round % calls.length;
    const { good, reasons } = await atOnce([...calls.slice(first), ...calls.slice(0, first)]);
    expect(['OK', 'CREDENTIALS_INCORRECT', 'CHALLENGE_CLOSED']).toEqual(expect.arrayContaining(reasons));
    expect(await liveSessions(account)).toBe(0);
    for (const session of good.flat()) expect(await isActive(session)).toBe(false);
    for (const token of challenges) {
      const { challenge } = await client.twoStepAuth.getChallenge({ challengeToken: token });
      const verified = client.twoStepAuth.verifyCode({
        challengeToken: token,
        code: codeOf(challenge?.challengeId ?? ''),
      });
      expect((await refusal(verified)).reason).toBe('CHALLENGE_CLOSED');
    }
  }
  const { result } = await guess(patientApp(), { ...account, password }, '198.51.100.1', device.session.deviceToken);
  expect(result.case).toBe('session');
});

test('a switch-off that is confirmed by many calls at once happens once', async () => {
  const account = await server.createAccount();
  const client = patientApp();
  client.useSession((await server.signInNewDevice(account)).session);
  const grant = await client.twoStepAuth.updateSettings({ twoStepEnabled: false });
  if (grant.result.case !== 'challengeGrant') throw new Error('no challenge');
  const { challengeToken, challenge } = grant.result.value;
  const code = codeOf(challenge?.challengeId ?? '');
  const { good, counts } = await atOnce(
    times(20, () => () => client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code })),
  );
  // Who comes second finds it off already.
  expect(counts).toEqual({ OK: 20 });
  for (const { result } of good) expect(result).toMatchObject({ case: 'settings', value: { twoStepEnabled: false } });
  expect(await events(account, 'SETTINGS_CHANGED')).toBe(1);

  await client.twoStepAuth.updateSettings({ twoStepEnabled: true });
  const again = await refusal(client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code }));
  expect(again.reason).toBe('CHALLENGE_CLOSED');
});
