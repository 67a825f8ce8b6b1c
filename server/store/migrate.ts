// Brings a database to the schema that this release runs on: the SQL files in migrations/ and graphile-worker's own.
// Safe when many replicas start at once: one migrates, the others wait for it.

import { readdir, readFile } from 'node:fs/promises';
import { Migration, Migrator } from '@mikro-orm/migrations';
import { MikroORM } from '@mikro-orm/postgresql';
import { Logger, runMigrations } from 'graphile-worker';
import pg from 'pg';
import { PrimaryClient, unhurried } from '../platform/primary-client.ts';
import { entities } from './entities.ts';
import { ensurePartitions } from './partitions.ts';

/** The key of the advisory lock that a migrating replica holds; any number that nothing else uses. */
const migrationLock = 4_071_996_001;
/** Its notices are of no use to an operator; failures are thrown. */
const quiet = new Logger(() => () => {});
const folder = new URL('./migrations/', import.meta.url);

/** Migrates forward. `now` says for which months the login activity needs partitions. */
export async function migrate(url: string, now: Date): Promise<void> {
  const client = new PrimaryClient({
    connectionString: url,
    // Nor has a pooler locks of a session's.
    options: unhurried,
    keepAlive: true,
    application_name: 'countersign-migrate',
  });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [migrationLock]);
    await migrateTables(url);
    await migrateJobs(url);
    await ensurePartitions(client, now);
  } finally {
    await client.end();
  }
}

async function migrateJobs(url: string): Promise<void> {
  const pgPool = new pg.Pool({ connectionString: url, options: unhurried, max: 1 });
  pgPool.on('error', () => {});
  pgPool.on('connect', (client) => client.on('error', () => {}));
  try {
    await runMigrations({ pgPool, logger: quiet });
  } finally {
    await pgPool.end();
  }
}

async function migrateTables(url: string): Promise<void> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  const migrationsList = await Promise.all(
    files.map(async (name) => {
      const sql = await readFile(new URL(name, folder), 'utf8');
      return { name: name.replace(/\.sql$/, ''), class: migrationOf(sql) };
    }),
  );
  const orm = new MikroORM({
    entities,
    clientUrl: url,
    // Of the URL by itself it takes no more than the address, and so no TLS.
    driverOptions: { connectionString: url, options: unhurried },
    extensions: [Migrator],
    migrations: {
      migrationsList,
      tableName: 'countersign_migrations',
      snapshot: false,
      disableForeignKeys: false,
      // Each in a transaction of its own: what one has locked is free before the next looks at every row.
      allOrNothing: false,
    },
    // Failures are thrown.
    logger: () => {},
  });
  try {
    await orm.migrator.up();
  } finally {
    await orm.close(true);
  }
}

function migrationOf(sql: string) {
  return class extends Migration {
    override up(): void {
      this.addSql(sql);
    }
  };
}
