// The rows of the login activity; a page is one short range of the key.

import { sql } from 'kysely';
import type { LoginEvent } from '../domain/login-event.ts';
import { lowestUuid } from './partitions.ts';
import { columnsOf, columnValues, type Db, type Reader, statement } from './statement.ts';

const highestUuid = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

const insert = statement((db, p: LoginEvent) => db.insertInto('LoginEvent').values(columnValues('LoginEvent', p)));

export function insertEvent(db: Db, event: LoginEvent): void {
  db.write(insert, event);
}

const insertOfKnown = statement<LoginEvent, unknown>(
  (_, p) => sql`
    with unsynchronised as (select set_config('synchronous_commit', 'off', true))
    insert into login_event
      (account_id, event_id, kind, device, device_id, session_id, challenge_id, channel, origin, unusual, reported)
    select ${p.accountId}, ${p.eventId}::uuid, ${p.kind}, ${p.device}::jsonb, ${p.deviceId}::uuid, ${p.sessionId}::uuid,
      ${p.challengeId}::uuid, ${p.channel}, ${p.origin}::jsonb, ${p.unusual}::jsonb, ${p.reported}
    from unsynchronised
    where exists (select from account where account_id = ${p.accountId})`,
);

/**
 * Writes the event if its account exists, in one statement that takes the same time if it does not: the commit does not
 * wait for the disk, which only a row that was written would wait for. A crash of PostgreSQL loses the last second of them.
 */
export function insertEventOfKnown(db: Db, event: LoginEvent): void {
  db.write(insertOfKnown, event);
}

const selectPage = statement(
  (
    db,
    p: { readonly accountId: string; readonly before: string; readonly notBefore: string; readonly count: number },
  ) =>
    db
      .selectFrom('LoginEvent')
      .select(columnsOf('LoginEvent'))
      .where('accountId', '=', p.accountId)
      .where('eventId', '<', p.before)
      .where('eventId', '>=', p.notBefore)
      .orderBy('eventId', 'desc')
      .limit(p.count),
);

export function listEvents(
  db: Reader,
  accountId: string,
  before: string | null,
  notBefore: Date,
  count: number,
): Promise<LoginEvent[]> {
  return db.rows(selectPage, {
    accountId,
    before: before ?? highestUuid,
    notBefore: lowestUuid(notBefore),
    count,
  });
}
