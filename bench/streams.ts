// What open WatchDevice streams cost a server: memory a stream, CPU at rest, and how long a code takes to reach all of an
// account's devices; beside plain Connect streams. `npm run bench:streams [accounts] [seconds of rest]`.

import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import pg from 'pg';
import { Channel } from '../gen/countersign/v1/challenge_pb.ts';
import { Platform } from '../gen/countersign/v1/device_pb.ts';
import { TwoStepAuth } from '../gen/countersign/v1/two_step_auth_pb.ts';
import { createAccounts, password } from './accounts.ts';
import { atRest, type Opened, openedBy, untilSteady } from './open-streams.ts';
import { appHeaders } from './requests.ts';
import { measure, printTable, quantile, type ServerProcess } from './support.ts';

const accounts = Number(process.argv[2] ?? 250);
const devicesPerAccount = 20;
const streams = accounts * devicesPerAccount;
const connections = 250;
const codes = 50;
const restMs = Number(process.argv[3] ?? 60) * 1_000;
const idleMs = 10_000;
const accountPrefix = 'account-';

await measure(238_000, async (parts) => {
  const [server, plain] = await Promise.all([
    parts.start('server-process.ts'),
    parts.start('plain-streams-process.ts'),
  ]);
  const database = new pg.Pool({ connectionString: parts.databaseUrl, max: 1 });
  database.on('error', () => {});
  const options = { prefix: accountPrefix, accounts, devicesEach: devicesPerAccount, hash: 'argon2id' } as const;
  const tokens = (await createAccounts(database, options)).map(({ accessToken }) => accessToken);
  stage('set up');
  const openInDatabase = async () => (await database.query('select count(*)::int as n from open_stream')).rows[0].n;

  // Fewer than a server's bound of statements at once (200), beyond which it forgets to note that a stream has ended.
  const some = { tokens, accounts, connections, warmUp: 150 };
  const ours = await openedBy(server, some, openInDatabase);
  const floor = await openedBy(plain, some, undefined);
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
    const { result } = await client.signIn({ email, password, device }, { headers: appHeaders });
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
