// The rows of the login activity; a page is one short range of the key.

import { sql } from 'kysely';
import { mostLegacyRefusals, type NotedRefusal } from '../domain/legacy-sign-in.ts';
import type { LoginEvent } from '../domain/login-event.ts';
import type { ActivityFilter, EventPage } from '../flows/store-ports.ts';
import { type IdRange, idRange, pageOfScan } from './id-range.ts';
import { lowestUuid } from './partitions.ts';
import { type Builder, columnsOf, columnValues, type Db, first, type Reader, statement } from './statement.ts';

const insert = statement((db, p: LoginEvent) => db.insertInto('LoginEvent').values(columnValues('LoginEvent', p)));

export function insertEvent(db: Db, event: LoginEvent): void {
  db.write(insert, event);
}

const insertOfKnown = statement<LoginEvent, unknown>(
  (_, p) => sql`
    with unsynchronised as (select set_config('synchronous_commit', 'off', true))
    insert into login_event
      (account_id, event_id, kind, device, device_id, session_id, challenge_id, channel, origin, unusual, unusual_details,
        reported)
    select ${p.accountId}, ${p.eventId}::uuid, ${p.kind}, ${p.device}::jsonb, ${p.deviceId}::uuid, ${p.sessionId}::uuid,
      ${p.challengeId}::uuid, ${p.channel}, ${p.origin}::jsonb, ${p.unusual}::jsonb,
      ${p.unusualDetails}::jsonb, ${p.reported}
    from unsynchronised, (select from account where account_id = ${p.accountId} for key share) as known`,
);

/**
 * Writes the event if its account exists, in one statement that takes the same time if it does not: the commit does not
 * wait for the disk, which only a row that was written would wait for. A crash of PostgreSQL loses the last second of them.
 * Whoever erases the account waits for it, and it for them: no event comes behind.
 */
export function insertEventOfKnown(db: Db, event: LoginEvent): void {
  db.write(insertOfKnown, event);
}

const columns = columnsOf('LoginEvent');

/** A range of the account's key, newest first. */
interface Range extends IdRange {
  readonly accountId: string;
}

interface Counted extends Range {
  readonly count: number;
}

const newestOf = (db: Builder, p: Range) =>
  db
    .selectFrom('LoginEvent')
    .where('accountId', '=', p.accountId)
    .where('eventId', '<', p.before)
    .where('eventId', '>=', p.notBefore)
    .orderBy('eventId', 'desc');

const selectPage = statement((db, p: Counted) => newestOf(db, p).select(columns).limit(p.count));

/**
 * Rows of the account that a page with a filter looks at, at most: what it costs, however rare a match is. Each lies in a
 * place of its own, so on a cold disk this many take some tenths of a second.
 */
export const mostScanned = 2_000;

type Fit = Pick<ActivityFilter, 'kinds' | 'deviceId' | 'unusualOnly'>;

// The rows come in the order of the key: none is sorted, and it looks at no more of them than fill the page. The planner is not
// told how many those are: it would rather read and sort tables that are small yet.
const selectFitting = statement((db, p: Counted & Fit & { readonly most: number }) =>
  db
    .selectFrom(newestOf(db, p).select(columns).limit(p.most).as('scanned'))
    .select(columns)
    .where(sql<boolean>`(cardinality(${p.kinds}::text[]) = 0 or kind = any (${p.kinds}::text[]))`)
    .where(sql<boolean>`(${p.deviceId}::uuid is null or device_id = ${p.deviceId}::uuid)`)
    .where(sql<boolean>`(not ${p.unusualOnly}::boolean or unusual <> '[]')`)
    .orderBy('eventId', 'desc')
    .limit(p.count),
);

const selectLastScanned = statement((db, p: Range & { readonly skipped: number }) =>
  newestOf(db, p).select('eventId').offset(p.skipped).limit(sql.lit(1)),
);

/** What a page may look at: of the account, older than `before`, not before `notBefore`, and within the filter's times. */
export function rangeOf(
  accountId: string,
  filter: Pick<ActivityFilter, 'startTime' | 'endTime'>,
  before: string | null,
  notBefore: Date,
): Range {
  return { accountId, ...idRange(filter, before, notBefore) };
}

/** The newest `count` of a range. */
export async function listEvents(db: Reader, range: Range, count: number): Promise<EventPage> {
  const events = await db.rows(selectPage, { ...range, count: count + 1 });
  const page = events.slice(0, count);
  return { events: page, next: events.length > count ? page.at(-1)?.eventId : undefined };
}

/** The newest `count` of a range that fit, or fewer where `mostScanned` events were looked at before. */
export async function searchEvents(db: Reader, range: Range, fit: Fit, count: number): Promise<EventPage> {
  const { kinds, deviceId, unusualOnly } = fit;
  const scan = { ...range, kinds, deviceId, unusualOnly, most: mostScanned, count: count + 1 };
  const fitting = await db.rows(selectFitting, scan);
  const lastScanned = async () => (await first(db, selectLastScanned, { ...range, skipped: mostScanned - 1 }))?.eventId;
  const { rows: events, next } = await pageOfScan(fitting, count, ({ eventId }) => eventId, lastScanned);
  return { events, next };
}

interface EventKey {
  readonly accountId: string;
  readonly eventId: string;
}

const selectOne = statement((db, p: EventKey) =>
  db.selectFrom('LoginEvent').select(columns).where('accountId', '=', p.accountId).where('eventId', '=', p.eventId),
);

export function findEvent(db: Reader, accountId: string, eventId: string): Promise<LoginEvent | undefined> {
  return first(db, selectOne, { accountId, eventId });
}

type LegacyRange = Pick<Range, 'accountId' | 'notBefore'>;

const selectLegacy = statement((db, p: LegacyRange) =>
  db
    .selectFrom('LoginEvent')
    .select(['device', 'origin'])
    .where('accountId', '=', p.accountId)
    .where('eventId', '>=', p.notBefore)
    .where('kind', '=', 'REFUSED_OLD_CLIENT')
    .limit(sql.lit(mostLegacyRefusals)),
);

/** What stands there of older generations of the app that were refused, from then on. */
export function legacyRefusals(db: Reader, accountId: string, since: Date): Promise<readonly NotedRefusal[]> {
  return db.rows(selectLegacy, { accountId, notBefore: lowestUuid(since) });
}

const setReported = statement((db, p: EventKey) =>
  db
    .updateTable('LoginEvent')
    .set({ reported: true })
    .where('accountId', '=', p.accountId)
    .where('eventId', '=', p.eventId),
);

export function markReported(db: Db, accountId: string, eventId: string): void {
  db.write(setReported, { accountId, eventId });
}

const removeAll = statement((db, p: Pick<Range, 'accountId'>) =>
  db.deleteFrom('LoginEvent').where('accountId', '=', p.accountId),
);

export function eraseEvents(db: Db, accountId: string): void {
  db.write(removeAll, { accountId });
}
