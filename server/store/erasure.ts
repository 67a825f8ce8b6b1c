// Everything that is kept of an account, erased. What hangs on the account's row goes with it, by the foreign keys; what does not is
// named here, and a test holds that no table is forgotten.

import { sql } from 'kysely';
import { tasks } from '../delivery/jobs.ts';
import type { DirectoryAccount } from '../flows/ports.ts';
import { challengeJobKeys } from './jobs.ts';
import { eraseEvents } from './login-events.ts';
import { type Db, first, type Statement, statement } from './statement.ts';

interface Key {
  readonly accountId: string;
}

interface Step {
  readonly bound: Statement<Key & { readonly from: string }, { readonly bound: string }>;
  readonly erase: Statement<Key & { readonly from: string; readonly until: string }, unknown>;
}

/** The oldest rows of an account, `count` at a time. */
function oldestOf(table: string, id: string, count: number): Step {
  const [rows, key] = [sql.raw(table), sql.raw(id)];
  return {
    bound: statement(
      (_, p) => sql`
        select ${key} as bound from ${rows} where account_id = ${p.accountId} and ${key} >= ${p.from}::uuid
        order by ${key} offset ${sql.lit(count)} limit 1`,
    ),
    erase: statement(
      (_, p) => sql`
        delete from ${rows}
        where account_id = ${p.accountId} and ${key} >= ${p.from}::uuid and ${key} < ${p.until}::uuid`,
    ),
  };
}

/**
 * Of which an account may have very many. As many at a time as take some tenths of a second from a cold disk; of devices fewer,
 * for each looks through the sessions for its own.
 */
const steps = [
  oldestOf('login_event', 'event_id', 1_000),
  oldestOf('delivery', 'delivery_id', 1_000),
  oldestOf('challenge', 'challenge_id', 1_000),
  oldestOf('session', 'session_id', 1_000),
  oldestOf('device', 'device_id', 100),
];

const lowestId = '00000000-0000-0000-0000-000000000000';

/**
 * Erases the oldest of what is kept of an account, until there is no more than one transaction can erase. Each step commits by
 * itself on what `run` gives it.
 */
export async function eraseOldest(
  run: <T>(work: (db: Db) => Promise<T>) => Promise<T>,
  accountId: string,
): Promise<void> {
  for (const { bound, erase } of steps) {
    for (let from: string | undefined = lowestId; from !== undefined; ) {
      const at: string = from;
      from = await run(async (db) => {
        const until = (await first(db, bound, { accountId, from: at }))?.bound;
        if (until !== undefined) db.write(erase, { accountId, from: at, until });
        return until;
      });
    }
  }
}

const lockWhole = statement((db, p: Key) =>
  db.selectFrom('Account').select('accountId').where('accountId', '=', p.accountId).forUpdate(),
);

const deleteDeliveries = statement((db, p: Key) =>
  db.deleteFrom('Delivery').where('accountId', '=', p.accountId).returning('deliveryId'),
);

const deleteChallenges = statement((db, p: Key) =>
  db.deleteFrom('Challenge').where('accountId', '=', p.accountId).returning('challengeId'),
);

const deleteEntry = statement((db, p: Key) =>
  db.deleteFrom('DirectoryAccount').where('accountId', '=', p.accountId).returning(['accountId', 'email', 'locale']),
);

const deleteAccount = statement((db, p: Key) => db.deleteFrom('Account').where('accountId', '=', p.accountId));

/**
 * Bytes of the queue up to which it is searched for jobs that have no key: some 150 000 jobs, and a few hundredths of a second.
 * No index of the worker's knows what a job is about. Of a longer queue they stay, name an account that is gone, and end when
 * their turn comes, since there is nothing left for them to do.
 */
const mostSearched = 32 * 1024 * 1024;

// Also those that run: their worker then finds nothing to note, and they are not tried again.
const deleteJobs = statement<Key & { readonly jobKeys: readonly string[] }, unknown>(
  (_, p) => sql`
    delete from graphile_worker._private_jobs
    where id in (
      select id from graphile_worker._private_jobs where key = any (${p.jobKeys}::text[])
      union all
      select job.id
      from graphile_worker._private_jobs as job
      join graphile_worker._private_tasks as task on task.id = job.task_id
      where (select pg_relation_size('graphile_worker._private_jobs') <= ${sql.lit(mostSearched)})
        and task.identifier in (${sql.join(Object.values(tasks).map((task) => sql.lit(task)))})
        and job.payload ->> 'accountId' = ${p.accountId}
    )`,
);

/** Returns the directory's entry as it was, where the directory is embedded. The account is locked. */
export async function eraseAccount(db: Db, accountId: string): Promise<DirectoryAccount | undefined> {
  const [, deliveries, challenges, [entry]] = await Promise.all([
    // Before its rows are deleted: whoever writes something of an account that is there, without its lock, has now written it.
    db.rows(lockWhole, { accountId }),
    db.rows(deleteDeliveries, { accountId }),
    db.rows(deleteChallenges, { accountId }),
    db.rows(deleteEntry, { accountId }),
  ]);
  const jobKeys = [
    ...deliveries.map(({ deliveryId }) => deliveryId),
    ...challenges.flatMap(({ challengeId }) => challengeJobKeys(challengeId)),
  ];
  eraseEvents(db, accountId);
  db.write(deleteJobs, { accountId, jobKeys });
  db.write(deleteAccount, { accountId });
  return entry;
}
