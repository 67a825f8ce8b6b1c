// Many open WatchDevice streams of a server, and what they cost it: memory a stream, and CPU at rest.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { TrustedDevices } from '../gen/countersign/v1/trusted_devices_pb.ts';
import { appHeaders } from './requests.ts';
import type { Parts, ServerProcess, Usage } from './support.ts';

export interface StreamsOptions {
  /** A stream's each: of the first device of every account, then of the second. */
  readonly tokens: readonly string[];
  readonly accounts: number;
  readonly connections: number;
  /** So many are opened and closed before: what grows with the work, and not with what is open, has grown then. */
  readonly warmUp: number;
}

export interface Opened {
  openAll(): Promise<void>;
  /** Of the later three quarters. */
  memoryPerStream(): Promise<Pick<Usage, 'rss' | 'heapUsed' | 'external'>>;
  closeAll(): void;
  /** Called with the challenge's id and the time, for each code that arrives. */
  onCode: (challengeId: string, time: number) => void;
}

/** Streams of one server; `count` says how many it has noted. Where it notes none, each says at once that it lives. */
export async function openedBy(
  server: ServerProcess,
  { tokens, accounts, connections, warmUp }: StreamsOptions,
  count: (() => Promise<number>) | undefined,
): Promise<Opened> {
  // Enough that the server is busy, few enough that it refuses none.
  const atOnce = 50;
  let closing = new AbortController();
  let clients: Client<typeof TrustedDevices>[] = [];
  let broken: unknown;
  const heard = new Set<number>();
  const read = async (token: string, index: number) => {
    // The streams of an account are on connections of their own.
    const client = clients[(index + Math.floor(index / accounts)) % clients.length];
    const options = {
      headers: { ...appHeaders, authorization: `Bearer ${token}` },
      signal: closing.signal,
    };
    for await (const { event } of client?.watchDevice({}, options) ?? []) {
      if (event.case === 'codeArrived') opened.onCode(event.value.challenge?.challengeId ?? '', performance.now());
      else if (event.case === 'keepAlive') heard.add(index);
      else throw new Error(`a stream was told ${event.case}`);
    }
  };
  const connect = () => {
    heard.clear();
    closing = new AbortController();
    clients = Array.from({ length: connections }, () =>
      createClient(TrustedDevices, createConnectTransport({ baseUrl: server.publicUrl, httpVersion: '2' })),
    );
  };
  /** Those with these indices, beside those that are open. */
  const open = async (from: number, to: number) => {
    const { signal } = closing;
    for (let start = from; start < to; start += atOnce) {
      const end = Math.min(start + atOnce, to);
      for (const [offset, token] of tokens.slice(start, end).entries()) {
        read(token, start + offset).catch((error) => {
          if (!signal.aborted) broken ??= error;
        });
      }
      // The next ones come while these are on their way; the last are waited for.
      const target = end < to ? end - atOnce : to;
      while (broken === undefined && (count === undefined ? heard.size : await count()) < target) await sleep(5);
      if (broken !== undefined) throw broken;
    }
  };

  // So that the first connections and what comes with them are not a stream's.
  const first = Math.round(tokens.length / 4);
  let before: Usage | undefined;
  const opened: Opened = {
    onCode: () => {},
    openAll: async () => {
      connect();
      await open(0, first);
      before = await settledUsage(server);
      await open(first, tokens.length);
    },
    memoryPerStream: async () => {
      const after = await settledUsage(server);
      const each = (of: 'rss' | 'heapUsed' | 'external') => (after[of] - (before?.[of] ?? 0)) / (tokens.length - first);
      return { rss: each('rss'), heapUsed: each('heapUsed'), external: each('external') };
    },
    closeAll: () => closing.abort(),
  };
  connect();
  await open(0, warmUp);
  opened.closeAll();
  while (count !== undefined && (await count()) > 0) await sleep(20);
  return opened;
}

/** The least of some looks: V8 gives memory back a while after a collection. */
async function settledUsage(server: ServerProcess): Promise<Usage> {
  let least = await server.usage(true);
  for (let look = 0; look < 4; look++) {
    await sleep(400);
    const usage = await server.usage(true);
    if (usage.rss < least.rss) least = usage;
  }
  return least;
}

/** The shares of a core that a server and PostgreSQL take while nothing happens. */
export async function atRest(
  parts: Parts,
  server: ServerProcess,
  ms: number,
): Promise<{ readonly cpu: number; readonly postgres: number | undefined }> {
  const [begin, before, postgresBefore] = [performance.now(), await server.usage(false), parts.postgresCpuMs()];
  await sleep(ms);
  const [after, postgresAfter] = [await server.usage(false), parts.postgresCpuMs()];
  const passed = performance.now() - begin;
  const hasPostgres = postgresBefore !== undefined && postgresAfter !== undefined;
  return {
    cpu: (after.cpuMs - before.cpuMs) / passed,
    postgres: hasPostgres ? (postgresAfter - postgresBefore) / passed : undefined,
  };
}

/** What is counted once it does not change any more. */
export async function untilSteady(count: () => Promise<number>): Promise<number> {
  let last = await count();
  for (;;) {
    await sleep(1_000);
    const now = await count();
    if (now === last) return now;
    last = now;
  }
}
