// The jobs, as PostgreSQL keeps them: graphile-worker's, each written in the transaction that decided it.

import { type RawBuilder, sql } from 'kysely';
import { type DeliveryJob, taskOf, tasks } from '../delivery/jobs.ts';
import type { Delivery } from '../flows/store-ports.ts';
import { type Db, statement } from './statement.ts';

const addJobs = statement<{ readonly rows: string }, unknown>(
  (_, p) => sql`
    select graphile_worker.add_job(task,
      json_build_object('accountId', account_id, 'deliveryId', delivery_id, 'traceparent', traceparent),
      priority := priority)
    from jsonb_to_recordset(${p.rows}::jsonb)
      as r (task text, account_id text, delivery_id text, traceparent text, priority int)`,
  'select',
);

/** What somebody waits for goes first, however many notices there are. */
export const priorityOf = (kind: Delivery['kind']) => (kind === 'CODE' || kind === 'PASSWORD_RESET' ? 0 : 10);

/** Adds the jobs of those deliveries that a provider has to bring. */
export function addDeliveryJobs(db: Db, deliveries: readonly Delivery[], traceparent: string | undefined): void {
  const jobs = deliveries.flatMap(({ accountId, deliveryId, channel, pushService, kind }) => {
    if (channel === 'APP' && pushService === null) return [];
    return [
      {
        task: taskOf({ channel, kind }),
        account_id: accountId,
        delivery_id: deliveryId,
        traceparent,
        priority: priorityOf(kind),
      },
    ];
  });
  if (jobs.length > 0) db.write(addJobs, { rows: JSON.stringify(jobs) });
}

export type Again = DeliveryJob & { readonly task: string; readonly priority: number; readonly inMs: number };

/** Runs a delivery's job again in so many ms: one at most waits. For `from` of a statement that goes before it. */
export const deliveryAgain = (p: Again, from: RawBuilder<unknown>) => sql`
  select graphile_worker.add_job(${p.task}, json_build_object('accountId', ${p.accountId}::text,
      'deliveryId', ${p.deliveryId}::text),
    job_key := ${p.deliveryId}::text, run_at := ${inMs(p)}, priority := ${p.priority}::int)
  from ${from}`;

const addReset = statement<
  { readonly accountId: string; readonly locale: string | null; readonly traceparent: string | undefined },
  unknown
>(
  (_, p) => sql`
    select graphile_worker.add_job(${sql.lit(tasks.passwordReset)},
      json_build_object('accountId', ${p.accountId}::text, 'locale', ${p.locale}::text, 'traceparent', ${p.traceparent}::text),
      run_at := now() + random() * interval '2 s', priority := 5)`,
  'select',
);

/**
 * Adds the job that mails the link of a forgotten password, if there is such an account. It starts within 2 s, after
 * the codes that wait: what it takes must not be felt by who asks again at once.
 */
export function addPasswordReset(
  db: Db,
  accountId: string,
  locale: string | null,
  traceparent: string | undefined,
): void {
  db.write(addReset, { accountId, locale, traceparent });
}

const challengeJob = (task: string, accountId: unknown, challengeId: unknown, runAt: RawBuilder<unknown>) => sql`
  graphile_worker.add_job(${sql.lit(task)},
    json_build_object('accountId', ${accountId}::text, 'challengeId', ${challengeId}::text),
    job_key := ${sql.lit(`${task}:`)} || ${challengeId}::text, run_at := ${runAt}, priority := -1)`;

/** The keys of the jobs that there may be of a challenge. */
export const challengeJobKeys = (challengeId: string) =>
  [tasks.fallBack, tasks.settle].map((task) => `${task}:${challengeId}`);

interface Later {
  readonly accountId: string;
  readonly challengeId: string;
  readonly inMs: number;
}

const inMs = (p: { readonly inMs: number }) => sql`now() + ${p.inMs} * interval '1 ms'`;

const addFallBack = statement<Later, unknown>(
  (_, p) => sql`select ${challengeJob(tasks.fallBack, p.accountId, p.challengeId, inMs(p))}`,
  'select',
);

/** Adds the job that looks in `inMs` milliseconds whether a code has arrived by app. */
export function fallBackLater(db: Db, accountId: string, challengeId: string, inMs: number): void {
  db.write(addFallBack, { accountId, challengeId, inMs });
}

/** Whether a code was pushed: only then there is a notification to take away. */
const wasPushed = (accountId: unknown, challengeId: unknown) => sql`
  exists (
    select from delivery
    where account_id = ${accountId} and challenge_id = ${challengeId} and kind = 'CODE' and push_service is not null
  )`;

/** The end of a statement that settles challenges, named in `settled`: the jobs that take their notifications away. */
export const settleJobs = (settled: RawBuilder<unknown>) => sql`
  select ${challengeJob(tasks.settle, sql`s.account_id`, sql`s.challenge_id`, sql`now()`)}
  from ${settled} s where ${wasPushed(sql`s.account_id`, sql`s.challenge_id`)}`;

const addSettle = statement<Later, unknown>(
  (_, p) => sql`
    select ${challengeJob(tasks.settle, p.accountId, p.challengeId, inMs(p))}
    where ${wasPushed(p.accountId, sql`${p.challengeId}::uuid`)}`,
);

/** Adds the job that takes a challenge's notifications away, or moves it to another time; none where nothing was pushed. */
export function settleLater(db: Db, accountId: string, challengeId: string, inMs: number): void {
  db.write(addSettle, { accountId, challengeId, inMs });
}
