// Brings a database to the schema that this release runs on: the SQL files in migrations/ and graphile-worker's own.
// Safe when many replicas start at once: one migrates, the others wait for it.

import { readdir, readFile } from 'node:fs/promises';
import { Migration, Migrator } from '@mikro-orm/migrations';
import { MikroORM } from '@mikro-orm/postgresql';
import { Logger, runMigrations } from 'graphile-worker';
import { PrimaryClient } from '../platform/primary-client.ts';
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
    // It takes as long as it takes, whatever the role may take elsewhere. A pooler does not let this in: it has no locks of a session's.
    options: '-c statement_timeout=0',
    keepAlive: true,
    application_name: 'countersign-migrate',
  });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [migrationLock]);
    await migrateTables(url);
    await runMigrations({ connectionString: url, logger: quiet });
    await ensurePartitions(client, now);
  } finally {
    await client.end();
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
    driverOptions: { connectionString: url },
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
