// The README, held to what it says: its walk is run word for word, its settings are those that are read.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from './support/free-port.ts';

const root = new URL('..', import.meta.url).pathname;
const readme = await readFile(join(root, 'README.md'), 'utf8');

test('every command of the walk does what it says', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-walk-'));
  await chmod(folder, 0o755);
  const ports = { 8080: await freePort(), 9090: await freePort(), 1080: await freePort(), 1025: await freePort() };
  const server = spawn('npm', ['start'], {
    cwd: root,
    detached: true,
    env: {
      ...process.env,
      COUNTERSIGN_DATA_DIR: join(folder, '.data'),
      COUNTERSIGN_PUBLIC_ADDRESS: `127.0.0.1:${ports[8080]}`,
      COUNTERSIGN_INTERNAL_ADDRESS: `127.0.0.1:${ports[9090]}`,
      COUNTERSIGN_MAILBOX_ADDRESS: `127.0.0.1:${ports[1080]}`,
      COUNTERSIGN_MAILBOX_SMTP_ADDRESS: `127.0.0.1:${ports[1025]}`,
    },
  });
  onTestFinished(async () => {
    const exited = server.exitCode === null ? once(server, 'exit') : undefined;
    // npm does not pass signals on to what it started: the group is ended.
    if (server.pid !== undefined && exited) process.kill(-server.pid, 'SIGTERM');
    await exited;
    await rm(folder, { recursive: true, force: true });
  });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    server.once('exit', (code) => reject(new Error(`npm start ended with ${code}: ${said}`)));
    const read = (chunk: Buffer) => {
      said += chunk;
      if (said.includes('Ctrl+C')) resolve();
    };
    server.stdout.on('data', read);
    server.stderr.on('data', read);
  });

  // A walker stands in the project's folder; here the data folder is another, so that a real one is left alone.
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  const blocks = [...readme.matchAll(/<!-- walk -->\n```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
  expect(blocks.length).toBeGreaterThan(5);
  const script = Object.entries(ports).reduce(
    (text, [written, real]) => text.replaceAll(`127.0.0.1:${written}`, `127.0.0.1:${real}`),
    blocks.join('\n'),
  );
  const walker = spawn('bash', ['-euo', 'pipefail', '-c', script], { cwd: folder });
  let output = '';
  walker.stdout.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  walker.stderr.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  const [code] = await once(walker, 'exit');
  expect(code, output).toBe(0);
  expect(output).toMatch(/"challengeToken"/);
  expect(output).toMatch(/The code is \d{6}/);
  expect(output).toMatch(/"deviceToken"/);
  expect(output).toMatch(/EVENT_KIND_SIGNED_IN_WITH_CODE/);
  expect(output).toMatch(/"active": true/);
  expect(output).toMatch(/"twoStepEnabled":true/);
});

test('every setting that is read is explained, and no other', async () => {
  const config = await readFile(join(root, 'server/config.ts'), 'utf8');
  const names = (text: string) => [...new Set(text.match(/\b(COUNTERSIGN_[A-Z_]+|DATABASE_URL|SMTP_URL)\b/g))].sort();
  const table = readme.split('\n').filter((line) => line.startsWith('| `'));
  expect(names(table.join('\n'))).toEqual(names(config));
});
