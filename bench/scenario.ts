// What a scenario is given, and what it hands to the report.

import type pg from 'pg';
import { type ContestOptions, median, type Standing } from './contest.ts';
import type { Contestants } from './contestants.ts';
import type { Parts } from './support.ts';

export interface Stage {
  readonly parts: Parts;
  readonly database: pg.Pool;
  readonly contestants: Contestants;
  /** Rounds, slices and the bound of the whole run; a scenario says how many calls at once. */
  readonly options: Omit<ContestOptions, 'workers'>;
}

export interface Target {
  readonly what: string;
  readonly wanted: string;
  readonly measured: string;
  readonly reached: boolean;
}

export interface Table {
  readonly title: string;
  readonly rows: readonly (readonly string[])[];
}

export interface Findings {
  readonly tables: readonly Table[];
  readonly targets: readonly Target[];
  readonly notes: readonly string[];
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** Before everything that is bounded: puts in what is large, and says what it was. */
  load?(stage: Stage): Promise<string>;
  run(stage: Stage): Promise<Findings>;
}

/** Of each round, since what disturbs the machine disturbs both of them in it; and the median of that. */
export function ratioOf(one: Standing, other: Standing): number {
  return median(one.rates.map((rate, round) => rate / (other.rates[round] ?? Number.NaN)).filter(Number.isFinite));
}

/** Rates, latencies and CPU, a row a contestant; the ratio is to the first one's rate. */
export function standingsTable(title: string, standings: readonly Standing[]): Table {
  const [first] = standings;
  const perCall = (ms: number) => (Number.isFinite(ms) ? String(Math.round(ms * 1_000)) : '-');
  return {
    title,
    rows: [
      [
        '',
        'calls/s',
        'rounds from–to',
        'of the first',
        'p50 ms',
        'p99 ms',
        'CPU µs a call: server',
        'PostgreSQL',
        'load',
        'calls',
      ],
      ...standings.map((standing) => [
        standing.name,
        standing.rate.toFixed(0),
        `${Math.min(...standing.rates).toFixed(0)}–${Math.max(...standing.rates).toFixed(0)}`,
        ratioOf(standing, first ?? standing).toFixed(2),
        standing.p50.toFixed(2),
        standing.p99.toFixed(2),
        perCall(standing.cpu.server),
        perCall(standing.cpu.postgres),
        perCall(standing.cpu.load),
        String(standing.calls),
      ]),
    ],
  };
}

/** Wants `one` at least `wanted` times as fast as `other`; no target where `other` was not measured. */
export function atLeast(wanted: number, standings: readonly Standing[], one: string, other: string): readonly Target[] {
  const [a, b] = [one, other].map((name) => standings.find((standing) => standing.name === name));
  if (a === undefined || b === undefined) return [];
  const ratio = ratioOf(a, b);
  const what = `${one} / ${other}`;
  return [{ what, wanted: `≥ ${wanted.toFixed(2)}`, measured: ratio.toFixed(2), reached: ratio >= wanted }];
}
