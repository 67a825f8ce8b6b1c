// A watching app: it reads the stream through the app's client and keeps what it hears.

import { vi } from 'vitest';
import type { AppClient, WatchEvent } from '../../clients/app/client.ts';
import { Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { iphone, type TestAccount, type TestServer } from './server.ts';

type Case = WatchEvent['case'];

export interface Watcher {
  readonly events: readonly WatchEvent[];
  /** Settles when the stream is noted as open, so that what follows is told. */
  opened(server: TestServer, deviceId: string): Promise<void>;
  /** The `count`th event of a kind, once it is there. */
  next<C extends Case>(kind: C, count?: number): Promise<Extract<WatchEvent, { case: C }>['value']>;
  /** Settles when the stream has ended by itself. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export function watch(client: AppClient): Watcher {
  const events: WatchEvent[] = [];
  const stopped = new AbortController();
  const ended = (async () => {
    for await (const event of client.watch(stopped.signal)) events.push(event);
  })();
  ended.catch(() => {});
  const quickly = { timeout: 10_000, interval: 5 };
  return {
    events,
    ended,
    opened: async (server, deviceId) => {
      await vi.waitFor(async () => {
        const rows = await server.query('select from open_stream where device_id = $1', [deviceId]);
        if (rows.length === 0) throw new Error('the stream is not open');
      }, quickly);
    },
    next: (kind, count = 1) =>
      vi.waitFor(() => {
        const found = events.filter((event) => event.case === kind)[count - 1];
        if (found === undefined) throw new Error(`no ${kind} among ${events.map((event) => event.case)}`);
        // Narrowed by its case, which the compiler does not follow through a filter.
        return found.value as never;
      }, quickly),
    stop: async () => {
      stopped.abort();
      await ended;
    },
  };
}

/** Signs a new device in as far as its code, which the account's watching devices are sent. */
export async function codeToApp(server: TestServer, account: TestAccount): Promise<void> {
  const client = server.appClient();
  const { result } = await client.twoStepAuth.signIn({ ...account, device: iphone });
  if (result.case !== 'challengeGrant') throw new Error('no challenge');
  const { challengeToken, challenge } = result.value;
  if (challenge?.defaultChannel === Channel.APP) return;
  await client.twoStepAuth.sendCode({ challengeToken, channel: Channel.APP });
}
