// What a stream of a device is told, from what the database says now and what it was told before. Pure: opening, a
// message of the bus, a missed one and a timer all lead to this one comparison.

import { appSends, type Challenge, challengeState, mayShowCode } from './challenge.ts';
import type { Limits } from './limits.ts';
import { type Session, sessionEnd } from './session.ts';

/** What one account's streams need to know. */
export interface AccountSnapshot {
  /** The challenges of late whose code went to the app, in whatever state, oldest first. */
  readonly challenges: readonly Challenge[];
  /** The sessions that streams are open for, by id; one that is absent is unknown. */
  readonly sessions: ReadonlyMap<string, Session>;
  /** The devices that are trusted now. */
  readonly trustedDevices: ReadonlySet<string>;
  /** The streams that are still meant to be open. */
  readonly streams: ReadonlySet<string>;
}

/** A stream, and which codes it has told, with how many sends of each. */
export interface StreamState {
  readonly streamId: string;
  readonly sessionId: string;
  readonly deviceId: string;
  readonly told: ReadonlyMap<string, number>;
}

export type StreamEvent =
  | { readonly kind: 'codeArrived'; readonly challenge: Challenge }
  | { readonly kind: 'challengeResolved'; readonly challenge: Challenge };

export type StreamDecision =
  | { readonly kind: 'go on'; readonly events: readonly StreamEvent[]; readonly told: ReadonlyMap<string, number> }
  | { readonly kind: 'signed out'; readonly cause: string }
  | { readonly kind: 'displaced' };

/** What to tell this stream now. A code is told once a send, and only while this device may show it. */
export function decideStream(
  stream: StreamState,
  snapshot: AccountSnapshot,
  limits: Limits,
  now: Date,
): StreamDecision {
  const session = snapshot.sessions.get(stream.sessionId);
  const end = session === undefined ? 'UNKNOWN' : sessionEnd(session, limits, now);
  if (end !== undefined) return { kind: 'signed out', cause: end };
  if (!snapshot.streams.has(stream.streamId)) return { kind: 'displaced' };

  const trusted = snapshot.trustedDevices.has(stream.deviceId);
  const events: StreamEvent[] = [];
  const told = new Map(stream.told);
  for (const challenge of snapshot.challenges) {
    const { challengeId } = challenge;
    const known = told.get(challengeId) ?? 0;
    if (trusted && mayShowCode(challenge, stream.deviceId, now)) {
      if (appSends(challenge) > known) {
        told.set(challengeId, appSends(challenge));
        events.push({ kind: 'codeArrived', challenge });
      }
    } else if (known > 0 && challengeState(challenge, now) !== 'PENDING') {
      told.delete(challengeId);
      events.push({ kind: 'challengeResolved', challenge });
    }
  }
  return { kind: 'go on', events, told };
}

/** When the next of these challenges ends by itself; undefined where none is pending. */
export function nextExpiry(challenges: readonly Challenge[], now: Date): Date | undefined {
  const times = challenges
    .filter((challenge) => challengeState(challenge, now) === 'PENDING')
    .map((challenge) => challenge.expireTime.getTime());
  return times.length === 0 ? undefined : new Date(Math.min(...times));
}
