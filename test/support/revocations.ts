// A watching service: it reads the stream of revocations and keeps what it hears. And sessions for it, by the dozen.

import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { typedErrors } from '../../clients/errors.ts';
import {
  type Revocation,
  Sessions,
  type WatchRevocationsResponse,
} from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { eventually } from './eventually.ts';
import { serviceToken, type TestServer } from './server.ts';

type Event = WatchRevocationsResponse['event'];

export interface RevocationWatcher {
  readonly events: readonly Event[];
  /** What was told of a session, once something was: the cause of each time. */
  told(sessionId: string, withinMs?: number): Promise<readonly Revocation[]>;
  /** Settles when everything of before was told. */
  caughtUp(): Promise<void>;
  /** The staleness in ms that the newest `caught_up` or `keep_alive` named. */
  staleness(): number;
  /** Settles with a keep-alive that was sent from now on, whose staleness `fits`. */
  alive(fits?: (staleness: number) => boolean): Promise<void>;
  /** Settles, or fails, as the stream ends. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** A machine may be slow for reasons of its own. */
const patienceMs = 20_000;

export function watchRevocations(internalUrl: string, token = serviceToken): RevocationWatcher {
  const events: Event[] = [];
  const stopped = new AbortController();
  const client = createClient(Sessions, createGrpcTransport({ baseUrl: internalUrl, interceptors: [typedErrors] }));
  const ended = (async () => {
    const headers = { authorization: `Bearer ${token}` };
    for await (const { event } of client.watchRevocations({}, { headers, signal: stopped.signal })) events.push(event);
  })();
  ended.catch(() => {});
  const of = (sessionId: string) =>
    events.flatMap((event) =>
      event.case === 'revocation' && event.value.sessionId === sessionId ? [event.value] : [],
    );
  const known = () =>
    events.flatMap((event) => (event.case === 'caughtUp' || event.case === 'keepAlive' ? [event] : []));
  const msOf = ({ value: { staleness } }: ReturnType<typeof known>[number]) =>
    Number(staleness?.seconds ?? 0n) * 1_000 + (staleness?.nanos ?? 0) / 1e6;
  return {
    events,
    ended,
    told: (sessionId, withinMs = patienceMs) =>
      eventually(withinMs, () => {
        const told = of(sessionId);
        if (told.length === 0) throw new Error(`${sessionId} was not told among ${events.length} events`);
        return told;
      }),
    caughtUp: () =>
      eventually(patienceMs, () => {
        if (!events.some((event) => event.case === 'caughtUp')) throw new Error('it is not caught up');
      }),
    staleness: () => {
      const last = known().at(-1);
      if (last === undefined) throw new Error('nothing is known yet');
      return msOf(last);
    },
    alive: async (fits = () => true) => {
      const before = known().length;
      await eventually(patienceMs, () => {
        const since = known().slice(before).map(msOf);
        if (!since.some(fits)) throw new Error(`no such keep-alive among ${since}`);
      });
    },
    stop: async () => {
      stopped.abort();
      await ended.catch(() => {});
    },
  };
}

/** Live sessions, a device each, as if they had been signed in; returns their ids. */
export async function insertSessions(query: TestServer['query'], accountId: string, count: number): Promise<string[]> {
  const rows = await query(
    `with devices as (
       insert into device
       select $1, gen_random_uuid(), 'd', 'm', 'IOS', '1', '2.3', null, null, null, now(), now(), '127.0.0.1', null
       from generate_series(1, $2::int) returning device_id
     )
     insert into session
     select $1, gen_random_uuid(), device_id, '["pwd"]', now(), now(), null, null, 1, 1,
       uuid_send(gen_random_uuid()), uuid_send(gen_random_uuid()), null, null, null
     from devices returning session_id`,
    [accountId, count],
  );
  return rows.map((row) => String(row['session_id']));
}
