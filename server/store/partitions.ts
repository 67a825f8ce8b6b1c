// The monthly partitions of login_event: made ahead, dropped after the retention. Bounds are UUIDv7 of month starts (UTC).

import type { ClientBase } from 'pg';

const monthsAhead = 3;
/** Serialises replicas that look after the partitions at once. */
const partitionLock = 4_071_996_002;

/** Makes the partitions of the month before `now` (clocks differ), of this one, and of the three to come. */
export async function ensurePartitions(client: ClientBase, now: Date): Promise<void> {
  await underLock(client, async () => {
    for (let offset = -1; offset <= monthsAhead; offset++) {
      const start = monthStart(now, offset);
      await client.query(
        `create table if not exists ${partitionName(start)} partition of login_event
         for values from ('${lowestUuid(start)}') to ('${lowestUuid(monthStart(now, offset + 1))}')`,
      );
    }
  });
}

/** Drops the partitions whose newest possible event is older than `before`. */
export async function dropPartitions(client: ClientBase, before: Date): Promise<void> {
  await underLock(client, async () => {
    const { rows } = await client.query<{ name: string }>(
      `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
       where i.inhparent = 'login_event'::regclass and c.relname < $1`,
      // The partition that holds `before` stays; names sort by time.
      [partitionName(monthStart(before, 0))],
    );
    for (const { name } of rows) await client.query(`drop table "${name}"`);
  });
}

/** The lowest UUIDv7 of a moment (RFC 9562, 5.7): a bound, never an id. */
export function lowestUuid(time: Date): string {
  const hex = time.getTime().toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

function partitionName(start: Date): string {
  return `login_event_${start.toISOString().slice(0, 7).replace('-', '_')}`;
}

function monthStart(time: Date, offset: number): Date {
  return new Date(Date.UTC(time.getUTCFullYear(), time.getUTCMonth() + offset, 1));
}

async function underLock(client: ClientBase, work: () => Promise<void>): Promise<void> {
  await client.query('begin');
  try {
    await client.query('select pg_advisory_xact_lock($1)', [partitionLock]);
    await work();
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}
