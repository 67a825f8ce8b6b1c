// What open WatchDevice streams cost a server: memory a stream, CPU at rest, and how long a code takes to reach all of an
// account's devices; beside plain Connect streams. `npm run bench:streams [accounts] [seconds of rest]`.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import pg from 'pg';
import { Channel } from '../gen/countersign/v1/challenge_pb.ts';
import { Platform } from '../gen/countersign/v1/device_pb.ts';
import { TrustedDevices } from '../gen/countersign/v1/trusted_devices_pb.ts';
import { TwoStepAuth } from '../gen/countersign/v1/two_step_auth_pb.ts';
import { createPasswords } from '../server/directory/passwords.ts';
import { createAccessTokens } from '../server/platform/keys.ts';
import { benchConfig, measure, type Parts, printTable, quantile, type ServerProcess, type Usage } from './support.ts';

const accounts = Number(process.argv[2] ?? 250);
const devicesPerAccount = 20;
const streams = accounts * devicesPerAccount;
const connections = 250;
const codes = 50;
const restMs = Number(process.argv[3] ?? 60) * 1_000;
const idleMs = 10_000;
const password = 'correct horse';
const accountPrefix = 'account-';
const versionHeaders = { 'countersign-client-version': '2.3', 'countersign-client-platform': 'ios' };

await measure(238_000, async (parts) => {
  const [server, plain] = await Promise.all([
    parts.start('server-process.ts'),
    parts.start('plain-streams-process.ts'),
  ]);
  const database = new pg.Pool({ connectionString: parts.databaseUrl, max: 1 });
  database.on('error', () => {});
  const tokens = await setUp(parts, database);
  stage('set up');
  const openInDatabase = async () => (await database.query('select count(*)::int as n from open_stream')).rows[0].n;

  // Each is warmed up by some streams that end again, so that what is measured is the streams' own.
  const ours = await openedBy(server, tokens, openInDatabase);
  const floor = await openedBy(plain, tokens, undefined);
  stage('warmed up');
  const [idle] = await Promise.all([atRest(parts, server, idleMs), floor.openAll()]);
  const begin = performance.now();
  await ours.openAll();
  const openedIn = performance.now() - begin;
  stage('opened');
  const [rest, plainRest] = await Promise.all([atRest(parts, server, restMs), atRest(parts, plain, restMs)]);
  // Now, because a stream's headers go out with its first message.
  const [ourMemory, plainMemory] = await Promise.all([ours.memoryPerStream(), floor.memoryPerStream()]);
  stage('rested');
  floor.closeAll();
  const reached = await reachDevices(server, ours);
  stage('codes sent');
  const stillOpen = await openInDatabase();
  ours.closeAll();
  const left = await untilSteady(openInDatabase);
  await database.end();

  const kb = (bytes: number) => (bytes / 1024).toFixed(1);
  const percent = (share: number | undefined) => (share === undefined ? '-' : `${(share * 100).toFixed(1)} %`);
  const memory = (what: string, of: 'rss' | 'heapUsed' | 'external') => [
    what,
    kb(ourMemory[of]),
    kb(plainMemory[of]),
    (ourMemory[of] / plainMemory[of]).toFixed(2),
  ];
  printTable([
    [`${streams} streams, ${connections} connections`, 'Countersign', 'plain', 'ratio'],
    memory('RSS a stream, KiB', 'rss'),
    memory('heap a stream, KiB', 'heapUsed'),
    memory('external a stream, KiB', 'external'),
    ['CPU at rest, of a core', percent(rest.cpu), percent(plainRest.cpu), (rest.cpu / plainRest.cpu).toFixed(1)],
    ['CPU without streams, of a core', percent(idle.cpu)],
    ["PostgreSQL's CPU at rest, of a core", percent(rest.postgres)],
    ["PostgreSQL's CPU without streams", percent(idle.postgres)],
  ]);
  const all = [0.5, 0.99, 1].map((share) => quantile(reached, share).toFixed(1));
  process.stdout.write(
    [
      `opened in ${(openedIn / 1_000).toFixed(1)} s`,
      `SignIn's answer to the last of ${devicesPerAccount} devices, ms, ${codes} codes: median ${all[0]}, p99 ${all[1]}, most ${all[2]}`,
      `open at the end: ${stillOpen} of ${streams}; noted as open after all broke at once: ${left}`,
      '',
    ].join('\n'),
  );
  await Promise.all([server.stop(), plain.stop()]);
  return stillOpen === streams && left === 0;
});

/** So that a run that is cut shows where its time went. */
function stage(name: string): void {
  process.stderr.write(`${(performance.now() / 1_000).toFixed(0)} s: ${name}\n`);
}

/** Accounts with trusted, signed-in devices, by SQL; an access token for each device, of each account in turn. */
async function setUp(parts: Parts, database: pg.Pool): Promise<readonly string[]> {
  const { hash } = await createPasswords(1, 1);
  const passwordHash = await hash(password);
  await database.query('insert into account select $1 || n, now(), true, false, 1, 0 from generate_series(1, $2) n', [
    accountPrefix,
    accounts,
  ]);
  await database.query(
    `insert into directory_account
      select $1 || n, $1 || n || '@example.com', $1 || n || '@example.com', $3, 'en', now(), now()
      from generate_series(1, $2) n`,
    [accountPrefix, accounts, passwordHash],
  );
  await database.query(
    `insert into device (account_id, device_id, display_name, model, platform, os_version, app_version, token_hash,
        trust_time, create_time, last_use_time, last_ip_address)
      select account_id, uuidv7(), 'Phone ' || n, 'iPhone 17', 'IOS', '19.1', '2.3', sha256(uuidv7()::text::bytea),
        now(), now(), now(), '127.0.0.1'
      from account, generate_series(1, $1) n`,
    [devicesPerAccount],
  );
  await database.query(
    `insert into session (account_id, session_id, device_id, amr, create_time, last_use_time, generation,
        oldest_generation, family_hash, refresh_hash, first_use_time)
      select account_id, uuidv7(), device_id, '["pwd", "otp"]', now(), now(), 1, 1, sha256(uuidv7()::text::bytea),
        sha256(uuidv7()::text::bytea), now()
      from device`,
  );
  await database.query('analyze');
  const { rows } = await database.query<{ accountId: string; sessionId: string; deviceId: string }>(
    `select account_id as "accountId", session_id as "sessionId", device_id as "deviceId" from session
      order by row_number() over (partition by account_id order by session_id), account_id`,
  );
  const { signingKeys, tokenIssuer, tokenAudience } = benchConfig(parts);
  const { sign } = createAccessTokens(signingKeys, tokenIssuer, tokenAudience);
  const issueTime = new Date();
  const expireTime = new Date(issueTime.getTime() + 3_600_000);
  return Promise.all(
    rows.map((row) => sign({ ...row, amr: ['pwd', 'otp'], generation: 1, issueTime, expireTime }).then(String)),
  );
}

interface Opened {
  openAll(): Promise<void>;
  memoryPerStream(): Promise<Pick<Usage, 'rss' | 'heapUsed' | 'external'>>;
  closeAll(): void;
  /** Called with the challenge's id and the time, for each code that arrives. */
  onCode: (challengeId: string, time: number) => void;
}

/** Streams of one server; `count` says how many it has noted. Where it notes none, each says at once that it lives. */
async function openedBy(
  server: ServerProcess,
  tokens: readonly string[],
  count: (() => Promise<number>) | undefined,
): Promise<Opened> {
  // Enough that the server is busy, few enough that it refuses none.
  const atOnce = 50;
  let closing = new AbortController();
  let clients: Client<typeof TrustedDevices>[] = [];
  let broken: unknown;
  let heard = 0;
  const read = async (token: string, index: number) => {
    // The streams of an account are on connections of their own.
    const client = clients[(index + Math.floor(index / accounts)) % clients.length];
    const options = {
      headers: { ...versionHeaders, authorization: `Bearer ${token}` },
      signal: closing.signal,
    };
    for await (const { event } of client?.watchDevice({}, options) ?? []) {
      if (event.case === 'codeArrived') opened.onCode(event.value.challenge?.challengeId ?? '', performance.now());
      else if (event.case === 'keepAlive') heard += 1;
      else throw new Error(`a stream was told ${event.case}`);
    }
  };
  const open = async (some: readonly string[]) => {
    heard = 0;
    closing = new AbortController();
    const { signal } = closing;
    clients = Array.from({ length: connections }, () =>
      createClient(TrustedDevices, createConnectTransport({ baseUrl: server.publicUrl, httpVersion: '2' })),
    );
    for (let start = 0; start < some.length; start += atOnce) {
      const batch = some.slice(start, start + atOnce);
      for (const [index, token] of batch.entries()) {
        read(token, start + index).catch((error) => {
          if (!signal.aborted) broken ??= error;
        });
      }
      // The next ones come while these are on their way; the last are waited for.
      const target = Math.min(start + batch.length, some.length) - (start + atOnce < some.length ? atOnce : 0);
      while (broken === undefined && (count === undefined ? heard : await count()) < target) await sleep(5);
      if (broken !== undefined) throw broken;
    }
  };

  let before: Usage | undefined;
  const opened: Opened = {
    onCode: () => {},
    openAll: async () => {
      before = await server.usage(true);
      await open(tokens);
    },
    memoryPerStream: async () => {
      const after = await server.usage(true);
      const each = (of: 'rss' | 'heapUsed' | 'external') => (after[of] - (before?.[of] ?? 0)) / tokens.length;
      return { rss: each('rss'), heapUsed: each('heapUsed'), external: each('external') };
    },
    closeAll: () => closing.abort(),
  };
  // Fewer than a server's bound of statements at once (200), beyond which it forgets to note that a stream has ended.
  await open(tokens.slice(0, 150));
  opened.closeAll();
  while (count !== undefined && (await count()) > 0) await sleep(20);
  return opened;
}

/** The shares of a core that a server and PostgreSQL take while nothing happens. */
async function atRest(
  parts: Parts,
  server: ServerProcess,
  ms: number,
): Promise<{ readonly cpu: number; readonly postgres: number | undefined }> {
  const [begin, before, postgresBefore] = [performance.now(), await server.usage(false), parts.postgresCpuMs()];
  await sleep(ms);
  const [after, postgresAfter] = [await server.usage(false), parts.postgresCpuMs()];
  const passed = performance.now() - begin;
  const hasPostgres = postgresBefore !== undefined && postgresAfter !== undefined;
  return {
    cpu: (after.cpuMs - before.cpuMs) / passed,
    postgres: hasPostgres ? (postgresAfter - postgresBefore) / passed : undefined,
  };
}

/** Milliseconds from SignIn's answer to the arrival at the last of the account's devices, one account after the other. */
async function reachDevices(server: ServerProcess, opened: Opened): Promise<readonly number[]> {
  const client = createClient(
    TwoStepAuth,
    createConnectTransport({ baseUrl: server.publicUrl, httpVersion: '2', defaultTimeoutMs: 10_000 }),
  );
  const device = { displayName: 'New', model: 'iPhone 17', platform: Platform.IOS, osVersion: '19.1' };
  const times: number[] = [];
  for (let code = 0; code < codes; code++) {
    const arrivals = new Map<string, number[]>();
    opened.onCode = (challengeId, time) => arrivals.set(challengeId, [...(arrivals.get(challengeId) ?? []), time]);
    const email = `${accountPrefix}${1 + (code % accounts)}@example.com`;
    const { result } = await client.signIn({ email, password, device }, { headers: versionHeaders });
    const answered = performance.now();
    const challenge = result.case === 'challengeGrant' ? result.value.challenge : undefined;
    if (challenge?.defaultChannel !== Channel.APP) throw new Error(`no code in the app but ${result.case}`);
    const here = () => arrivals.get(challenge.challengeId) ?? [];
    while (here().length < devicesPerAccount) {
      if (performance.now() > answered + 5_000) throw new Error(`only ${here().length} devices were told`);
      await sleep(1);
    }
    times.push(Math.max(...here()) - answered);
    // What is noted of the showing is not part of the next.
    await sleep(100);
  }
  return times;
}

/** What is counted once it does not change any more. */
async function untilSteady(count: () => Promise<number>): Promise<number> {
  let last = await count();
  for (;;) {
    await sleep(1_000);
    const now = await count();
    if (now === last) return now;
    last = now;
  }
}
