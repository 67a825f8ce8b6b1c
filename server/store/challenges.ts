// The rows of challenges.

import type { Challenge } from '../domain/challenge.ts';
import type { Db } from './database.ts';
import { lowestUuid } from './partitions.ts';

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
  const { accountId, challengeId, tokenHash, state, sessionId, settleTime, wrongCodes, sends } = challenge;
  await db
    .updateTable('Challenge')
    .set({ tokenHash, state, sessionId, settleTime, wrongCodes, sends })
    .where('accountId', '=', accountId)
    .where('challengeId', '=', challengeId)
    .execute();
}

export async function closeChallenges(db: Db, accountId: string, now: Date): Promise<void> {
  await db
    .updateTable('Challenge')
    .set({ state: 'CLOSED', settleTime: now })
    .where('accountId', '=', accountId)
    .where('state', '=', 'PENDING')
    .execute();
}
