// Sessions: opening, checking, refreshing and ending them. The only place that makes tokens.

import type { Account } from '../domain/account.ts';
import { type Device, lastSeen } from '../domain/device.ts';
import { DomainError } from '../domain/errors.ts';
import {
  type AuthenticationMethod,
  accessTokenRefusal,
  decideRefresh,
  isVerified,
  type Session,
  type SessionEndCause,
  type SessionState,
  sessionExpireTime,
} from '../domain/session.ts';
import { isTrusted } from '../domain/trust.ts';
import { type Deps as AccountsDeps, meetAccount, reportNewPassword } from './accounts.ts';
import {
  type Caller,
  type Deps,
  decide,
  decideFor,
  describe,
  eventOf,
  eventOfDevice,
  type Outcome,
  refuse,
  type SignedInCaller,
} from './context.ts';
import type { PublicSigningKey, RevocationEvent } from './ports.ts';
import type {
  AccountTransaction,
  IntrospectedSession,
  ListedSession,
  SessionFilter,
  SessionRecord,
} from './store-ports.ts';

/** A session with the secrets that stand for it, on its way to its device. */
export interface SessionGrant {
  readonly accessToken: string;
  readonly accessTokenExpireTime: Date;
  readonly refreshToken: string;
  readonly accountId: string;
  readonly sessionId: string;
  readonly deviceId: string;
  /** Once, when the device becomes trusted; else empty. */
  readonly deviceToken: string;
  readonly passwordChangeRequired: boolean;
}

export interface OpenedSession {
  readonly session: Session;
  readonly refreshToken: string;
}

/** Live sessions of untrusted devices that an account has at most; the oldest end. */
const unverifiedSessionsPerAccount = 50;

/** Opens a session of a device that was just authenticated. One that the device had before is for the caller to end. */
export function openSession(
  deps: Deps,
  tx: AccountTransaction,
  device: Pick<Device, 'accountId' | 'deviceId'>,
  amr: readonly AuthenticationMethod[],
  now: Date,
): OpenedSession {
  const refresh = deps.secrets.issueRefresh(device.accountId);
  const session: Session = {
    accountId: device.accountId,
    sessionId: deps.random.uuid(now),
    deviceId: device.deviceId,
    amr,
    createTime: now,
    lastUseTime: now,
    endTime: null,
    endCause: null,
    generation: 1,
    oldestGeneration: 1,
    familyHash: refresh.familyHash,
    refreshHash: refresh.refreshHash,
    spentHash: null,
    spentTime: null,
    firstUseTime: null,
  };
  tx.insertSession(session);
  // Without a code nothing else bounds how many there are.
  if (!isVerified(session)) tx.endSurplusSessions(unverifiedSessionsPerAccount, now);
  return { session, refreshToken: refresh.token };
}

/** Fresh tokens for a session whose first answer was lost: those before stop working. */
export function reopenSession(deps: Deps, tx: AccountTransaction, session: Session): OpenedSession {
  const refresh = deps.secrets.issueRefresh(session.accountId);
  const generation = session.generation + 1;
  const reopened: Session = {
    ...session,
    generation,
    oldestGeneration: generation,
    familyHash: refresh.familyHash,
    refreshHash: refresh.refreshHash,
  };
  tx.saveSession(reopened);
  return { session: reopened, refreshToken: refresh.token };
}

/** Signs the access token that goes with a session; after the commit, since it needs no database. */
export function grantSession(
  deps: Deps,
  opened: OpenedSession,
  account: Pick<Account, 'passwordChangeRequired'>,
  deviceToken: string,
  now: Date,
): SessionGrant {
  const { session } = opened;
  // Whoever checks it without asking must not take it for longer than the session lives.
  const accessTokenExpireTime = new Date(
    Math.min(now.getTime() + deps.limits.accessTokenLifetimeMs, sessionExpireTime(session, deps.limits).getTime()),
  );
  const accessToken = deps.tokens.sign({
    accountId: session.accountId,
    sessionId: session.sessionId,
    deviceId: session.deviceId,
    amr: session.amr,
    generation: session.generation,
    issueTime: now,
    expireTime: accessTokenExpireTime,
  });
  return {
    accessToken,
    accessTokenExpireTime,
    refreshToken: opened.refreshToken,
    accountId: session.accountId,
    sessionId: session.sessionId,
    deviceId: session.deviceId,
    deviceToken,
    passwordChangeRequired: account.passwordChangeRequired,
  };
}

type TokenCheck<R> =
  | { readonly good: true; readonly record: R; readonly expireTime: Date }
  | { readonly good: false; readonly cause: SessionEndCause | 'UNKNOWN' };

/** Checks an access token against its signature and its session's row, which `find` reads with what else is needed. */
async function checkAccessToken<R extends { readonly session: SessionState }>(
  deps: Deps,
  accessToken: string,
  find: (accountId: string, sessionId: string) => Promise<R | undefined>,
): Promise<TokenCheck<R>> {
  const claims = await deps.tokens.read(accessToken);
  if (claims === undefined) return { good: false, cause: 'UNKNOWN' };
  const now = deps.clock.now();
  for (;;) {
    const record = await find(claims.accountId, claims.sessionId);
    if (record === undefined || record.session.deviceId !== claims.deviceId) return { good: false, cause: 'UNKNOWN' };
    const cause = accessTokenRefusal(record.session, claims, deps.limits, now);
    if (cause !== undefined) return { good: false, cause };
    const firstUse = record.session.firstUseTime === null;
    // Lost the race against a repeat that voids this token, or against the session's end: look again.
    if (firstUse && !(await deps.store.markSessionUsed(claims.accountId, claims.sessionId, claims.generation, now))) {
      continue;
    }
    return { good: true, record, expireTime: claims.expireTime };
  }
}

/**
 * What a call needs of its caller: any `session`; a `verified` one, which came from a trusted device or through a code;
 * one of a device that is `trusted` now. What depends on more, such as switching off, its flow decides.
 */
export type Level = 'session' | 'verified' | 'trusted';

/** Who presents this access token. Refuses with SESSION_INVALID and its cause, or with DEVICE_NOT_TRUSTED. */
export async function authenticate(deps: Deps, accessToken: string, level: Level): Promise<SessionRecord> {
  const check = await checkAccessToken(deps, accessToken, deps.store.findSession);
  if (!check.good) throw new DomainError({ reason: 'SESSION_INVALID', cause: check.cause });
  const { session, device } = check.record;
  const enough = {
    session: true,
    verified: isVerified(session),
    trusted: isTrusted(device, deps.limits, deps.clock.now()),
  };
  // Trust that ends from now on ends the session with it, and that is looked at again under the account's lock.
  if (!enough[level]) throw new DomainError({ reason: 'DEVICE_NOT_TRUSTED' });
  return check.record;
}

export type Introspection =
  | { readonly active: false }
  | { readonly active: true; readonly record: IntrospectedSession; readonly expireTime: Date };

export async function introspect(deps: Deps, accessToken: string): Promise<Introspection> {
  const check = await checkAccessToken(deps, accessToken, deps.store.findIntrospected);
  return check.good ? { active: true, record: check.record, expireTime: check.expireTime } : { active: false };
}

export async function refreshSession(deps: Deps, refreshToken: string, caller: Caller): Promise<SessionGrant> {
  const held = deps.secrets.readRefresh(refreshToken);
  if (held === undefined) throw new DomainError({ reason: 'SESSION_INVALID', cause: 'UNKNOWN' });
  const now = deps.clock.now();
  const key = { refreshFamily: held.familyHash };
  const rotate = async (
    tx: AccountTransaction,
  ): Promise<Outcome<{ readonly opened: OpenedSession; readonly account: Account }>> => {
    const [account, session] = await Promise.all([tx.account, tx.sessionByRefreshFamily(held.familyHash)]);
    if (session === undefined || account === undefined) {
      return refuse({ reason: 'SESSION_INVALID', cause: 'UNKNOWN' });
    }
    const { equal } = deps.secrets;
    const matches = {
      current: equal(session.refreshHash, held.refreshHash),
      spent: session.spentHash !== null && equal(session.spentHash, held.refreshHash),
    };
    const decision = decideRefresh(session, matches, deps.limits, now);
    if (decision.kind === 'refuse') return refuse({ reason: 'SESSION_INVALID', cause: decision.cause });
    if (decision.kind === 'reused') {
      tx.endSessions({ sessionId: session.sessionId }, 'TOKEN_REUSED', now);
      const robbed = await tx.device(session.deviceId);
      tx.appendEvent(
        eventOf(deps, session.accountId, 'SIGNED_OUT', now, {
          device: robbed ? describe(robbed, robbed.appVersion) : null,
          sessionId: session.sessionId,
          deviceId: session.deviceId,
          // From where the spent token came: its owner or who took it.
          origin: deps.places.originOf(caller.ipAddress),
        }),
      );
      return refuse({ reason: 'SESSION_INVALID', cause: 'TOKEN_REUSED' });
    }
    const refresh = deps.secrets.issueRefresh(session.accountId, held.family);
    const generation = session.generation + 1;
    const rotated: Session = {
      ...session,
      lastUseTime: now,
      generation,
      refreshHash: refresh.refreshHash,
      firstUseTime: session.firstUseTime ?? now,
      ...(decision.kind === 'rotate'
        ? { spentHash: session.refreshHash, spentTime: now }
        : { oldestGeneration: generation }),
    };
    tx.saveSession(rotated);
    const origin = deps.places.originOf(caller.ipAddress);
    tx.noteDeviceUse({
      deviceId: session.deviceId,
      appVersion: caller.appVersion,
      ...lastSeen(origin, now),
    });
    return { ok: { opened: { session: rotated, refreshToken: refresh.token }, account } };
  };
  const { opened, account } = await decide(deps, held.accountId, rotate, key);
  return grantSession(deps, opened, account, '', now);
}

/** Ends this session, or every session of the account, with where their notifications go. Trust stays. */
export async function signOut(deps: Deps, caller: SignedInCaller, everywhere: boolean): Promise<void> {
  const now = deps.clock.now();
  const filter = everywhere ? {} : { sessionId: caller.session.sessionId };
  await decideFor(deps, caller, async (tx) => {
    tx.endSessions(filter, 'SIGNED_OUT', now);
    tx.deletePushRegistrations(everywhere ? undefined : caller.device.deviceId);
    tx.appendEvent(eventOfDevice(deps, caller, 'SIGNED_OUT', now));
    return { ok: undefined };
  });
}

/**
 * Ends sessions for an internal caller, and returns how many there were. Where passwords are kept elsewhere, to end all of them for a
 * new password is how that is reported.
 */
export async function revokeSessions(
  deps: AccountsDeps,
  accountId: string,
  filter: SessionFilter,
  cause: 'REVOKED' | 'PASSWORD_CHANGED',
): Promise<number> {
  const all = filter.deviceId === undefined && filter.sessionId === undefined;
  if (cause === 'PASSWORD_CHANGED' && all && deps.directoryWriter === undefined)
    return reportNewPassword(deps, accountId);
  await meetAccount(deps, accountId);
  const now = deps.clock.now();
  return decide(deps, accountId, async (tx) => {
    const [account, ended] = await Promise.all([tx.account, tx.countLiveSessions(filter)]);
    if (account === undefined) return refuse({ reason: 'ACCOUNT_UNKNOWN' });
    if (ended > 0) {
      tx.endSessions(filter, cause, now);
      const { deviceId = null, sessionId = null } = filter;
      tx.appendEvent(eventOf(deps, accountId, 'SIGNED_OUT', now, { deviceId, sessionId }));
    }
    return { ok: ended };
  });
}

export interface SessionPage {
  readonly sessions: readonly (ListedSession & { readonly trusted: boolean; readonly expireTime: Date })[];
  /** The session to go on from; undefined where there is no more. */
  readonly next: string | undefined;
}

/** The live sessions of an account, newest first, older than `before`. */
export async function listSessions(
  deps: Deps,
  accountId: string,
  before: string | null,
  count: number,
): Promise<SessionPage> {
  const now = deps.clock.now();
  const [isKnown, { sessions, next }] = await Promise.all([
    meetAccount(deps, accountId),
    deps.store.listSessions(accountId, before, now, count),
  ]);
  if (!isKnown) throw new DomainError({ reason: 'ACCOUNT_UNKNOWN' });
  const listed = sessions.map(({ session, device }) => ({
    session,
    device,
    trusted: isTrusted(device, deps.limits, now),
    expireTime: sessionExpireTime(session, deps.limits),
  }));
  return { sessions: listed, next };
}

/** What ends before its time, for internal callers. It ends only with a refusal: the caller opens another, here or elsewhere. */
export async function* watchRevocations(
  deps: Deps,
  caller: string,
  connection: { readonly signal: AbortSignal; readonly cut: () => void },
): AsyncGenerator<RevocationEvent, void, undefined> {
  const feed = deps.revocations.attach(caller, connection.cut);
  if (feed === undefined) throw new DomainError({ reason: 'RATE_LIMITED', retryAfterMs: 60_000 });
  connection.signal.addEventListener('abort', () => feed.close());
  try {
    if (connection.signal.aborted) feed.close();
    for (;;) {
      const event = await feed.next();
      if (event === undefined) throw new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 500 });
      yield event;
    }
  } finally {
    feed.close();
  }
}

export function signingKeys(deps: Deps): readonly PublicSigningKey[] {
  return deps.tokens.publicKeys(deps.clock.now());
}
