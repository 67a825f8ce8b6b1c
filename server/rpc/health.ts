// grpc.health.v1: whether this replica takes calls. It must not know what that depends on; whoever owns the state does.

import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect';
import { type Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';

/** Whether this replica serves, as its owner last set it. */
export interface ServingState {
  get(): boolean;
  set(serving: boolean): void;
  /** Calls `listener` after each change, until the returned function is called. */
  subscribe(listener: () => void): () => void;
}

export function createServingState(serving: boolean): ServingState {
  const listeners = new Set<() => void>();
  let current = serving;
  return {
    get: () => current,
    set: (next) => {
      if (next === current) return;
      current = next;
      for (const listener of [...listeners]) listener();
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

const mostWatches = 1_000;

/**
 * The health service over `state`. `services` are the full names of the services served beside it; they share one
 * health, and so does the empty name, the whole server.
 */
export function healthService(options: {
  readonly state: ServingState;
  readonly services: Iterable<string>;
}): ServiceImpl<typeof Health> {
  const { state } = options;
  const names = new Set(['', ...options.services]);
  const status = () => (state.get() ? Status.SERVING : Status.NOT_SERVING);
  /** What ends each open watch, the oldest first. Anyone may open one: where there are too many, it is not held against the new. */
  const watches = new Set<() => void>();
  return {
    check: ({ service }) => {
      if (!names.has(service)) throw new ConnectError(`no service ${service} here`, Code.NotFound);
      return { status: status() };
    },
    list: () => ({ statuses: Object.fromEntries([...names].map((name) => [name, { status: status() }])) }),
    async *watch({ service }, { signal }) {
      let wake = Promise.withResolvers<void>();
      let displaced = false;
      const unsubscribe = state.subscribe(() => wake.resolve());
      const onAbort = () => wake.resolve();
      signal.addEventListener('abort', onAbort);
      const displace = () => {
        watches.delete(displace);
        displaced = true;
        wake.resolve();
      };
      for (const oldest of watches) {
        if (watches.size < mostWatches) break;
        oldest();
      }
      watches.add(displace);
      try {
        let told: Status | undefined;
        while (!signal.aborted) {
          if (displaced) throw new ConnectError('too many watch the health of this server', Code.Unavailable);
          wake = Promise.withResolvers<void>();
          const now = names.has(service) ? status() : Status.SERVICE_UNKNOWN;
          if (now !== told) yield { status: now };
          // A change while that was on its way has resolved `wake` already.
          told = now;
          await wake.promise;
        }
      } finally {
        watches.delete(displace);
        unsubscribe();
        signal.removeEventListener('abort', onAbort);
      }
    },
  };
}
