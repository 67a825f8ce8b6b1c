// Debian's packages that a test needs: installed where that is allowed, and said where it is not.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const withinMs = 240_000;

/**
 * Whether every one of `files` is there, after installing `packages` where one is not and this process may. Why not is said
 * on the terminal, once.
 */
export async function ensureInstalled(files: readonly string[], packages: readonly string[]): Promise<boolean> {
  const missing = () => files.filter((file) => !existsSync(file));
  if (missing().length === 0) return true;
  const why = process.getuid?.() === 0 ? await install(packages) : 'only root may install it';
  if (missing().length === 0) return true;
  process.stdout.write(`skipped what needs ${missing().join(', ')} (apt-get install ${packages.join(' ')}): ${why}\n`);
  return false;
}

async function install(packages: readonly string[]): Promise<string> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // Another test, or the machine itself, may be installing too.
  const options = ['-y', '-q', '-o', 'DPkg::Lock::Timeout=120', '--no-install-recommends'];
  try {
    await execute('apt-get', ['update', '-q'], { env, timeout: withinMs });
    await execute('apt-get', ['install', ...options, ...packages], { env, timeout: withinMs });
    return 'it was installed';
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? error.message) : String(error);
  }
}
