// What replicas tell each other: "something of this account has changed". A name is all that is told; whoever hears it reads
// the database. This file knows who listens, and whether what is told reaches them now; not by which way it comes.

import type { Bus } from '../flows/ports.ts';
import type { Logger } from './log.ts';

export interface RunningBus extends Bus {
  stop(): Promise<void>;
}

type Listener = Parameters<Bus['subscribe']>[0];

/** The hearing end of a bus, which is cut until it is heard for the first time. */
export class Hearing implements Bus {
  readonly #over: string;
  readonly #log: Logger;
  readonly #listeners: Listener[] = [];
  #cut = true;
  /** Whether the log says that it is cut. */
  #complained = false;

  /** @param over what it goes over, for the log. */
  constructor(over: string, log: Logger) {
    this.#over = over;
    this.#log = log;
  }

  subscribe(listener: Listener): void {
    this.#listeners.push(listener);
  }

  isCut(): boolean {
    return this.#cut;
  }

  told(accountId: string): void {
    for (const listener of this.#listeners) listener.onAccount(accountId);
  }

  /** From now on everything is heard that is told. */
  whole(): void {
    if (!this.#cut) return;
    this.#cut = false;
    if (this.#complained) this.#log.info(`the bus over ${this.#over} is heard again`);
    this.#complained = false;
    for (const listener of this.#listeners) listener.onGap();
  }

  /** From now on something may be missed. */
  cut(why: unknown): void {
    this.#cut = true;
    if (this.#complained) return;
    this.#complained = true;
    // In its words only: Redis' errors hold the command that failed, which may be the one with the password.
    this.#log.warn(
      { why: String(why) },
      `the bus over ${this.#over} is cut; open streams ask the database every second`,
    );
  }
}

/** One bus of several: what is told on any of them is heard, and one that is cut may be what the others tell nothing of. */
export function joinBuses(buses: readonly Bus[]): Bus {
  return {
    subscribe: (listener) => {
      for (const bus of buses) bus.subscribe(listener);
    },
    isCut: () => buses.some((bus) => bus.isCut()),
  };
}
