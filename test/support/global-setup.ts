// One PostgreSQL for the whole test run, with a migrated template that each test file clones.
// It knows of the migrations only that months need partitions.

import { spawn } from 'node:child_process';
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { pino } from 'pino';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../server/development/embedded-postgres.ts';
import { migrate } from '../../server/store/migrate.ts';
import { ensurePartitions } from '../../server/store/partitions.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    postgres: { adminUrl: string; template: string };
  }
}

const TEMPLATE = 'countersign';

/** Ends with an error, and so a red run, when a test file left a database behind. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const log = pino({ level: 'warn' });
  const dataDir = await mkdtemp(join(tmpdir(), 'countersign-test-'));
  // As root, PostgreSQL runs as another user, who must get in.
  await chmod(dataDir, 0o755);
  const server = await startEmbeddedPostgres({ dataDir, log, fsync: false, maxConnections: 400 });
  // Below a closed folder the cluster lies elsewhere.
  const home = await realpath(join(dataDir, 'postgres'));
  stopAfterDeath(home, dataDir);
  const discard = async () => {
    await server.stop();
    await rm(home, { recursive: true, force: true });
    await rm(dataDir, { recursive: true, force: true });
  };

  try {
    await migrate(server.url, new Date());
    await makePartitionsAhead(server.url);
    const adminUrl = new URL(server.url);
    adminUrl.pathname = '/postgres';
    project.provide('postgres', { adminUrl: adminUrl.href, template: TEMPLATE });
    return async () => {
      const left = await leftDatabases(adminUrl.href).finally(discard);
      if (left.length > 0) throw new Error(`databases left by test files that did not drop them: ${left.join(', ')}`);
    };
  } catch (error) {
    await discard();
    throw error;
  }
}

/** Tests move their clocks by months, without the hourly maintenance that would follow. */
async function makePartitionsAhead(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (let months = 3; months <= 24; months += 3) {
    await ensurePartitions(client, new Date(Date.now() + months * 30 * 86_400_000));
  }
  await client.end();
}

async function leftDatabases(adminUrl: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  const { rows } = await client.query<{ datname: string }>(
    String.raw`select datname from pg_database where datname like 'test\_%'`,
  );
  await client.end();
  return rows.map(({ datname }) => datname);
}

/** A run that is killed or interrupted can't stop its server: this waits for the end of the process, and then does. */
function stopAfterDeath(home: string, dataDir: string): void {
  const script = `
    while kill -0 "$1" 2>/dev/null; do sleep 1; done
    lock=$2/cluster/postmaster.pid
    [ -e "$lock" ] && kill -INT "$(head -n 1 "$lock")"
    for _ in $(seq 100); do [ -e "$lock" ] && sleep 0.1; done
    rm -rf "$2" "$3"`;
  const args = ['-c', script, 'stop-after-death', String(process.pid), home, dataDir];
  spawn('sh', args, { detached: true, stdio: 'ignore', cwd: '/' }).unref();
}
