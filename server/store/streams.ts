// Open streams and the replicas that hold them, and what streams are told from. A replica's life is by the database's
// clock, so that replicas need not agree on theirs.

import { sql } from 'kysely';
import type { AppDevice } from '../domain/challenge.ts';
import type { Limits } from '../domain/limits.ts';
import { isTrusted } from '../domain/trust.ts';
import type { LiveStore, OpenStream } from '../flows/ports.ts';
import { challengesInApp } from './challenges.ts';
import type { Database, Db } from './database.ts';
import { deliveriesOf } from './deliveries.ts';
import { devicesWithTrust } from './devices.ts';
import { lowestUuid } from './partitions.ts';

/** Notes a stream, and returns the account's others on living replicas, oldest first. */
export async function insertStream(
  db: Db,
  accountId: string,
  stream: OpenStream,
  replicaId: string,
): Promise<readonly OpenStream[]> {
  const others = await db
    .selectFrom('OpenStream as o')
    .innerJoin('Replica as r', 'r.replicaId', 'o.replicaId')
    .select(['o.streamId', 'o.sessionId', 'o.deviceId'])
    .where('o.accountId', '=', accountId)
    .where('r.aliveUntil', '>', sql<Date>`now()`)
    .orderBy('o.streamId')
    .execute();
  await db
    .insertInto('OpenStream')
    .values({ ...stream, accountId, replicaId })
    .execute();
  return others;
}

export async function deleteStream(db: Db, accountId: string, streamId: string): Promise<void> {
  await db.deleteFrom('OpenStream').where('accountId', '=', accountId).where('streamId', '=', streamId).execute();
}

/** The trusted, signed-in devices of an account, and whether each has a stream open on a living replica. */
export async function appDevices(db: Db, accountId: string, limits: Limits, now: Date): Promise<readonly AppDevice[]> {
  const { rows } = await sql<AppDevice>`
    select d.device_id as "deviceId",
      exists (
        select from open_stream o join replica r on r.replica_id = o.replica_id
        where o.account_id = d.account_id and o.device_id = d.device_id and r.alive_until > now()
      ) as watching
    from device d
    where d.account_id = ${accountId} and d.trust_time is not null and d.trust_end_time is null
      and d.last_use_time > ${new Date(now.getTime() - limits.trustIdleMs)}
      and exists (
        select from session s
        where s.account_id = d.account_id and s.device_id = d.device_id and s.end_time is null
          and s.last_use_time > ${new Date(now.getTime() - limits.sessionIdleMs)}
          and s.create_time > ${new Date(now.getTime() - limits.sessionLifetimeMs)}
      )`.execute(db);
  return rows;
}

export function createLiveStore(database: Database, limits: Limits): LiveStore {
  return {
    snapshot: (accountId, streams, now) =>
      database.read(async (db) => {
        const [challenges, sessions, trusted, open, devices] = await Promise.all([
          challengesInApp(db, accountId, new Date(now.getTime() - 2 * limits.challengeLifetimeMs)),
          db
            .selectFrom('Session')
            .selectAll()
            .where('accountId', '=', accountId)
            .where(
              'sessionId',
              'in',
              streams.map(({ sessionId }) => sessionId),
            )
            .execute(),
          devicesWithTrust(db, accountId),
          db.selectFrom('OpenStream').select('streamId').where('accountId', '=', accountId).execute(),
          appDevices(db, accountId, limits, now),
        ]);
        const deliveries = await Promise.all(
          challenges.map(
            async ({ challengeId }) => [challengeId, await deliveriesOf(db, accountId, challengeId)] as const,
          ),
        );
        const trustedNow = trusted.filter((device) => isTrusted(device, limits, now));
        return {
          snapshot: {
            challenges,
            sessions: new Map(sessions.map((session) => [session.sessionId, session])),
            trustedDevices: new Set(trustedNow.map(({ deviceId }) => deviceId)),
            streams: new Set(open.map(({ streamId }) => streamId)),
          },
          devices,
          deliveries: new Map(deliveries),
        };
      }),
    accountsToTell: (streams, now) =>
      database.read(async (db) => {
        const { rows } = await sql<{ accountId: string }>`
          select distinct l.account_id as "accountId"
          from unnest(
            ${streams.map(({ accountId }) => accountId)}::text[],
            ${streams.map(({ sessionId }) => sessionId)}::uuid[],
            ${streams.map(({ streamId }) => streamId)}::uuid[]
          ) as l (account_id, session_id, stream_id)
          left join session s on s.account_id = l.account_id and s.session_id = l.session_id
          left join open_stream o on o.account_id = l.account_id and o.stream_id = l.stream_id
          where s.session_id is null or s.end_time is not null or o.stream_id is null
            or s.last_use_time < ${new Date(now.getTime() - limits.sessionIdleMs)}
            or s.create_time < ${new Date(now.getTime() - limits.sessionLifetimeMs)}
            or exists (
              select from challenge c
              where c.account_id = l.account_id and c.challenge_id > ${lowestUuid(new Date(now.getTime() - 2 * limits.challengeLifetimeMs))}::uuid
            )`.execute(db);
        return rows.map(({ accountId }) => accountId);
      }),
    deleteStream: (accountId, streamId) => database.read((db) => deleteStream(db, accountId, streamId)),
    renewReplica: (replicaId, forMs) =>
      database.read(async (db) => {
        await sql`
          insert into replica (replica_id, alive_until) values (${replicaId}, now() + ${forMs} * interval '1 ms')
          on conflict (replica_id) do update set alive_until = excluded.alive_until`.execute(db);
      }),
    forgetReplica: (replicaId) =>
      database.read(async (db) => {
        await db.deleteFrom('Replica').where('replicaId', '=', replicaId).execute();
      }),
  };
}
