// The server process of a cluster: found, started, waited for and stopped. It must not know who owns it.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import { type Account, unlessMissing } from './postgres-account.ts';

export interface PostgresServerOptions {
  log: Logger;
  /** False only where losing the data in a crash does not matter: tests. Default true. */
  fsync?: boolean;
  /** Default 100. */
  maxConnections?: number;
}

/** What a running server says in its postmaster.pid. */
interface Holder {
  pid: number;
  port: number;
  ready: boolean;
}

const execute = promisify(execFile);

/** The superuser of a cluster. */
export const databaseUser = 'countersign';
export const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
export const POLL_MS = 10;
const LOG_LIMIT_BYTES = 1_000_000;
/** PostgreSQL's own words for a start that another one, or the rest of a killed one, got in the way of. */
const WORTH_A_RETRY = /lock file|pre-existing shared memory block|could not bind|could not create any TCP\/IP sockets/;

/** Waits until a server of this cluster is ready, starting one where there is none. */
export async function ensureServer(
  home: string,
  binaries: string,
  account: Account | undefined,
  options: PostgresServerOptions,
  deadline: number,
): Promise<Holder> {
  const cluster = join(home, 'cluster');
  const serverLog = join(home, 'server.log');
  let child: ChildProcess | undefined;
  let failure: Error | undefined;
  let logOffset = 0;

  for (;;) {
    const holder = await readHolder(cluster);
    if (holder !== undefined && (await isServerOf(cluster, holder.pid))) {
      if (holder.ready) {
        if (holder.pid !== child?.pid) options.log.info('the embedded PostgreSQL was still running, and is used again');
        return holder;
      }
    } else if (child === undefined) {
      if (holder !== undefined) await removeStaleLock(cluster, holder);
      const { size } = await fs.stat(serverLog).catch(() => ({ size: 0 }));
      if (size > LOG_LIMIT_BYTES) await fs.truncate(serverLog);
      logOffset = size > LOG_LIMIT_BYTES ? 0 : size;
      child = await spawnServer(cluster, serverLog, binaries, account, options);
      child.once('error', (error) => {
        failure = error;
      });
    }

    if (failure !== undefined) throw new Error(`PostgreSQL could not be run: ${failure.message}`, { cause: failure });
    if (child !== undefined && (child.exitCode !== null || child.signalCode !== null)) {
      const words = (await fs.readFile(serverLog, 'utf8')).slice(logOffset).trim();
      if (!WORTH_A_RETRY.test(words))
        throw new Error(`PostgreSQL did not start. Its log, ${serverLog}, says:\n${words}`);
      child = undefined;
    }
    if (performance.now() > deadline) {
      throw new Error(`PostgreSQL did not get ready in ${START_TIMEOUT_MS / 1000} s. See ${serverLog}.`);
    }
    await sleep(POLL_MS);
  }
}

async function spawnServer(
  cluster: string,
  serverLog: string,
  binaries: string,
  account: Account | undefined,
  { fsync = true, maxConnections = 100 }: PostgresServerOptions,
): Promise<ChildProcess> {
  const settings = [
    'listen_addresses=127.0.0.1',
    // A socket in a shared folder would be one more thing that a killed start leaves behind.
    'unix_socket_directories=',
    `max_connections=${maxConnections}`,
    'timezone=UTC',
    'log_timezone=UTC',
    'log_checkpoints=off',
    // What is in rows and parameters stays out of the log.
    'log_error_verbosity=terse',
    'log_min_error_statement=panic',
    ...(fsync ? [] : ['fsync=off', 'full_page_writes=off', 'synchronous_commit=off']),
  ];
  const output = await fs.open(serverLog, 'a', 0o600);
  try {
    const child = spawn(
      join(binaries, 'bin', 'postgres'),
      ['-D', cluster, '-p', String(await freePort()), ...settings.flatMap((setting) => ['-c', setting])],
      // Detached: Ctrl+C goes to the whole terminal group, and the database must outlive the drain of its user.
      { ...account, cwd: '/', env: { LC_ALL: 'C' }, detached: true, stdio: ['ignore', output.fd, output.fd] },
    );
    child.unref();
    return child;
  } finally {
    await output.close();
  }
}

export async function stopServer(cluster: string): Promise<void> {
  const pid = (await readHolder(cluster))?.pid;
  if (pid === undefined) return;
  const started = performance.now();
  let signal: NodeJS.Signals | undefined = 'SIGINT';
  while (await isServerOf(cluster, pid)) {
    if (signal !== undefined) process.kill(pid, signal);
    await sleep(POLL_MS);
    // SIGINT is a fast shutdown, SIGQUIT an immediate one, which the next start recovers from.
    signal = performance.now() - started > STOP_TIMEOUT_MS ? 'SIGQUIT' : undefined;
  }
}

async function readHolder(cluster: string): Promise<Holder | undefined> {
  const text = await fs.readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(unlessMissing);
  const lines = text?.split('\n') ?? [];
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return { pid, port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' };
}

/** Whether this process may signal `pid` and its command line is that of a server of this cluster: pids are given anew. */
async function isServerOf(cluster: string, pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const command = await fs
    .readFile(`/proc/${pid}/cmdline`, 'utf8')
    .catch(async () => (await execute('ps', ['-p', String(pid), '-o', 'command='])).stdout)
    .catch(() => '');
  return command.replaceAll('\0', ' ').includes(`postgres -D ${cluster} `);
}

/** PostgreSQL itself discards the lock of a dead process, but takes any living one with that pid for a server. */
async function removeStaleLock(cluster: string, stale: Holder): Promise<void> {
  const now = await readHolder(cluster);
  if (now?.pid === stale.pid) await fs.rm(join(cluster, 'postmaster.pid'), { force: true });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port on 127.0.0.1');
  return address.port;
}
