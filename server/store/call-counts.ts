// The table of calls that are counted in PostgreSQL. What counts writes its own statements; here they are run, refused in time as
// all others are.

import type { CallCountClient } from '../platform/call-limits.ts';
import type { Database } from './database.ts';
import { type Statement, statement } from './statement.ts';

const removeOver = statement((db, p: { readonly now: string }) =>
  db.deleteFrom('CallCount').where('expire', '<', p.now),
);

export function createCallCountClient(database: Database): CallCountClient {
  return {
    table: 'call_count',
    query: async ({ name, text, values }) => ({
      rows: await database.autocommit((db) => db.rows(asWritten(name, text), values)),
    }),
    forget: (now) => database.autocommit((db) => db.write(removeOver, { now: String(now) })),
  };
}

/** A statement of which `name` is always the same text. */
function asWritten(name: string, text: string): Statement<unknown[], Record<string, unknown>> {
  return {
    name,
    text,
    writes: undefined,
    bind: (values) => values,
    toRow: (columns, fields) => Object.fromEntries(fields.map((field, index) => [field.name, columns[index]])),
  };
}
