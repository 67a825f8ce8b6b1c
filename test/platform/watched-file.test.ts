// A file of settings: what changes in it counts, what is wrong in it does not.

import { mkdir, mkdtemp, open, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { openWatchedFile, type WatchedFile } from '../../server/platform/watched-file.ts';
import { eventually } from '../support/eventually.ts';

const everyMs = 25;

let folder: string;
let path: string;
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-watched-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const log = { info: vi.fn(), error: vi.fn() };
const opened: WatchedFile<unknown>[] = [];
beforeEach(() => {
  path = join(folder, `settings-${++files}`);
});
afterEach(() => {
  for (const each of opened.splice(0)) each.close();
  vi.clearAllMocks();
});

/** Takes `good …`, all of it. */
function parse(content: Buffer): string {
  const text = content.toString();
  if (!/^good \w+$/.test(text)) throw new Error('it takes the word good and another');
  return text;
}

async function watch(every = everyMs): Promise<WatchedFile<string>> {
  const file = await openWatchedFile({ path, parse, log, name: 'COUNTERSIGN_SOMETHING_FILE', everyMs: every });
  opened.push(file);
  return file;
}

async function watchContent(content: string, every?: number): Promise<WatchedFile<string>> {
  await writeFile(path, content);
  return watch(every);
}

const becomes = (file: WatchedFile<string>, content: string) =>
  eventually(20_000, () => expect(file.current()).toBe(content));
const complaints = (count: number) => eventually(20_000, () => expect(log.error).toHaveBeenCalledTimes(count));

test('a file that was renamed over, rewritten or appended to counts', async () => {
  const file = await watchContent('good one');
  expect(file.current()).toBe('good one');
  await writeFile(`${path}.next`, 'good two');
  await rename(`${path}.next`, path);
  await becomes(file, 'good two');
  await writeFile(path, 'good six');
  await becomes(file, 'good six');
  await writeFile(path, 'teen', { flag: 'a' });
  await becomes(file, 'good sixteen');
});

test('a link that was swapped, as Kubernetes does with a folder, counts', async () => {
  const volume = `${path}.volume`;
  for (const [at, content] of ['good one', 'good two'].entries()) {
    await mkdir(join(volume, `..${at}`), { recursive: true });
    await writeFile(join(volume, `..${at}`, 'settings'), content);
  }
  await symlink('..0', join(volume, '..data'));
  await symlink('..data/settings', join(volume, 'settings'));
  path = join(volume, 'settings');
  const file = await watch();
  expect(file.current()).toBe('good one');
  await symlink('..1', join(volume, '..next'));
  await rename(join(volume, '..next'), join(volume, '..data'));
  await rm(join(volume, '..0'), { recursive: true });
  await becomes(file, 'good two');
});

test.each([
  ['malformed', async () => writeFile(path, 'secret')],
  ['empty', async () => writeFile(path, '')],
  ['missing', async () => rm(path)],
  ['too large', async () => writeFile(path, `good ${'x'.repeat(1024 * 1024)}`)],
  [
    'no file',
    async () => {
      await rm(path);
      await mkdir(path);
    },
  ],
])('one that is %s is refused, told once without its content, and the last good one stays', async (_, spoil) => {
  const file = await watchContent('good one');
  await spoil();
  await complaints(1);
  // Several more looks at the same file.
  await new Promise((resolve) => setTimeout(resolve, 20 * everyMs));
  expect(file.current()).toBe('good one');
  expect(log.error.mock.calls).toEqual([
    [
      { setting: 'COUNTERSIGN_SOMETHING_FILE', file: path, why: expect.stringMatching(/^it /) },
      'a watched file is refused, the one before stays',
    ],
  ]);
  expect(JSON.stringify(log.error.mock.calls)).not.toContain('secret');
  await rm(path, { recursive: true, force: true });
  await writeFile(path, 'good two');
  await becomes(file, 'good two');
});

test('a bad one that is put right to what it was is told too, and complained about again when it comes again', async () => {
  const file = await watchContent('good one');
  const changed = vi.fn();
  file.onChange(changed);
  await writeFile(path, 'bad');
  await complaints(1);
  await writeFile(path, 'good one');
  await eventually(20_000, () => expect(log.info).toHaveBeenCalledTimes(1));
  await writeFile(path, 'bad');
  await complaints(2);
  expect(changed).not.toHaveBeenCalled();
});

test('half of a file that is being written is not taken', async () => {
  const file = await watchContent('good one', 10 * everyMs);
  const seen = new Set<string>();
  file.onChange((current) => seen.add(current));
  // Many letters between two looks, so that no look sees the same as the one before, until it is done.
  await using writer = await open(path, 'w');
  for (const letter of `good ${'x'.repeat(100)}`) {
    await writer.write(letter);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await becomes(file, `good ${'x'.repeat(100)}`);
  expect([...seen]).toEqual([`good ${'x'.repeat(100)}`]);
});

test('listeners hear of a change once it counts, though one of them fails', async () => {
  const file = await watchContent('good one');
  const heard: string[] = [];
  file.onChange(() => {
    throw new Error('a listener of ours');
  });
  file.onChange((current) => heard.push(`${current}, and ${file.current()}`));
  await writeFile(path, 'good two');
  await eventually(20_000, () => expect(heard).toEqual(['good two, and good two']));
});

test('one that can not be used at the start is told with its setting', async () => {
  await expect(watch()).rejects.toThrow(/^COUNTERSIGN_SOMETHING_FILE: it can't be read \(ENOENT\)$/);
  await expect(watchContent('bad')).rejects.toThrow(/^COUNTERSIGN_SOMETHING_FILE: it takes the word good and another$/);
});

test('closed, it stays as it is', async () => {
  const file = await watchContent('good one');
  file.close();
  await writeFile(path, 'good two');
  await new Promise((resolve) => setTimeout(resolve, 20 * everyMs));
  expect(file.current()).toBe('good one');
});
