// The rows of what is sent, one a send, each written with the job that sends it; later they are support's timeline.

import { sql } from 'kysely';
import { type DeliverPayload, type DeliveryLog, deliverTask } from '../delivery/jobs.ts';
import type { Channel, Deliveries, Delivery as DeliveryState } from '../domain/challenge.ts';
import type { Delivery } from '../flows/ports.ts';
import { findChallenge } from './challenges.ts';
import type { Database } from './database.ts';
import { columnsOf, columnValues, type Db, first, type Reader, statement } from './statement.ts';

interface ChallengeKey {
  readonly accountId: string;
  readonly challengeId: string;
}

interface Key {
  readonly accountId: string;
  readonly deliveryId: string;
}

const selectStates = statement((db, p: ChallengeKey) =>
  db
    .selectFrom('Delivery')
    .select(['channel', 'state'])
    .where('accountId', '=', p.accountId)
    .where('challengeId', '=', p.challengeId)
    .orderBy('deliveryId'),
);

/** How far the newest send of each channel has come. */
export async function deliveriesOf(db: Reader, accountId: string, challengeId: string): Promise<Deliveries> {
  const newest: Partial<Record<Channel, DeliveryState>> = {};
  for (const row of await db.rows(selectStates, { accountId, challengeId })) newest[row.channel] = row.state;
  return newest;
}

const setShown = statement((db, p: ChallengeKey & { readonly now: Date }) =>
  db
    .updateTable('Delivery')
    .set({ state: 'SHOWN', endTime: p.now })
    .where('accountId', '=', p.accountId)
    .where('challengeId', '=', p.challengeId)
    .where('channel', '=', 'APP')
    .where('state', '!=', 'SHOWN'),
);

/** Notes that a device has shown the code: of whatever was sent to the app, the newest counts. */
export function markShown(db: Db, accountId: string, challengeId: string, now: Date): void {
  db.write(setShown, { accountId, challengeId, now });
}

type Row = Delivery & {
  readonly state: Exclude<DeliveryState, 'NOT_SENT'>;
  readonly createTime: Date;
  readonly handoverTime: Date | null;
  readonly endTime: Date | null;
  readonly answer: string | null;
};

const insert = statement((db, p: Row) => db.insertInto('Delivery').values(columnValues('Delivery', p)));

const addJob = statement<{ readonly payload: string }, unknown>(
  (_, p) => sql`select graphile_worker.add_job(${sql.lit(deliverTask)}, ${p.payload}::json)`,
  'select',
);

/** Writes a delivery and the job of a mail, so that both are there or neither is; to the app, the bus brings it. */
export function insertDelivery(db: Db, delivery: Delivery, now: Date): void {
  db.write(insert, {
    ...delivery,
    state: 'QUEUED',
    createTime: now,
    handoverTime: null,
    endTime: null,
    answer: null,
  });
  if (delivery.channel === 'APP') return;
  const payload: DeliverPayload = { accountId: delivery.accountId, deliveryId: delivery.deliveryId };
  db.write(addJob, { payload: JSON.stringify(payload) });
}

const select = statement((db, p: Key) =>
  db
    .selectFrom('Delivery')
    .select(columnsOf('Delivery'))
    .where('accountId', '=', p.accountId)
    .where('deliveryId', '=', p.deliveryId),
);

const setHandedOver = statement((db, p: Key & { readonly now: Date }) =>
  db
    .updateTable('Delivery')
    .set({ handoverTime: p.now })
    .where('accountId', '=', p.accountId)
    .where('deliveryId', '=', p.deliveryId),
);

type Note = Key & { readonly state: Exclude<DeliveryState, 'NOT_SENT'>; readonly answer: string; readonly now: Date };

const setQueuedAgain = statement((db, p: Note) =>
  db
    .updateTable('Delivery')
    .set({ state: p.state, answer: p.answer })
    .where('accountId', '=', p.accountId)
    .where('deliveryId', '=', p.deliveryId),
);

const setEnded = statement((db, p: Note) =>
  db
    .updateTable('Delivery')
    .set({ state: p.state, answer: p.answer, endTime: p.now, address: null })
    .where('accountId', '=', p.accountId)
    .where('deliveryId', '=', p.deliveryId),
);

const longestAnswer = 500;

export function createDeliveryLog(database: Database): DeliveryLog {
  return {
    find: (accountId, deliveryId) =>
      database.autocommit(async (db) => {
        const delivery = await first(db, select, { accountId, deliveryId });
        if (delivery === undefined) return undefined;
        const { challengeId } = delivery;
        return {
          delivery,
          challenge: challengeId === null ? undefined : await findChallenge(db, accountId, challengeId),
        };
      }),
    handOver: (accountId, deliveryId, now) =>
      database.autocommit((db) => db.write(setHandedOver, { accountId, deliveryId, now })),
    note: (accountId, deliveryId, state, answer, now) =>
      database.autocommit((db) =>
        db.write(state === 'QUEUED' ? setQueuedAgain : setEnded, {
          accountId,
          deliveryId,
          state,
          answer: answer.slice(0, longestAnswer),
          now,
        }),
      ),
  };
}
