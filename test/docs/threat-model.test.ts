// The threat model and what is said of the standards, held to the tests and files that they name.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = new URL('../..', import.meta.url).pathname;
const read = (path: string) => readFile(join(root, path), 'utf8');

/** `[words](path)`, the path from the folder of the document. */
const links = (text: string, from: string) =>
  [...text.matchAll(/\[([^\]]+)\]\(([^)\s]+)\)/g)].flatMap(([, words = '', target = '']) =>
    /^[a-z]+:/.test(target)
      ? []
      : [{ words, path: join(dirname(from), target.replace(/#.*$/, '')), anchor: target.split('#')[1] }],
  );

/** As GitHub makes them of headings. */
const anchorsOf = (text: string) =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} -]/gu, '')
      .replaceAll(' ', '-'),
  );

/** Whether a file has a test of this name: a text of it alone, in any quotes. */
const hasTest = (source: string, name: string) =>
  ["'", '"', '`'].some((quote) => source.includes(`${quote}${name}${quote},`));

describe.each(['docs/threat-model.md', 'docs/standards.md'])('%s', (document) => {
  test('each test that is named is there, in the file that is named', async () => {
    const named = links(await read(document), document).filter(
      // A file may also be spoken of by its own name.
      ({ words, path }) => path.endsWith('.test.ts') && !words.startsWith('`'),
    );
    expect(named.length).toBeGreaterThan(30);
    const missing: string[] = [];
    for (const { words, path } of named) {
      const source = await read(path).catch(() => '');
      if (!hasTest(source, words)) missing.push(`${path}: ${words}`);
    }
    expect(missing).toEqual([]);
  });

  test('each file that is named is there', async () => {
    const text = await read(document);
    const inWords = [...text.matchAll(/`((?:server|clients|edge|test|proto|docs|\.ci)\/[\w./-]+)`/g)].map(
      ([, path = '']) => path,
    );
    const paths = [...inWords, ...links(text, document).map(({ path }) => path)];
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    for (const { path, anchor } of links(text, document)) {
      if (anchor !== undefined) expect(anchorsOf(await read(path)), path).toContain(anchor);
    }
  });

  test('each setting that is named is one', async () => {
    const readme = await read('README.md');
    const settings = (await read(document)).match(/\bCOUNTERSIGN_[A-Z_]+\b/g) ?? [];
    expect(settings.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
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
