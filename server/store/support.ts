// What support reads: a challenge with all that was sent for it, and the devices of an account with how they are reached.

import { sql } from 'kysely';
import { timeOfUuid } from '../domain/login-event.ts';
import type { FoundTrace, SupportDevice } from '../flows/store-ports.ts';
import { findChallenge, newestChallenges } from './challenges.ts';
import { codeSendsOf, deliveriesOf } from './deliveries.ts';
import { nested, type Reader, statement } from './statement.ts';

const selectWrongCodes = statement(
  (db, p: { readonly accountId: string; readonly challengeId: string; readonly from: string }) =>
    db
      .selectFrom('LoginEvent')
      .select('eventId')
      .where('accountId', '=', p.accountId)
      // No earlier than the challenge itself, whose id tells its time: so only the partitions of its time are read.
      .where('eventId', '>', p.from)
      .where('challengeId', '=', p.challengeId)
      .where('kind', '=', 'CODE_WRONG')
      .orderBy('eventId'),
);

const selectNames = statement((db, p: { readonly accountId: string }) =>
  db.selectFrom('Device').select(['deviceId', 'displayName', 'model']).where('accountId', '=', p.accountId),
);

/** A challenge of the account, or its newest; undefined where there is none. */
export async function traceChallenge(
  db: Reader,
  accountId: string,
  challengeId: string | undefined,
): Promise<FoundTrace | undefined> {
  const challenge =
    challengeId === undefined
      ? (await newestChallenges(db, accountId, 1))[0]
      : await findChallenge(db, accountId, challengeId);
  if (challenge === undefined) return undefined;
  const id = challenge.challengeId;
  const [deliveries, wrong, devices] = await Promise.all([
    deliveriesOf(db, accountId, id),
    db.rows(selectWrongCodes, { accountId, challengeId: id, from: id }),
    db.rows(selectNames, { accountId }),
  ]);
  return { challenge, deliveries, wrongCodeTimes: wrong.map(({ eventId }) => timeOfUuid(eventId)), devices };
}

const mostDevices = 100;
const mostChallenges = 20;

// The account is named in each part, not taken from the device: PostgreSQL may read a part by itself, and then only this account's.
const selectDevices = statement<{ readonly accountId: string }, SupportDevice>((db, p) =>
  db
    .selectFrom('Device as device')
    .leftJoin('PushRegistration as push', (join) =>
      join.onRef('push.accountId', '=', 'device.accountId').onRef('push.deviceId', '=', 'device.deviceId'),
    )
    .select([...nested('device', 'Device')])
    .select((e) => [
      'push.service as pushService',
      'push.updateTime as pushRegisterTime',
      e
        .exists(
          e
            .selectFrom('Session as session')
            .select('session.amr')
            .where('session.accountId', '=', p.accountId)
            .whereRef('session.deviceId', '=', 'device.deviceId')
            .where('session.endTime', 'is', null),
        )
        .as('signedIn'),
      e
        .exists(
          e
            .selectFrom('OpenStream as o')
            .innerJoin('Replica as r', 'r.replicaId', 'o.replicaId')
            .select('o.streamId')
            .where('o.accountId', '=', p.accountId)
            .whereRef('o.deviceId', '=', 'device.deviceId')
            .where('r.aliveUntil', '>', sql<Date>`now()`),
        )
        .as('appOpen'),
    ])
    .where('device.accountId', '=', p.accountId)
    .where((e) =>
      e.or([
        e.and([e('device.trustTime', 'is not', null), e('device.trustEndTime', 'is', null)]),
        e.exists(
          e
            .selectFrom('Session as session')
            .select('session.amr')
            .where('session.accountId', '=', p.accountId)
            .whereRef('session.deviceId', '=', 'device.deviceId')
            .where('session.endTime', 'is', null),
        ),
      ]),
    )
    .orderBy('device.lastUseTime', 'desc')
    .limit(mostDevices)
    .$castTo<SupportDevice>(),
);

export async function accountSecurity(db: Reader, accountId: string) {
  const [devices, challenges] = await Promise.all([
    db.rows(selectDevices, { accountId }),
    newestChallenges(db, accountId, mostChallenges),
  ]);
  const sends = await Promise.all(challenges.map(({ challengeId }) => codeSendsOf(db, accountId, challengeId)));
  return {
    devices,
    challenges: challenges.map((challenge, index) => ({ challenge, codeSends: sends[index] ?? [] })),
  };
}
