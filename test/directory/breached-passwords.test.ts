// The list of breached passwords: found on the disk, whatever its size, and replaced while it is asked.

import { createHash } from 'node:crypto';
import { type FileHandle, mkdtemp, open, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type BreachedPasswords, openBreachedPasswords } from '../../server/directory/breached-passwords.ts';
import { DomainError } from '../../server/domain/errors.ts';

let folder: string;
let path: string;
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-breached-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() };
const opened: BreachedPasswords[] = [];
beforeEach(() => {
  path = join(folder, `list-${++files}.txt`);
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
  vi.restoreAllMocks();
  vi.clearAllMocks();
});

const sha1 = (text: string) => createHash('sha1').update(text).digest('hex').toUpperCase();
/** The passwords `<name> 0`, `<name> 1`, … in the order of their hashes. */
const passwords = (length: number, name = 'password') =>
  Array.from({ length }, (_, at) => `${name} ${at}`)
    .map((password) => ({ password, hash: sha1(password) }))
    .sort((a, b) => (a.hash < b.hash ? -1 : 1))
    .map(({ password }) => password);
const count = (at: number) => `:${1 + ((at * 7_919) % 12_345_678)}`;
const listOf = (listed: readonly string[], end = '\r\n', after: (at: number) => string = count) =>
  listed.map((password, at) => `${sha1(password)}${after(at)}${end}`).join('');

async function list(content: string | Uint8Array, checkEveryMs = 10_000): Promise<BreachedPasswords> {
  await writeFile(path, content);
  const result = await openBreachedPasswords({ path, log, checkEveryMs });
  opened.push(result);
  return result;
}

const refusalOf = (content: string | Uint8Array) =>
  list(content).then(
    () => 'taken',
    (error: Error) => error.message,
  );

/** What opened files read with, of which none is at hand. */
async function fileReads(): Promise<Pick<FileHandle, 'read'>> {
  await using handle = await open(import.meta.filename);
  return Object.getPrototypeOf(handle);
}

describe.each([
  ['CRLF', '\r\n'],
  ['LF', '\n'],
])('with %s', (_name, end) => {
  test.each([
    ['one line', 1],
    ['less than a page', 70],
    ['some pages', 500],
    ['more than is read at once', 20_000],
  ])('%s: all that is listed is found, and nothing else', async (_size, length) => {
    const listed = passwords(length);
    for (const after of [count, () => '', (at: number) => (at % 3 === 0 ? ':123456789012' : '')]) {
      const { has } = await list(listOf(listed, end, after));
      const asked =
        length > 1_000 ? [...listed.slice(0, 200), ...listed.slice(9_900, 10_100), ...listed.slice(-200)] : listed;
      expect((await Promise.all(asked.map(has))).filter((found) => !found)).toEqual([]);
      const others = passwords(500, 'another');
      expect((await Promise.all(others.map(has))).filter((found) => found)).toEqual([]);
    }
  });
});

test('no line is lost where the search halves the file, wherever in a line that is', async () => {
  const listed = passwords(120);
  for (let longer = 0; longer <= 42; longer++) {
    const { has } = await list(listOf(listed, '\n', (at) => (at < longer ? ':1' : '')));
    expect(await Promise.all(listed.slice(50, 70).map(has))).not.toContain(false);
  }
});

test('the last line may lack its end, and digits may be in lower case', async () => {
  const listed = passwords(300);
  const { has } = await list(listOf(listed).trimEnd().toLowerCase());
  for (const at of [0, 150, 299]) expect(await has(listed[at] ?? '')).toBe(true);
});

test('a password is looked for as it was typed and in NFKC', async () => {
  const [typed, composed] = ['pässwörter', 'pässwörter'].map((text, at) =>
    text.normalize(at === 0 ? 'NFD' : 'NFC'),
  ) as [string, string];
  expect(typed).not.toBe(composed);
  for (const [listed, found] of [
    [composed, [true, true]],
    [typed, [true, false]],
  ] as const) {
    const { has } = await list(listOf([listed]));
    expect([await has(typed), await has(composed)]).toEqual(found);
  }
});

test('a look-up reads a few pages, whatever the size', async () => {
  const listed = passwords(50_000);
  const { has } = await list(listOf(listed));
  const read = vi.spyOn(await fileReads(), 'read');
  for (const password of [listed[0], listed[25_000], listed.at(-1), 'another'] as string[]) {
    read.mockClear();
    await has(password);
    expect(read.mock.calls.length).toBeLessThanOrEqual(13);
    const bytes = read.mock.calls.reduce((sum, call) => sum + Number((call as unknown[])[2]), 0);
    expect(bytes).toBeLessThan(10_000);
  }
});

test('200 look-ups at once do not get into each other’s way, and few of them read at once', async () => {
  const listed = passwords(5_000);
  const { has } = await list(listOf(listed));
  const reads = await fileReads();
  const { read } = reads;
  let [now, most] = [0, 0];
  vi.spyOn(reads, 'read').mockImplementation(async function (this: FileHandle, ...args: unknown[]) {
    most = Math.max(most, ++now);
    try {
      return (await Reflect.apply(read, this, args)) as never;
    } finally {
      now -= 1;
    }
  });
  const asked = Array.from({ length: 200 }, (_, at) => (at % 2 === 0 ? (listed[at * 25] ?? '') : `another ${at}`));
  const found = await Promise.all(asked.map(has));
  expect(found).toEqual(asked.map((_, at) => at % 2 === 0));
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(2);
});

describe('what is no such list is refused with its path and what it takes', () => {
  const good = () => listOf(passwords(10_000)).split('\r\n').slice(0, -1);
  const cases: readonly (readonly [string, () => string | Uint8Array, RegExp])[] = [
    ['an empty file', () => '', /it is empty/],
    ['a list of passwords', () => passwords(100).join('\n'), /no SHA-1 at byte 0/],
    ['one in order of counts', () => good().reverse().join('\r\n'), /not sorted/],
    ['two lines that changed places', () => [...passwords(2)].reverse().map(sha1).join('\n'), /not sorted/],
    ['one that is packed', () => gzipSync(good().join('\r\n')), /no SHA-1|no line's end/],
    [
      'hashes of another kind',
      () =>
        good()
          .map((line) => line.slice(8))
          .join('\r\n'),
      /no SHA-1 at byte 0/,
    ],
    ['one that was cut off', () => good().join('\r\n').slice(0, -30), /no SHA-1 at byte/],
    ['an empty line at the end', () => `${good().join('\n')}\n\n`, /no SHA-1 at byte/],
    ['one without lines', () => 'A'.repeat(100_000), /no SHA-1 at byte 0/],
    ['one that begins well', () => `${good().join('\n')}\n${'A'.repeat(1_000_000)}`, /no SHA-1 at byte|no line's end/],
    ['two lists in one', () => [...good(), ...good()].join('\r\n'), /not sorted/],
  ];
  test.each(cases)('%s', async (_what, content, why) => {
    const message = await refusalOf(content());
    expect(message).toMatch(why);
    expect(message).toContain(path);
    expect(message).toContain('SHA-1 in hex and perhaps a colon and a count on each line, sorted by hash, unpacked');
    expect(message).not.toMatch(/[0-9A-F]{20}|password \d/);
  });

  test('a file that is not there, and a folder', async () => {
    await expect(openBreachedPasswords({ path, log })).rejects.toThrow(`${path} can't be used`);
    await expect(openBreachedPasswords({ path: folder, log })).rejects.toThrow('it is no file');
  });
});

describe('a file that is replaced', () => {
  const replaceBy = async (content: string) => {
    await writeFile(`${path}.new`, content);
    await rename(`${path}.new`, path);
  };

  test('is taken up while it is asked, and no look-up fails', async () => {
    const [before, after] = [passwords(3_000), passwords(4_000, 'newer')];
    const { has } = await list(listOf(before), 20);
    let replaced = false;
    let asked = 0;
    const ask = async () => {
      while (!replaced) {
        asked += 1;
        const [old, fresh] = await Promise.all([has(before[asked % 3_000] ?? ''), has(after[asked % 4_000] ?? '')]);
        // Of either file, but of one.
        if (fresh) replaced = true;
        else expect(old || (await has(after[0] ?? ''))).toBe(true);
      }
    };
    const asking = Promise.all(Array.from({ length: 20 }, ask));
    await vi.waitFor(() => expect(asked).toBeGreaterThan(50));
    await replaceBy(listOf(after));
    await asking;
    expect(await has(before[0] ?? '')).toBe(false);
    expect(log.info).toHaveBeenCalledOnce();
    expect(log.error).not.toHaveBeenCalled();
  });

  test('by a bad one is not taken up, which is said once', async () => {
    const { has } = await list(listOf(['listed']), 10);
    await replaceBy('nonsense\n');
    await vi.waitFor(() => expect(log.warn).toHaveBeenCalled());
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(log.warn).toHaveBeenCalledOnce();
    expect(await has('listed')).toBe(true);
    await replaceBy(listOf(['another']));
    await vi.waitFor(async () => expect(await has('another')).toBe(true));
  });

  test('and taken away goes on answering', async () => {
    const { has } = await list(listOf(['listed']), 10);
    await rm(path);
    await vi.waitFor(() => expect(log.warn).toHaveBeenCalled());
    expect([await has('listed'), await has('another')]).toEqual([true, false]);
  });
});

describe('where the file can’t be read, passwords are put off', () => {
  const isUnavailable = (error: unknown) =>
    error instanceof DomainError && error.refusal.reason === 'DEPENDENCY_UNAVAILABLE';

  test('as the disk fails, until it is well again', async () => {
    const { has } = await list(listOf(passwords(1_000)), 100);
    const reads = await fileReads();
    const { read } = reads;
    // As when a network disk was away: what was open stays lost.
    let lost: unknown;
    vi.spyOn(reads, 'read').mockImplementation(async function (this: FileHandle, ...args: unknown[]) {
      lost ??= this;
      if (this === lost) throw Object.assign(new Error('ESTALE: stale file handle, read'), { code: 'ESTALE' });
      return (await Reflect.apply(read, this, args)) as never;
    });
    expect(await has('password 1').catch(isUnavailable)).toBe(true);
    expect(log.error).toHaveBeenCalledOnce();
    await vi.waitFor(async () => expect(await has('password 1')).toBe(true), { timeout: 10_000 });
  });

  test('as somebody has cut it off', async () => {
    const { has } = await list(listOf(passwords(10_000)), 60_000);
    await truncate(path, 1_000);
    const answers = await Promise.all(passwords(50).map((password) => has(password).catch(isUnavailable)));
    expect(answers).not.toContain(false);
  });
});
