// PostgreSQL of Debian's packages, of a version that the embedded one is not. It must not know what is in it.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';

const execute = promisify(execFile);

/** Whether `apt-get install postgresql-<version>` was run on this machine. */
export function hasDebianPostgres(version: number): boolean {
  return existsSync(join(binaries(version), 'initdb'));
}

/** A fresh cluster, as a superuser of it. */
export async function startDebianPostgres(version: number): Promise<{ url: string; stop(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), `countersign-postgres-${version}-`));
  // It does not run as root; Debian's packages bring a user for it.
  const account = process.getuid?.() === 0 ? await accountOf('postgres') : undefined;
  await chmod(folder, 0o755);
  const cluster = join(folder, 'cluster');
  await mkdir(cluster, { mode: 0o700 });
  if (account !== undefined) await chown(cluster, account.uid, account.gid);
  const options = { ...account, cwd: '/', env: { LC_ALL: 'C.UTF-8' } };
  await execute(join(binaries(version), 'initdb'), ['-D', cluster, '-U', 'test', '--auth=trust', '--no-sync'], options);
  const port = await freePort();
  const server = spawn(
    join(binaries(version), 'postgres'),
    ['-D', cluster, '-p', String(port), '-h', '127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=off'],
    { ...options, stdio: 'ignore' },
  );
  const url = `postgres://test@127.0.0.1:${port}/postgres`;
  const stop = async () => {
    const ended = once(server, 'exit');
    // A fast shutdown.
    server.kill('SIGINT');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await eventually(20_000, async () => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.end();
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

function binaries(version: number): string {
  return `/usr/lib/postgresql/${version}/bin`;
}

async function accountOf(name: string): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all([execute('id', ['-u', name]), execute('id', ['-g', name])]);
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}
