// The monthly partitions of login_event: made ahead, dropped after the retention. Bounds are UUIDv7 of month starts (UTC).

import type { ClientBase } from 'pg';

const monthsAhead = 6;
/** Serialises replicas that look after the partitions at once. */
const partitionLock = 4_071_996_002;

/**
 * Makes the partitions of the month before `now` (clocks differ), of this one, and of the six to come. A table is made
 * apart and then attached, which lets reading and writing go on; where something holds the table, such as a backup, it
 * gives up after half a second, and the next hour tries again.
 */
export async function ensurePartitions(client: ClientBase, now: Date): Promise<void> {
  const existing = await partitionNames(client);
  for (let offset = -1; offset <= monthsAhead; offset++) {
    const start = monthStart(now, offset);
    const name = partitionName(start);
    if (existing.includes(name)) continue;
    await underLock(client, async () => {
      // Another replica may have been here while this one waited.
      if ((await partitionNames(client)).includes(name)) return;
      await client.query(`create table ${name} (like login_event including defaults including indexes)`);
      await client.query(
        `alter table login_event attach partition ${name}
         for values from ('${lowestUuid(start)}') to ('${lowestUuid(monthStart(now, offset + 1))}')`,
      );
    });
  }
}

/**
 * What is older than `retentionMs` is older than that, both by `now` and by PostgreSQL's clock: a machine whose clock has jumped
 * ahead must not take the history of a year with it.
 */
export async function keptSince(client: ClientBase, retentionMs: number, now: Date): Promise<Date> {
  const { rows } = await client.query<{ now: Date }>('select now()');
  return new Date(Math.min(now.getTime(), (rows[0]?.now ?? now).getTime()) - retentionMs);
}

/** Drops the partitions whose newest possible event is older than `retentionMs`. */
export async function dropPartitions(client: ClientBase, retentionMs: number, now: Date): Promise<void> {
  // The partition that holds the oldest event to keep stays; names sort by time.
  const oldest = partitionName(monthStart(await keptSince(client, retentionMs, now), 0));
  for (const name of (await partitionNames(client)).filter((each) => each < oldest)) {
    await underLock(client, async () => {
      if ((await partitionNames(client)).includes(name)) await client.query(`drop table ${name}`);
    });
  }
}

/** Of the months so far from `now`'s, 0 for its own: the name of the partition, and whether it is not there. */
export async function missingPartitions(
  client: ClientBase,
  now: Date,
  offsets: readonly number[],
): Promise<readonly { readonly name: string; readonly missing: boolean }[]> {
  const existing = await partitionNames(client);
  return offsets.map((offset) => {
    const name = partitionName(monthStart(now, offset));
    return { name, missing: !existing.includes(name) };
  });
}

async function partitionNames(client: ClientBase): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'login_event'::regclass order by 1`,
  );
  return rows.map(({ name }) => name);
}

/** The lowest UUIDv7 of a moment (RFC 9562, 5.7), of none before 1970: a bound, never an id. */
export function lowestUuid(time: Date): string {
  const hex = Math.max(0, time.getTime()).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** Above every id. */
export const highestUuid = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

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
    // Whoever waits for the whole table makes every sign-in wait behind it.
    await client.query(`set local lock_timeout = '500ms'`);
    await work();
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}
