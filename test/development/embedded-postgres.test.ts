// The embedded PostgreSQL, through what happens to it on a developer's machine: kills, restarts, two starts, closed folders.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../server/development/embedded-postgres.ts';

const isRoot = process.getuid?.() === 0;
const modulePath = join(import.meta.dirname, '../../server/development/embedded-postgres.ts');
const log = pino({ level: 'silent' });
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function newFolder(mode = 0o755): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'countersign-embedded-')));
  await chmod(folder, mode);
  cleanups.push(async () => {
    await stopOwn(join(folder, 'data'));
    await stopOwn(join(folder, 'home', 'data'));
    const elsewhere = await readlink(join(folder, 'data', 'postgres')).catch(() => undefined);
    if (elsewhere !== undefined) await rm(elsewhere, { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true });
  });
  return folder;
}

async function newDataDir(): Promise<string> {
  return join(await newFolder(), 'data');
}

async function start(dataDir: string, options: { log?: pino.Logger } = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir, log, fsync: false, ...options });
  cleanups.push(() => server.stop());
  return server;
}

/** The module and the packages that it needs, and where the module then is. */
async function cloneInto(folder: string): Promise<string> {
  const packages = ['embedded-postgres', '@embedded-postgres', 'pg', 'async-exit-hook'];
  const ofPg = ['pg-connection-string', 'pg-int8', 'pg-pool', 'pg-protocol', 'pg-types', 'pgpass', 'split2', 'xtend'];
  const ofTypes = ['postgres-array', 'postgres-bytea', 'postgres-date', 'postgres-interval'];
  for (const name of [...packages, ...ofPg, ...ofTypes]) {
    const from = join(import.meta.dirname, '../../node_modules', name);
    await cp(from, join(folder, 'node_modules', name), { recursive: true, verbatimSymlinks: true });
  }
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  const parts = ['embedded-postgres', 'postgres-account', 'postgres-home', 'postgres-server'].map(
    (name) => `${name}.ts`,
  );
  for (const part of parts) await cp(join(dirname(modulePath), part), join(folder, 'server', part));
  return join(folder, 'server', basename(modulePath));
}

/** A Node process of its own that starts the server, so that it can be killed. */
async function startElsewhere(
  dataDir: string,
  {
    from = modulePath,
    fsync = false,
    node = process.execPath,
    uid,
  }: { from?: string; fsync?: boolean; node?: string; uid?: number } = {},
): Promise<{ url: string; child: ChildProcess }> {
  const program = `
    const { startEmbeddedPostgres } = await import(${JSON.stringify(from)});
    const log = { info() {}, error() {} };
    const { url } = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)}, log, fsync: ${fsync} });
    console.log(url);
    setInterval(() => {}, 1000);`;
  const child = spawn(node, ['--input-type=module', '-e', program], {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  cleanups.push(() => child.kill('SIGKILL'));
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const url = await Promise.race([
    once(child.stdout, 'data').then(([chunk]) => String(chunk).trim()),
    once(child, 'close').then(() => Promise.reject(new Error(errors))),
  ]);
  return { url, child };
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}

async function serverPid(dataDir: string): Promise<number> {
  return Number((await readFile(pidFile(dataDir), 'utf8')).split('\n')[0]);
}

function pidFile(dataDir: string): string {
  return join(dataDir, 'postgres', 'cluster', 'postmaster.pid');
}

/** Stops what a killed process started. */
async function stopOwn(dataDir: string): Promise<void> {
  if (!existsSync(pidFile(dataDir)) || processesOf(dataDir).length === 0) return;
  process.kill(await serverPid(dataDir), 'SIGINT');
  while (existsSync(pidFile(dataDir))) await sleep(20);
}

/** Zombies, which nobody may reap in a container, have an empty command line. */
function processesOf(dataDir: string): string[] {
  const home = existsSync(join(dataDir, 'postgres')) ? realpathSync(join(dataDir, 'postgres')) : dataDir;
  const lines = execFileSync('ps', ['-eo', 'args='], { encoding: 'utf8' }).split('\n');
  return lines.filter((line) => line.includes(`postgres -D ${home}`));
}

test('a first start makes a UTF-8 database that keeps its data over a stop', async () => {
  const dataDir = await newDataDir();
  const first = await startEmbeddedPostgres({ dataDir, log });
  cleanups.push(() => first.stop());
  await query(first.url, 'create table kept as select 1 as value');
  expect(await query(first.url, "select lower('ÄÖ') as lower, getdatabaseencoding() as encoding")).toEqual([
    { lower: 'äö', encoding: 'UTF8' },
  ]);
  expect(await query(first.url, 'show fsync')).toEqual([{ fsync: 'on' }]);
  expect(await query(first.url, 'show listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
  await first.stop();
  const second = await start(dataDir);
  expect(await query(second.url, 'select value from kept')).toEqual([{ value: 1 }]);
});

test('the password is random, needed, and readable by its owner only', async () => {
  const [one, two] = [await newDataDir(), await newDataDir()];
  const [first, second] = await Promise.all([start(one), start(two)]);
  expect(new URL(first.url).password).not.toBe(new URL(second.url).password);
  expect((await stat(join(one, 'postgres', 'password'))).mode & 0o777).toBe(0o600);
  const wrong = new URL(first.url);
  wrong.password = new URL(second.url).password;
  await expect(query(wrong.href, 'select 1')).rejects.toThrow('password authentication failed');
});

test('stop leaves no process and no lock, with a client still connected, and may be called twice', async () => {
  const dataDir = await newDataDir();
  const server = await start(dataDir);
  const client = new pg.Client({ connectionString: server.url });
  client.on('error', () => {});
  await client.connect();
  expect(processesOf(dataDir)).toHaveLength(1);
  await Promise.all([server.stop(), server.stop()]);
  expect(processesOf(dataDir)).toEqual([]);
  expect(existsSync(pidFile(dataDir))).toBe(false);
});

test('after kill -9 of its process the server goes on, and the next start has its data and can stop it', async () => {
  const dataDir = await newDataDir();
  const { url, child } = await startElsewhere(dataDir);
  await query(url, 'create table kept as select 1 as value');
  const pid = await serverPid(dataDir);
  await kill(child);
  expect(processesOf(dataDir)).toHaveLength(1);
  const next = await start(dataDir);
  expect(await serverPid(dataDir)).toBe(pid);
  expect(await query(next.url, 'select value from kept')).toEqual([{ value: 1 }]);
  await next.stop();
  expect(processesOf(dataDir)).toEqual([]);
});

test('after kill -9 of both, the next start recovers the data', async () => {
  const dataDir = await newDataDir();
  const { url, child } = await startElsewhere(dataDir, { fsync: true });
  await query(url, 'create table kept as select 1 as value');
  process.kill(await serverPid(dataDir), 'SIGKILL');
  await kill(child);
  expect(existsSync(pidFile(dataDir))).toBe(true);
  const next = await start(dataDir);
  expect(await query(next.url, 'select value from kept')).toEqual([{ value: 1 }]);
});

test('a stale lock whose pid now belongs to another process stops nothing, least of all that process', async () => {
  const dataDir = await newDataDir();
  const first = await start(dataDir);
  const lock = await readFile(pidFile(dataDir), 'utf8');
  await query(first.url, 'create table kept as select 1 as value');
  await first.stop();

  // It runs as the server's own user, as PostgreSQL then believes the lock.
  const { uid, gid } = await stat(join(dataDir, 'postgres', 'cluster'));
  const other = spawn('sleep', ['60'], { uid, gid, cwd: '/' });
  cleanups.push(() => other.kill());
  await once(other, 'spawn');
  await writeFile(pidFile(dataDir), lock.replace(/^\d+/, String(other.pid)), { mode: 0o600 });
  await chown(pidFile(dataDir), uid, gid);

  const next = await start(dataDir);
  expect(await query(next.url, 'select value from kept')).toEqual([{ value: 1 }]);
  await next.stop();
  expect(other.exitCode).toBeNull();
  expect(other.signalCode).toBeNull();
});

test('of several first starts at once one owns the server, the others are refused by name, and it stays sound', async () => {
  const dataDir = await newDataDir();
  const starts = await Promise.allSettled(Array.from({ length: 3 }, () => startElsewhere(dataDir)));
  const won = starts.filter((outcome) => outcome.status === 'fulfilled');
  const refused = starts.filter((outcome) => outcome.status === 'rejected');
  expect(won).toHaveLength(1);
  for (const { reason } of refused) {
    expect(String(reason)).toMatch(/in use by another Countersign \(process \d+\).*COUNTERSIGN_DATA_DIR/);
  }
  expect(processesOf(dataDir)).toHaveLength(1);
  expect(await query(won[0]?.value.url ?? '', 'select 1 as value')).toEqual([{ value: 1 }]);
  expect(readdirSync(dataDir)).toEqual(['postgres']);
});

test('a start that is refused leaves the other one its database', async () => {
  const dataDir = await newDataDir();
  const { url } = await startElsewhere(dataDir);
  await expect(start(dataDir)).rejects.toThrow('in use by another Countersign');
  expect(await query(url, 'select 1 as value')).toEqual([{ value: 1 }]);
});

test('what the server says goes to a bounded file, never a statement or a value', async () => {
  const dataDir = await newDataDir();
  const first = await start(dataDir);
  await query(first.url, 'create table once (value text primary key)');
  await query(first.url, "insert into once values ('secret-value')");
  await expect(query(first.url, "insert into once values ('secret-value')")).rejects.toThrow('duplicate key');
  await first.stop();
  const serverLog = join(dataDir, 'postgres', 'server.log');
  expect(await readFile(serverLog, 'utf8')).toContain('duplicate key');
  expect(await readFile(serverLog, 'utf8')).not.toContain('secret-value');
  await writeFile(serverLog, 'x'.repeat(2_000_000));
  await start(dataDir);
  expect((await stat(serverLog)).size).toBeLessThan(100_000);
});

test('a cluster that can not start is an error with its words', async () => {
  const dataDir = await newDataDir();
  const server = await start(dataDir);
  await server.stop();
  await writeFile(join(dataDir, 'postgres', 'cluster', 'PG_VERSION'), '9.6\n');
  await expect(start(dataDir)).rejects.toThrow(/server\.log, says:\n.*incompatible/);
});

describe.runIf(isRoot)('as root', () => {
  test('the server runs as an unprivileged user', async () => {
    const dataDir = await newDataDir();
    await start(dataDir);
    const pid = await serverPid(dataDir);
    const uid = execFileSync('ps', ['-o', 'uid=', '-p', String(pid)], { encoding: 'utf8' });
    expect(Number(uid)).toBeGreaterThan(0);
  });

  test('below a closed folder it works from a place that it says, and keeps its data over a kill', async () => {
    const dataDir = join(await newFolder(0o700), 'data');
    const lines: string[] = [];
    const first = await start(dataDir, { log: pino({}, { write: (line: string) => lines.push(line) }) });
    const place = await readlink(join(dataDir, 'postgres'));
    expect(lines.join()).toContain(place);
    await query(first.url, 'create table kept as select 1 as value');
    await first.stop();
    const { child } = await startElsewhere(dataDir);
    await kill(child);
    const next = await start(dataDir);
    expect(await query(next.url, 'select value from kept')).toEqual([{ value: 1 }]);
    await next.stop();
    expect(processesOf(dataDir)).toEqual([]);
  });

  test('deleting the data folder of a cluster that lies elsewhere begins anew', async () => {
    const dataDir = join(await newFolder(0o700), 'data');
    const first = await start(dataDir);
    await query(first.url, 'create table gone ()');
    await first.stop();
    const place = await readlink(join(dataDir, 'postgres'));
    cleanups.push(() => rm(place, { recursive: true, force: true }));
    await rm(dataDir, { recursive: true });
    const next = await start(dataDir);
    expect(await query(next.url, "select to_regclass('gone') as found")).toEqual([{ found: null }]);
  });

  test('of several first starts at once below a closed folder one owns the server', async () => {
    const dataDir = join(await newFolder(0o700), 'data');
    const starts = await Promise.allSettled(Array.from({ length: 3 }, () => startElsewhere(dataDir)));
    expect(starts.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1);
  });

  test('programs below a closed folder are copied to where they can be run', async () => {
    const clone = await newFolder(0o700);
    const from = await cloneInto(clone);
    const dataDir = join(clone, 'data');
    const { url } = await startElsewhere(dataDir, { from });
    expect(await query(url, 'select 1 as value')).toEqual([{ value: 1 }]);
    const command = await readFile(`/proc/${await serverPid(dataDir)}/cmdline`, 'utf8');
    expect(command).toMatch(/^\/var\/tmp\/countersign-postgresql-/);
  });

  test('another user than root starts it plainly, as itself', async () => {
    const clone = await newFolder();
    const from = await cloneInto(clone);
    const node = join(clone, 'node');
    await cp(process.execPath, node);
    const uid = 65_534;
    const home = join(clone, 'home');
    await mkdir(home);
    await chown(home, uid, uid);
    const dataDir = join(home, 'data');
    const { url } = await startElsewhere(dataDir, { from, uid, node });
    expect(await query(url, 'select 1 as value')).toEqual([{ value: 1 }]);
    expect((await lstat(join(dataDir, 'postgres'))).isDirectory()).toBe(true);
    expect((await stat(join(dataDir, 'postgres', 'cluster'))).uid).toBe(uid);
  });
});
