// The open streams of revocations of this replica, and the one feed that all of them share. It reads when the bus says that
// something has happened, and every second whatever the bus does; while nobody listens, never. It must not know who listens.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus, Revocation, RevocationEvent, RevocationFeed, RevocationLog, Revocations } from '../flows/ports.ts';
import type { Logger } from '../platform/log.ts';

export interface RevocationsDeps {
  readonly revocationLog: RevocationLog;
  readonly bus: Bus;
  readonly log: Logger;
  /** Milliseconds that never jump. */
  readonly elapsedMs: () => number;
}

export interface RunningRevocations extends Revocations {
  stop(): Promise<void>;
}

const tickMs = 1_000;
const keepAliveWaitsMs = 200;
/** Between readings, however much the bus has to say. */
const restMs = 20;
const mostStreams = 1_000;
/** Of one caller, so that one that leaks them does not shut the others out. */
const mostStreamsOfCaller = 250;
/** A stream whose keep-alive waits for so long, behind all that is told before it, is cut. */
const patienceTicks = 30;

export function startRevocations(deps: RevocationsDeps): RunningRevocations {
  const { revocationLog, bus, log, elapsedMs } = deps;
  const feeds = new Set<Feed>();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  /** Whether something came since the last reading began. */
  let stale = false;
  /** When the newest reading that succeeded began. */
  let knownAt = 0;
  let failing = false;
  let stopped = false;

  const read = async () => {
    const begin = elapsedMs();
    try {
      const fresh = await revocationLog.readNew();
      // One that comes from here on waits for the next reading.
      const behind = [...feeds].filter((feed) => fresh === undefined || !feed.caughtUp);
      const news = eventsOf(fresh ?? []);
      for (const feed of feeds) if (feed.caughtUp) feed.push(news);
      if (behind.length > 0) {
        for await (const page of revocationLog.readAll()) {
          if (stopped) return;
          const events = eventsOf(page);
          for (const feed of behind) feed.push(events);
        }
      }
      knownAt = begin;
      for (const feed of behind) feed.catchUp(knownAt);
      if (failing) log.info('revocations are read again');
      failing = false;
    } catch (error) {
      if (!failing && !stopped)
        log.warn({ why: String(error) }, 'revocations can not be read; what is missed is told later');
      failing = true;
      // They learn nothing here, and another replica may know.
      for (const feed of feeds) if (!feed.caughtUp) feed.close();
    }
  };

  const run = async () => {
    while (stale && feeds.size > 0 && !stopped) {
      stale = false;
      await read();
      await sleep(restMs);
    }
    running = undefined;
  };

  const look = () => {
    stale = true;
    if (feeds.size > 0 && !stopped) running ??= run();
  };

  const tick = async () => {
    if (feeds.size === 0) {
      if (running !== undefined) return;
      clearInterval(timer);
      timer = undefined;
      await revocationLog.close();
      return;
    }
    look();
    // What is read now is told with it, unless PostgreSQL takes its time.
    await Promise.race([running, sleep(keepAliveWaitsMs)]);
    for (const feed of feeds) feed.tick(knownAt);
  };

  bus.subscribe({ onAccount: look, onGap: look });

  return {
    openStreams: () => feeds.size,
    attach: (caller, cut): RevocationFeed | undefined => {
      const ofCaller = [...feeds].filter((feed) => feed.caller === caller).length;
      if (feeds.size >= mostStreams || ofCaller >= mostStreamsOfCaller) return undefined;
      const feed = new Feed(caller, elapsedMs, cut, () => feeds.delete(feed));
      if (stopped) {
        feed.close();
        return feed;
      }
      feeds.add(feed);
      timer ??= setInterval(() => void tick(), tickMs);
      look();
      return feed;
    },
    stop: async () => {
      stopped = true;
      clearInterval(timer);
      for (const feed of feeds) feed.close();
      await running;
      await revocationLog.close();
    },
  };
}

const eventsOf = (revocations: readonly Revocation[]) =>
  revocations.map((revocation) => ({ kind: 'revoked', revocation }) as const);

type Waiting =
  | Extract<RevocationEvent, { kind: 'revoked' }>
  | { readonly kind: 'caughtUp' | 'keepAlive'; readonly knownAt: number };

/** What waits for one stream's reader. */
class Feed implements RevocationFeed {
  /** Whether it was told what ended before it was opened. */
  caughtUp = false;
  readonly caller: string;
  readonly #elapsedMs: () => number;
  readonly #cut: () => void;
  readonly #onClose: () => void;
  /** Batches, which the streams share; of the first, what is before `#next` has been taken. */
  readonly #batches: (readonly Waiting[])[] = [];
  #next = 0;
  /** Since a keep-alive waits; 0 where none does. */
  #ticksWaited = 0;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(caller: string, elapsedMs: () => number, cut: () => void, onClose: () => void) {
    this.caller = caller;
    this.#elapsedMs = elapsedMs;
    this.#cut = cut;
    this.#onClose = onClose;
  }

  push(events: readonly Waiting[]): void {
    if (events.length === 0) return;
    this.#batches.push(events);
    this.#wake?.();
  }

  /** All of before waits for it by now. */
  catchUp(knownAt: number): void {
    if (this.caughtUp) return;
    this.caughtUp = true;
    this.push([{ kind: 'caughtUp', knownAt }]);
  }

  tick(knownAt: number): void {
    if (!this.caughtUp) return;
    this.#ticksWaited += 1;
    if (this.#ticksWaited > patienceTicks) {
      this.#cut();
      this.close();
    }
    if (this.#ticksWaited > 1) return;
    // Behind all that was known then: what a later reading finds is told after it.
    this.push([{ kind: 'keepAlive', knownAt }]);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose();
    this.#wake?.();
  }

  async next(): Promise<RevocationEvent | undefined> {
    for (;;) {
      if (this.#closed) return undefined;
      const event = this.#take();
      if (event !== undefined) return event;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #take(): RevocationEvent | undefined {
    const [batch] = this.#batches;
    const event = batch?.[this.#next++];
    if (event === undefined) {
      this.#next = 0;
      return undefined;
    }
    if (this.#next === batch?.length) {
      this.#batches.shift();
      this.#next = 0;
    }
    if (event.kind === 'revoked') return event;
    if (event.kind === 'keepAlive') this.#ticksWaited = 0;
    return { kind: event.kind, stalenessMs: this.#elapsedMs() - event.knownAt };
  }
}
