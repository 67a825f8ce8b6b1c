// The rows of challenges.

import { appSends, type Challenge } from '../domain/challenge.ts';
import type { Db } from './database.ts';
import { lowestUuid } from './partitions.ts';

export function findChallenge(db: Db, accountId: string, challengeId: string): Promise<Challenge | undefined> {
  return db
    .selectFrom('Challenge')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('challengeId', '=', challengeId)
    .executeTakeFirst();
}

export function findChallengeByToken(db: Db, accountId: string, tokenHash: Uint8Array): Promise<Challenge | undefined> {
  return db
    .selectFrom('Challenge')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('tokenHash', '=', tokenHash)
    .executeTakeFirst();
}

/** The pending challenge that this request of the client opened since then. */
export function findChallengeByRequest(
  db: Db,
  accountId: string,
  requestId: string,
  since: Date,
): Promise<Challenge | undefined> {
  return db
    .selectFrom('Challenge')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('challengeId', '>', lowestUuid(since))
    .where('requestId', '=', requestId)
    .where('state', '=', 'PENDING')
    .executeTakeFirst();
}

export async function challengeTimes(db: Db, accountId: string, since: Date): Promise<readonly number[]> {
  const rows = await db
    .selectFrom('Challenge')
    .select('createTime')
    .where('accountId', '=', accountId)
    .where('challengeId', '>', lowestUuid(since))
    .execute();
  return rows.map((row) => row.createTime.getTime());
}

export async function insertChallenge(db: Db, challenge: Challenge): Promise<void> {
  await db.insertInto('Challenge').values(challenge).execute();
}

export async function saveChallenge(db: Db, challenge: Challenge): Promise<void> {
  const { accountId, challengeId, tokenHash, state, sessionId, settleTime, denyTime, wrongCodes, sends } = challenge;
  await db
    .updateTable('Challenge')
    .set({ tokenHash, state, sessionId, settleTime, denyTime, wrongCodes, sends })
    .where('accountId', '=', accountId)
    .where('challengeId', '=', challengeId)
    .execute();
}

/** Closes what is pending, and returns it. */
export function closeChallenges(db: Db, accountId: string, now: Date): Promise<Challenge[]> {
  return (
    db
      .updateTable('Challenge')
      .set({ state: 'CLOSED', settleTime: now })
      .where('accountId', '=', accountId)
      .where('state', '=', 'PENDING')
      // What has expired stays expired.
      .where('expireTime', '>', now)
      .returningAll()
      .execute()
  );
}

/** Closes what these sessions have asked for and not yet got. */
export async function closeChallengesOf(
  db: Db,
  accountId: string,
  sessionIds: readonly string[],
  now: Date,
): Promise<void> {
  await db
    .updateTable('Challenge')
    .set({ state: 'CLOSED', settleTime: now })
    .where('accountId', '=', accountId)
    .where('state', '=', 'PENDING')
    .where('expireTime', '>', now)
    .where('sessionId', 'in', sessionIds)
    .execute();
}

/** The challenges opened since then whose code went to the app, in whatever state, oldest first. */
export async function challengesInApp(db: Db, accountId: string, since: Date): Promise<Challenge[]> {
  const challenges = await db
    .selectFrom('Challenge')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('challengeId', '>', lowestUuid(since))
    .orderBy('challengeId')
    .execute();
  return challenges.filter((challenge) => appSends(challenge) > 0);
}

export async function lastDenial(db: Db, accountId: string, network: string, since: Date): Promise<Date | undefined> {
  const row = await db
    .selectFrom('Challenge')
    .select('denyTime')
    .where('accountId', '=', accountId)
    // One that is denied now was opened at most its repeat window before: a day is more than enough.
    .where('challengeId', '>', lowestUuid(new Date(since.getTime() - 86_400_000)))
    .where('network', '=', network)
    .where('denyTime', '>', since)
    .orderBy('denyTime', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.denyTime ?? undefined;
}
