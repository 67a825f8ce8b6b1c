// Changes a small file of secrets as a whole: who reads it finds the old one or the new one, never half of either. It must not know
// what stands in it.

import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes, Failure } from './failure.ts';

const largest = 64 * 1024;
/** A change takes milliseconds: who holds the file for so long was killed. */
const waitForOthersMs = 5_000;

export async function readKeysFile(path: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length <= largest) return text;
  } catch (error) {
    const help = `\`(umask 077; countersign keys new > ${path})\` makes one`;
    throw new Failure(
      exitCodes.failed,
      `${path} can't be read (${codeOf(error)})`,
      codeOf(error) === 'ENOENT' ? { help } : {},
    );
  }
  throw new Failure(exitCodes.failed, `${path} is no file of keys: it is too large`);
}

/**
 * Writes what `change` makes of the file, with the mode and the owner that it had. Changes at once follow each other: the new file
 * beside the old one is also the lock.
 */
export async function changeFile(path: string, change: (text: string) => string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSymbolicLink()) throw managed(path, 'it is a symbolic link');
  const beside = `${path}.new`;
  const file = await createAlone(path, beside);
  try {
    try {
      const text = change(await readKeysFile(path));
      // Read again: who held the lock before may have changed them.
      const { mode, uid, gid } = await lstat(path);
      await file.writeFile(text);
      const own = await file.stat();
      if (own.uid !== uid || own.gid !== gid) await file.chown(uid, gid);
      await file.chmod(mode & 0o777);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    if (error instanceof Failure) throw error;
    const code = codeOf(error);
    // A file that is mounted alone can't be renamed over.
    if (code === 'EBUSY' || code === 'EXDEV') throw managed(path, 'it is mounted by itself');
    if (code === 'EPERM')
      throw new Failure(exitCodes.failed, `${path} belongs to somebody else: run this as its owner`);
    throw new Failure(exitCodes.failed, `${path} can't be replaced (${code})`, {}, error);
  }
  const folder = await open(dirname(path), constants.O_RDONLY);
  await folder.sync().finally(() => folder.close());
}

async function createAlone(path: string, beside: string): Promise<FileHandle> {
  const started = performance.now();
  for (;;) {
    try {
      return await open(beside, 'wx', 0o600);
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EROFS') throw managed(path, 'it is on a disk that can only be read');
      if (code !== 'EEXIST') throw new Failure(exitCodes.failed, `${beside} can't be written (${code})`, {}, error);
      if (performance.now() - started > waitForOthersMs) {
        const help = `where none is under way, one was killed in the middle, and nothing is lost: rm ${beside}`;
        throw new Failure(exitCodes.failed, `${beside} is there: another change is under way`, { help });
      }
      await sleep(50);
    }
  }
}

function managed(path: string, why: string): Failure {
  const help =
    'where Kubernetes or a configuration management puts it there, change it at its source: `countersign keys rotate` on a copy';
  return new Failure(exitCodes.failed, `${path} can't be replaced: ${why}`, { help });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
