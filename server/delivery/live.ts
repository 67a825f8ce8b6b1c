// The open streams of this replica: what each is told comes from one comparison with the database, whatever caused it:
// opening, a word of the bus, a gap in it, an expiry, or the sweep that looks for what was lost: every 20 s, and every second
// while the bus is cut.

import { appAudience } from '../domain/challenge.ts';
import type { Limits } from '../domain/limits.ts';
import { decideStream, nextExpiry, type StreamState } from '../domain/watch.ts';
import type { Bus, Clock, Codes, LiveEvent, LiveFeed, LiveStore, LiveStreams, OpenStream } from '../flows/ports.ts';
import type { Logger } from '../platform/log.ts';

export interface LiveDeps {
  readonly clock: Clock;
  readonly codes: Codes;
  readonly store: LiveStore;
  readonly bus: Bus;
  readonly limits: Limits;
  readonly log: Logger;
  readonly replicaId: string;
  /** Is told which other replicas live, first of all, and then every few seconds. */
  readonly onOthers?: ((replicaIds: readonly string[]) => void) | undefined;
}

export interface RunningLiveStreams extends LiveStreams {
  /** How many are open here. */
  openStreams(): number;
  /** Ends every stream, so that its app opens another elsewhere. */
  stop(): Promise<void>;
}

const tickMs = 1_000;
/** A stream hears something every so many ticks; the sweep takes those whose turn it is. */
const ticksBetweenKeepAlives = 20;
const ticksBetweenRenewals = 5;
const replicaLeaseMs = 15_000;
/** Accounts that are read at once after a gap. */
const readsAtOnce = 8;
/** Streams that one statement looks for news of. */
const sweptAtOnce = 1_000;

/** One account's streams here. */
interface Group {
  readonly accountId: string;
  readonly streams: Set<Stream>;
  /** Whether the database is being read, and whether something came in the meantime. */
  reading: boolean;
  stale: boolean;
  expiry: NodeJS.Timeout | undefined;
}

interface Stream extends StreamState {
  told: ReadonlyMap<string, number>;
  readonly group: Group;
  readonly feed: Feed;
  opened: boolean;
  /** The tick of the minute at which it hears that it lives. */
  readonly turn: number;
  readonly cut: () => void;
}

export async function startLiveStreams(deps: LiveDeps): Promise<RunningLiveStreams> {
  const { clock, codes, store, limits, log, replicaId } = deps;
  const groups = new Map<string, Group>();
  const turns = Array.from({ length: ticksBetweenKeepAlives }, () => new Set<Stream>());
  /** Closed streams that the database has not forgotten yet. */
  const forgotten: { readonly accountId: string; readonly streamId: string }[] = [];
  let ticks = 0;
  let sweepingAll = false;
  const renew = async () => {
    const others = await store.renewReplica(replicaId, replicaLeaseMs);
    deps.onOthers?.(others);
  };
  await renew();

  /** Compares the account's streams with the database; again, if something came while it was read. */
  const tell = async (group: Group): Promise<void> => {
    group.stale = true;
    if (group.reading) return;
    group.reading = true;
    try {
      while (group.stale && group.streams.size > 0) {
        group.stale = false;
        await compare(group);
      }
    } catch (error) {
      // The database is out of reach: the sweep looks again.
      group.stale = true;
      log.debug({ err: error }, 'streams could not be compared with the database');
    } finally {
      group.reading = false;
    }
  };

  const compare = async (group: Group) => {
    // Only those that were open before the reading began: a later one has a reading of its own.
    const streams = [...group.streams].filter((stream) => stream.opened);
    if (streams.length === 0) return;
    const { snapshot, devices, codeSends, emailOpen } = await store.snapshot(group.accountId, streams, clock.now());
    const now = clock.now();
    for (const stream of streams) {
      const decision = decideStream(stream, snapshot, limits, now);
      if (decision.kind === 'signed out') {
        stream.feed.push({ kind: 'signedOut', cause: decision.cause });
      } else if (decision.kind === 'displaced') {
        stream.feed.push({ kind: 'ended', why: 'displaced' });
      } else {
        stream.told = decision.told;
        for (const { kind, challenge } of decision.events) {
          const audience = appAudience(devices, challenge.deviceId);
          const around = { codeSends: codeSends.get(challenge.challengeId) ?? [], audience, emailOpen };
          if (kind === 'challengeResolved') stream.feed.push({ kind, challenge, around });
          else stream.feed.push({ kind, challenge, around, code: codes.derive(challenge, 'APP') });
        }
      }
    }
    clearTimeout(group.expiry);
    const expiry = nextExpiry(snapshot.challenges, now);
    if (expiry !== undefined) {
      group.expiry = setTimeout(() => void tell(group), expiry.getTime() - now.getTime() + 1);
      group.expiry.unref();
    }
  };

  const tellAll = async (accounts: Iterable<Group>) => {
    const queue = [...accounts];
    const work = async () => {
      for (let group = queue.pop(); group !== undefined; group = queue.pop()) await tell(group);
    };
    await Promise.all(Array.from({ length: readsAtOnce }, work));
  };

  /** Reads the accounts of those streams that there is something to tell of. */
  const sweep = async (streams: readonly Stream[]) => {
    const changed = new Set<string>();
    for (let from = 0; from < streams.length; from += sweptAtOnce) {
      const some = streams.slice(from, from + sweptAtOnce);
      const named = some.map((stream) => ({ ...openStream(stream), accountId: stream.group.accountId }));
      for (const accountId of await store.accountsToTell(named, clock.now())) changed.add(accountId);
    }
    await tellAll(
      new Set(streams.map(({ group }) => group).filter((group) => group.stale || changed.has(group.accountId))),
    );
  };

  const sweepAll = async () => {
    // One that takes longer than a tick is not joined by the next.
    if (sweepingAll) return;
    sweepingAll = true;
    try {
      await sweep(turns.flatMap((streams) => [...streams]));
    } finally {
      sweepingAll = false;
    }
  };

  const tick = async () => {
    ticks += 1;
    if (ticks % ticksBetweenRenewals === 0) await renew();
    for (const { accountId, streamId } of forgotten.splice(0)) {
      await store.deleteStream(accountId, streamId).catch(() => forgotten.push({ accountId, streamId }));
    }
    const due = [...(turns[ticks % ticksBetweenKeepAlives] ?? [])];
    for (const stream of due) {
      // It has not taken the last one yet: its reader is gone or too slow.
      if (stream.feed.waiting) stream.cut();
      else stream.feed.push({ kind: 'keepAlive' });
    }
    await (deps.bus.isCut() ? sweepAll() : sweep(due));
  };
  const timer = setInterval(() => {
    tick().catch((error) => log.debug({ err: error }, 'the sweep over the streams failed'));
  }, tickMs);

  deps.bus.subscribe({
    onAccount: (accountId) => {
      const group = groups.get(accountId);
      if (group !== undefined) void tell(group);
    },
    onGap: () => void tellAll(groups.values()),
  });

  return {
    replicaId,
    openStreams: () => turns.reduce((count, streams) => count + streams.size, 0),
    forget: (accountId, streamId) => void forgotten.push({ accountId, streamId }),
    attach: (accountId, { streamId, sessionId, deviceId }, cut): LiveFeed => {
      const group = groups.get(accountId) ?? {
        accountId,
        streams: new Set(),
        reading: false,
        stale: false,
        expiry: undefined,
      };
      groups.set(accountId, group);
      const feed = new Feed();
      // Its first turn comes after as many ticks as every other.
      const turn = ticks % ticksBetweenKeepAlives;
      const stream: Stream = {
        streamId,
        sessionId,
        deviceId,
        told: new Map(),
        group,
        feed,
        opened: false,
        turn,
        cut,
      };
      group.streams.add(stream);
      turns[turn]?.add(stream);
      return {
        open: () => {
          stream.opened = true;
          // With it the answer's headers go out: its app knows that the stream is noted.
          feed.push({ kind: 'keepAlive' });
          void tell(group);
        },
        next: () => feed.next(),
        close: () => {
          feed.close();
          group.streams.delete(stream);
          turns[turn]?.delete(stream);
          if (group.streams.size > 0) return;
          clearTimeout(group.expiry);
          if (groups.get(accountId) === group) groups.delete(accountId);
        },
      };
    },
    stop: async () => {
      clearInterval(timer);
      for (const { streams } of groups.values()) {
        for (const { feed } of streams) feed.push({ kind: 'ended', why: 'stopping' });
      }
      await store.forgetReplica(replicaId).catch(() => {});
    },
  };
}

function openStream({ streamId, sessionId, deviceId }: Stream): OpenStream {
  return { streamId, sessionId, deviceId };
}

/** What waits for one stream's reader. It holds a few challenges at most: a reader that falls behind is cut. */
class Feed {
  readonly #events: LiveEvent[] = [];
  #wake: (() => void) | undefined;
  #closed = false;

  /** Whether something has not been taken yet. */
  get waiting(): boolean {
    return this.#events.length > 0;
  }

  push(event: LiveEvent): void {
    this.#events.push(event);
    this.#wake?.();
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  async next(): Promise<LiveEvent | undefined> {
    for (;;) {
      const event = this.#closed ? undefined : this.#events.shift();
      if (event !== undefined || this.#closed) return event;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
