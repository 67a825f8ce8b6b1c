// Which database a way leads to, and on which timeline of its log, for whoever has to compare two ways.

import pg from 'pg';

/** What a database has in common with its standbys, and with nothing else. */
export const identity = `(select system_identifier::text || ' ' || current_database() from pg_control_system())`;

/** Of a primary. Each promotion begins another, and positions in the log say nothing of one to another. */
export const timelineOfPrimary = `('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int`;

/** Of a standby, as far as it has noted or may tell: right after a promotion perhaps still the one before. */
export const timelineOfStandby = `greatest(
  (select received_tli from pg_stat_wal_receiver), (select timeline_id from pg_control_checkpoint()),
  (select min_recovery_end_timeline from pg_control_recovery()))`;

/** Where a URL leads, also through a pooler; undefined where PostgreSQL does not tell that to this user. */
export async function identityOf(url: string): Promise<string | undefined> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    query_timeout: 5_000,
    application_name: 'countersign-migrate',
  });
  client.on('error', () => {});
  await client.connect();
  try {
    const { rows } = await client.query<{ identity: string }>(`select ${identity} as identity`);
    return rows[0]?.identity;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === '42501') return undefined;
    throw error;
  } finally {
    await client.end();
  }
}
