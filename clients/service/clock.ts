// The time that a checker goes by. Tests bring their own.

export interface Clock {
  /** Milliseconds since 1970, by which tokens expire. */
  now(): number;
  /** Milliseconds since some moment; never set back, by which staleness is told. */
  monotonic(): number;
}

export const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

/** How far the clocks of two machines may be apart. */
export const skewMs = 60_000;
