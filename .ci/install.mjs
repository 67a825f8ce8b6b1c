// Installs what is missing, before every npm script. Plain JavaScript for the Node of a fresh machine (20 or newer),
// and it must not need a package: none may be there.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const modules = join(root, 'node_modules');
const stamp = join(modules, '.countersign-install');
const production = process.env.COUNTERSIGN_MODE === 'production' || process.env.NODE_ENV === 'production';
const lockText = readFileSync(join(root, 'package-lock.json'), 'utf8');
const version = createHash('sha256').update(lockText).digest('hex');

if (!isInstalled()) await holdingLock(() => isInstalled() || install());

function isInstalled() {
  // The npm package `node` gets its program from an install script, which npm can be told not to run.
  if (!existsSync(join(modules, '.bin', 'node'))) return false;
  const stamped = read(stamp);
  if (stamped === `${version} all` || (production && stamped === `${version} production`)) return true;
  if (!matchesLock()) return false;
  try {
    writeFileSync(stamp, `${version} ${production ? 'production' : 'all'}`);
  } catch {
    // A read-only image is compared anew at each start.
  }
  return true;
}

/** Whether what npm noted down as installed is what package-lock.json asks for, as after an `npm install` by hand. */
function matchesLock() {
  const installed = JSON.parse(read(join(modules, '.package-lock.json')) ?? '{}').packages ?? {};
  return Object.entries(JSON.parse(lockText).packages).every(([path, wanted]) => {
    if (path === '') return true;
    const found = installed[path];
    if (found !== undefined) return found.version === wanted.version && found.integrity === wanted.integrity;
    return wanted.optional || wanted.devOptional || wanted.peer || (production && wanted.dev);
  });
}

function install() {
  const args = [
    'ci',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    ...(production ? ['--omit=dev'] : ['--include=dev']),
  ];
  process.stderr.write(`Installing packages (npm ${args[0]}), about a minute the first time ...\n`);
  // npm must not run on the very Node that it is about to replace.
  const path = process.env.PATH.split(delimiter).filter((folder) => !folder.endsWith(join('node_modules', '.bin')));
  const env = { ...process.env, PATH: path.join(delimiter) };
  const { status, error, stderr } = spawnSync('npm', args, {
    cwd: root,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (status === 0 && existsSync(join(modules, '.bin', 'node'))) {
    writeFileSync(stamp, `${version} ${production ? 'production' : 'all'}`);
    return;
  }
  const reason =
    error?.message ??
    (status === 0
      ? 'install scripts are off, and bring Node (npm config set ignore-scripts false)'
      : `npm ended with ${status}`);
  // npm's reasons come first; what follows can be pages of usage.
  process.stderr.write(`${(stderr ?? '').split('\n').slice(0, 15).join('\n')}\n`);
  process.stderr.write(`Installing failed: ${reason}. Mend that, then run \`npm ci\` in ${root} and start again.\n`);
  process.exit(1);
}

/** One install at a time. The lock lies outside node_modules, which npm ci deletes, and names its holder, who may have been killed. */
async function holdingLock(work) {
  const lock = join(tmpdir(), `countersign-install-${createHash('sha256').update(root).digest('hex').slice(0, 16)}`);
  const own = `${lock}.${process.pid}`;
  const release = () => {
    if (read(lock) === String(process.pid)) rmSync(lock, { force: true });
    rmSync(own, { force: true });
  };
  writeFileSync(own, String(process.pid));
  process.on('exit', release);
  while (!tryLink(own, lock)) {
    const holder = Number(read(lock));
    if (holder > 0 && !isAlive(holder)) {
      // Renamed before it is removed, so that of two who wait only one removes it.
      const stale = `${own}.stale`;
      try {
        renameSync(lock, stale);
        if (read(stale) !== String(holder)) tryLink(stale, lock);
        rmSync(stale, { force: true });
      } catch {
        // The other one was first.
      }
    } else {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  await work();
}

function tryLink(from, to) {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code !== 'ESRCH';
  }
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
