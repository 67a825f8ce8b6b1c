// The threat model and what is said of the standards, held to the tests that they name.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { links } from '../support/pages.ts';

const root = new URL('../..', import.meta.url).pathname;
const read = (path: string) => readFile(join(root, path), 'utf8');

/** Whether a file has a test of this name: a text of it alone, in any quotes. */
const hasTest = (source: string, name: string) =>
  ["'", '"', '`'].some((quote) => source.includes(`${quote}${name}${quote},`));

describe.each(['docs/threat-model.md', 'docs/standards.md'])('%s', (document) => {
  test('each test that is named is there, in the file that is named', async () => {
    const named = links(await read(document), document).filter(
      // A file may also be spoken of by its own name.
      ({ words, path }) => path.startsWith('test/') && path.endsWith('.ts') && !words.startsWith('`'),
    );
    expect(named.length).toBeGreaterThan(30);
    const missing: string[] = [];
    for (const { words, path } of named) {
      const source = await read(path).catch(() => '');
      if (!hasTest(source, words)) missing.push(`${path}: ${words}`);
    }
    expect(missing).toEqual([]);
  });
});

test('each clause of the standards has a verdict, and one that is met names a test, or the document that it asks for', async () => {
  const rows = (await read('docs/standards.md'))
    .split('\n')
    .filter((line) => /^\| (?:V?\d+\.\d)/.test(line))
    .map((line) => line.split(' | ').map((cell) => cell.replaceAll('|', '').trim()));
  expect(rows.length).toBeGreaterThan(80);
  expect(rows.filter(([, , verdict = '']) => !/^(met|partly|not met|not ours)$/.test(verdict))).toEqual([]);
  const unfounded = rows.filter(
    ([, , verdict, where = '']) => verdict === 'met' && !/\]\(\.\.\/(test|README)|\]\(threat-model\.md/.test(where),
  );
  expect(unfounded.map(([clause]) => clause)).toEqual([]);
});
