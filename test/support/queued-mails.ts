// Mails that wait, as a decision would leave them, without one.

import type pg from 'pg';

/** To `NAME1@example.com` and on, of some account. @param task whose jobs they are. */
export async function queueMails(pool: pg.Pool, task: string, name: string, count: number): Promise<readonly string[]> {
  await pool.query(
    `insert into delivery (account_id, delivery_id, kind, channel, address, locale, state, create_time)
     select account_id, gen_random_uuid(), 'EMAIL_CHANGED', 'EMAIL', $1 || n || '@example.com', 'en', 'QUEUED', now()
     from account, generate_series(1, $2::int) n where account_id = (select min(account_id) from account)`,
    [name, count],
  );
  await pool.query(
    `select graphile_worker.add_job($1, json_build_object('accountId', account_id, 'deliveryId', delivery_id))
     from delivery where kind = 'EMAIL_CHANGED'`,
    [task],
  );
  return Array.from({ length: count }, (_, at) => `${name}${at + 1}@example.com`);
}
