// A standby of a cluster, which follows it by streaming. It must not know what is in it.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { pino } from 'pino';
import { findBinaries } from '../../server/development/postgres-home.ts';
import type { Cluster } from './cluster.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';

const execute = promisify(execFile);

export interface Standby {
  readonly url: string;
  query(sql: string): Promise<Record<string, unknown>[]>;
  /** It follows nobody from now on, and takes writes. */
  promote(): Promise<void>;
  discard(): Promise<void>;
}

/** Copies the running cluster, and follows it. */
export async function startStandby(cluster: Cluster): Promise<Standby> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-standby-'));
  await chmod(folder, 0o755);
  const home = join(folder, 'cluster');
  const primary = new URL(cluster.url());
  const client = new pg.Client({ connectionString: cluster.url() });
  await client.connect();
  const { rows } = await client.query(`select current_setting('data_directory') as folder`);
  const from = String(rows[0].folder);
  await client.query(`select pg_backup_start('standby', true)`);
  await execute('cp', ['-a', from, home]);
  const stopped = await client.query('select labelfile from pg_backup_stop(false)');
  await client.end();
  for (const name of await readdir(home)) {
    if (name.startsWith('postmaster.')) await rm(join(home, name));
  }
  const { uid, gid } = await stat(from);
  const account = process.getuid?.() === 0 ? { uid, gid } : undefined;
  const port = await freePort();
  const { hostname, username, password } = primary;
  await writeFile(join(home, 'backup_label'), stopped.rows[0].labelfile);
  await writeFile(join(home, 'standby.signal'), '');
  const upstream = `host=${hostname} port=${primary.port} user=${username} password=${decodeURIComponent(password)}`;
  await appendFile(
    join(home, 'postgresql.auto.conf'),
    `primary_conninfo = '${upstream} application_name=standby'\nsynchronous_standby_names = ''\n`,
  );
  if (account !== undefined) await execute('chown', ['-R', `${uid}:${gid}`, home]);
  const binaries = await findBinaries(account, pino({ level: 'silent' }));
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off', 'hot_standby_feedback=on'];
  const server = spawn(
    join(binaries, 'bin', 'postgres'),
    ['-D', home, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
    { ...account, cwd: '/', env: { LC_ALL: 'C' }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  server.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-5_000);
  });
  const url = Object.assign(new URL(primary), { port: String(port) }).href;
  const query: Standby['query'] = async (sql) => {
    const asked = new pg.Client({ connectionString: url });
    await asked.connect();
    try {
      return (await asked.query(sql)).rows;
    } finally {
      await asked.end();
    }
  };
  const discard = async () => {
    if (server.exitCode === null && server.signalCode === null) {
      const ended = once(server, 'exit');
      // An immediate shutdown: nobody needs what it has.
      server.kill('SIGQUIT');
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await eventually(20_000, async () => {
      if (server.exitCode !== null) throw new Error(`the standby ended: ${said}`);
      await query('select');
    });
  } catch (error) {
    await discard();
    throw error;
  }
  return {
    url,
    query,
    promote: async () => {
      await query('select pg_promote(true, 20)');
    },
    discard,
  };
}
