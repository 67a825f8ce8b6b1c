// Follows WatchRevocations for ever, over network changes and restarts of the server, and knows how old what it has heard is.
// It must not know who asks.

import { durationMs, timestampDate } from '@bufbuild/protobuf/wkt';
import type { CallOptions } from '@connectrpc/connect';
import type {
  Revocation,
  RevocationsKnown,
  WatchRevocationsResponse,
} from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { CountersignError } from '../errors.ts';
import { pause, readable } from '../streams.ts';
import type { Clock } from './clock.ts';
import type { RevokedSession } from './revocation-list.ts';

/** The server says every second that the stream lives: after this long it does not. */
const silenceMs = 10_000;
const longestPauseMs = 5_000;

export interface Revocations {
  /** Milliseconds: a session that was revoked longer ago is known of. Infinite until the stream has caught up once. */
  staleness(): number;
  /** Whether a stream is open that has caught up: what ends now is told here at once. */
  isFollowing(): boolean;
  /** Resolves when it has. */
  readonly caughtUp: Promise<void>;
}

export interface RevocationsOptions {
  readonly open: (options: CallOptions) => AsyncIterable<WatchRevocationsResponse>;
  readonly clock: Clock;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly onRevoked: (session: RevokedSession) => void;
  readonly onProblem: (problem: unknown) => void;
}

export function followRevocations({ open, clock, signal, onRevoked, onProblem }: RevocationsOptions): Revocations {
  const { promise: caughtUp, resolve: hasCaughtUp } = Promise.withResolvers<void>();
  /** By the monotonic clock: everything that ended before then has been told. */
  let knownUntil = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let following = false;

  // What one replica knew stays known, however far behind the next one is.
  const known = ({ staleness }: RevocationsKnown) => {
    if (staleness === undefined) return;
    knownUntil = Math.max(knownUntil, clock.monotonic() - Math.max(0, durationMs(staleness)));
    hasCaughtUp();
  };
  const read = async () => {
    for await (const { event } of readable(open, signal, silenceMs)) {
      if (event.case === 'revocation') onRevoked(revokedSession(event.value, clock.now()));
      if (event.case === 'caughtUp') {
        following = true;
        known(event.value);
      }
      // One that breaks right after it has caught up is a failure like one that does not open.
      if (event.case === 'keepAlive' && following) {
        failures = 0;
        known(event.value);
      }
    }
  };
  const follow = async () => {
    while (!signal.aborted) {
      let retryAfter: number | undefined;
      try {
        await read();
      } catch (error) {
        if (signal.aborted) return;
        onProblem(error);
        if (CountersignError.is(error)) retryAfter = error.retryAfter;
      } finally {
        following = false;
      }
      failures += 1;
      await pause(retryAfter, failures, signal, longestPauseMs);
    }
  };
  void follow();
  return { caughtUp, isFollowing: () => following, staleness: () => clock.monotonic() - knownUntil };
}

function revokedSession(revocation: Revocation, now: number): RevokedSession {
  const { accountId, sessionId, deviceId, cause, revokeTime } = revocation;
  return { accountId, sessionId, deviceId, cause, revokeTime: revokeTime ? timestampDate(revokeTime) : new Date(now) };
}
