// Pages of the login activity from a standby, as long as that is one of the same system and timeline, and not behind; else from the
// primary. How far it has come is told by positions in the log that the primary was at, so a primary where nothing happens is not
// taken for a lag.

import { sql } from 'kysely';
import type { Logger } from '../platform/log.ts';
import type { Database } from './database.ts';
import { isGone } from './database-errors.ts';
import { identity, timelineOfPrimary, timelineOfStandby } from './place.ts';
import { type Reader, statement } from './statement.ts';

/** Where events are read that nothing is decided by. Refuses as Database does. */
export interface EventReader {
  /** Short statements. */
  read<T>(work: (db: Reader) => Promise<T>): Promise<T>;
  /** One that may be slow. */
  search<T>(work: (db: Reader) => Promise<T>): Promise<T>;
}

export interface ReadReplica extends EventReader {
  close(): Promise<void>;
}

const checkEveryMs = 1_000;
/** What was committed longer ago than this, and the time between two checks, is on a standby that is read. */
const mostBehindMs = 3_000;
/** Where it went away it is left alone for so long. */
const restMs = 5_000;

/** Connections to it at most: only one of many calls lists events. */
export const replicaPoolSize = (poolSize: number): number => Math.max(2, Math.floor(poolSize / 4));

/** Where all is read from the primary. */
export function createEventReader(primary: Database): EventReader {
  return { read: (work) => primary.read(work), search: (work) => primary.autocommit(work) };
}

/** @param elapsedMs milliseconds that never jump. */
export function openReadReplica(
  replica: Database,
  primary: Database,
  elapsedMs: () => number,
  log: Logger,
): ReadReplica {
  const atPrimary = createEventReader(primary);
  const atReplica = createEventReader(replica);
  let positions: readonly Position[] = [];
  /** Why it is not read. */
  let unfit: string | undefined = 'it was not checked yet';
  let restsUntil = 0;
  let checking: Promise<void> | undefined;

  const judge = (why: string | undefined) => {
    if (why !== undefined && unfit !== why) log.warn({ why }, 'the read replica is not read; the primary is');
    if (why === undefined && unfit !== undefined) log.info('the read replica is read');
    unfit = why;
  };
  const rests = () => elapsedMs() < restsUntil;
  /** It may have gone away while it was looked at. */
  const found = (why: string | undefined) => {
    if (!rests()) judge(why);
  };
  const check = async () => {
    if (rests()) return;
    try {
      const at = elapsedMs();
      const [origin] = await primary.probe(selectPrimary, {});
      positions = positionsAfter(positions, { at, lsn: lsnOf(origin?.lsn) });
      const [copy] = await replica.probe(selectReplica, {});
      if (copy?.lsn == null) return found('it is no standby');
      if (copy.system !== origin?.system) return found('it is a standby of another system, or another database of it');
      if (copy.timeline !== origin.timeline) return found('it is on another timeline than the primary');
      const replayed = lsnOf(copy.lsn);
      const known = positions.findLast(({ lsn }) => lsn <= replayed);
      const isBehind = known === undefined || elapsedMs() - known.at > mostBehindMs;
      found(isBehind ? `it is more than ${mostBehindMs / 1_000} s behind` : undefined);
    } catch (error) {
      found(wordsOf(error));
    }
  };
  const timer = setInterval(() => {
    checking ??= check().finally(() => {
      checking = undefined;
    });
  }, checkEveryMs);

  const readAt =
    (kind: keyof EventReader): EventReader['read'] =>
    async (work) => {
      if (unfit !== undefined) return atPrimary[kind](work);
      try {
        return await atReplica[kind](work);
      } catch (error) {
        // What is only too slow there, or has no room, is that call's alone: all of them would only make the primary as slow.
        if (isGone(error)) {
          restsUntil = elapsedMs() + restMs;
          judge(wordsOf(error));
        }
        return atPrimary[kind](work);
      }
    };
  return {
    read: readAt('read'),
    search: readAt('search'),
    close: async () => {
      clearInterval(timer);
      await checking;
      await replica.close();
    },
  };
}

/** The end of the primary's log at a time. */
interface Position {
  readonly at: number;
  readonly lsn: bigint;
}

/** No more than are needed. Where the log is shorter than it was, another primary goes on with it. */
function positionsAfter(before: readonly Position[], position: Position): readonly Position[] {
  const isOther = before.some(({ lsn }) => lsn > position.lsn);
  return [...(isOther ? [] : before.filter(({ at }) => position.at - at <= 2 * mostBehindMs)), position];
}

/** A position as PostgreSQL writes it: two halves in hexadecimal. */
function lsnOf(text: string | undefined): bigint {
  const [high = '0', low = '0'] = (text ?? '').split('/');
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}

function wordsOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}

interface Place {
  readonly system: string;
  readonly timeline: number;
}

const selectPrimary = statement<object, Place & { readonly lsn: string }>(
  () => sql`
    select pg_current_wal_lsn()::text as lsn, ${sql.raw(identity)} as system, ${sql.raw(timelineOfPrimary)} as timeline`,
);

/** Null on what is no standby. */
const selectReplica = statement<object, Place & { readonly lsn: string | null }>(
  () => sql`
    select case when pg_is_in_recovery() then pg_last_wal_replay_lsn()::text end as lsn, ${sql.raw(identity)} as system,
      ${sql.raw(timelineOfStandby)} as timeline`,
);
