// How many calls one caller may make, and who counts them: the edge, or the server where none does.

import { type Environment, integer, oneOf } from '../environment.ts';

/** Calls a minute, far above what people need: many of them may share an address. Guesses have budgets of their own. */
export interface CallLimits {
  /** The edge counts by address. The server counts by address and by account. */
  readonly countedBy: 'edge' | 'server';
  /** Of one IPv4 address or IPv6 /64. */
  readonly perAddress: number;
  /** Of those, such that are costly and need no session: a stranger can make them. */
  readonly strangersPerAddress: number;
  /** Of the sessions of one account together. */
  readonly perAccount: number;
}

export function callLimits(env: Environment): CallLimits {
  return {
    countedBy: oneOf(env, 'COUNTERSIGN_CALLS_COUNTED_BY', ['edge', 'server'], 'edge'),
    perAddress: integer(env, 'COUNTERSIGN_CALLS_PER_ADDRESS', 3_000, 1, 1_000_000),
    strangersPerAddress: integer(env, 'COUNTERSIGN_STRANGERS_CALLS_PER_ADDRESS', 600, 1, 1_000_000),
    perAccount: integer(env, 'COUNTERSIGN_CALLS_PER_ACCOUNT', 600, 1, 1_000_000),
  };
}
