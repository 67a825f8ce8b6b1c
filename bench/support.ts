// What a measurement runs on: PostgreSQL with fsync, an SMTP server that keeps nothing, servers as processes of their own.
// All of it ends with the measurement, however that ends.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { pino } from 'pino';
import { SMTPServer } from 'smtp-server';
import type { AppConfig } from '../server/app/app-config.ts';
import { readConfig } from '../server/config.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../server/development/embedded-postgres.ts';
import { hashServiceToken, scopes } from '../server/platform/service-tokens.ts';

export const serviceToken = 'bench-service-token-0123456789';

/** What a process has used so far, after a garbage collection where `collect` asked for one. */
export interface Usage {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
  readonly cpuMs: number;
}

/** A server in a process of its own. */
export interface ServerProcess {
  readonly pid: number;
  readonly publicUrl: string;
  readonly internalUrl: string;
  usage(collect: boolean): Promise<Usage>;
  /** Lets it stop by itself. */
  stop(): Promise<void>;
}

export interface Parts {
  readonly databaseUrl: string;
  readonly smtpUrl: string;
  /**
   * Starts a program of this folder that answers as `answerParent` does; on another database or Redis where one is named,
   * with Apple's push service where that is given.
   */
  start(program: string, beside?: Partial<Omit<Outside, 'smtpUrl'>>): Promise<ServerProcess>;
  /** CPU time of PostgreSQL with all its processes in ms; undefined where the system does not tell. */
  postgresCpuMs(): number | undefined;
}

/** The keys of the servers that are measured, for who stands in for them. */
export const benchKeys = {
  code: { keyId: 'bench', key: Buffer.alloc(32, 1) },
  signing: { keyId: 'bench', key: Buffer.alloc(32, 2) },
};

/** What a server that is measured has to do with. */
interface Outside {
  readonly databaseUrl: string;
  readonly smtpUrl: string;
  readonly redisUrl?: string;
  readonly apns?: AppConfig['apns'];
}

/**
 * The settings of the servers that are measured: an operator's, but with patience for a machine that does more; with Redis where one
 * is named, or REDIS_URL says so.
 */
export function benchConfig(parts: Outside): AppConfig {
  const config = readConfig({
    COUNTERSIGN_PUBLIC_ADDRESS: '127.0.0.1:0',
    COUNTERSIGN_INTERNAL_ADDRESS: '127.0.0.1:0',
    COUNTERSIGN_DATABASE_PATIENCE: '20s',
    REDIS_URL: parts.redisUrl ?? process.env['REDIS_URL'],
  });
  return {
    ...config,
    databaseUrl: parts.databaseUrl,
    smtpUrl: parts.smtpUrl,
    apns: parts.apns,
    codeKeys: { entries: [benchKeys.code] },
    signingKeys: { entries: [benchKeys.signing] },
    serviceTokens: [{ name: 'bench', scopes, hash: hashServiceToken(serviceToken) }],
  };
}

/** Runs `work` on parts of its own, within `withinMs`; exits with what it returns, and leaves nothing running. */
export async function measure(withinMs: number, work: (parts: Parts) => Promise<boolean>): Promise<never> {
  const dataDir = await mkdtemp(join(tmpdir(), 'countersign-bench-'));
  // As root, PostgreSQL runs as another user, who must get in.
  await chmod(dataDir, 0o755);
  const postgres = await startPostgres(dataDir);
  const home = await realpath(join(dataDir, 'postgres'));
  const postmaster = Number((await readFile(join(home, 'cluster', 'postmaster.pid'), 'utf8')).split('\n')[0]);
  const mailSink = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onData(stream, _session, callback) {
      stream.resume();
      stream.on('end', () => callback());
    },
  });
  await new Promise<void>((resolve) => mailSink.listen(0, '127.0.0.1', resolve));
  const sinkAddress = mailSink.server.address();
  const running = new Set<ChildProcess>();
  const parts: Parts = {
    databaseUrl: postgres.url,
    smtpUrl: `smtp://127.0.0.1:${typeof sinkAddress === 'object' ? sinkAddress?.port : ''}`,
    start: (program, beside = {}) =>
      startProcess(program, { databaseUrl: postgres.url, smtpUrl: parts.smtpUrl, ...beside }, running),
    postgresCpuMs: () => cpuMsOfTree(postmaster),
  };

  // Who reads the tables may have gone; what was started still has to end.
  process.stdout.on('error', () => {});
  const interrupted = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`not done within ${withinMs} ms`)), withinMs).unref();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => reject(new Error(signal)));
  });
  let exitCode = 1;
  try {
    exitCode = (await Promise.race([work(parts), interrupted])) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  } finally {
    const ends = [...running].map((child) => once(child, 'exit'));
    for (const child of running) child.kill('SIGKILL');
    await Promise.all(ends);
    mailSink.close();
    await postgres.stop();
    await rm(home, { recursive: true, force: true });
    await rm(dataDir, { recursive: true, force: true });
  }
  process.exit(exitCode);
}

/** With fsync, connections for many servers, and the times of commits, which PostgreSQL notes only if told at its start. */
async function startPostgres(dataDir: string): Promise<EmbeddedPostgres> {
  const options = { dataDir, log: pino({ level: 'warn' }), maxConnections: 300 };
  const first = await startEmbeddedPostgres(options);
  const client = new pg.Client({ connectionString: first.url });
  await client.connect();
  await client.query('alter system set track_commit_timestamp = on');
  await client.end();
  await first.stop();
  return startEmbeddedPostgres(options);
}

async function startProcess(program: string, given: Outside, running: Set<ChildProcess>): Promise<ServerProcess> {
  const child = fork(join(import.meta.dirname, program), [JSON.stringify(given)], {
    execArgv: [...process.execArgv, '--expose-gc'],
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  const answer = async <T>(): Promise<T> => {
    const ended = new AbortController();
    const onExit = () => ended.abort(new Error(`${program} ended`));
    child.once('exit', onExit);
    try {
      const [message] = await once(child, 'message', { signal: ended.signal });
      return message;
    } finally {
      child.off('exit', onExit);
    }
  };
  const addresses = await answer<{ readonly publicUrl: string; readonly internalUrl: string }>();
  return {
    pid: child.pid ?? 0,
    ...addresses,
    usage: (collect) => {
      const usage = answer<Usage>();
      child.send({ collect });
      return usage;
    },
    stop: async () => {
      const exit = once(child, 'exit');
      child.disconnect();
      await exit;
    },
  };
}

/** In a process that `Parts.start` began: tells where it serves, answers `usage`, and ends with its parent. */
export function answerParent(
  addresses: { readonly publicUrl: string; readonly internalUrl: string },
  stop: () => Promise<void>,
): void {
  const collect = (globalThis as { gc?: () => void }).gc;
  process.on('message', async (message: { readonly collect: boolean }) => {
    // More than one round: what finalizers let go of is taken by the next.
    for (let round = 0; message.collect && round < 3; round++) {
      collect?.();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { rss, heapUsed, external } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    process.send?.({ rss, heapUsed, external, cpuMs: (user + system) / 1_000 } satisfies Usage);
  });
  process.once('disconnect', () => void stop().finally(() => process.exit(0)));
  // Ctrl+C goes to the whole terminal group; the parent says when.
  process.on('SIGINT', () => {});
  process.send?.(addresses);
}

/** Linux counts in ticks of 10 ms; a process that ended counts at its parent. */
function cpuMsOfTree(root: number): number | undefined {
  try {
    let ticks = 0;
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const fields = statOf(name);
      if (fields === undefined) continue;
      const [parent, user = 0, system = 0, endedUser = 0, endedSystem = 0] = [1, 11, 12, 13, 14].map((index) =>
        Number(fields[index]),
      );
      if (Number(name) === root) ticks += user + system + endedUser + endedSystem;
      else if (parent === root) ticks += user + system;
    }
    return ticks * 10;
  } catch {
    return undefined;
  }
}

/** The fields after the name of the program, which may hold spaces. */
function statOf(pid: string): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function printTable(rows: readonly (readonly string[])[]): void {
  const widths = rows.reduce<number[]>(
    (widest, row) => row.map((cell, index) => Math.max(widest[index] ?? 0, cell.length)),
    [],
  );
  for (const row of rows) {
    const cells = row.map((cell, index) =>
      index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0),
    );
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`);
  }
}
