// The rows of what is sent, one a send, each written with the job that sends it; later they are support's timeline.

import { sql } from 'kysely';
import { type DeliverPayload, type DeliveryLog, deliverTask } from '../delivery/jobs.ts';
import type { Channel, Deliveries, Delivery as DeliveryState } from '../domain/challenge.ts';
import type { Delivery } from '../flows/ports.ts';
import type { Database, Db } from './database.ts';

/** How far the newest send of each channel has come. */
export async function deliveriesOf(db: Db, accountId: string, challengeId: string): Promise<Deliveries> {
  const rows = await db
    .selectFrom('Delivery')
    .select(['channel', 'state'])
    .where('accountId', '=', accountId)
    .where('challengeId', '=', challengeId)
    .orderBy('deliveryId')
    .execute();
  const newest: Partial<Record<Channel, DeliveryState>> = {};
  for (const row of rows) newest[row.channel] = row.state;
  return newest;
}

/** Notes that a device has shown the code: of whatever was sent to the app, the newest counts. */
export async function markShown(db: Db, accountId: string, challengeId: string, now: Date): Promise<void> {
  await db
    .updateTable('Delivery')
    .set({ state: 'SHOWN', endTime: now })
    .where('accountId', '=', accountId)
    .where('challengeId', '=', challengeId)
    .where('channel', '=', 'APP')
    .where('state', '!=', 'SHOWN')
    .execute();
}

/** Writes a delivery and the job of a mail, so that both are there or neither is; to the app, the bus brings it. */
export async function insertDelivery(db: Db, delivery: Delivery, now: Date): Promise<void> {
  await db
    .insertInto('Delivery')
    .values({ ...delivery, state: 'QUEUED', createTime: now, handoverTime: null, endTime: null, answer: null })
    .execute();
  if (delivery.channel === 'APP') return;
  const payload: DeliverPayload = { accountId: delivery.accountId, deliveryId: delivery.deliveryId };
  await sql`select graphile_worker.add_job(${deliverTask}, ${JSON.stringify(payload)}::json)`.execute(db);
}

const longestAnswer = 500;

export function createDeliveryLog(database: Database): DeliveryLog {
  const update = (accountId: string, deliveryId: string, change: Parameters<typeof updateDelivery>[3]) =>
    database.read((db) => updateDelivery(db, accountId, deliveryId, change));
  return {
    find: (accountId, deliveryId) =>
      database.read(async (db) => {
        const delivery = await db
          .selectFrom('Delivery')
          .selectAll()
          .where('accountId', '=', accountId)
          .where('deliveryId', '=', deliveryId)
          .executeTakeFirst();
        if (delivery === undefined) return undefined;
        const challenge =
          delivery.challengeId === null
            ? undefined
            : await db
                .selectFrom('Challenge')
                .selectAll()
                .where('accountId', '=', accountId)
                .where('challengeId', '=', delivery.challengeId)
                .executeTakeFirst();
        return { delivery, challenge };
      }),
    handOver: (accountId, deliveryId, now) => update(accountId, deliveryId, { handoverTime: now }),
    note: (accountId, deliveryId, state, answer, now) =>
      update(accountId, deliveryId, {
        state,
        answer: answer.slice(0, longestAnswer),
        ...(state === 'QUEUED' ? {} : { endTime: now, address: null }),
      }),
  };
}

async function updateDelivery(
  db: Db,
  accountId: string,
  deliveryId: string,
  change: {
    readonly state?: Exclude<DeliveryState, 'NOT_SENT'>;
    readonly answer?: string;
    readonly handoverTime?: Date;
    readonly endTime?: Date;
    readonly address?: null;
  },
): Promise<void> {
  await db
    .updateTable('Delivery')
    .set(change)
    .where('accountId', '=', accountId)
    .where('deliveryId', '=', deliveryId)
    .execute();
}
