// What replicas tell each other: "something of this account has changed", by PostgreSQL's LISTEN and NOTIFY. A name is
// all that is told; whoever hears it reads the database. One machine's worth of replicas; a lost connection is noticed.

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Bus } from '../flows/ports.ts';
import type { Logger } from './log.ts';

/** NOTIFY's channel; the payload is an account id. */
export const busChannel = 'countersign_account';

const heartbeatMs = 1_000;
const silenceMs = 2_000;

export interface RunningBus extends Bus {
  stop(): Promise<void>;
}

type Listener = Parameters<Bus['subscribe']>[0];

export function startPostgresBus(databaseUrl: string, log: Logger): RunningBus {
  const stopped = new AbortController();
  const listeners: Listener[] = [];
  let heardBefore = false;

  const listen = async () => {
    const client = new pg.Client({
      connectionString: databaseUrl,
      connectionTimeoutMillis: silenceMs,
      query_timeout: silenceMs,
      keepAlive: true,
      application_name: 'countersign-bus',
    });
    const lost = new Promise<never>((_, reject) => {
      client.once('error', reject);
      client.once('end', () => reject(new Error('the connection ended')));
    });
    lost.catch(() => {});
    client.on('notification', ({ payload }) => {
      if (payload === undefined) return;
      for (const listener of listeners) listener.onAccount(payload);
    });
    try {
      await Promise.race([client.connect(), lost]);
      await Promise.race([client.query(`listen ${busChannel}`), lost]);
      if (heardBefore) for (const listener of listeners) listener.onGap();
      heardBefore = true;
      while (!stopped.signal.aborted) {
        await Promise.race([sleep(heartbeatMs, undefined, { signal: stopped.signal }), lost]);
        await Promise.race([client.query('select'), lost]);
      }
    } finally {
      await client.end().catch(() => {});
    }
  };

  const run = async () => {
    while (!stopped.signal.aborted) {
      await listen().catch((error) => {
        if (!stopped.signal.aborted) log.warn({ why: String(error) }, 'the bus is cut; it is listened to again');
      });
      await sleep(200, undefined, { signal: stopped.signal }).catch(() => {});
    }
  };
  const running = run();
  return {
    subscribe: (listener) => {
      listeners.push(listener);
    },
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}
