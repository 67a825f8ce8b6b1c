// What the benches measured, read off the tables that they wrote. It must not know what is made of it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A table of a page of this folder: a row by the text of its first column, a cell by its column's head. */
export interface Figures {
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  /** @throws Error where there is no such cell, or no number in it. */
  number(row: string, column: string): number;
}

/** The first table behind a heading. @throws Error where there is none. */
export function tableOf(page: 'FOOTPRINT.md' | 'RESULTS.md', heading: string): Figures {
  const text = readFileSync(join(import.meta.dirname, page), 'utf8');
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const lines = /(?:^\|.*\n)+/m.exec(section)?.[0].trimEnd().split('\n');
  if (lines === undefined) throw new Error(`${page} has no table behind ${heading}`);
  const [head = [], , ...body] = lines.map((line) => line.slice(2, -2).split(' | '));
  const cells = new Map(body.map(([name = '', ...row]) => [name.trim(), row]));
  return {
    rows: [...cells.keys()],
    columns: head.slice(1),
    number: (row, column) => {
      const cell = cells.get(row)?.[head.indexOf(column) - 1];
      const value = Number.parseFloat(cell ?? '');
      if (Number.isNaN(value)) throw new Error(`${page}, ${heading}: no number for ${row}, ${column}`);
      return value;
    },
  };
}
