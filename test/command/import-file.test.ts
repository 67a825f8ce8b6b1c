// A file of accounts of another system, before any of it is sent.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countersign, errorOf, jsonOf, startCountersign } from './run.ts';

/** Of bcrypt's own test vectors: U*U. */
const bcrypt = '$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW';

interface Summary {
  readonly lines: number;
  readonly created: number;
  readonly malformedCount: number;
  readonly malformed: readonly { readonly line: number; readonly message: string }[];
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-import-file-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const lines = (name: string, count: number) =>
  Array.from({ length: count }, (_, at) =>
    JSON.stringify({ email: `${name}-${at}@example.com`, password_hash: bcrypt }),
  );

async function fileOf(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

describe('a dry run', () => {
  const dryRun = (path: string) =>
    countersign(['accounts', 'import', path, '--dry-run', '--json'], {
      env: { COUNTERSIGN_INTERNAL_URL: 'http://127.0.0.1:1' },
    });

  test('tells each malformed line, and asks no server', async () => {
    const good = { email: 'a@example.com', password_hash: bcrypt };
    const faulty: readonly (readonly [text: string, fault: string])[] = [
      ['{"email": ', 'it is no JSON'],
      ['[]', 'it is no JSON object'],
      [JSON.stringify({ ...good, pasword: 'x' }), 'another name than account_id, email, locale, password_hash'],
      [JSON.stringify({ ...good, locale: 7 }), 'locale: it takes a string'],
      [JSON.stringify({ ...good, email: 'nobody' }), 'email: '],
      [JSON.stringify({ ...good, account_id: 'with space' }), 'account_id: '],
      [JSON.stringify({ ...good, locale: 'deutsch!' }), 'locale: '],
      [JSON.stringify({ ...good, password_hash: undefined }), 'password_hash: '],
      [JSON.stringify({ ...good, password_hash: '5f4dcc3b5aa765d61d8327deb882cf99' }), 'password_hash: '],
      ['x'.repeat(100_000), 'the line is too long'],
    ];
    const path = await fileOf('faulty.jsonl', [JSON.stringify(good), ...faulty.map(([text]) => text)].join('\n'));
    const ended = await dryRun(path);
    expect(ended.code).toBe(1);
    const { lines: count, created, malformed } = jsonOf<Summary>(ended);
    expect({ count, created }).toEqual({ count: 11, created: 0 });
    expect(malformed).toEqual(
      faulty.map(([, fault], at) => ({ line: at + 2, message: expect.stringContaining(fault) })),
    );
    expect(ended.stdout).not.toContain('5f4dcc3b');
  });

  test('counts every wrong line however many there are, and tells the first thousand', async () => {
    const wrong = (count: number) => fileOf(`wrong-${count}.jsonl`, '{\n'.repeat(count));
    const asJson = await dryRun(await wrong(150_000));
    expect(errorOf(asJson)).toMatchObject({ exitCode: 1, message: '150000 of 150000 lines are malformed' });
    const { malformedCount, malformed } = jsonOf<Summary>(asJson);
    expect(malformedCount).toBe(150_000);
    expect(malformed.map(({ line }) => line)).toEqual(Array.from({ length: 1_000 }, (_, at) => at + 1));
    const { stdout } = await countersign(['accounts', 'import', await wrong(1_001), '--dry-run']);
    expect(stdout).toMatch(
      /^1000 +it is no JSON\n\nThe first 1000 of each are told\.\n\nlines +1001\nmalformed +1001$/m,
    );
  });

  test('whose readers leave early ends with its own exit code', async () => {
    const path = await fileOf('unread.jsonl', '{\n');
    for (const stream of ['stdout', 'stderr'] as const) {
      const { child, ended } = startCountersign(['accounts', 'import', path, '--dry-run']);
      child.stdin.end();
      child[stream].destroy();
      expect((await ended).code, stream).toBe(1);
    }
  });

  test('of a good file ends well; of a file that is none, or is not there, it says so', async () => {
    expect(await dryRun(await fileOf('good.jsonl', lines('good', 3).join('\n')))).toMatchObject({
      code: 0,
      stderr: '',
    });
    for (const text of ['name;mail\n', 'email\na@example.com\n', '', 'email,email,password_hash\n']) {
      const ended = await dryRun(await fileOf('none', text));
      expect(ended.code, text).toBe(1);
      expect(errorOf(ended).message).toContain('CSV whose first line names its columns');
    }
    const missing = await dryRun(join(folder, 'missing'));
    expect(errorOf(missing).message).toContain('ENOENT');
  });
});

test('a server that is out of reach is asked again, and not for ever', async () => {
  const path = await fileOf('late.jsonl', lines('late', 3).join('\n'));
  const args = ['accounts', 'import', path, '--url', 'http://127.0.0.1:1', '--patience', '300ms', '--json'];
  const ended = await countersign(args, { env: { COUNTERSIGN_SERVICE_TOKEN: 'a-token-of-some-length' } });
  expect(ended).toMatchObject({ code: 3, stdout: '' });
  expect(errorOf(ended)).toMatchObject({ exitCode: 3, done: { lines: 3, created: 0 } });
});
