// What is made ahead and what is forgotten, once an hour: partitions, guesses, challenges, sessions, devices.

import pg from 'pg';
import type { Limits } from '../domain/limits.ts';
import { dropPartitions, ensurePartitions, lowestUuid } from './partitions.ts';

/** Challenges and their deliveries stay this long for support. */
const traceRetentionMs = 30 * 24 * 3_600_000;

/** Safe to run at any time, also twice at once. */
export async function maintain(databaseUrl: string, limits: Limits, now: Date): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'countersign-maintenance' });
  await client.connect();
  const ago = (ms: number) => new Date(now.getTime() - ms);
  try {
    await ensurePartitions(client, now);
    await dropPartitions(client, ago(limits.activityRetentionMs));
    const guessWindow = Math.max(limits.passwordGuessesOverall.windowMs, limits.passwordGuessesPerNetwork.windowMs);
    await client.query('delete from password_guesses where update_time < $1', [ago(guessWindow)]);
    const oldest = lowestUuid(ago(traceRetentionMs));
    await client.query('delete from delivery where delivery_id < $1', [oldest]);
    await client.query('delete from challenge where challenge_id < $1', [oldest]);
    // A session that is over keeps its cause until it would have expired.
    await client.query(
      `delete from session where least(last_use_time + $1 * interval '1 ms', create_time + $2 * interval '1 ms') < $3`,
      [limits.sessionIdleMs, limits.sessionLifetimeMs, now],
    );
    // A device without trust is known by its sessions alone.
    await client.query(
      `delete from device d
       where (d.trust_time is null or d.trust_end_time is not null or d.last_use_time < $1) and d.last_use_time < $2
         and not exists (select from session s where s.account_id = d.account_id and s.device_id = d.device_id)`,
      [ago(limits.trustIdleMs), ago(limits.sessionIdleMs)],
    );
  } finally {
    await client.end();
  }
}
