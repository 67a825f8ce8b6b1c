// The bus over PostgreSQL's LISTEN and NOTIFY: one machine's worth of replicas, and what there is where Redis is out of
// reach. A lost connection is noticed. What is told is sent by the store, behind its commits.

import { setTimeout as sleep } from 'node:timers/promises';
import { Hearing, type RunningBus } from './bus.ts';
import type { Logger } from './log.ts';
import { PrimaryClient } from './primary-client.ts';

/** NOTIFY's channel; the payload is an account id. */
export const busChannel = 'countersign_account';

const heartbeatMs = 1_000;
const silenceMs = 2_000;

export function startPostgresBus(databaseUrl: string, log: Logger): RunningBus {
  const stopped = new AbortController();
  const hearing = new Hearing('PostgreSQL', log);

  const listen = async () => {
    const client = new PrimaryClient({
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
      if (payload !== undefined) hearing.told(payload);
    });
    try {
      await Promise.race([client.connect(), lost]);
      await Promise.race([client.query(`listen ${busChannel}`), lost]);
      hearing.whole();
      while (!stopped.signal.aborted) {
        await Promise.race([sleep(heartbeatMs, undefined, { signal: stopped.signal }), lost]);
        await Promise.race([client.query('select'), lost]);
      }
    } catch (error) {
      if (!stopped.signal.aborted) hearing.cut(error);
    } finally {
      await client.end().catch(() => {});
    }
  };

  const run = async () => {
    while (!stopped.signal.aborted) {
      await listen();
      await sleep(200, undefined, { signal: stopped.signal }).catch(() => {});
    }
  };
  const running = run();
  return {
    subscribe: (listener) => hearing.subscribe(listener),
    isCut: () => hearing.isCut(),
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}
