// A PostgreSQL cluster of a test's own, which it may stop, start and freeze. It must not know what is in it.

import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { startEmbeddedPostgres } from '../../server/development/embedded-postgres.ts';

const execute = promisify(execFile);

export interface Cluster {
  /** Of the running server; another one after each start. */
  url(): string;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** SIGSTOP to the server and every process of it: connections stay, and nothing answers. */
  freeze(): Promise<void>;
  /** SIGKILL to the server; its processes see that and end. */
  kill(): Promise<void>;
  thaw(): void;
  /** Stops it, and takes its files away. */
  discard(): Promise<void>;
}

export async function startCluster(): Promise<Cluster> {
  const log = pino({ level: 'silent' });
  const dataDir = await mkdtemp(join(tmpdir(), 'countersign-cluster-'));
  // As root, PostgreSQL runs as another user, who must get in.
  await chmod(dataDir, 0o755);
  const startServer = () => startEmbeddedPostgres({ dataDir, log, fsync: false });
  let server = await startServer();
  const home = await realpath(join(dataDir, 'postgres'));
  let frozen: readonly number[] = [];

  const thaw = () => {
    for (const pid of frozen) process.kill(pid, 'SIGCONT');
    frozen = [];
  };
  return {
    url: () => server.url,
    stop: () => server.stop(),
    start: async () => {
      server = await startServer();
    },
    freeze: async () => {
      const postmaster = await postmasterOf(home);
      // First of all, so that it makes no more processes.
      process.kill(postmaster, 'SIGSTOP');
      frozen = [postmaster];
      const { stdout } = await execute('ps', ['-A', '-o', 'pid=,ppid=']);
      const children = stdout
        .split('\n')
        .map((line) => line.trim().split(/\s+/).map(Number))
        .flatMap(([pid, parent]) => (pid !== undefined && parent === postmaster ? [pid] : []));
      for (const pid of children) process.kill(pid, 'SIGSTOP');
      frozen = [postmaster, ...children];
    },
    kill: async () => void process.kill(await postmasterOf(home), 'SIGKILL'),
    thaw,
    discard: async () => {
      thaw();
      await server.stop();
      await rm(home, { recursive: true, force: true });
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function postmasterOf(home: string): Promise<number> {
  const lock = await readFile(join(home, 'cluster', 'postmaster.pid'), 'utf8');
  return Number(lock.split('\n')[0]);
}
