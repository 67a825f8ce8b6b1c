// Debian's PgBouncer in transaction mode, in front of a PostgreSQL. It must not know what passes.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { ensureInstalled } from './debian-packages.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';

const program = '/usr/sbin/pgbouncer';
/** Debian's `nobody`: as root it does not run. */
const nobody = { uid: 65_534, gid: 65_534 };

export const hasPgBouncer = (): Promise<boolean> => ensureInstalled([program], ['pgbouncer']);

export interface PgBouncer {
  /** The database's URL through it. */
  readonly url: string;
  /** Cuts everybody off, and takes nobody. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Ends it for good. */
  discard(): Promise<void>;
}

/** @param settings lines of its ini, in place of these. */
export async function startPgBouncer(
  databaseUrl: string,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<PgBouncer> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-pgbouncer-'));
  await chmod(folder, 0o755);
  const { hostname, port, username, password } = new URL(databaseUrl);
  const ownPort = await freePort();
  const users = join(folder, 'users.txt');
  await writeFile(users, `"${username}" "${decodeURIComponent(password)}"\n`);
  const lines = {
    listen_addr: '127.0.0.1',
    listen_port: ownPort,
    unix_socket_dir: '',
    pool_mode: 'transaction',
    auth_type: 'scram-sha-256',
    auth_file: users,
    default_pool_size: 10,
    max_client_conn: 1_000,
    server_login_retry: 1,
    log_connections: 0,
    log_disconnections: 0,
    ...settings,
  };
  const ini = join(folder, 'pgbouncer.ini');
  const text = Object.entries(lines).map(([name, value]) => `${name} = ${value}`);
  await writeFile(ini, ['[databases]', `* = host=${hostname} port=${port}`, '[pgbouncer]', ...text, ''].join('\n'));
  const url = Object.assign(new URL(databaseUrl), { hostname: '127.0.0.1', port: String(ownPort) }).href;
  const consoleUrl = Object.assign(new URL(url), { pathname: '/pgbouncer' }).href;

  let child: ChildProcess | undefined;
  let said = '';
  const start = async () => {
    const account = process.getuid?.() === 0 ? nobody : {};
    const started = spawn(program, [ini], { ...account, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    for (const output of [started.stdout, started.stderr]) {
      output.on('data', (chunk) => {
        said = (said + chunk).slice(-10_000);
      });
    }
    await eventually(10_000, async () => {
      if (started.exitCode !== null) throw new Error(`PgBouncer ended: ${said}`);
      const client = new pg.Client({ connectionString: consoleUrl, connectionTimeoutMillis: 500 });
      // Nobody may see its console, but it says so.
      await client.connect().catch((error: Error) => {
        if (!/not allowed|no such database/.test(error.message)) throw error;
      });
      await client.end();
    });
  };
  const stop = async () => {
    const stopping = child;
    child = undefined;
    if (stopping === undefined || stopping.exitCode !== null || stopping.signalCode !== null) return;
    const ended = once(stopping, 'exit');
    stopping.kill('SIGTERM');
    await ended;
  };
  await start();
  return {
    url,
    stop,
    start,
    discard: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
