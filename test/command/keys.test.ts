// Keys and tokens: made, listed, and rotated in a file that servers watch.

import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../server/config.ts';
import { keyInUse, parseKeyEntries } from '../../server/platform/key-entries.ts';
import { findByToken } from '../../server/platform/service-tokens.ts';
import { countersign, errorOf, jsonOf } from './run.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-keys-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const oldKey = Buffer.alloc(32, 7).toString('base64');
const run = (args: string) => countersign(args.split(' '));
const pathOf = (name: string) => join(folder, name);
const entriesIn = async (path: string) => parseKeyEntries(await readFile(path, 'utf8'));

interface Listed {
  readonly added: string;
  readonly dropped: readonly string[];
  readonly keys: readonly { readonly keyId: string; readonly state: string; readonly useTime: string | null }[];
}

test('a fresh key is an entry that a server takes, each time another', async () => {
  const [first, second] = await Promise.all([run('keys new'), run('keys new --json')]);
  const [{ keyId = '', key = Buffer.of() } = {}] = parseKeyEntries(first.stdout);
  expect(key.length).toBe(32);
  expect(readConfig({ COUNTERSIGN_CODE_KEYS: first.stdout.trim() }).codeKeys).toBeDefined();
  expect(jsonOf<{ keyId: string }>(second).keyId).not.toBe(keyId);
});

test('rotating twice puts two keys behind each other that wait, and keeps the one in use', async () => {
  const path = pathOf('twice');
  await writeFile(path, `# of the first day\nold:${oldKey}\n`, { mode: 0o600 });
  const first = jsonOf<Listed>(await run(`keys rotate --file ${path} --json`));
  expect(first).toMatchObject({ dropped: [], keys: [{ keyId: 'old', state: 'in use' }, { state: 'waiting' }] });
  const waitMs = Date.parse(first.keys[1]?.useTime ?? '') - Date.now();
  expect(waitMs).toBeGreaterThan(8 * 60_000);
  expect(waitMs).toBeLessThan(10 * 60_000 + 1_000);

  const second = await run(`keys rotate --file ${path}`);
  expect(second).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringContaining('every replica must have this file'),
  });
  const entries = await entriesIn(path);
  expect(entries.length).toBe(3);
  expect(keyInUse(entries, new Date())?.keyId).toBe('old');
  expect(keyInUse(entries, new Date(Date.now() + 3_600_000))?.keyId).toBe(entries[2]?.keyId);
  expect(second.stdout).not.toContain(oldKey);

  const listed = await run(`keys list --file ${path}`);
  expect(listed.stdout).toMatch(/^key +state +used from +until\nold +in use +always +20/m);
  expect(listed.stdout).not.toContain(Buffer.from(entries[2]?.key ?? []).toString('base64'));
  expect(await readdir(folder)).not.toContain('twice.new');
});

test('a key whose successor has been used for long enough is dropped', async () => {
  const path = pathOf('long');
  const entries = [`a:${oldKey}`, `b:${Buffer.alloc(32, 8).toString('base64')}:20260101T000000Z`];
  await writeFile(path, `${entries.join('\n')}\n`, { mode: 0o600 });
  const kept = jsonOf<Listed>(await run(`keys rotate --file ${path} --drop-after 36500d --json`));
  expect(kept.dropped).toEqual([]);
  const rotated = jsonOf<Listed>(await run(`keys rotate --file ${path} --json`));
  expect(rotated.dropped).toEqual(['a']);
  expect(rotated.keys.map(({ state }) => state)).toEqual(['in use', 'waiting', 'waiting']);
});

test.each([
  [30, []],
  [32, ['a']],
])('a signing key that was replaced %i days ago: apps whose sessions may live find it', async (days, dropped) => {
  const path = pathOf(`days-${days}`);
  const time = new Date(Date.now() - days * 86_400_000).toISOString().replace(/[-:]|\.\d+/g, '');
  await writeFile(path, `a:${oldKey}\nb:${Buffer.alloc(32, 8).toString('base64')}:${time}\n`, { mode: 0o600 });
  expect(jsonOf<Listed>(await run(`keys rotate --file ${path} --json`)).dropped).toEqual(dropped);
});

test('four at once are four keys, and no reader ever finds half a file', async () => {
  const path = pathOf('at-once');
  await writeFile(path, `old:${oldKey}\n`, { mode: 0o640 });
  await chmod(path, 0o640);
  let looks = 0;
  let done = false;
  const reading = (async () => {
    while (!done) {
      await entriesIn(path);
      looks += 1;
    }
  })();
  const ended = await Promise.all(Array.from({ length: 4 }, () => run(`keys rotate --file ${path} --json`)));
  done = true;
  await reading;
  expect(ended.map(({ code, stderr }) => ({ code, stderr }))).toEqual(Array(4).fill({ code: 0, stderr: '' }));
  expect(looks).toBeGreaterThan(0);
  const ids = (await entriesIn(path)).map(({ keyId }) => keyId);
  expect(ids.sort()).toEqual(['old', ...ended.map((each) => jsonOf<Listed>(each).added)].sort());
  expect((await stat(path)).mode & 0o777).toBe(0o640);
});

test('what puts the file there must change it: a link, as Kubernetes makes them, is refused, and nothing is changed', async () => {
  await writeFile(pathOf('target'), `old:${oldKey}\n`);
  await symlink(pathOf('target'), pathOf('link'));
  const ended = await run(`keys rotate --file ${pathOf('link')} --json`);
  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(errorOf(ended)).toMatchObject({
    message: expect.stringContaining('symbolic link'),
    help: expect.stringContaining('Kubernetes'),
  });
  expect(await readFile(pathOf('target'), 'utf8')).toBe(`old:${oldKey}\n`);
  expect((await run(`keys list --file ${pathOf('link')}`)).code).toBe(0);
});

test('a rotation that was killed in the middle has changed nothing, and says what to remove', async () => {
  const path = pathOf('killed');
  await writeFile(path, `old:${oldKey}\n`);
  await writeFile(`${path}.new`, 'half');
  const ended = await run(`keys rotate --file ${path} --json`);
  expect(errorOf(ended)).toMatchObject({ exitCode: 1, help: expect.stringContaining(`rm ${path}.new`) });
  expect((await entriesIn(path)).length).toBe(1);
});

test('a file that is not there, or is none, is told without a word of what stands in it', async () => {
  const missing = await run(`keys rotate --file ${pathOf('missing')} --json`);
  expect(errorOf(missing)).toMatchObject({
    message: expect.stringContaining('ENOENT'),
    help: expect.stringContaining('keys new >'),
  });
  await writeFile(pathOf('none'), 'password: s3cret-word\n');
  for (const command of ['list', 'rotate']) {
    const none = await run(`keys ${command} --file ${pathOf('none')}`);
    expect(none).toMatchObject({ code: 1, stdout: '' });
    expect(none.stderr).toContain('is no file of keys');
    expect(none.stderr).not.toContain('s3cret');
  }
  expect(await readdir(folder)).not.toContain('none.new');
});

test('a service token is shown once, with the entry by which a server knows it', async () => {
  const made = jsonOf<{ token: string; entry: string }>(
    await run('tokens new billing --scopes accounts+sessions --json'),
  );
  const known = readConfig({ COUNTERSIGN_SERVICE_TOKENS: made.entry }).serviceTokens;
  expect(findByToken(known, made.token)).toMatchObject({ name: 'billing', scopes: ['accounts', 'sessions'] });
  expect(made.entry).not.toContain(made.token);
  const asText = await run('tokens new billing --scopes accounts');
  expect(asText.stdout).toMatch(/^token {2}\S{43}\nentry {2}billing:accounts:[0-9a-f]{64}$/m);
  expect((await run('tokens new billing --scopes everything')).code).toBe(2);
  for (const name of ['bil,ling', 'bil#ling', 'x'.repeat(129)]) {
    expect((await run(`tokens new ${name} --scopes accounts`)).code, name).toBe(2);
  }
  // Whatever name the settings take.
  const router = 'spiffe://example.org/router';
  const { entry } = jsonOf<{ entry: string }>(await run(`tokens new ${router} --scopes sessions --json`));
  expect(readConfig({ COUNTERSIGN_SERVICE_TOKENS: entry }).serviceTokens).toMatchObject([{ name: router }]);
});
