// HAProxy as a process: started with a rendered configuration, loaded anew, ended. It must not know what it is told to do.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { ConfigError } from '../server/environment.ts';

/** Its path, where it is installed. Debian's /usr/sbin is not in everybody's PATH. */
export function findHaproxy(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':').filter((folder) => folder !== ''), '/usr/sbin'];
  return folders.map((folder) => join(folder, 'haproxy')).find((path) => existsSync(path));
}

export interface HAProxy {
  readonly pid: number;
  readonly exit: Promise<number | null>;
  /** Loads its configuration anew: resolves once the new one is served. @throws Error where it is none. */
  reload(): Promise<void>;
  /** Cuts what is open. */
  stop(): Promise<void>;
}

/** @throws Error with HAProxy's words, where the configuration is none. */
export async function checkConfiguration(path: string): Promise<void> {
  const haproxy = installedPath();
  try {
    await promisify(execFile)(haproxy, ['-c', '-f', path]);
  } catch (error) {
    const words = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    throw new Error(`HAProxy does not take ${path}:\n${words}`);
  }
}

/** @throws ConfigError where it is not installed. */
export function installedPath(): string {
  const path = findHaproxy();
  if (path !== undefined) return path;
  throw new ConfigError('there is no haproxy: install HAProxy 2.6 or newer (apt-get install haproxy)');
}

/** Starts it; resolves once it serves. It ends with this process, however that ends. `onLine` gets what it writes: a line a call. */
export async function startHAProxy(path: string, onLine: (line: string) => void): Promise<HAProxy> {
  await checkConfiguration(path);
  const child = spawnTied(installedPath(), ['-f', path]);
  /** What it says of a start or a reload, while that is waited for. */
  let news: string[] | undefined = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      news?.push(line);
      onLine(line);
    });
  }
  const exit = once(child, 'close').then(([code]) => code as number | null);
  /** The master says so of each start and each reload. */
  const loaded = async (said: readonly string[]) => {
    const deadline = performance.now() + 30_000;
    try {
      for (;;) {
        if (said.some((line) => line.includes('Loading success'))) return;
        const words = said.slice(-50).join('\n');
        if (words.includes('Loading failure') || child.exitCode !== null) throw new Error(`HAProxy: ${words}`);
        if (performance.now() > deadline) throw new Error(`HAProxy does not load its configuration: ${words}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    } finally {
      news = undefined;
    }
  };
  const stop = async () => {
    child.kill('SIGTERM');
    await exit;
  };
  try {
    await loaded(news);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    pid: child.pid ?? 0,
    exit,
    reload: async () => {
      await checkConfiguration(path);
      news = [];
      child.kill('SIGUSR2');
      await loaded(news);
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
