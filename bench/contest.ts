// Measures contestants beside each other: in rounds, each of them for a short slice in every round, the order turned
// round every other time, so that what the machine does meanwhile meets all of them.

import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from './support.ts';

export interface Contestant {
  readonly name: string;
  /** CPU time of its process so far, in ms. */
  readonly cpuMs: () => Promise<number>;
  /** Before each slice, untimed: makes what the calls of about `ms` milliseconds need. */
  readonly prepare?: (ms: number) => Promise<void>;
  /** One call, or one whole flow; undefined once what was prepared is used up. */
  readonly call: () => Promise<unknown> | undefined;
}

export interface ContestOptions {
  /** Calls at once. */
  readonly workers: number;
  readonly rounds: number;
  readonly sliceMs: number;
  /** Of the first slice; default 1 s. */
  readonly firstWarmUpMs?: number;
  /** By performance.now(): no round begins after it. */
  readonly deadline: number;
  readonly postgresCpuMs: () => number | undefined;
}

/** What a contestant did; CPU in ms a call. */
export interface Standing {
  readonly name: string;
  readonly calls: number;
  /** Calls a second, of each round. */
  readonly rates: readonly number[];
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  /** The 99th percentile of each round. */
  readonly p99s: readonly number[];
  readonly cpu: { readonly server: number; readonly postgres: number; readonly load: number };
}

const warmUpMs = 150;
/** Before its first slice each of them runs longer, until its code is compiled and its connections are open. */
const defaultFirstWarmUpMs = 1_000;
/** For whole flows, whose code is more and is run less often. */
export const flowWarmUpMs = 4_000;

export async function contest(
  contestants: readonly Contestant[],
  options: ContestOptions,
): Promise<readonly Standing[]> {
  const slices = new Map<Contestant, Slice[]>(contestants.map((contestant) => [contestant, []]));
  for (let round = 0; round < options.rounds && performance.now() < options.deadline; round++) {
    const order = round % 2 === 0 ? contestants : contestants.toReversed();
    for (const contestant of order) {
      const warmUp = round === 0 ? (options.firstWarmUpMs ?? defaultFirstWarmUpMs) : warmUpMs;
      await contestant.prepare?.(warmUp + options.sliceMs);
      slices.get(contestant)?.push(await measureSlice(contestant, options, warmUp));
    }
  }
  return contestants.map((contestant) => standingOf(contestant.name, slices.get(contestant) ?? []));
}

/** The median of what `of` gives for each. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

interface Slice {
  readonly latencies: readonly number[];
  readonly ms: number;
  readonly cpu: Cpu;
}

interface Cpu {
  readonly server: number;
  readonly postgres: number;
  readonly load: number;
}

export async function measureSlice(
  { name, call, cpuMs }: Contestant,
  { workers, sliceMs, postgresCpuMs }: ContestOptions,
  warmUp: number,
): Promise<Slice> {
  const cpu = async (): Promise<Cpu> => {
    const { user, system } = process.cpuUsage();
    return { server: await cpuMs(), postgres: postgresCpuMs() ?? Number.NaN, load: (user + system) / 1_000 };
  };
  const latencies: number[] = [];
  let counting = false;
  let over = false;
  const usedUp = Promise.withResolvers<void>();
  const work = async () => {
    while (!over) {
      const begin = performance.now();
      const done = call();
      if (done === undefined) return usedUp.resolve();
      await done;
      if (counting) latencies.push(performance.now() - begin);
    }
  };
  const working = Promise.all(Array.from({ length: workers }, work));
  working.catch(usedUp.reject);
  try {
    await Promise.race([sleep(warmUp), usedUp.promise]);
    const before = await cpu();
    const begin = performance.now();
    counting = true;
    await Promise.race([sleep(sliceMs), usedUp.promise]);
    counting = false;
    const ms = performance.now() - begin;
    over = true;
    const after = await cpu();
    await working;
    return {
      latencies,
      ms,
      cpu: {
        server: after.server - before.server,
        postgres: after.postgres - before.postgres,
        load: after.load - before.load,
      },
    };
  } catch (error) {
    throw new Error(`${name}: ${error instanceof Error ? error.message : error}`, { cause: error });
  } finally {
    over = true;
  }
}

function standingOf(name: string, slices: readonly Slice[]): Standing {
  const latencies = slices.flatMap((slice) => slice.latencies);
  const rates = slices.map((slice) => (slice.latencies.length / slice.ms) * 1_000);
  const perCall = (of: keyof Cpu) => slices.reduce((sum, { cpu }) => sum + cpu[of], 0) / latencies.length;
  return {
    name,
    calls: latencies.length,
    rates,
    rate: median(rates),
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    p99s: slices.map((slice) => quantile(slice.latencies, 0.99)),
    cpu: { server: perCall('server'), postgres: perCall('postgres'), load: perCall('load') },
  };
}
