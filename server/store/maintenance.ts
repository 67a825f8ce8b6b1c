// What is made ahead, what lapses and what is forgotten, once an hour: partitions, trust, guesses, challenges, sessions,
// devices, audit records, and what dead replicas left.

import type pg from 'pg';
import type { Limits } from '../domain/limits.ts';
import { PrimaryClient, unhurried } from '../platform/primary-client.ts';
import { dropPartitions, ensurePartitions, keptSince, lowestUuid } from './partitions.ts';

/** Challenges and their deliveries stay this long for support. */
const traceRetentionMs = 30 * 24 * 3_600_000;

/** Revocations stay this much longer than any access token: a replica that had lost PostgreSQL finds what it has missed. */
const revocationMarginMs = 3_600_000;

function connectionOf(databaseUrl: string): pg.Client {
  return new PrimaryClient({
    connectionString: databaseUrl,
    options: unhurried,
    application_name: 'countersign-maintenance',
  });
}

/** Safe to run at any time, also twice at once. */
export async function maintain(databaseUrl: string, limits: Limits, now: Date): Promise<void> {
  const client = connectionOf(databaseUrl);
  await client.connect();
  const ago = (ms: number) => new Date(now.getTime() - ms);
  try {
    await ensurePartitions(client, now);
    await dropPartitions(client, limits.activityRetentionMs, now);
    const guessWindow = Math.max(limits.passwordGuessesOverall.windowMs, limits.passwordGuessesPerNetwork.windowMs);
    await client.query('delete from password_guesses where update_time < $1', [ago(guessWindow)]);
    const oldest = lowestUuid(ago(traceRetentionMs));
    await client.query('delete from delivery where delivery_id < $1', [oldest]);
    await client.query('delete from challenge where challenge_id < $1', [oldest]);
    // Trust that nobody used; its session has ended long before.
    await client.query(
      `with lapsed as (
         update device set trust_end_time = $1
         where trust_time is not null and trust_end_time is null and last_use_time <= $2
         returning account_id, device_id
       )
       delete from push_registration p using lapsed l where p.account_id = l.account_id and p.device_id = l.device_id`,
      [now, ago(limits.trustIdleMs)],
    );
    // Jobs that another took the place of while their worker died: the worker's library leaves them as if they had failed.
    await client.query(
      `delete from graphile_worker._private_jobs
       where attempts >= max_attempts and locked_at is null and last_error is null`,
    );
    // Replicas that count look after them, while there are any.
    await client.query('delete from call_count where expire < $1', [now.getTime()]);
    await client.query(`delete from replica where alive_until < now() - interval '1 hour'`);
    // By PostgreSQL's clock, which wrote their times.
    await client.query(`delete from revocation where revoke_time < now() - $1 * interval '1 ms'`, [
      limits.accessTokenLifetimeMs + revocationMarginMs,
    ]);
    // A session that is over keeps its cause until it would have expired. That is no revocation: a trigger goes by our application_name.
    await client.query(
      `delete from session where least(last_use_time + $1 * interval '1 ms', create_time + $2 * interval '1 ms') < $3`,
      [limits.sessionIdleMs, limits.sessionLifetimeMs, now],
    );
    // A device without trust is known by its sessions alone; but an account that had a trusted one stays one that had.
    await client.query(
      `delete from device d
       where (d.trust_time is null or d.trust_end_time is not null or d.last_use_time < $1) and d.last_use_time < $2
         and (d.trust_time is null or exists (
           select from device n where n.account_id = d.account_id and n.trust_time is not null and n.device_id > d.device_id))
         and not exists (select from session s where s.account_id = d.account_id and s.device_id = d.device_id)`,
      [ago(limits.trustIdleMs), ago(limits.sessionIdleMs)],
    );
    await deleteAuditRecords(client, limits.auditRetentionMs, now);
  } finally {
    await client.end();
  }
}

/** As many as take some tenths of a second from a cold disk. */
const recordsAtOnce = 5_000;

/** Deletes the records that are older than `retentionMs`, a step a transaction. */
async function deleteAuditRecords(client: pg.Client, retentionMs: number, now: Date): Promise<void> {
  const oldest = lowestUuid(await keptSince(client, retentionMs, now));
  for (let deleted: number | null = recordsAtOnce; deleted === recordsAtOnce; ) {
    ({ rowCount: deleted } = await client.query(
      `delete from audit_record where record_id in (
         select record_id from audit_record where record_id < $1 order by record_id limit $2 for update skip locked)`,
      [oldest, recordsAtOnce],
    ));
  }
}

/** Makes the partitions that an event of `now` needs, where maintenance has not. */
export async function makePartitions(databaseUrl: string, now: Date): Promise<void> {
  const client = connectionOf(databaseUrl);
  await client.connect();
  try {
    await ensurePartitions(client, now);
  } finally {
    await client.end();
  }
}
