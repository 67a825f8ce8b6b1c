// The rows of what is sent, each written with the job that sends it; with every try they are support's timeline.

import { sql } from 'kysely';
import type { CodeSend } from '../domain/delivery.ts';
import type { Delivery, DeliveryRecord } from '../flows/store-ports.ts';
import { addDeliveryJobs } from './jobs.ts';
import { lowestUuid } from './partitions.ts';
import { columnsOf, type Db, first, type Reader, statement } from './statement.ts';

interface ChallengeKey {
  readonly accountId: string;
  readonly challengeId: string;
}

const selectCodeSends = statement((db, p: ChallengeKey) =>
  db
    .selectFrom('Delivery')
    .select(['channel', 'pushService', 'state', 'createTime'])
    .where('accountId', '=', p.accountId)
    .where('challengeId', '=', p.challengeId)
    .where('kind', '=', 'CODE')
    .orderBy('deliveryId'),
);

/** What was sent of a challenge's code, oldest first. */
export function codeSendsOf(db: Reader, accountId: string, challengeId: string): Promise<CodeSend[]> {
  return db.rows(selectCodeSends, { accountId, challengeId });
}

const columns = columnsOf('Delivery');

const selectOfChallenge = statement<ChallengeKey, DeliveryRecord>((db, p) =>
  db
    .selectFrom('Delivery')
    .select(columns)
    .where('accountId', '=', p.accountId)
    .where('challengeId', '=', p.challengeId)
    .orderBy('deliveryId')
    .$castTo<DeliveryRecord>(),
);

export function deliveriesOf(db: Reader, accountId: string, challengeId: string): Promise<DeliveryRecord[]> {
  return db.rows(selectOfChallenge, { accountId, challengeId });
}

// A device's own push, and what apps have shown; the first one that did stands there.
const setShown = statement<ChallengeKey & { readonly deviceId: string; readonly now: Date }, unknown>(
  (_, p) => sql`
    update delivery set state = 'SHOWN', end_time = ${p.now}, device_id = coalesce(device_id, ${p.deviceId}::uuid)
    where account_id = ${p.accountId} and challenge_id = ${p.challengeId} and channel = 'APP' and kind = 'CODE'
      and state <> 'SHOWN' and (push_service is null or device_id = ${p.deviceId}::uuid)`,
);

/** Notes that a device has shown the code: of whatever was sent to the app, the newest counts. */
export function markShown(db: Db, accountId: string, challengeId: string, deviceId: string, now: Date): void {
  db.write(setShown, { accountId, challengeId, deviceId, now });
}

const insert = statement<{ readonly rows: string }, unknown>(
  (_, p) => sql`
    insert into delivery (account_id, delivery_id, kind, channel, push_service, device_id, challenge_id, event_id, address,
      locale, state, create_time)
    select account_id, delivery_id, kind, channel, push_service, device_id, challenge_id, event_id, address, locale, 'QUEUED',
      create_time
    from jsonb_to_recordset(${p.rows}::jsonb) as r (account_id text, delivery_id uuid, kind text, channel text,
      push_service text, device_id uuid, challenge_id uuid, event_id uuid, address text, locale text, create_time timestamptz)`,
  'Delivery',
);

/** Writes deliveries with the jobs that send them, so that both are there or neither is; to open apps, the bus brings it. */
export function insertDeliveries(
  db: Db,
  deliveries: readonly Delivery[],
  traceparent: string | undefined,
  now: Date,
): void {
  if (deliveries.length === 0) return;
  const rows = deliveries.map((delivery) => ({
    account_id: delivery.accountId,
    delivery_id: delivery.deliveryId,
    kind: delivery.kind,
    channel: delivery.channel,
    push_service: delivery.pushService,
    device_id: delivery.deviceId,
    challenge_id: delivery.challengeId,
    event_id: delivery.eventId,
    address: delivery.address,
    locale: delivery.locale,
    create_time: now,
  }));
  db.write(insert, { rows: JSON.stringify(rows) });
  addDeliveryJobs(db, deliveries, traceparent);
}

const count = statement<
  { readonly accountId: string; readonly kind: Delivery['kind']; readonly after: string },
  { readonly count: number }
>(
  (_, p) => sql`
    select count(*)::int as count from delivery
    where account_id = ${p.accountId} and delivery_id > ${p.after}::uuid and kind = ${p.kind} and channel = 'EMAIL'`,
);

/** Mails of a kind since then: one short range of the key. */
export async function countMails(db: Reader, accountId: string, kind: Delivery['kind'], since: Date): Promise<number> {
  return (await first(db, count, { accountId, kind, after: lowestUuid(since) }))?.count ?? 0;
}

const setAddress = statement<{ readonly accountId: string; readonly address: string }, unknown>(
  (_, p) => sql`
    update delivery set address = ${p.address}
    where account_id = ${p.accountId} and state = 'QUEUED' and channel = 'EMAIL' and kind not in ('CODE', 'PASSWORD_RESET')
      and address is null`,
);

/** Keeps the notices that are on their way from following the account to another address. */
export function addressNotices(db: Db, accountId: string, address: string): void {
  db.write(setAddress, { accountId, address });
}
