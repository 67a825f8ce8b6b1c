// A Redis of a test's own, which it may stop, start, freeze and kill: Debian's, on loopback, with nothing on disk. It must
// not know what is in it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { ensureInstalled } from './debian-packages.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';

/** The server itself, by another of its names: this package brings no service that an installation would start. */
const program = '/usr/bin/redis-check-rdb';

/** Whether there is one here, after installing it where that is allowed. */
export const ensureRedis = (): Promise<boolean> => ensureInstalled([program], ['redis-tools']);

export interface RedisServer {
  /** The same after each start. */
  readonly url: string;
  /** One command, by itself. */
  command(name: string, ...values: readonly string[]): Promise<unknown>;
  /** SIGTERM: it says goodbye to its clients, and forgets all that it held. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** SIGSTOP: connections stay, new ones are taken by the kernel, and nothing answers. */
  freeze(): void;
  thaw(): void;
  /** Ends it, and takes its folder away. */
  discard(): Promise<void>;
}

/** @param password without which it lets nobody in. */
export async function startRedis(password?: string): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-redis-'));
  const server = join(folder, 'redis-server');
  await symlink(program, server);
  const port = await freePort();
  const url = `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`;
  const settings = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'no'];
  if (password !== undefined) settings.push('--requirepass', password);
  let running: ChildProcess | undefined;

  const command = async (name: string, ...values: readonly string[]) => {
    const client = new Redis(url, { retryStrategy: () => null, lazyConnect: true, commandTimeout: 5_000 });
    client.on('error', () => {});
    try {
      await client.connect();
      return await client.call(name, ...values);
    } finally {
      client.disconnect();
    }
  };
  const start = async () => {
    // It ends with this process, whatever that ends by.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', server, ...settings], { stdio: 'ignore' });
    running = child;
    await Promise.race([
      eventually(20_000, () => command('ping')),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`Redis ended with ${code}`))),
    ]);
  };
  const end = async (signal: NodeJS.Signals) => {
    const child = running;
    running = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  const discard = async () => {
    await end('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await discard();
    throw error;
  }
  return {
    url,
    command,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    start,
    freeze: () => void running?.kill('SIGSTOP'),
    thaw: () => void running?.kill('SIGCONT'),
    discard,
  };
}

/** The URL of a user who may do what the README says that a server of ours needs, and nothing else. */
export async function urlOfUser(server: RedisServer, user: string): Promise<string> {
  const readme = await readFile(join(import.meta.dirname, '../../README.md'), 'utf8');
  const [, rules] = /^ACL SETUSER countersign (.+)$/m.exec(readme) ?? [];
  if (rules === undefined) throw new Error('the README has no user for Redis');
  await server.command('acl', 'setuser', user, ...rules.replace('PASSWORD', 'word').split(' '));
  return Object.assign(new URL(server.url), { username: user, password: 'word' }).href;
}
