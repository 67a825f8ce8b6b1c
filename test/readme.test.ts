// The README, held to what it says: its walk is run word for word, its settings are those that are read.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { freePort } from './support/free-port.ts';
import { blocksOf, terminal } from './support/pages.ts';
import { settingNames } from './support/setting-names.ts';

const root = new URL('..', import.meta.url).pathname;
const readme = await readFile(join(root, 'README.md'), 'utf8');

// Some twenty commands, each a process of its own.
test('every command of the walk does what it says', { timeout: 240_000 }, async () => {
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
      COUNTERSIGN_DEV_PUSH: '1',
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
  const walk = blocksOf(readme, 'walk');
  expect(walk.length).toBeGreaterThan(5);
  // What the third terminal is told to define again, and the first one's blocks with the watcher behind them.
  const [definitions = ''] = walk;
  const run = (blocks: readonly string[]) => {
    const script = Object.entries(ports).reduce(
      (text, [written, real]) => text.replaceAll(`127.0.0.1:${written}`, `127.0.0.1:${real}`),
      blocks.join('\n'),
    );
    return terminal(script, folder);
  };
  const first = run([...walk, ...blocksOf(readme, 'walk: watch')]);
  await vi.waitFor(() => expect(first.output()).toMatch(/"keepAlive"/), { timeout: 40_000 });
  const second = run([definitions, ...blocksOf(readme, 'walk: second')]);
  const codeOnFirst = await vi.waitFor(
    () => {
      const code = /"codeArrived"[\s\S]*"code": "(\d{6})"/.exec(first.output())?.[1];
      if (code === undefined) throw new Error(`no code on the first device: ${first.output()}`);
      return code;
    },
    { timeout: 40_000 },
  );
  second.type(`${codeOnFirst}\n`);
  expect(await second.code, second.output()).toBe(0);
  expect(second.output()).toMatch(/"route": "ROUTE_FCM"/);
  await vi.waitFor(() => expect(said).toMatch(/^push by FCM to my-tablet-0001: .*\d{6}.*My laptop/m), {
    timeout: 20_000,
  });
  await first.code;
  const output = first.output();
  expect(output).toMatch(/challengeResolved/);
  expect(output).toMatch(/"cause": "DEVICE_REMOVED"/);
  expect(output).toMatch(/"challengeToken"/);
  expect(output).toMatch(/The code is \d{6}/);
  expect(output).toMatch(/"deviceToken"/);
  expect(output).toMatch(/EVENT_KIND_SIGNED_IN_WITH_CODE/);
  expect(output).toMatch(/"active": true/);
  expect(output).toMatch(/"twoStepEnabled":true/);
});

test('every setting that is read is explained, and no other', () => {
  const table = readme.split('\n').filter((line) => line.startsWith('| `'));
  const explained = table
    .join('\n')
    .match(/\b(COUNTERSIGN_[A-Z_]+|DATABASE_URL|REDIS_URL|SMTP_(?:FALLBACK_)?URL|OTEL_[A-Z_]+)\b/g);
  expect([...new Set(explained)].sort()).toEqual(settingNames());
});
