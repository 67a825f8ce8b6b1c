// What documents name: files, headings and settings are there.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { anchorsOf, links } from '../support/pages.ts';
import { settingNames } from '../support/setting-names.ts';

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
    const inWords = [
      ...text.matchAll(/`((?:server|clients|edge|test|proto|docs|deploy|bench|examples|\.ci)\/[\w./-]+)`/g),
    ].map(([, path = '']) => path);
    const paths = [...inWords, ...links(text, document).map(({ path }) => path)];
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    for (const { path, anchor } of links(text, document)) {
      if (anchor !== undefined) expect(anchorsOf(await read(path)), path).toContain(anchor);
    }
  });

  test('each setting that is named is one', async () => {
    const settings = (await read(document)).match(/\bCOUNTERSIGN_[A-Z_]+\b/g) ?? [];
    const known = new Set(settingNames());
    expect(settings.filter((name) => !known.has(name))).toEqual([]);
  });
});
