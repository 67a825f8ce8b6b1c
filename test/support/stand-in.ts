// What the stand-ins for outside services have in common: how each address is answered, and a record of what arrived. It knows
// no service, and no test runner: development shows with it what was sent.

import { eventually } from './eventually.ts';

/** When something arrived. */
export interface Arrival {
  readonly time: Date;
  /** Milliseconds of `performance.now()`, to measure by. */
  readonly at: number;
}

export function arrivedNow(): Arrival {
  return { time: new Date(), at: performance.now() };
}

/** How each address is answered. */
export interface Script<B> {
  /** One behaviour lasts until the next call; of several each holds once, and then the usual one again. */
  behave(address: string, behaviour: B | readonly B[]): void;
  /** What the next request of an address meets. */
  next(address: string): B;
}

export function createScript<B extends string | { readonly [key: string]: unknown }>(usual: B): Script<B> {
  const lasting = new Map<string, B>();
  const queues = new Map<string, B[]>();
  return {
    behave: (address, behaviour) => {
      lasting.delete(address);
      queues.delete(address);
      if (isList(behaviour)) queues.set(address, [...behaviour]);
      else lasting.set(address, behaviour);
    },
    next: (address) => queues.get(address)?.shift() ?? lasting.get(address) ?? usual,
  };
}

/** The same behaviour several times, and then the usual one. */
export function times<B>(count: number, behaviour: B): readonly B[] {
  return Array.from({ length: count }, () => behaviour);
}

/** What arrived, oldest first. */
export interface Arrivals<T> {
  readonly all: readonly T[];
  add(entry: T): void;
  /** What arrived for an address. */
  to(address: string): readonly T[];
  /** The same, once there are `count`. @throws after 10 s. */
  waitFor(address: string, count?: number): Promise<readonly T[]>;
}

export function createArrivals<T>(what: string, addressOf: (entry: T) => string): Arrivals<T> {
  const all: T[] = [];
  const to = (address: string) => all.filter((entry) => addressOf(entry) === address);
  return {
    all,
    add: (entry) => {
      all.push(entry);
    },
    to,
    waitFor: (address, count = 1) =>
      eventually(10_000, () => {
        const found = to(address);
        if (found.length < count) throw new Error(`${found.length} of ${count} ${what} to ${address}`);
        return found;
      }),
  };
}

function isList<B>(value: B | readonly B[]): value is readonly B[] {
  return Array.isArray(value);
}
