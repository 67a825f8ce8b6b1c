// The rows of challenges.

import { sql } from 'kysely';
import { appSends, type Challenge } from '../domain/challenge.ts';
import { settleJobs } from './jobs.ts';
import { lowestUuid } from './partitions.ts';
import { columnsOf, columnValues, type Db, first, type Reader, statement } from './statement.ts';

interface Key {
  readonly accountId: string;
  readonly challengeId: string;
}

/** The account's challenges of late: those whose id is greater. */
interface Since {
  readonly accountId: string;
  readonly after: string;
}

const columns = columnsOf('Challenge');

const select = statement((db, p: Key) =>
  db
    .selectFrom('Challenge')
    .select(columns)
    .where('accountId', '=', p.accountId)
    .where('challengeId', '=', p.challengeId),
);

export function findChallenge(db: Reader, accountId: string, challengeId: string): Promise<Challenge | undefined> {
  return first(db, select, { accountId, challengeId });
}

const selectNewest = statement((db, p: { readonly accountId: string; readonly count: number }) =>
  db
    .selectFrom('Challenge')
    .select(columns)
    .where('accountId', '=', p.accountId)
    .orderBy('challengeId', 'desc')
    .limit(p.count),
);

export function newestChallenges(db: Reader, accountId: string, count: number): Promise<Challenge[]> {
  return db.rows(selectNewest, { accountId, count });
}

const selectByToken = statement((db, p: { readonly accountId: string; readonly tokenHash: Uint8Array }) =>
  db.selectFrom('Challenge').select(columns).where('accountId', '=', p.accountId).where('tokenHash', '=', p.tokenHash),
);

export function findChallengeByToken(
  db: Reader,
  accountId: string,
  tokenHash: Uint8Array,
): Promise<Challenge | undefined> {
  return first(db, selectByToken, { accountId, tokenHash });
}

const selectByRequest = statement((db, p: Since & { readonly requestId: string }) =>
  db
    .selectFrom('Challenge')
    .select(columns)
    .where('accountId', '=', p.accountId)
    .where('challengeId', '>', p.after)
    .where('requestId', '=', p.requestId)
    .where('state', '=', 'PENDING'),
);

/** The pending challenge that this request of the client opened since then. */
export function findChallengeByRequest(
  db: Reader,
  accountId: string,
  requestId: string,
  since: Date,
): Promise<Challenge | undefined> {
  return first(db, selectByRequest, { accountId, requestId, after: lowestUuid(since) });
}

const selectSwitchOff = statement((db, p: { readonly accountId: string; readonly deviceId: string }) =>
  db
    .selectFrom('Challenge')
    .select('challengeId')
    .where('accountId', '=', p.accountId)
    .where('deviceId', '=', p.deviceId)
    .where('purpose', '=', 'SWITCH_OFF')
    .where('state', '=', 'VERIFIED')
    .limit(1),
);

export async function hasSwitchedOff(db: Reader, accountId: string, deviceId: string): Promise<boolean> {
  return (await first(db, selectSwitchOff, { accountId, deviceId })) !== undefined;
}

const selectRecent = statement((db, p: Since) =>
  db
    .selectFrom('Challenge')
    .select(['createTime', 'network', 'denyTime'])
    .where('accountId', '=', p.accountId)
    .where('challengeId', '>', p.after),
);

export function recentChallenges(
  db: Reader,
  accountId: string,
  since: Date,
): Promise<Pick<Challenge, 'createTime' | 'network' | 'denyTime'>[]> {
  return db.rows(selectRecent, { accountId, after: lowestUuid(since) });
}

const insert = statement((db, p: Challenge) => db.insertInto('Challenge').values(columnValues('Challenge', p)));

export function insertChallenge(db: Db, challenge: Challenge): void {
  db.write(insert, challenge);
}

const update = statement((db, p: Challenge) =>
  db
    .updateTable('Challenge')
    .set({
      tokenHash: p.tokenHash,
      state: p.state,
      sessionId: p.sessionId,
      settleTime: p.settleTime,
      denyTime: p.denyTime,
      wrongCodes: p.wrongCodes,
      sends: p.sends,
    })
    .where('accountId', '=', p.accountId)
    .where('challengeId', '=', p.challengeId),
);

export function saveChallenge(db: Db, challenge: Challenge): void {
  db.write(update, challenge);
}

// What has expired stays expired.
const close = statement<{ readonly accountId: string; readonly now: Date }, unknown>(
  (_, p) => sql`
    with closed as (
      update challenge set state = 'CLOSED', settle_time = ${p.now}
      where account_id = ${p.accountId} and state = 'PENDING' and expire_time > ${p.now}
      returning account_id, challenge_id
    )
    ${settleJobs(sql`closed`)}`,
);

/** Closes what is pending. */
export function closeChallenges(db: Db, accountId: string, now: Date): void {
  db.write(close, { accountId, now });
}

const selectSince = statement((db, p: Since) =>
  db
    .selectFrom('Challenge')
    .select(columns)
    .where('accountId', '=', p.accountId)
    .where('challengeId', '>', p.after)
    .orderBy('challengeId'),
);

/** The challenges opened since then whose code went to the app, in whatever state, oldest first. */
export async function challengesInApp(db: Reader, accountId: string, since: Date): Promise<Challenge[]> {
  const challenges = await db.rows(selectSince, { accountId, after: lowestUuid(since) });
  return challenges.filter((challenge) => appSends(challenge) > 0);
}
