// A server that is killed in the middle, at every statement of a sign-in and at every step of handing a mail over: what it
// had acknowledged stands, what it had not can be asked again, and what it had promised is sent.

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Session } from '../../gen/countersign/v1/session_pb.ts';
import { eventually } from '../support/eventually.ts';
import { codeIn, type MailServer, startMailServer } from '../support/mail-server.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { type Fate, type PostgresProxy, type Statement, startPostgresProxy } from '../support/postgres-proxy.ts';
import { productionEnv, programs, type ServerProgram } from '../support/processes.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, type TestAccount } from '../support/server.ts';
import { type SmtpMoment, type SmtpProxy, startSmtpProxy } from '../support/smtp-proxy.ts';

const { serve } = programs();
let mail: MailServer;

beforeAll(async () => {
  mail = await startMailServer();
});
afterAll(() => mail.stop());

/** A database with both proxies in front, and one server at a time. */
interface Lane {
  readonly database: TestDatabase;
  readonly postgres: PostgresProxy;
  readonly smtp: SmtpProxy;
  readonly pool: pg.Pool;
  start(): Promise<ServerProgram>;
  close(): Promise<void>;
}

async function openLane(): Promise<Lane> {
  const database = await createDatabase();
  const postgres = await startPostgresProxy(database.url);
  const smtp = await startSmtpProxy(mail.url);
  const pool = new pg.Pool({ connectionString: database.url, max: 2 });
  return {
    database,
    postgres,
    smtp,
    pool,
    start: () =>
      serve({ ...productionEnv({ databaseUrl: postgres.url, smtpUrl: smtp.url }), COUNTERSIGN_DATABASE_POOL: '4' }),
    close: async () => {
      await postgres.close();
      await smtp.close();
      await pool.end();
      await database.drop();
    },
  };
}

let accounts = 0;

async function createAccount(server: ServerProgram): Promise<TestAccount> {
  accounts += 1;
  const email = `crash${accounts}@example.com`;
  const password = `correct horse ${accounts}`;
  const { account } = await server.service.accounts.createAccount({ email, password });
  return { accountId: account?.accountId ?? '', email, password };
}

/** A sign-in as far as it came, and what its user was told. */
interface Story {
  readonly account: TestAccount;
  readonly requestId: string;
  challengeToken?: string;
  challengeId?: string;
  wrongCode?: true;
  session?: Session;
}

/** SignIn, a wrong code, the right one, a call with the session: one thing after another, as far as it goes. */
async function tell(lane: Lane, server: ServerProgram, story: Story): Promise<void> {
  const { twoStepAuth } = server.appClient();
  const { email, password, accountId } = story.account;
  const { result } = await twoStepAuth.signIn({ email, password, device: iphone, requestId: story.requestId });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  story.challengeToken = result.value.challengeToken;
  story.challengeId = result.value.challenge?.challengeId ?? '';
  await quiet(lane, accountId);
  const code = await mail.codeFor(email);
  const wrong = await refusal(
    twoStepAuth.verifyCode({ challengeToken: story.challengeToken, code: code === '000000' ? '000001' : '000000' }),
  );
  if (wrong.reason !== 'CODE_INCORRECT') throw wrong;
  story.wrongCode = true;
  const { session } = await twoStepAuth.verifyCode({ challengeToken: story.challengeToken, code });
  if (session === undefined) throw new Error('no session');
  story.session = session;
  await quiet(lane, accountId);
  await twoStepAuth.getSettings({}, bearer(session));
}

/** Until nothing else is going on, so that every run has the same statements in the same order. */
async function quiet(lane: Lane, accountId: string): Promise<void> {
  await eventually(20_000, async () => {
    const { rows } = await lane.pool.query<{ open: number }>(
      `select (select count(*) from delivery where account_id = $1 and state = 'QUEUED')::int
         + (select count(*) from graphile_worker.jobs)::int as open`,
      [accountId],
    );
    expect(rows).toEqual([{ open: 0 }]);
  });
}

const bearer = (session: Session | undefined) => ({ headers: { authorization: `Bearer ${session?.accessToken}` } });

/** What the calls of a sign-in and its job write and read; not what goes on all the time. */
function counts({ application, text }: Statement): boolean {
  if (application === 'countersign-mail') return /delete from .*jobs/s.test(text);
  return application === 'countersign' && text !== 'select 1 as "one"';
}

interface Point {
  readonly name: string;
  arm(lane: Lane, kill: () => void): void;
}

/** The statements of a whole sign-in that nobody kills. */
async function rehearse(lane: Lane, server: ServerProgram): Promise<Statement[]> {
  const statements: Statement[] = [];
  const account = await createAccount(server);
  lane.postgres.arm(
    (statement) => {
      if (counts(statement)) statements.push(statement);
      return 'pass';
    },
    () => {},
  );
  await tell(lane, server, { account, requestId: crypto.randomUUID() });
  lane.postgres.disarm();
  return statements;
}

function pointsOf(statements: readonly Statement[]): Point[] {
  let inTransaction = false;
  return statements.flatMap(({ text }, index) => {
    const commits = text === 'commit';
    const single = !inTransaction && text !== 'begin';
    inTransaction = text === 'begin' || (inTransaction && !commits);
    const changes = commits || (single && !text.startsWith('select'));
    // Where nothing is committed, all moments leave the same behind, nothing: of those some are enough.
    if (!changes && index % 3 > 0) return [];
    const fates: Fate[] = changes ? ['lost', 'answer lost'] : ['lost'];
    if (commits) fates.push('half lost');
    return fates.map((fate) => ({
      name: `statement ${index + 1} (${text.slice(0, 40)}) ${fate}`,
      arm: (lane: Lane, kill: () => void) => {
        let seen = -1;
        lane.postgres.arm((statement) => {
          if (counts(statement)) seen += 1;
          return seen === index && counts(statement) ? fate : 'pass';
        }, kill);
      },
    }));
  });
}

/** Between the outbox taking a job and having it noted. */
const mailPoints: readonly Point[] = [
  ...(['envelope', 'message', 'answer'] satisfies SmtpMoment[]).map((moment) => ({
    name: `SMTP ${moment}`,
    arm: (lane: Lane, kill: () => void) => lane.smtp.arm(moment, kill),
  })),
  {
    name: 'a job that was taken, and not yet looked at',
    arm: (lane, kill) => {
      let promised = false;
      lane.postgres.arm((statement) => {
        if (statement.text.includes('graphile_worker.add_job')) promised = true;
        return promised && statement.application === 'countersign-mail' && /locked_by = \$1/.test(statement.text)
          ? 'answer lost'
          : 'pass';
      }, kill);
    },
  },
];

/** What the user and the operator find after the restart. */
async function recover(lane: Lane, server: ServerProgram, story: Story, point: Point): Promise<void> {
  const restarted = performance.now();
  const { account } = story;
  const rows = async <T extends pg.QueryResultRow>(sql: string) =>
    (await lane.pool.query<T>(sql, [account.accountId])).rows;
  const found = await rows<{ challenge_id: string }>('select challenge_id from challenge where account_id = $1');
  if (story.challengeId !== undefined) expect(found).toEqual([{ challenge_id: story.challengeId }]);
  // Every promise is kept: with the challenge, its delivery was promised.
  if (found.length > 0) {
    await eventually(10_000, async () => {
      const states = await rows<{ state: string }>('select state from delivery where account_id = $1');
      expect(new Set(states.map(({ state }) => state))).toEqual(new Set(['ACCEPTED']));
    });
    expect(mail.mails.some(({ to }) => to === account.email)).toBe(true);
  }
  const mailedAfterMs = performance.now() - restarted;

  const { twoStepAuth } = server.appClient();
  let { session } = story;
  if (session === undefined) {
    let { challengeToken } = story;
    if (challengeToken === undefined) {
      const { email, password } = account;
      const { result } = await twoStepAuth.signIn({ email, password, device: iphone, requestId: story.requestId });
      if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
      challengeToken = result.value.challengeToken;
      if (found[0] !== undefined) expect(result.value.challenge?.challengeId).toBe(found[0].challenge_id);
    }
    const { challenge } = await twoStepAuth.getChallenge({ challengeToken });
    if (story.wrongCode) expect(challenge?.attemptsRemaining).toBe(4);
    const code = await mail.codeFor(account.email);
    session = (await twoStepAuth.verifyCode({ challengeToken, code })).session;
  }
  expect(await twoStepAuth.getSettings({}, bearer(session))).toMatchObject({ twoStepEnabled: true });

  // The code, and the notice of the sign-in.
  await quiet(lane, account.accountId);
  const letters = mail.mails.filter(({ to }) => to === account.email);
  const codes = letters.flatMap((letter) => codeIn(letter) ?? []);
  expect(new Set(codes).size).toBe(1);
  // Only who was killed after the hand-over and before its note sends twice.
  const most = /SMTP answer|statement/.test(point.name) ? 3 : 2;
  expect(letters.length).toBeGreaterThan(codes.length);
  expect(letters.length).toBeLessThanOrEqual(most);
  expect(
    await rows(
      `select c.state, c.session_id is not null as opened, s.end_time is null as alive,
         (select count(*) from session where account_id = $1 and end_time is null)::int as live,
         (select count(*) from device where account_id = $1 and trust_time is not null)::int as trusted,
         (select array_agg(kind order by kind) from delivery where account_id = $1) as deliveries,
         (select count(*) from login_event where account_id = $1 and kind = 'CODE_SENT')::int as sent,
         (select count(*) from login_event where account_id = $1 and kind = 'SIGNED_IN_WITH_CODE')::int as signed_in,
         (select count(*) from login_event where account_id = $1 and kind = 'CODE_WRONG')::int = c.wrong_codes as counted,
         (select wrong_codes from account where account_id = $1) as wrong_codes
       from challenge c left join session s using (account_id, session_id) where account_id = $1`,
    ),
  ).toEqual([
    {
      state: 'VERIFIED',
      opened: true,
      alive: true,
      live: 1,
      trusted: 1,
      deliveries: ['CODE', 'NEW_SIGN_IN'],
      sent: 1,
      signed_in: 1,
      counted: true,
      wrong_codes: 0,
    },
  ]);
  slowestMail = Math.max(slowestMail, mailedAfterMs);
}

let slowestMail = 0;

test('killed at any point of a sign-in, a server keeps what it acknowledged and sends what it promised', {
  timeout: 400_000,
}, async () => {
  const first = await openLane();
  const lanes = [first, await openLane(), await openLane()];
  const failures: string[] = [];
  let kills = 0;
  try {
    const rehearsal = await first.start();
    const statements = await rehearse(first, rehearsal);
    const points = [...pointsOf(statements), ...mailPoints];
    expect(points.length).toBeGreaterThan(30);

    const queue = points.values();
    const work = async (lane: Lane, started: ServerProgram) => {
      // Who was restarted after one kill is the next victim.
      let server = started;
      for (const point of queue) {
        const victim = server;
        const story: Story = { account: await createAccount(victim), requestId: crypto.randomUUID() };
        let killed = false;
        point.arm(lane, () => {
          killed = true;
          victim.signal('SIGKILL');
        });
        const told = tell(lane, victim, story).then(() => 'came to its end', String);
        const end = await Promise.race([told, victim.exit]);
        lane.postgres.disarm();
        lane.smtp.disarm();
        if (!killed) {
          failures.push(`${point.name}: not reached, the story ${end}`);
          continue;
        }
        await victim.exit;
        kills += 1;
        server = await lane.start();
        await recover(lane, server, story, point).catch((error: unknown) =>
          failures.push(`${point.name}: ${error instanceof Error ? error.message : error}`),
        );
      }
      await server.kill();
    };
    const others = await Promise.all(lanes.slice(1).map((lane) => lane.start()));
    await Promise.all(lanes.map((lane, at) => work(lane, at === 0 ? rehearsal : (others[at - 1] ?? rehearsal))));
    expect(failures).toEqual([]);
    expect(kills).toBe(points.length);
    process.stdout.write(
      `${kills} kills; the slowest promised mail came ${Math.round(slowestMail)} ms after its restart\n`,
    );
  } finally {
    for (const lane of lanes) await lane.close().catch((error) => failures.push(String(error)));
  }
});

/** Accounts and servers on one database; the mail of the first server can be held back. */
async function withServers(
  work: (parts: {
    readonly lane: Lane;
    readonly holder: ServerProgram;
    startOther(): Promise<ServerProgram>;
    signIn(server: ServerProgram): Promise<TestAccount>;
  }) => Promise<void>,
): Promise<void> {
  const lane = await openLane();
  const started: ServerProgram[] = [];
  const startOther = async () => {
    const server = await serve(productionEnv({ databaseUrl: lane.database.url, smtpUrl: mail.url }));
    started.push(server);
    return server;
  };
  try {
    const holder = await lane.start();
    started.push(holder);
    await work({
      lane,
      holder,
      startOther,
      signIn: async (server) => {
        const account = await createAccount(server);
        const { email, password } = account;
        await server.appClient().twoStepAuth.signIn({ email, password, device: iphone });
        return account;
      },
    });
  } finally {
    await Promise.all(started.map((server) => server.kill()));
    await lane.close();
  }
}

test('the jobs of a killed worker are done by another replica within 5 s', () =>
  withServers(async ({ lane, holder, startOther, signIn }) => {
    const { promise: held, resolve } = Promise.withResolvers<void>();
    lane.smtp.arm('message', resolve);
    const account = await signIn(holder);
    await held;
    await startOther();
    await holder.kill();
    const killed = performance.now();
    await mail.waitFor(account.email);
    const ms = performance.now() - killed;
    process.stdout.write(`a killed worker's job was done by another after ${Math.round(ms)} ms\n`);
    expect(ms).toBeLessThan(5_000);
  }));

test('the jobs of a living worker are its own, however slow the mail server and whoever else comes and looks', () =>
  withServers(async ({ lane, holder, startOther, signIn }) => {
    const other = await startOther();
    // Whichever replica takes the job: only the mail of `holder` is slow.
    const { promise: held, resolve } = Promise.withResolvers<void>();
    lane.smtp.arm('answer', resolve);
    other.signal('SIGSTOP');
    const account = await signIn(holder);
    await held;
    other.signal('SIGCONT');
    const another = startOther();
    const seen = new Set<string>();
    // nodemailer gives a silent server up after 10 s.
    const until = performance.now() + 9_000;
    while (performance.now() < until) {
      const { rows } = await lane.pool.query<{ locked_by: string | null; attempts: number }>(
        'select locked_by, attempts from graphile_worker.jobs',
      );
      for (const row of rows) seen.add(`${row.locked_by} ${row.attempts}`);
      await sleep(20);
    }
    await another;
    expect(seen.size).toBe(1);
    expect([...seen][0]).toMatch(/^\S+ 1$/);
    lane.smtp.release();
    await eventually(5_000, async () => {
      const { rows } = await lane.pool.query('select state from delivery');
      expect(rows).toEqual([{ state: 'ACCEPTED' }]);
    });
    expect(mail.mails.filter(({ to }) => to === account.email)).toHaveLength(1);
  }));
