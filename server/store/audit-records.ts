// The audit records: written twice, read along one index, deleted when they are old.

import { sql } from 'kysely';
import type { AuditRecord } from '../domain/audit-record.ts';
import type { AuditFilter, AuditPage, AuditRecords } from '../flows/store-ports.ts';
import type { Database } from './database.ts';
import { type IdRange, idRange, pageOfScan } from './id-range.ts';
import { type Builder, columnsOf, columnValues, first, type Reader, statement } from './statement.ts';

export function createAuditRecords(database: Database): AuditRecords {
  return {
    insert: (record) => database.autocommit((db) => db.write(insert, record)),
    complete: (record) => database.autocommit((db) => db.write(update, record)),
    // It may look at many rows, and is not for the connections that calls share.
    list: (filter, before, notBefore, count) =>
      database.autocommit((db) => listRecords(db, filter, idRange(filter, before, notBefore), count)),
  };
}

const insert = statement((db, p: AuditRecord) => db.insertInto('AuditRecord').values(columnValues('AuditRecord', p)));

// Nobody waits for the disk unless whom it concerned comes only now: a crash of PostgreSQL loses how the calls of the last second
// ended, not that they were, nor whom they concerned.
const update = statement<AuditRecord, unknown>(
  (_, p) => sql`
    with synchronised as (
      select set_config('synchronous_commit',
        case when account_id = ${p.accountId} then 'off' else current_setting('synchronous_commit') end, true)
      from audit_record where record_id = ${p.recordId}::uuid)
    update audit_record set outcome = ${p.outcome}, account_id = ${p.accountId}, details = ${p.details}::jsonb
    from synchronised where record_id = ${p.recordId}::uuid`,
);

/** Records that a page looks at, at most: what it costs, however rare a match is. */
export const mostScanned = 2_000;

type Fit = Omit<AuditFilter, 'startTime' | 'endTime'>;
type Search = IdRange & Fit;

const columns = columnsOf('AuditRecord');

/** Records of a range, newest first, along one index. */
type Newest = typeof newestOfAll;

const newestOfAll = (db: Builder, p: Search) =>
  db
    .selectFrom('AuditRecord')
    .where('recordId', '<', p.before)
    .where('recordId', '>=', p.notBefore)
    .orderBy('recordId', 'desc');

// Keys are compared as wholes, since no other index gives their order: with two conditions PostgreSQL may take the primary key for
// cheap, and read all of it for a caller that is rare.
const newestOfAccount: Newest = (db, p) =>
  db
    .selectFrom('AuditRecord')
    .where(sql<boolean>`(account_id, record_id) < (${p.accountId}, ${p.before}::uuid)`)
    .where(sql<boolean>`(account_id, record_id) >= (${p.accountId}, ${p.notBefore}::uuid)`)
    .orderBy('accountId', 'desc')
    .orderBy('recordId', 'desc');

const newestOfCaller: Newest = (db, p) =>
  db
    .selectFrom('AuditRecord')
    .where(sql<boolean>`(caller, record_id) < (${p.caller}, ${p.before}::uuid)`)
    .where(sql<boolean>`(caller, record_id) >= (${p.caller}, ${p.notBefore}::uuid)`)
    .orderBy('caller', 'desc')
    .orderBy('recordId', 'desc');

// The inner limit is a number that the planner is told: without it, it would rather read and sort.
const scanOf = (newest: Newest) => ({
  fitting: statement((db, p: Search & { readonly count: number }) =>
    db
      .selectFrom(newest(db, p).select(columns).limit(sql.lit(mostScanned)).as('scanned'))
      .select(columns)
      .where(sql<boolean>`(${p.accountId}::text is null or account_id = ${p.accountId})`)
      .where(sql<boolean>`(${p.caller}::text is null or caller = ${p.caller})`)
      .where(sql<boolean>`(${p.rpc}::text is null or rpc = ${p.rpc})`)
      .where('recordId', '<>', p.exceptRecordId)
      .limit(p.count),
  ),
  lastScanned: statement((db, p: Search) =>
    newest(db, p)
      .select('recordId')
      .offset(sql.lit(mostScanned - 1))
      .limit(sql.lit(1)),
  ),
});

const scans = {
  ofAll: scanOf(newestOfAll),
  ofAccount: scanOf(newestOfAccount),
  ofCaller: scanOf(newestOfCaller),
};

/** The newest `count` of a range that fit, or fewer where `mostScanned` were looked at before. */
export async function listRecords(db: Reader, filter: Fit, range: IdRange, count: number): Promise<AuditPage> {
  const { accountId, caller, rpc, exceptRecordId } = filter;
  const scan = accountId !== null ? scans.ofAccount : caller !== null ? scans.ofCaller : scans.ofAll;
  const search = { ...range, accountId, caller, rpc, exceptRecordId };
  const fitting = await db.rows(scan.fitting, { ...search, count: count + 1 });
  const lastScanned = async () => (await first(db, scan.lastScanned, search))?.recordId;
  const { rows: records, next } = await pageOfScan(fitting, count, ({ recordId }) => recordId, lastScanned);
  return { records, next };
}
