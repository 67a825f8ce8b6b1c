// Makes a folder with what production runs, and nothing else: the server, the `countersign` command, its packages, its Node.
// Plain JavaScript for the Node of a fresh machine (20 or newer), and it must not need a package: none may be there.

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = resolve(root, process.argv[2] ?? 'dist');

/** What is run, with what its operators run and install. */
const parts = [
  'LICENSE',
  'clients/connection.ts',
  'clients/errors.ts',
  'clients/service/client.ts',
  'clients/streams.ts',
  'deploy/after-restore.sql',
  'deploy/countersign-edge.service',
  'deploy/countersign.service',
  'deploy/is-serving.ts',
  'edge',
  'gen',
  'server',
];
/** What of it only `npm start`, or whoever changes the project, needs. */
const left = ['edge/replicas.ts', 'server/development', 'server/directory/make-common-passwords.ts'];

// Only a folder that this has made is taken away.
if (existsSync(target) && readdirSync(target).length > 0 && !existsSync(join(target, 'deploy/is-serving.ts'))) {
  throw new Error(`${target} is not empty, and was not made by this: it is left alone`);
}
rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
for (const part of parts) {
  mkdirSync(dirname(join(target, part)), { recursive: true });
  cpSync(join(root, part), join(target, part), {
    recursive: true,
    filter: (from) => !left.includes(relative(root, from)),
  });
}
installPackages();
process.stdout.write(`${target}\n`);

function installPackages() {
  const { devDependencies: _, scripts, ...manifest } = readJson(join(root, 'package.json'));
  writeJson('package.json', { ...manifest, scripts: { start: scripts.start, edge: scripts.edge } });
  const lock = readJson(join(root, 'package-lock.json'));
  delete lock.packages[''].devDependencies;
  writeJson('package-lock.json', lock);
  // It also knows that a package is only wanted beside one of development, which --omit=dev does not.
  const args = ['ci', '--omit=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', args, { cwd: target, stdio: ['ignore', 'ignore', 'inherit'] });
  // The npm package `node` has its program twice, as links of one file, and headers to compile add-ons with.
  rmSync(join(target, 'node_modules/node/node_modules'), { recursive: true, force: true });
  // Whoever looks for known faults in packages reads the lock: it names those that are here.
  const installed = Object.entries(lock.packages).filter(([path]) => existsSync(join(target, path)));
  writeJson('package-lock.json', { ...lock, packages: Object.fromEntries(installed) });
  symlinkSync('../../server/command/launch.mjs', join(target, 'node_modules/.bin/countersign'));
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function writeJson(name, value) {
  writeFileSync(join(target, name), `${JSON.stringify(value, null, 2)}\n`);
}
