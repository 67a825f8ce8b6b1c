// What the jobs read and write of deliveries. What a device has shown meanwhile stays shown. A try is noted with the job of the next one, so that neither is without the
// other. None of it waits for the disk: a crash of PostgreSQL forgets tries of its last second, and they are made again.

import { sql } from 'kysely';
import { type DeliveryJob, type DeliveryLog, type TakenDelivery, taskOf } from '../delivery/jobs.ts';
import type { Challenge } from '../domain/challenge.ts';
import type { DeliveryState } from '../domain/delivery.ts';
import type { PushRegistration } from '../domain/device.ts';
import type { LoginEvent } from '../domain/login-event.ts';
import type { DeliveryRecord } from '../flows/store-ports.ts';
import type { Database } from './database.ts';
import { type Again, deliveryAgain, fallBackLater, priorityOf, settleJobs, settleLater } from './jobs.ts';
import { forgetRegistration } from './push-registrations.ts';
import { first, nested, statement } from './statement.ts';

const unsynchronised = sql`unsynchronised as (select set_config('synchronous_commit', 'off', true))`;

/** What is not queued, or not due, is left as it is. A try before that nobody has noted the end of was interrupted. */
const setHandedOver = statement<DeliveryJob & { readonly now: Date }, unknown>(
  (_, p) => sql`
    with ${unsynchronised}
    update delivery set handover_time = ${p.now},
      attempts = case
        when handover_time is null or (attempts -> -1 ->> 'endTime')::timestamptz >= handover_time then attempts
        else attempts || jsonb_build_array(jsonb_build_object(
          'startTime', to_char(handover_time at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
          'endTime', to_char(${p.now}::timestamptz at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
          'outcome', 'INTERRUPTED', 'answer', ''))
      end
    from unsynchronised
    where account_id = ${p.accountId} and delivery_id = ${p.deliveryId} and state = 'QUEUED'
      and (next_attempt_time is null or next_attempt_time <= ${p.now})`,
);

interface TakenRow {
  readonly delivery: DeliveryRecord;
  readonly challenge: Challenge | { readonly challengeId: null };
  readonly event: LoginEvent | { readonly eventId: null };
  readonly registration:
    | (PushRegistration & { readonly topic: string; readonly environment: 'PRODUCTION' | 'SANDBOX' })
    | { readonly service: null };
  readonly signedIn: boolean;
}

const select = statement<DeliveryJob, TakenRow>((db, p) =>
  db
    .selectFrom('Delivery as delivery')
    .leftJoin('Challenge as challenge', (join) =>
      join
        .onRef('challenge.accountId', '=', 'delivery.accountId')
        .onRef('challenge.challengeId', '=', 'delivery.challengeId'),
    )
    .leftJoin('LoginEvent as event', (join) =>
      join.onRef('event.accountId', '=', 'delivery.accountId').onRef('event.eventId', '=', 'delivery.eventId'),
    )
    .leftJoin('PushRegistration as registration', (join) =>
      join
        .onRef('registration.accountId', '=', 'delivery.accountId')
        .onRef('registration.deviceId', '=', 'delivery.deviceId')
        .onRef('registration.service', '=', 'delivery.pushService'),
    )
    .select([
      ...nested('delivery', 'Delivery'),
      ...nested('challenge', 'Challenge'),
      ...nested('event', 'LoginEvent'),
      ...nested('registration', 'PushRegistration', ['service', 'token', 'topic', 'environment']),
    ])
    .select((e) =>
      e
        .exists(
          e
            .selectFrom('Session as session')
            .select('session.amr')
            .whereRef('session.accountId', '=', 'delivery.accountId')
            .whereRef('session.deviceId', '=', 'delivery.deviceId')
            .where('session.endTime', 'is', null),
        )
        .as('signedIn'),
    )
    .where('delivery.accountId', '=', p.accountId)
    .where('delivery.deliveryId', '=', p.deliveryId)
    .$castTo<TakenRow>(),
);

interface Note extends DeliveryJob {
  readonly state: DeliveryState;
  /** A JSON list of the try, or of none. */
  readonly tried: string;
  readonly answer: string | null;
  readonly now: Date;
}

/** A note whose answer was lost is made again, and counts once. */
const withTry = (p: Note) => sql`
  attempts = case when attempts -> -1 = ${p.tried}::jsonb -> 0 then attempts else attempts || ${p.tried}::jsonb end,
  answer = coalesce(${p.answer}, answer)`;

/** A notification that its challenge did not wait for is taken away again at once. */
const setEnded = statement<Note, unknown>(
  (_, p) => sql`
    with ${unsynchronised}, noted as (
      update delivery
      set state = case state when 'QUEUED' then ${p.state} else state end, ${withTry(p)},
        end_time = coalesce(end_time, ${p.now}), address = null, next_attempt_time = null
      from unsynchronised
      where account_id = ${p.accountId} and delivery_id = ${p.deliveryId}
      returning account_id, challenge_id, kind, push_service
    )
    ${settleJobs(sql`(
      select n.account_id, n.challenge_id
      from noted n join challenge c on c.account_id = n.account_id and c.challenge_id = n.challenge_id
      where n.kind = 'CODE' and n.push_service is not null and c.state <> 'PENDING'
    )`)}`,
);

const setQueuedAgain = statement<Note & Again & { readonly next: Date }, unknown>(
  (_, p) => sql`
    with ${unsynchronised}, noted as (
      update delivery
      set ${withTry(p)}, next_attempt_time = ${p.next}
      from unsynchronised
      where account_id = ${p.accountId} and delivery_id = ${p.deliveryId}
      returning state
    )
    ${deliveryAgain(p, sql`noted where state = 'QUEUED'`)}`,
);

export function createDeliveryLog(database: Database): DeliveryLog {
  return {
    take: async ({ accountId, deliveryId }, now) => {
      const row = await database.autocommit((db) => {
        db.write(setHandedOver, { accountId, deliveryId, now });
        return first(db, select, { accountId, deliveryId });
      });
      if (row === undefined || row.delivery.state !== 'QUEUED') return undefined;
      const { delivery, signedIn } = row;
      const later = delivery.nextAttemptTime;
      return later !== null && later > now ? { later, delivery } : takenOf(row, signedIn);
    },
    note: (delivery, { state, attempt, retryMs, now }) =>
      database.autocommit((db) => {
        const { accountId, deliveryId, kind } = delivery;
        const note = {
          accountId,
          deliveryId,
          state,
          now,
          tried: JSON.stringify(attempt === undefined ? [] : [attempt]),
          answer: attempt?.answer ?? null,
        };
        if (retryMs === undefined) return db.write(setEnded, note);
        const next = new Date(now.getTime() + retryMs);
        return db.write(setQueuedAgain, {
          ...note,
          task: taskOf(delivery),
          priority: priorityOf(kind),
          next,
          inMs: retryMs,
        });
      }),
    forgetRegistration: (accountId, deviceId, registration, since) =>
      database.autocommit((db) => forgetRegistration(db, accountId, deviceId, registration, since)),
    fallBackLater: ({ accountId, challengeId }, inMs) =>
      database.autocommit((db) => fallBackLater(db, accountId, challengeId, inMs)),
    settleLater: ({ accountId, challengeId }, inMs) =>
      database.autocommit((db) => settleLater(db, accountId, challengeId, inMs)),
  };
}

function takenOf({ delivery, challenge, event, registration }: TakenRow, signedIn: boolean): TakenDelivery {
  return {
    delivery,
    signedIn,
    challenge: challenge.challengeId === null ? undefined : challenge,
    event: event.eventId === null ? undefined : event,
    registration: registration.service === null ? undefined : registration,
  };
}
