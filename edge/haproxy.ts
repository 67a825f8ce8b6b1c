// HAProxy as a process: started with a rendered configuration, loaded anew, ended. It must not know what it is told to do.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

export const haproxyPath = '/usr/sbin/haproxy';

export interface HAProxy {
  readonly pid: number;
  readonly exit: Promise<number | null>;
  /** Everything that it wrote so far. */
  log(): string;
  /** Loads its configuration anew: resolves once the new one is served. @throws Error where it is none. */
  reload(): Promise<void>;
  /** Cuts what is open. */
  stop(): Promise<void>;
}

/** @throws Error with HAProxy's words, where the configuration is none. */
export async function checkConfiguration(path: string): Promise<void> {
  try {
    await promisify(execFile)(haproxyPath, ['-c', '-f', path]);
  } catch (error) {
    const words = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    throw new Error(`HAProxy does not take ${path}:\n${words}`);
  }
}

/** Starts it; resolves once it serves. It ends with this process, however that ends. */
export async function startHAProxy(path: string, onLine: (text: string) => void = () => {}): Promise<HAProxy> {
  await checkConfiguration(path);
  const child = spawnTied(haproxyPath, ['-f', path]);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (piece: Buffer) => {
      said += piece;
      onLine(piece.toString());
    });
  }
  const exit = once(child, 'close').then(([code]) => code as number | null);
  /** The master says so of each start and each reload. */
  const loaded = async (from: number) => {
    const deadline = performance.now() + 30_000;
    for (;;) {
      const news = said.slice(from);
      if (/Loading success/.test(news)) return;
      if (/Loading failure/.test(news) || child.exitCode !== null) throw new Error(`HAProxy: ${news}`);
      if (performance.now() > deadline) throw new Error(`HAProxy says nothing: ${said.slice(-2_000)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const stop = async () => {
    child.kill('SIGTERM');
    await exit;
  };
  try {
    await loaded(0);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    pid: child.pid ?? 0,
    exit,
    log: () => said,
    reload: async () => {
      await checkConfiguration(path);
      const from = said.length;
      child.kill('SIGUSR2');
      await loaded(from);
    },
    stop,
  };
}

/** A process that is ended with this one, where the system can do that. */
export function spawnTied(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): ChildProcess {
  const setpriv = '/usr/bin/setpriv';
  const tied = existsSync(setpriv) ? [setpriv, '--pdeathsig', 'TERM', command, ...args] : [command, ...args];
  const [file = '', ...rest] = tied;
  return spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'], env });
}
