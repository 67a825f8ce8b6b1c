// The sessions that ended before their time, as far back as anybody may still hold a token of theirs. What it has forgotten it
// knows of: a token that is older than that has to be asked for. Without clock or network.

import { skewMs } from './clock.ts';

/** A session that ended before its time. */
export interface RevokedSession {
  readonly accountId: string;
  readonly sessionId: string;
  readonly deviceId: string;
  /** As in `SESSION_INVALID`, such as `DEVICE_REMOVED`. */
  readonly cause: string;
  readonly revokeTime: Date;
}

export interface RevocationList {
  /** False where it was there before. */
  add(session: RevokedSession, now: number): boolean;
  find(sessionId: string): RevokedSession | undefined;
  /** Whether it would know if the session of a token that was issued then had been revoked. */
  covers(issuedAt: number): boolean;
  size(): number;
}

/** An access token lives 5 minutes, and is nowhere set to live longer than this without a cost: an older one is asked for. */
const keptMs = 3_600_000;

/** @param most how many it keeps at most: the oldest go first. */
export function createRevocationList(most: number): RevocationList {
  const sessions = new Map<string, RevokedSession>();
  let forgottenUntil = Number.NEGATIVE_INFINITY;
  const forget = (now: number) => {
    for (const { sessionId, revokeTime } of sessions.values()) {
      const end = revokeTime.getTime();
      if (sessions.size <= most && end > now - keptMs) return;
      sessions.delete(sessionId);
      forgottenUntil = Math.max(forgottenUntil, end);
    }
  };
  return {
    add: (session, now) => {
      const isNew = !sessions.has(session.sessionId);
      sessions.set(session.sessionId, session);
      forget(now);
      return isNew;
    },
    find: (sessionId) => sessions.get(sessionId),
    // Nobody gets a token of a session that is over.
    covers: (issuedAt) => issuedAt > forgottenUntil + skewMs,
    size: () => sessions.size,
  };
}
