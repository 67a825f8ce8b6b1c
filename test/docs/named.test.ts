// What documents name: files, headings and settings are there.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { anchorsOf, links } from '../support/pages.ts';

const root = new URL('../..', import.meta.url).pathname;
const read = (path: string) => readFile(join(root, path), 'utf8');
const documents = [
  'README.md',
  'SECURITY.md',
  'docs/operating.md',
  'docs/sizing.md',
  'docs/standards.md',
  'docs/threat-model.md',
];

describe.each(documents)('%s', (document) => {
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
