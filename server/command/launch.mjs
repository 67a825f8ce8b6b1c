#!/usr/bin/env node
// Starts main.ts on a Node that runs it, after installing what a fresh clone lacks. Plain JavaScript for the Node of a fresh
// machine (20 or newer), and it must not need a package: none may be there.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const main = new URL('./main.ts', import.meta.url);
const installedNode = fileURLToPath(new URL('../../node_modules/.bin/node', import.meta.url));
const install = new URL('../../.ci/install.mjs', import.meta.url);
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const runsTypeScript = major > 22 || (major === 22 && minor >= 18);

// Only where nothing is installed: no command of an operator may change the packages under a server that runs.
if (!existsSync(installedNode) && existsSync(install)) await import(install.href);

if (runsTypeScript) {
  await import(main.href).catch((error) => {
    if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    fail(`a package is missing: run \`npm ci\` in ${fileURLToPath(new URL('../..', import.meta.url))}`);
  });
} else if (existsSync(installedNode)) {
  const child = spawn(installedNode, [fileURLToPath(main), ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal sends its signals to both; what is sent to this process alone is passed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('error', (error) => fail(error.message));
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
} else {
  fail(`it needs Node 22.18 or newer, and this is ${process.versions.node}: \`npm ci\` brings one`);
}

function fail(words) {
  process.stderr.write(`countersign: ${words}\n`);
  process.exitCode = 78;
}
