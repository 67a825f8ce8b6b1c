// A migrated database of its own for each test file, cloned from the template that global-setup.ts made.
// It must not know what is in it.

import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect, inject } from 'vitest';

export interface TestDatabase {
  url: string;
  /** @throws Error when connections to it were left open, with what each did last. The database is dropped all the same. */
  drop(): Promise<void>;
}

/** What was just ended needs a moment to be gone from the server's list. */
const LEAK_GRACE_MS = 2_000;

export async function createDatabase(): Promise<TestDatabase> {
  const { adminUrl, template } = inject('postgres');
  const suite = basename(expect.getState().testPath ?? 'unnamed', '.test.ts').replaceAll(/\W+/g, '_');
  const name = `test_${suite.slice(0, 40)}_${randomBytes(4).toString('hex')}`;
  await withAdmin(adminUrl, (admin) => admin.query(`create database ${name} template ${template} strategy file_copy`));
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;

  return {
    url: url.href,
    drop: () =>
      withAdmin(adminUrl, async (admin) => {
        const leaked = await leakedConnections(admin, name);
        await admin.query(`drop database ${name} with (force)`);
        if (leaked.length > 0) throw new Error(`connections left open to ${name}:\n${leaked.join('\n')}`);
      }),
  };
}

async function leakedConnections(admin: pg.Client, name: string): Promise<string[]> {
  const started = performance.now();
  for (;;) {
    const { rows } = await admin.query<{ application_name: string; query: string }>(
      'select application_name, query from pg_stat_activity where datname = $1 and backend_type = $2',
      [name, 'client backend'],
    );
    if (rows.length === 0 || performance.now() - started > LEAK_GRACE_MS) {
      return rows.map((row) => `${row.application_name || 'unnamed'}: ${row.query.slice(0, 200)}`);
    }
    await sleep(20);
  }
}

async function withAdmin<T>(adminUrl: string, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}
