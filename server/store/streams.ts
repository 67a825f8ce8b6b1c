// Open streams and the replicas that hold them, and what streams are told from. A replica's life is by the database's
// clock, so that replicas need not agree on theirs.

import { sql } from 'kysely';
import { type AppDevice, type EmailCodes, opensEmail } from '../domain/challenge.ts';
import type { PushService } from '../domain/delivery.ts';
import type { Limits } from '../domain/limits.ts';
import { isTrusted } from '../domain/trust.ts';
import type { LiveStore, OpenStream } from '../flows/ports.ts';
import { challengesInApp } from './challenges.ts';
import type { Database } from './database.ts';
import { codeSendsOf } from './deliveries.ts';
import { devicesWithTrust, hadTrustedDevice } from './devices.ts';
import { lowestUuid } from './partitions.ts';
import { sessionsOf } from './sessions.ts';
import { type Db, type Reader, statement } from './statement.ts';

const selectOnLiving = statement((db, p: { readonly accountId: string }) =>
  db
    .selectFrom('OpenStream as o')
    .innerJoin('Replica as r', 'r.replicaId', 'o.replicaId')
    .select(['o.streamId', 'o.sessionId', 'o.deviceId'])
    .where('o.accountId', '=', p.accountId)
    .where('r.aliveUntil', '>', sql<Date>`now()`)
    .orderBy('o.streamId'),
);

const insert = statement((db, p: OpenStream & { readonly accountId: string; readonly replicaId: string }) =>
  db.insertInto('OpenStream').values({
    accountId: p.accountId,
    streamId: p.streamId,
    sessionId: p.sessionId,
    deviceId: p.deviceId,
    replicaId: p.replicaId,
  }),
);

/** Notes a stream, and returns the account's others on living replicas, oldest first. */
export async function insertStream(
  db: Db,
  accountId: string,
  stream: OpenStream,
  replicaId: string,
): Promise<readonly OpenStream[]> {
  const others = db.rows(selectOnLiving, { accountId });
  db.write(insert, { ...stream, accountId, replicaId });
  return others;
}

const remove = statement((db, p: { readonly accountId: string; readonly streamId: string }) =>
  db.deleteFrom('OpenStream').where('accountId', '=', p.accountId).where('streamId', '=', p.streamId),
);

export function deleteStream(db: Db, accountId: string, streamId: string): void {
  db.write(remove, { accountId, streamId });
}

/** What decides which devices can show a code, and how they are reached. */
export interface AppSettings {
  readonly limits: Limits;
  /** The push services that are configured. */
  readonly pushServices: readonly PushService[];
  readonly emailCodes: EmailCodes;
}

/** Whether a code may go by e-mail: asks the database only where that depends on the account. */
export async function emailOpen(db: Reader, accountId: string, { emailCodes }: AppSettings): Promise<boolean> {
  return opensEmail(emailCodes, emailCodes === 'FIRST_DEVICE' && (await hadTrustedDevice(db, accountId)));
}

const selectAppDevices = statement<
  {
    readonly accountId: string;
    readonly trustIdle: Date;
    readonly sessionIdle: Date;
    readonly sessionStart: Date;
    readonly pushServices: readonly PushService[];
  },
  AppDevice
>(
  (_, p) => sql`
    select d.device_id as "deviceId",
      exists (
        select from open_stream o join replica r on r.replica_id = o.replica_id
        where o.account_id = d.account_id and o.device_id = d.device_id and r.alive_until > now()
      ) as watching,
      (
        select p.service from push_registration p
        where p.account_id = d.account_id and p.device_id = d.device_id and p.service = any (${p.pushServices}::text[])
      ) as push
    from device d
    where d.account_id = ${p.accountId} and d.trust_time is not null and d.trust_end_time is null
      and d.last_use_time > ${p.trustIdle}
      and exists (
        select from session s
        where s.account_id = d.account_id and s.device_id = d.device_id and s.end_time is null
          and s.last_use_time > ${p.sessionIdle} and s.create_time > ${p.sessionStart}
      )`,
);

/** The trusted, signed-in devices of an account, and how each can be reached. */
export function appDevices(
  db: Reader,
  accountId: string,
  { limits, pushServices }: AppSettings,
  now: Date,
): Promise<readonly AppDevice[]> {
  const ago = (ms: number) => new Date(now.getTime() - ms);
  return db.rows(selectAppDevices, {
    accountId,
    trustIdle: ago(limits.trustIdleMs),
    sessionIdle: ago(limits.sessionIdleMs),
    sessionStart: ago(limits.sessionLifetimeMs),
    pushServices,
  });
}

const selectStreams = statement((db, p: { readonly accountId: string }) =>
  db.selectFrom('OpenStream').select('streamId').where('accountId', '=', p.accountId),
);

const selectToTell = statement<
  {
    readonly accountIds: readonly string[];
    readonly sessionIds: readonly string[];
    readonly streamIds: readonly string[];
    readonly sessionIdle: Date;
    readonly sessionStart: Date;
    readonly after: string;
  },
  { readonly accountId: string }
>(
  (_, p) => sql`
    select distinct l.account_id
    from unnest(${p.accountIds}::text[], ${p.sessionIds}::uuid[], ${p.streamIds}::uuid[])
      as l (account_id, session_id, stream_id)
    left join session s on s.account_id = l.account_id and s.session_id = l.session_id
    left join open_stream o on o.account_id = l.account_id and o.stream_id = l.stream_id
    where s.session_id is null or s.end_time is not null or o.stream_id is null
      or s.last_use_time < ${p.sessionIdle} or s.create_time < ${p.sessionStart}
      or exists (
        select from challenge c where c.account_id = l.account_id and c.challenge_id > ${p.after}::uuid
      )`,
);

const upsertReplica = statement<{ readonly replicaId: string; readonly forMs: number }, { readonly replicaId: string }>(
  (_, p) => sql`
    with renewed as (
      insert into replica (replica_id, alive_until) values (${p.replicaId}, now() + ${p.forMs} * interval '1 ms')
      on conflict (replica_id) do update set alive_until = excluded.alive_until)
    select replica_id from replica where alive_until > now() and replica_id <> ${p.replicaId}`,
);

const removeReplica = statement((db, p: { readonly replicaId: string }) =>
  db.deleteFrom('Replica').where('replicaId', '=', p.replicaId),
);

export function createLiveStore(database: Database, settings: AppSettings): LiveStore {
  const { limits } = settings;
  return {
    snapshot: (accountId, streams, now) =>
      database.autocommit(async (db) => {
        const [challenges, sessions, trusted, open, devices, mayMail] = await Promise.all([
          challengesInApp(db, accountId, new Date(now.getTime() - 2 * limits.challengeLifetimeMs)),
          sessionsOf(
            db,
            accountId,
            streams.map(({ sessionId }) => sessionId),
          ),
          devicesWithTrust(db, accountId),
          db.rows(selectStreams, { accountId }),
          appDevices(db, accountId, settings, now),
          emailOpen(db, accountId, settings),
        ]);
        const codeSends = await Promise.all(
          challenges.map(
            async ({ challengeId }) => [challengeId, await codeSendsOf(db, accountId, challengeId)] as const,
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
          codeSends: new Map(codeSends),
          emailOpen: mayMail,
        };
      }),
    accountsToTell: (streams, now) =>
      database.autocommit(async (db) => {
        const rows = await db.rows(selectToTell, {
          accountIds: streams.map(({ accountId }) => accountId),
          sessionIds: streams.map(({ sessionId }) => sessionId),
          streamIds: streams.map(({ streamId }) => streamId),
          sessionIdle: new Date(now.getTime() - limits.sessionIdleMs),
          sessionStart: new Date(now.getTime() - limits.sessionLifetimeMs),
          after: lowestUuid(new Date(now.getTime() - 2 * limits.challengeLifetimeMs)),
        });
        return rows.map(({ accountId }) => accountId);
      }),
    deleteStream: (accountId, streamId) => database.autocommit((db) => deleteStream(db, accountId, streamId)),
    renewReplica: (replicaId, forMs) =>
      database.autocommit(async (db) => {
        const others = await db.rows(upsertReplica, { replicaId, forMs });
        return others.map((other) => other.replicaId);
      }),
    forgetReplica: (replicaId) => database.autocommit((db) => db.write(removeReplica, { replicaId })),
  };
}
