// The rows of the login activity; a page is one short range of the key.

import { sql } from 'kysely';
import type { LoginEvent } from '../domain/login-event.ts';
import type { Db } from './database.ts';
import { lowestUuid } from './partitions.ts';

const highestUuid = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

export async function insertEvent(db: Db, event: LoginEvent): Promise<void> {
  await db.insertInto('LoginEvent').values(event).execute();
}

/**
 * Writes the event if its account exists, in one statement that takes the same time if it does not: the commit does not
 * wait for the disk, which only a row that was written would wait for. A crash of PostgreSQL loses the last second of them.
 */
export async function insertEventOfKnown(db: Db, event: LoginEvent): Promise<void> {
  await sql`
    with unsynchronised as (select set_config('synchronous_commit', 'off', true))
    insert into login_event
      (account_id, event_id, kind, device, device_id, session_id, challenge_id, channel, origin, unusual, reported)
    select ${event.accountId}, ${event.eventId}::uuid, ${event.kind}, ${JSON.stringify(event.device)}::jsonb,
      ${event.deviceId}::uuid, ${event.sessionId}::uuid, ${event.challengeId}::uuid, ${event.channel},
      ${JSON.stringify(event.origin)}::jsonb, ${JSON.stringify(event.unusual)}::jsonb, ${event.reported}
    from unsynchronised
    where exists (select from account where account_id = ${event.accountId})`.execute(db);
}

export function listEvents(
  db: Db,
  accountId: string,
  before: string | null,
  notBefore: Date,
  count: number,
): Promise<LoginEvent[]> {
  return db
    .selectFrom('LoginEvent')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('eventId', '<', before ?? highestUuid)
    .where('eventId', '>=', lowestUuid(notBefore))
    .orderBy('eventId', 'desc')
    .limit(count)
    .execute();
}
