// How replicas are told that something of an account has changed: behind the commit by PostgreSQL's NOTIFY, or after it by
// whatever else there is. It must not know who listens.

import { sql } from 'kysely';
import { busChannel } from '../platform/bus-postgres.ts';
import type { Database } from './database.ts';
import { type Db, statement } from './statement.ts';

/** Called within the transaction that changes something; tells nothing before that has committed. Nobody waits for it. */
export type Announce = (db: Db, accountId: string) => void;

const notify = statement<{ readonly accountId: string }, unknown>(
  (_, p) => sql`
    with unsynchronised as (select set_config('synchronous_commit', 'off', true))
    select pg_notify(${sql.lit(busChannel)}, ${p.accountId}) from unsynchronised`,
);

/**
 * Leaves in one piece with the commit. Not within the transaction: PostgreSQL lets only one that notifies commit at a
 * time, its wait for the disk included.
 */
export const announceByNotify: Announce = (db, accountId) => db.afterCommit(notify, { accountId });

/** By `publish`, and where that fails by NOTIFY after all, which every replica hears. */
export function announceBy(publish: (accountId: string) => Promise<void>, database: Database): Announce {
  const tell = async (accountId: string) => {
    try {
      await publish(accountId);
    } catch {
      await database.autocommit((db) => db.rows(notify, { accountId }));
    }
  };
  // Where PostgreSQL is out of reach too, whoever listens there is cut, and knows it.
  return (db, accountId) => db.whenCommitted(() => void tell(accountId).catch(() => {}));
}
