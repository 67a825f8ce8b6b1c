// The rows of sessions. A session that is over keeps its cause until it would have expired.

import { sql } from 'kysely';
import type { Session, SessionEndCause } from '../domain/session.ts';
import type { SessionFilter, SessionRecord } from '../flows/ports.ts';
import { findAccount } from './accounts.ts';
import type { Db } from './database.ts';
import { findDevice } from './devices.ts';

/** A session, locked against a call that marks it as used. */
export function lockSession(db: Db, accountId: string, sessionId: string): Promise<Session | undefined> {
  return db
    .selectFrom('Session')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('sessionId', '=', sessionId)
    .forNoKeyUpdate()
    .executeTakeFirst();
}

export function lockSessionByFamily(db: Db, accountId: string, familyHash: Uint8Array): Promise<Session | undefined> {
  return db
    .selectFrom('Session')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('familyHash', '=', familyHash)
    .forNoKeyUpdate()
    .executeTakeFirst();
}

export async function findSessionRecord(
  db: Db,
  accountId: string,
  sessionId: string,
): Promise<SessionRecord | undefined> {
  const session = await db
    .selectFrom('Session')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('sessionId', '=', sessionId)
    .executeTakeFirst();
  if (session === undefined) return undefined;
  const [device, account] = await Promise.all([
    findDevice(db, accountId, session.deviceId),
    findAccount(db, accountId),
  ]);
  return device && account && { session, device, account };
}

/** Notes the first use of a session's tokens, unless this generation of them has become void or the session has ended. */
export async function markSessionUsed(
  db: Db,
  accountId: string,
  sessionId: string,
  generation: number,
  now: Date,
): Promise<boolean> {
  const marked = await db
    .updateTable('Session')
    .set((e) => ({ firstUseTime: e.fn.coalesce('firstUseTime', e.val(now)) }))
    .where('accountId', '=', accountId)
    .where('sessionId', '=', sessionId)
    .where('oldestGeneration', '<=', generation)
    .where('endTime', 'is', null)
    .returning('sessionId')
    .executeTakeFirst();
  return marked !== undefined;
}

export async function insertSession(db: Db, session: Session): Promise<void> {
  await db.insertInto('Session').values(session).execute();
}

export async function saveSession(db: Db, session: Session): Promise<void> {
  const { accountId, sessionId, deviceId: _, createTime: __, amr: ___, ...state } = session;
  await db
    .updateTable('Session')
    .set(state)
    .where('accountId', '=', accountId)
    .where('sessionId', '=', sessionId)
    .execute();
}

/** Ends the live sessions that fit, and returns their ids. */
export async function endSessions(
  db: Db,
  accountId: string,
  filter: SessionFilter,
  cause: SessionEndCause,
  now: Date,
): Promise<readonly string[]> {
  const ended = await db
    .updateTable('Session')
    .set({ endTime: now, endCause: cause })
    .where('accountId', '=', accountId)
    .where('endTime', 'is', null)
    .$if(filter.deviceId !== undefined, (query) => query.where('deviceId', '=', filter.deviceId ?? ''))
    .$if(filter.sessionId !== undefined, (query) => query.where('sessionId', '=', filter.sessionId ?? ''))
    .returning('sessionId')
    .execute();
  return ended.map(({ sessionId }) => sessionId);
}

/** Ends the oldest live sessions of devices that were never trusted, so that `most` are left; returns how many. */
export async function endSurplusSessions(db: Db, accountId: string, most: number, now: Date): Promise<number> {
  const { rows } = await sql`
    update session set end_time = ${now}, end_cause = 'REPLACED'
    where account_id = ${accountId} and session_id in (
      select s.session_id from session s
      join device d on d.account_id = s.account_id and d.device_id = s.device_id
      where s.account_id = ${accountId} and s.end_time is null and d.trust_time is null
      order by s.session_id desc offset ${most}
    )
    returning 1`.execute(db);
  return rows.length;
}
