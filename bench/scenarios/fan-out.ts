// How fast a code is on another replica's streams: it is asked for on one server, and the streams are on another.

import { setTimeout as sleep } from 'node:timers/promises';
import { createAccounts, type SignedInDevice } from '../accounts.ts';
import { challengeOf, from, paths, signInFrame } from '../requests.ts';
import type { Scenario } from '../scenario.ts';
import { quantile } from '../support.ts';
import { watch } from '../watching.ts';

const codes = 100;
const crowds = 5;
const warmUp = 3;
const devicesOfCrowd = 20;
const mostMs = 10;
/** What is noted of the showing is not part of the next. */
const pauseMs = 40;

export const fanOut: Scenario = {
  name: 'fan-out',
  title: 'From the commit to the code on a stream of another server',
  async run({ contestants, database }) {
    const [server, other] = [await contestants.product(), await contestants.control()];
    const [single, crowd] = [
      await createAccounts(database, { prefix: 'fan-out-', accounts: codes, devicesEach: 1, hash: 'plain' }),
      await createAccounts(database, {
        prefix: 'crowd-',
        accounts: warmUp + crowds,
        devicesEach: devicesOfCrowd,
        hash: 'plain',
      }),
    ];
    const watching = await watch(other.public, [...single, ...crowd], database);
    const toWallClock = await wallClockOffset();
    /** Milliseconds from the commit to the last of the account's streams. */
    const one = async (owner: SignedInDevice, streams: number) => {
      const arriving = watching.nextCode(owner.accountId, streams);
      const signedIn = server.public.call(paths.signIn, from(owner), signInFrame(owner.email));
      const [answer, arrived] = await Promise.all([signedIn, arriving]);
      const { rows } = await database.query<{ committed: number }>(
        `select extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as committed from challenge
          where account_id = $1 and challenge_id = $2`,
        [owner.accountId, challengeOf(answer).challengeId],
      );
      await sleep(pauseMs);
      return Math.max(...arrived.map(({ time }) => time)) + toWallClock - (rows[0]?.committed ?? Number.NaN);
    };
    // The first of each server's paths are slower than any later one.
    for (const owner of crowd.slice(0, warmUp)) await one(owner, devicesOfCrowd);
    const toOne: number[] = [];
    for (const owner of single) toOne.push(await one(owner, 1));
    const toAll: number[] = [];
    for (const owner of crowd.slice(warmUp, warmUp + crowds)) toAll.push(await one(owner, devicesOfCrowd));
    watching.close();
    await contestants.stopControl();
    const row = (what: string, values: readonly number[]) => [
      what,
      String(values.length),
      ...[0.5, 0.99, 1].map((share) => quantile(values, share).toFixed(1)),
    ];
    const middle = quantile(toOne, 0.5);
    return {
      tables: [
        {
          title: fanOut.title,
          rows: [
            ['ms', 'codes', 'median', 'p99', 'most'],
            row('to one stream', toOne),
            row(`to the last of ${devicesOfCrowd} streams`, toAll),
          ],
        },
      ],
      targets: [
        {
          what: 'median ms from the commit to one stream',
          wanted: `≤ ${mostMs}`,
          measured: middle.toFixed(1),
          reached: middle <= mostMs,
        },
      ],
      notes: [
        "The commit's time is PostgreSQL's own (track_commit_timestamp), taken before the commit waits for the disk, against " +
          "the same machine's clock where the code arrives.",
      ],
    };
  },
};

/** What is added to performance.now() for the time of day: exact to what a turn of a loop takes. */
async function wallClockOffset(): Promise<number> {
  const last = Date.now();
  let now = last;
  while (now === last) now = Date.now();
  return now - performance.now();
}
