// How many calls an address and an account make in a minute: counted in Redis where there is one, and in PostgreSQL where not, or
// where it is out of reach. A call that nothing can count is refused. It must not know which calls there are.

import type { RateLimiterAbstract } from 'rate-limiter-flexible';
import { DomainError, isAway } from '../domain/errors.ts';
import { subnetOf } from '../domain/network.ts';
import type { CallLimiter } from '../flows/ports.ts';
import type { RedisConnections } from './redis.ts';

/** Calls a minute. */
export interface CallCounts {
  readonly perAddress: number;
  readonly strangersPerAddress: number;
  readonly perAccount: number;
}

/** Runs the statements that rate-limiter-flexible writes over this table. */
export interface CallCountClient {
  readonly table: string;
  query(query: CallCountQuery): Promise<{ readonly rows: readonly unknown[] }>;
  /** Deletes what is over at `now`, in Unix ms. */
  forget(now: number): Promise<void>;
}

export interface CallCountQuery {
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}

export interface RunningCallLimiter extends CallLimiter {
  stop(): void;
}

const windowSeconds = 60;

export async function startCallLimiter(
  limits: CallCounts,
  postgres: CallCountClient,
  redis: RedisConnections | undefined,
): Promise<RunningCallLimiter> {
  // Where the edge counts, it is not loaded.
  const { RateLimiterPostgres, RateLimiterRedis, RateLimiterRes } = await import('rate-limiter-flexible');

  const inPostgres = (name: string, points: number) =>
    new RateLimiterPostgres({
      points,
      duration: windowSeconds,
      keyPrefix: name,
      // Who is over the limit is refused from memory for the rest of the minute.
      inMemoryBlockOnConsumed: points,
      storeClient: postgres,
      storeType: 'client',
      tableName: postgres.table,
      tableCreated: true,
      // It would leave addresses there for an hour.
      clearExpiredByTimeout: false,
    });
  const counter = (name: string, points: number): RateLimiterAbstract => {
    const counts = inPostgres(name, points);
    if (redis === undefined) return counts;
    return new RateLimiterRedis({
      points,
      duration: windowSeconds,
      keyPrefix: `${redis.prefix}:calls:${name}`,
      inMemoryBlockOnConsumed: points,
      storeClient: redis.commands,
      rejectIfRedisNotReady: true,
      insuranceLimiter: counts,
    });
  };
  const ofAddress = counter('address', limits.perAddress);
  const ofStrangers = counter('strangers', limits.strangersPerAddress);
  const ofAccount = counter('account', limits.perAccount);

  const count = async (calls: RateLimiterAbstract, key: string) => {
    try {
      await calls.consume(key);
    } catch (thrown) {
      if (thrown instanceof RateLimiterRes) {
        throw new DomainError({ reason: 'RATE_LIMITED', retryAfterMs: Math.max(1, thrown.msBeforeNext) });
      }
      throw isAway(thrown)
        ? thrown
        : new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 1_000 }, { cause: thrown });
    }
  };

  const forgetting = setInterval(() => void postgres.forget(Date.now()).catch(() => {}), windowSeconds * 1_000);
  return {
    ofAddress: async (ipAddress, costly) => {
      const subnet = subnetOf(ipAddress);
      await Promise.all([count(ofAddress, subnet), ...(costly ? [count(ofStrangers, subnet)] : [])]);
    },
    ofAccount: (accountId) => count(ofAccount, accountId),
    stop: () => clearInterval(forgetting),
  };
}
