// The rows of sessions. A session that is over keeps its cause until it would have expired.

import { sql } from 'kysely';
import type { Limits } from '../domain/limits.ts';
import type { Session, SessionEndCause } from '../domain/session.ts';
import type { IntrospectedSession, ListedSession, SessionFilter, SessionRecord } from '../flows/store-ports.ts';
import { settleJobs } from './jobs.ts';
import { highestUuid } from './partitions.ts';
import { columnsOf, columnValues, type Db, first, nested, type Reader, statement } from './statement.ts';

interface Key {
  readonly accountId: string;
  readonly sessionId: string;
}

const columns = columnsOf('Session');

const selectSessionForUpdate = statement((db, p: Key) =>
  db
    .selectFrom('Session')
    .select(columns)
    .where('accountId', '=', p.accountId)
    .where('sessionId', '=', p.sessionId)
    .forNoKeyUpdate(),
);

/** A session, locked against a call that marks it as used. */
export function lockSession(db: Reader, accountId: string, sessionId: string): Promise<Session | undefined> {
  return first(db, selectSessionForUpdate, { accountId, sessionId });
}

const selectByFamilyForUpdate = statement((db, p: { readonly accountId: string; readonly familyHash: Uint8Array }) =>
  db
    .selectFrom('Session')
    .select(columns)
    .where('accountId', '=', p.accountId)
    .where('familyHash', '=', p.familyHash)
    .forNoKeyUpdate(),
);

export function lockSessionByFamily(
  db: Reader,
  accountId: string,
  familyHash: Uint8Array,
): Promise<Session | undefined> {
  return first(db, selectByFamilyForUpdate, { accountId, familyHash });
}

const selectSome = statement((db, p: { readonly accountId: string; readonly sessionIds: readonly string[] }) =>
  db
    .selectFrom('Session')
    .select(columns)
    .where('accountId', '=', p.accountId)
    .where('sessionId', '=', sql<string>`any(${p.sessionIds}::uuid[])`),
);

export function sessionsOf(db: Reader, accountId: string, sessionIds: readonly string[]): Promise<Session[]> {
  return db.rows(selectSome, { accountId, sessionIds });
}

const selectRecord = statement<Key, SessionRecord>((db, p) =>
  db
    .selectFrom('Session as session')
    .innerJoin('Device as device', (join) =>
      join.onRef('device.accountId', '=', 'session.accountId').onRef('device.deviceId', '=', 'session.deviceId'),
    )
    .innerJoin('Account as account', 'account.accountId', 'session.accountId')
    .select([...nested('session', 'Session'), ...nested('device', 'Device'), ...nested('account', 'Account')])
    .where('session.accountId', '=', p.accountId)
    .where('session.sessionId', '=', p.sessionId)
    .$castTo<SessionRecord>(),
);

export function findSessionRecord(
  db: Reader,
  accountId: string,
  sessionId: string,
): Promise<SessionRecord | undefined> {
  return first(db, selectRecord, { accountId, sessionId });
}

interface LiveRange {
  readonly accountId: string;
  readonly before: string;
  readonly idleSince: Date;
  readonly createdSince: Date;
  readonly count: number;
}

// Ids of one form sort as their times do.
const selectPage = statement<LiveRange, ListedSession>((db, p) =>
  db
    .selectFrom('Session as session')
    .innerJoin('Device as device', (join) =>
      join.onRef('device.accountId', '=', 'session.accountId').onRef('device.deviceId', '=', 'session.deviceId'),
    )
    .select([...nested('session', 'Session'), ...nested('device', 'Device')])
    .where('session.accountId', '=', p.accountId)
    .where('session.sessionId', '<', p.before)
    .where('session.endTime', 'is', null)
    .where('session.lastUseTime', '>', p.idleSince)
    .where('session.createTime', '>', p.createdSince)
    .orderBy('session.sessionId', 'desc')
    .limit(p.count)
    .$castTo<ListedSession>(),
);

/** The newest `count` live sessions of an account that are older than `before`. */
export async function listSessions(
  db: Reader,
  accountId: string,
  before: string | null,
  limits: Limits,
  now: Date,
  count: number,
): Promise<{ readonly sessions: readonly ListedSession[]; readonly next: string | undefined }> {
  const ago = (ms: number) => new Date(now.getTime() - ms);
  const rows = await db.rows(selectPage, {
    accountId,
    before: before ?? highestUuid,
    idleSince: ago(limits.sessionIdleMs),
    createdSince: ago(limits.sessionLifetimeMs),
    count: count + 1,
  });
  const sessions = rows.slice(0, count);
  return { sessions, next: rows.length > count ? sessions.at(-1)?.session.sessionId : undefined };
}

const stateColumns = [
  'accountId',
  'sessionId',
  'deviceId',
  'amr',
  'createTime',
  'lastUseTime',
  'endCause',
  'oldestGeneration',
  'firstUseTime',
] as const;

const selectIntrospected = statement<Key, IntrospectedSession>((db, p) =>
  db
    .selectFrom('Session as session')
    .innerJoin('Account as account', 'account.accountId', 'session.accountId')
    .select([...nested('session', 'Session', stateColumns), 'account.passwordChangeRequired'])
    .where('session.accountId', '=', p.accountId)
    .where('session.sessionId', '=', p.sessionId)
    .$castTo<IntrospectedSession>(),
);

export function findIntrospected(
  db: Reader,
  accountId: string,
  sessionId: string,
): Promise<IntrospectedSession | undefined> {
  return first(db, selectIntrospected, { accountId, sessionId });
}

const setUsed = statement((db, p: Key & { readonly generation: number; readonly now: Date }) =>
  db
    .updateTable('Session')
    .set((e) => ({ firstUseTime: e.fn.coalesce('firstUseTime', e.val(p.now)) }))
    .where('accountId', '=', p.accountId)
    .where('sessionId', '=', p.sessionId)
    .where('oldestGeneration', '<=', p.generation)
    .where('endTime', 'is', null)
    .returning('sessionId'),
);

/** Notes the first use of a session's tokens, unless this generation of them has become void or the session has ended. */
export async function markSessionUsed(
  db: Reader,
  accountId: string,
  sessionId: string,
  generation: number,
  now: Date,
): Promise<boolean> {
  return (await first(db, setUsed, { accountId, sessionId, generation, now })) !== undefined;
}

const insert = statement((db, p: Session) => db.insertInto('Session').values(columnValues('Session', p)));

export function insertSession(db: Db, session: Session): void {
  db.write(insert, session);
}

const update = statement((db, p: Session) =>
  db
    .updateTable('Session')
    .set(columnValues('Session', p, ['accountId', 'sessionId', 'deviceId', 'createTime', 'amr']))
    .where('accountId', '=', p.accountId)
    .where('sessionId', '=', p.sessionId),
);

export function saveSession(db: Db, session: Session): void {
  db.write(update, session);
}

/** Null fits all. */
interface Fitting {
  readonly accountId: string;
  readonly deviceId: string | null;
  readonly sessionId: string | null;
  readonly exceptSessionId: string | null;
}

const fitting = (accountId: string, filter: SessionFilter): Fitting => {
  const { deviceId = null, sessionId = null, exceptSessionId = null } = filter;
  return { accountId, deviceId, sessionId, exceptSessionId };
};

const liveAndFitting = (p: Fitting) => sql`
  account_id = ${p.accountId} and end_time is null
    and (${p.deviceId}::uuid is null or device_id = ${p.deviceId}::uuid)
    and (${p.sessionId}::uuid is null or session_id = ${p.sessionId}::uuid)
    and (${p.exceptSessionId}::uuid is null or session_id <> ${p.exceptSessionId}::uuid)`;

const countLive = statement<Fitting, { readonly count: number }>(
  (_, p) => sql`select count(*)::int as count from session where ${liveAndFitting(p)}`,
);

export async function countLiveSessions(db: Reader, accountId: string, filter: SessionFilter): Promise<number> {
  return (await first(db, countLive, fitting(accountId, filter)))?.count ?? 0;
}

const end = statement<Fitting & { readonly cause: SessionEndCause; readonly now: Date }, unknown>(
  (_, p) => sql`
    with ended as (
      update session set end_time = ${p.now}, end_cause = ${p.cause}
      where ${liveAndFitting(p)}
      returning session_id
    ), closed as (
      update challenge set state = 'CLOSED', settle_time = ${p.now}
      where account_id = ${p.accountId} and state = 'PENDING' and expire_time > ${p.now}
        and session_id in (select session_id from ended)
      returning account_id, challenge_id
    )
    ${settleJobs(sql`closed`)}`,
);

/** Ends the live sessions that fit, and closes what they have asked for and not yet got, since its grants serve only them. */
export function endSessions(db: Db, accountId: string, filter: SessionFilter, cause: SessionEndCause, now: Date): void {
  db.write(end, { ...fitting(accountId, filter), cause, now });
}

const endSurplus = statement<{ readonly accountId: string; readonly most: number; readonly now: Date }, unknown>(
  (_, p) => sql`
    update session set end_time = ${p.now}, end_cause = 'REPLACED'
    where account_id = ${p.accountId} and session_id in (
      select s.session_id from session s
      join device d on d.account_id = s.account_id and d.device_id = s.device_id
      where s.account_id = ${p.accountId} and s.end_time is null and d.trust_time is null
      order by s.session_id desc offset ${p.most}
    )`,
);

/** Ends the oldest live sessions of devices that were never trusted, so that `most` are left. */
export function endSurplusSessions(db: Db, accountId: string, most: number, now: Date): void {
  db.write(endSurplus, { accountId, most, now });
}
