// What internal callers did: noted before a call is done, completed after, and read by support.

import type { AuditRecord } from '../domain/audit-record.ts';
import { DomainError } from '../domain/errors.ts';
import type { Deps } from './context.ts';
import type { AuditFilter, AuditPage } from './store-ports.ts';
import { refuseBackwards } from './times.ts';

export type AuditDeps = Pick<Deps, 'auditRecords' | 'clock' | 'random'>;

/** Notes what is about to be done. Where that is refused it must not be done. */
export async function openRecord(
  { auditRecords, clock, random }: AuditDeps,
  call: Omit<AuditRecord, 'recordId' | 'outcome'>,
): Promise<AuditRecord> {
  const record = { ...call, recordId: random.uuid(clock.now()), outcome: '' };
  await noted(auditRecords.insert(record));
  return record;
}

/** Notes how it ended. Where that is refused, whom it concerned may not be noted. */
export function completeRecord({ auditRecords }: AuditDeps, record: AuditRecord): Promise<void> {
  return noted(auditRecords.complete(record));
}

/** Refuses with DEPENDENCY_UNAVAILABLE, whatever is wrong. */
async function noted(written: Promise<void>): Promise<void> {
  try {
    await written;
  } catch (error) {
    if (error instanceof DomainError) throw error;
    throw new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 1_000 }, { cause: error });
  }
}

/**
 * The records that fit, older than `before` (a record id), and the id to go on from. What is looked for beside an account or a caller,
 * and times, is looked for in a bounded number of records at a time: the page may be short, or empty, while there is more.
 */
export async function listAuditRecords(
  { auditRecords, clock, limits }: Deps,
  filter: AuditFilter,
  before: string | null,
  count: number,
): Promise<AuditPage> {
  refuseBackwards(filter);
  return auditRecords.list(filter, before, new Date(clock.now().getTime() - limits.auditRetentionMs), count);
}
