// The unprivileged account that PostgreSQL runs as where this process is root, and what that account can reach.

import { execFile } from 'node:child_process';
import type { Stats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** The unprivileged account that runs the server where this process is root. */
export interface Account {
  uid: number;
  gid: number;
}

const execute = promisify(execFile);

/** Of a cluster that is there already, its owner. Undefined where this process is not root, and runs the server itself. */
export async function findAccount(dataDir: string): Promise<Account | undefined> {
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
export async function reachableParent(): Promise<string> {
  const persistent = await fs.stat('/var/tmp').catch(unlessMissing);
  return persistent?.isDirectory() ? '/var/tmp' : fs.realpath(tmpdir());
}

/** Whether the account may pass every folder on the way, and has `need` (4 read, 1 execute or pass) at the end. */
export async function canReach(path: string, account: Account, need = 1): Promise<boolean> {
  const { uid, gid, mode } = await fs.stat(path);
  const bits = uid === account.uid ? mode >> 6 : gid === account.gid ? mode >> 3 : mode;
  if ((bits & need) !== need) return false;
  return dirname(path) === path || canReach(dirname(path), account);
}

/** In a folder that everybody may write to, a name proves nothing. */
export function isOwn(entry: Stats | undefined): boolean {
  return entry?.isDirectory() === true && entry.uid === process.getuid?.();
}

export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

export function unlessMissing(error: unknown): undefined {
  if (errorCode(error) !== 'ENOENT') throw error;
}
