// A signed-in device: how long it lives, what its tokens are worth, and when a refresh token is a stolen one. Pure.

import type { Limits } from './limits.ts';

export const sessionEndCauses = [
  'EXPIRED',
  'SIGNED_OUT',
  'DEVICE_REMOVED',
  'PASSWORD_CHANGED',
  'TOKEN_REUSED',
  'REVOKED',
  'REPLACED',
] as const;
export type SessionEndCause = (typeof sessionEndCauses)[number];
/** Why a session ended before its time; UNKNOWN where its account was deleted. */
export type RevocationCause = SessionEndCause | 'UNKNOWN';

/** How a device was authenticated (RFC 8176; `device`, the secret of a trusted device, is our own). */
export type AuthenticationMethod = 'pwd' | 'otp' | 'device';

export interface Session {
  readonly accountId: string;
  readonly sessionId: string;
  readonly deviceId: string;
  readonly amr: readonly AuthenticationMethod[];
  readonly createTime: Date;
  /** Sign-in or last refresh. */
  readonly lastUseTime: Date;
  readonly endTime: Date | null;
  readonly endCause: SessionEndCause | null;
  /** Counts the token pairs that were made; an access token names its own. */
  readonly generation: number;
  /** Access tokens of generations below this one are void: their pair was given again after a lost answer. */
  readonly oldestGeneration: number;
  /** SHA-256 of the part of the refresh token that stays, by which a spent one is recognised. */
  readonly familyHash: Uint8Array;
  /** SHA-256 of the part of the refresh token that changes: the one that is good now. */
  readonly refreshHash: Uint8Array;
  /** The one that was spent for it, and when. */
  readonly spentHash: Uint8Array | null;
  readonly spentTime: Date | null;
  /** When a token of this session was first used; null until then. */
  readonly firstUseTime: Date | null;
}

/** Whether it was the device's own secret or a code that opened it, and so more than a password. */
export function isVerified(session: Pick<Session, 'amr'>): boolean {
  return session.amr.includes('otp') || session.amr.includes('device');
}

/** When the session ends if nothing happens: 30 days after its last use, 180 days after sign-in at the latest. */
export function sessionExpireTime(session: Pick<Session, 'createTime' | 'lastUseTime'>, limits: Limits): Date {
  return new Date(
    Math.min(
      session.lastUseTime.getTime() + limits.sessionIdleMs,
      session.createTime.getTime() + limits.sessionLifetimeMs,
    ),
  );
}

/** What decides whether a session lives, and whether a token of it is good. */
export type SessionState = Pick<
  Session,
  | 'sessionId'
  | 'accountId'
  | 'deviceId'
  | 'amr'
  | 'createTime'
  | 'lastUseTime'
  | 'endCause'
  | 'oldestGeneration'
  | 'firstUseTime'
>;

/** Why the session is over, or undefined while it lives. */
export function sessionEnd(
  session: Pick<Session, 'createTime' | 'lastUseTime' | 'endCause'>,
  limits: Limits,
  now: Date,
): SessionEndCause | undefined {
  if (session.endCause !== null) return session.endCause;
  return now >= sessionExpireTime(session, limits) ? 'EXPIRED' : undefined;
}

/** Why an access token of this session is refused, or undefined where it is good. */
export function accessTokenRefusal(
  session: SessionState,
  token: { readonly generation: number; readonly expireTime: Date },
  limits: Limits,
  now: Date,
): SessionEndCause | undefined {
  const end = sessionEnd(session, limits, now);
  if (end !== undefined) return end;
  // A void token reads as an expired one: its holder refreshes, and who has no newer refresh token is signed out there.
  if (token.generation < session.oldestGeneration || now >= token.expireTime) return 'EXPIRED';
  return undefined;
}

export type RefreshDecision =
  | { readonly kind: 'rotate' | 'repeat' }
  | { readonly kind: 'refuse'; readonly cause: SessionEndCause }
  | { readonly kind: 'reused' };

/**
 * What a presented refresh token gets (RFC 9700, 4.14.2). The newest one rotates. The one before, within 60 s while its
 * successor is unused, is a lost answer: a fresh pair, and the successor dies. Anything else of this session's family was
 * spent long ago or forged by somebody who held one: the session ends.
 */
export function decideRefresh(
  session: Session,
  matches: { readonly current: boolean; readonly spent: boolean },
  limits: Limits,
  now: Date,
): RefreshDecision {
  const end = sessionEnd(session, limits, now);
  if (end !== undefined) return { kind: 'refuse', cause: end };
  if (matches.current) return { kind: 'rotate' };
  const lostAnswer =
    matches.spent && session.spentTime !== null && now.getTime() - session.spentTime.getTime() < limits.refreshGraceMs;
  return lostAnswer ? { kind: 'repeat' } : { kind: 'reused' };
}
