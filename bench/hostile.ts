// What honest calls wait while a replica of its own, and the edge in front of one, are attacked, and what both hold meanwhile.
// `npm run bench:hostile [word]`, of the attacks that have it in their names.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { floods } from '../test/hostile/floods.ts';
import { idleConnections } from '../test/hostile/idle.ts';
import { hasHaproxy, startEdge } from '../test/support/edge.ts';
import { childOf, residentBytes } from '../test/support/process-memory.ts';
import { createAccounts, type SignedInDevice } from './accounts.ts';
import type { Order } from './hostile-attacker.ts';
import { appHeaders } from './requests.ts';
import { measure, printTable, quantile } from './support.ts';

const only = process.argv[2] ?? '';
/** ms of each attack, and between two of them. */
const attackMs = 1_500;
const restMs = 300;
/** ms from one honest call to the next. */
const honestEveryMs = 10;

interface Target {
  readonly name: string;
  readonly url: string;
  readonly ca?: string;
  readonly processes: Readonly<Record<string, number>>;
}

await measure(175_000, async (parts) => {
  const database = new pg.Pool({ connectionString: parts.databaseUrl, max: 1 });
  const [replica, behind] = await Promise.all([parts.start('server-process.ts'), parts.start('server-process.ts')]);
  const [device] = await createAccounts(database, { prefix: 'honest', accounts: 1, devicesEach: 1, hash: 'plain' });
  if (device === undefined) throw new Error('no device');
  await database.end();
  const targets: Target[] = [{ name: 'a bare replica', url: replica.publicUrl, processes: { replica: replica.pid } }];
  const edge = (await hasHaproxy())
    ? await startEdge({ replicas: [behind.publicUrl], env: { COUNTERSIGN_CALLS_PER_ADDRESS: '1000000' } })
    : undefined;
  if (edge !== undefined) {
    const { url, ca } = edge;
    targets.push({ name: 'the edge', url, ca, processes: { replica: behind.pid, edge: childOf(edge.pid) } });
  }
  let failed = 0;
  for (const target of targets) failed += await attackAll(target, device);
  await edge?.stop();
  return failed === 0;
});

/** Prints a row an attack; how many honest calls failed. */
async function attackAll(target: Target, device: SignedInDevice): Promise<number> {
  const attacker = fork(join(import.meta.dirname, 'hostile-attacker.ts'));
  const peer = { port: Number(new URL(target.url).port), tls: target.ca !== undefined };
  const order = (attack: string | undefined) => attacker.send({ attack, peer } satisfies Order);
  const rows = [['', 'p50 ms', 'p99 ms', 'calls', 'failed', ...Object.keys(target.processes).map(columnOf)]];
  const honest = openHonest(target, device);
  await during(target, honest, 1_000);
  let failed = 0;
  const kinds = ['slow', 'idle', ...floods.map(({ name }) => name)].filter((kind) => kind.includes(only));
  for (const attack of [undefined, ...kinds, undefined]) {
    const before = held(target);
    if (attack !== undefined) order(attack);
    const { latencies, failures, most } = await during(target, honest, attackMs);
    if (attack !== undefined) {
      order(undefined);
      await once(attacker, 'message');
      // What it has left to do, it does before an honest call.
      await honest.call();
    }
    await sleep(restMs);
    failed += failures;
    const after = held(target);
    const memory = Object.keys(target.processes).map((name) =>
      [before, most, after].map((each) => Math.round((each[name] ?? 0) / 2 ** 20)).join(' > '),
    );
    rows.push([
      wordsOf(attack),
      quantile(latencies, 0.5).toFixed(1),
      quantile(latencies, 0.99).toFixed(1),
      String(latencies.length),
      String(failures),
      ...memory,
    ]);
  }
  honest.close();
  const ended = once(attacker, 'exit');
  attacker.disconnect();
  await ended;
  process.stdout.write(`\n${target.name}: honest calls (GetSettings, ${1_000 / honestEveryMs} a second at most)\n`);
  printTable(rows);
  return failed;
}

function columnOf(name: string): string {
  return `${name} MB, before > most > after`;
}

function wordsOf(attack: string | undefined): string {
  if (attack === undefined) return 'no attack';
  if (attack === 'slow') return 'what is begun and not ended';
  return attack === 'idle' ? `${idleConnections} connections that do nothing` : attack;
}

type Memory = Readonly<Record<string, number>>;

/** Makes honest calls for a while, one after the other. */
async function during(target: Target, honest: ReturnType<typeof openHonest>, ms: number) {
  const latencies: number[] = [];
  let failures = 0;
  let most: Memory = held(target);
  const end = performance.now() + ms;
  while (performance.now() < end) {
    const begin = performance.now();
    if (!(await honest.call())) failures++;
    latencies.push(performance.now() - begin);
    const now = held(target);
    most = Object.fromEntries(Object.entries(now).map(([name, bytes]) => [name, Math.max(bytes, most[name] ?? 0)]));
    await sleep(honestEveryMs);
  }
  return { latencies, failures, most };
}

/** One connection that stays, as an app has. */
function openHonest({ url, ca }: Target, device: SignedInDevice) {
  const session = connect(url, ca === undefined ? {} : { ca });
  session.on('error', () => {});
  const headers = {
    ':method': 'POST',
    ':path': '/countersign.v1.TwoStepAuth/GetSettings',
    'content-type': 'application/json',
    authorization: `Bearer ${device.accessToken}`,
    ...appHeaders,
  };
  return {
    call: () =>
      new Promise<boolean>((resolve) => {
        if (session.closed || session.destroyed) return resolve(false);
        const stream = session.request(headers);
        let answered = false;
        stream.on('response', (answer) => {
          answered = answer[':status'] === 200;
        });
        stream.on('error', () => {});
        stream.on('close', () => resolve(answered));
        stream.resume();
        stream.end('{}');
      }),
    close: () => session.destroy(),
  };
}

function held({ processes }: Target): Memory {
  return Object.fromEntries(Object.entries(processes).map(([name, pid]) => [name, residentBytes(pid)]));
}
