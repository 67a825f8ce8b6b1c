// Sign-in: password, then trust or a code. Counts before it looks, and decides in one transaction under the account's lock.

import type { Account } from '../domain/account.ts';
import type { Device, DeviceDescription } from '../domain/device.ts';
import { normaliseEmail } from '../domain/email.ts';
import { DomainError, isOutage } from '../domain/errors.ts';
import { admitPasswordGuess } from '../domain/limits.ts';
import { networkOf } from '../domain/network.ts';
import { isTrusted } from '../domain/trust.ts';
import { appendAndAlert } from './alerts.ts';
import { type ChallengeGrant, openChallenge, reissueChallenge, tryCode, viewIn } from './codes.ts';
import { type Caller, type Deps, decide, eventOf, type Outcome, refuse } from './context.ts';
import type { AccountTransaction, DirectoryAccount } from './ports.ts';
import { grantSession, type OpenedSession, openSession, reopenSession, type SessionGrant } from './sessions.ts';
import { makeRoomForOne, newDevice } from './trusted-devices.ts';

export interface SignInRequest {
  readonly email: string;
  readonly password: string;
  readonly device: DeviceDescription;
  /** Empty on a new device. */
  readonly deviceToken: string;
  /** A UUID, or null. */
  readonly requestId: string | null;
}

export type SignInResult = { readonly session: SessionGrant } | { readonly challengeGrant: ChallengeGrant };

export async function signIn(deps: Deps, request: SignInRequest, caller: Caller): Promise<SignInResult> {
  const now = deps.clock.now();
  const guess = await countGuess(deps, request, caller, now);
  const forgetGuess = () => deps.store.forgetPasswordGuess(guess.emailHash, guess.id);
  let verdict: Awaited<ReturnType<typeof deps.directory.verifyPassword>>;
  try {
    verdict = await deps.directory.verifyPassword(request.email, request.password, caller.ipAddress);
  } catch (error) {
    // Nothing was compared: an outage must not lock anybody out after it.
    await forgetGuess().catch(() => {});
    throw error;
  }

  if (!verdict.matches || verdict.account === undefined) {
    // For an unknown address the same statement runs for an account that does not exist: the same work, the same time.
    const accountId = verdict.account?.accountId ?? deps.random.uuid(now);
    const origin = deps.places.originOf(caller.ipAddress);
    const { deviceId } = guess;
    await deps.store.appendEvent(
      eventOf(deps, accountId, 'PASSWORD_WRONG', now, { device: request.device, deviceId, origin }),
    );
    throw new DomainError({ reason: 'CREDENTIALS_INCORRECT' });
  }

  const directory = verdict.account;
  const admit = async (tx: AccountTransaction): Promise<Outcome<Admission>> => {
    const held = request.deviceToken === '' ? undefined : deps.secrets.read(request.deviceToken);
    const [account, known] = await Promise.all([
      tx.account,
      held?.accountId === directory.accountId ? tx.deviceByToken(held.hash) : undefined,
    ]);
    // Deleted, or given a new password, while the old one was being compared.
    const stale = verdict.passwordVersion !== undefined && account?.passwordVersion !== verdict.passwordVersion;
    const admission =
      account === undefined || stale
        ? refuse({ reason: 'CREDENTIALS_INCORRECT' })
        : await admitDevice(deps, tx, { account, directory }, known, request, caller, now);
    // Whatever was decided, it was no guess.
    tx.forgetPasswordGuess(guess.emailHash, guess.id);
    return admission;
  };
  const result = await decide(deps, directory.accountId, admit).catch(async (error) => {
    // Rolled back, or not known to be committed, for reasons that are none of the guesser's.
    if (isOutage(error)) await forgetGuess().catch(() => {});
    throw error;
  });
  if ('challengeGrant' in result) return result;
  return { session: grantSession(deps, result.opened, result.account, '', now) };
}

/** More than the guesses that strangers have at once: whoever loses so often is one of a crowd at one address. */
const mostLaps = 20;

/** Counts the guess before the password is looked at; a trusted device has a budget of its own. */
async function countGuess(
  deps: Deps,
  request: SignInRequest,
  caller: Caller,
  now: Date,
): Promise<{ readonly id: string; readonly emailHash: Uint8Array; readonly deviceId: string | null }> {
  const emailHash = deps.secrets.hashOf(normaliseEmail(request.email));
  const [before, deviceId] = await Promise.all([
    deps.store.passwordGuesses(emailHash),
    trustedDeviceOf(deps, request, now),
  ]);
  const guess = { id: deps.random.uuid(now), time: now.getTime(), network: networkOf(caller.ipAddress), deviceId };
  // Of those who count at once one is first; the others look again, until the budget ends it, or their patience.
  let past = before;
  for (let lap = 0; lap < mostLaps; lap++) {
    const { guesses, waitMs } = admitPasswordGuess(past, guess, deps.limits);
    if (waitMs > 0) throw new DomainError({ reason: 'RATE_LIMITED', retryAfterMs: waitMs });
    const counted = await deps.store.replacePasswordGuesses(emailHash, past, guesses, now).catch(async (error) => {
      // It may have been counted, and nothing will be compared.
      await deps.store.forgetPasswordGuess(emailHash, guess.id).catch(() => {});
      throw error;
    });
    if (counted) return { id: guess.id, emailHash, deviceId };
    past = await deps.store.passwordGuesses(emailHash);
  }
  throw new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 500 });
}

/** The id of the trusted device that presents itself for this very address, or null. */
async function trustedDeviceOf(deps: Deps, request: SignInRequest, now: Date): Promise<string | null> {
  const held = request.deviceToken === '' ? undefined : deps.secrets.read(request.deviceToken);
  if (held === undefined) return null;
  const [device, known] = await Promise.all([
    deps.store.findDeviceByToken(held.accountId, held.hash),
    deps.directory.lookUpAccount(request.email),
  ]);
  if (device === undefined || !isTrusted(device, deps.limits, now)) return null;
  return known?.accountId === held.accountId ? device.deviceId : null;
}

type Admission =
  | { readonly opened: OpenedSession; readonly account: Account }
  | { readonly challengeGrant: ChallengeGrant };

/** The password was right: a trusted device, or an account without two-step verification, gets a session. */
async function admitDevice(
  deps: Deps,
  tx: AccountTransaction,
  owner: { readonly account: Account; readonly directory: DirectoryAccount },
  known: Device | undefined,
  request: SignInRequest,
  caller: Caller,
  now: Date,
): Promise<Outcome<Admission>> {
  const { account } = owner;
  const origin = deps.places.originOf(caller.ipAddress);
  if (known !== undefined && isTrusted(known, deps.limits, now)) {
    tx.endSessions({ deviceId: known.deviceId }, 'REPLACED', now);
    tx.saveDevice({
      ...known,
      ...request.device,
      // Its owner may have renamed it here; what it calls itself does not undo that.
      displayName: known.displayName,
      lastUseTime: now,
      lastIpAddress: origin.ipAddress,
      lastPlace: origin.place,
    });
    const opened = openSession(deps, tx, known, ['pwd', 'device'], now);
    tx.appendEvent(
      eventOf(deps, account.accountId, 'SIGNED_IN_TRUSTED_DEVICE', now, {
        device: { ...request.device, displayName: known.displayName },
        deviceId: known.deviceId,
        sessionId: opened.session.sessionId,
        origin,
      }),
    );
    return { ok: { opened, account } };
  }

  if (!account.twoStepEnabled) {
    const [others, noticed] = await Promise.all([
      tx.appDevices(now),
      tx.countMails('NEW_SIGN_IN', new Date(now.getTime() - deps.limits.challengesPerAccount.windowMs)),
    ]);
    const device = newDevice(deps, account.accountId, request.device, origin, now);
    tx.insertDevice(device);
    const opened = openSession(deps, tx, device, ['pwd'], now);
    const event = eventOf(deps, account.accountId, 'SIGNED_IN_WITHOUT_TWO_STEP', now, {
      device: request.device,
      deviceId: device.deviceId,
      sessionId: opened.session.sessionId,
      origin,
      unusual: ['NEW_DEVICE'],
    });
    // No code bounds such sign-ins: whoever has the password must not fill the owner's mailbox with them.
    if (noticed >= deps.limits.challengesPerAccount.count) tx.appendEvent(event);
    else appendAndAlert(deps, tx, 'NEW_SIGN_IN', event, others, device.deviceId, now);
    return { ok: { opened, account } };
  }

  if (request.requestId !== null) {
    const since = new Date(now.getTime() - deps.limits.repeatWindowMs);
    const repeated = await tx.challengeByRequest(request.requestId, since);
    if (repeated !== undefined) return { ok: { challengeGrant: await reissueChallenge(deps, tx, repeated, now) } };
  }
  const opened = await openChallenge(
    deps,
    tx,
    owner,
    caller,
    { purpose: 'SIGN_IN', requestId: request.requestId, sessionId: null, deviceId: null, device: request.device },
    now,
  );
  return 'refused' in opened ? opened : { ok: { challengeGrant: opened.ok } };
}

interface VerifiedSignIn {
  readonly opened: OpenedSession;
  readonly account: Account;
  readonly deviceToken: string;
}

/** Answers a sign-in challenge: the session opens, and the device is trusted unless it declines. */
export async function verifyCode(
  deps: Deps,
  challengeToken: string,
  code: string,
  trustDevice: boolean,
  caller: Caller,
): Promise<SessionGrant> {
  const held = deps.secrets.read(challengeToken);
  if (held === undefined) throw new DomainError({ reason: 'CHALLENGE_UNKNOWN' });
  const now = deps.clock.now();
  const key = { challengeToken: held.hash };
  const verify = async (tx: AccountTransaction): Promise<Outcome<VerifiedSignIn>> => {
    const [before, challenge, trusted, others] = await Promise.all([
      tx.account,
      tx.challengeByToken(held.hash),
      trustDevice ? tx.devicesWithTrust() : [],
      tx.appDevices(now),
    ]);
    if (before === undefined || challenge?.purpose !== 'SIGN_IN') return refuse({ reason: 'CHALLENGE_UNKNOWN' });
    const tried = await tryCode(deps, tx, before, challenge, code, caller, now);
    if ('refused' in tried) return tried;
    const { account, again } = tried.ok;

    if (again) {
      const session = challenge.sessionId === null ? undefined : await tx.session(challenge.sessionId);
      const device = session && (await tx.device(session.deviceId));
      // Somebody uses the first answer: it was not lost.
      if (session === undefined || device === undefined || session.endCause !== null || session.firstUseTime !== null) {
        return refuse({ reason: 'CHALLENGE_CLOSED', challenge: await viewIn(deps, tx, challenge, now) });
      }
      const secret = device.tokenHash === null ? undefined : deps.secrets.issue(account.accountId);
      if (secret !== undefined) tx.saveDevice({ ...device, tokenHash: secret.hash });
      return { ok: { opened: reopenSession(deps, tx, session), account, deviceToken: secret?.token ?? '' } };
    }

    if (account !== before) tx.saveAccount(account);
    const origin = deps.places.originOf(caller.ipAddress);
    const secret = trustDevice ? deps.secrets.issue(account.accountId) : undefined;
    if (trustDevice) makeRoomForOne(deps, tx, trusted, others, now);
    const device: Device = {
      ...newDevice(deps, account.accountId, { ...challenge.device, appVersion: caller.appVersion }, origin, now),
      ...(secret === undefined ? {} : { tokenHash: secret.hash, trustTime: now }),
    };
    tx.insertDevice(device);
    const opened = openSession(deps, tx, device, ['pwd', 'otp'], now);
    tx.saveChallenge({ ...challenge, state: 'VERIFIED', settleTime: now, sessionId: opened.session.sessionId });
    const event = eventOf(deps, account.accountId, 'SIGNED_IN_WITH_CODE', now, {
      device: challenge.device,
      deviceId: device.deviceId,
      sessionId: opened.session.sessionId,
      challengeId: challenge.challengeId,
      origin,
      unusual: ['NEW_DEVICE'],
    });
    appendAndAlert(deps, tx, 'NEW_SIGN_IN', event, others, device.deviceId, now);
    return { ok: { opened, account, deviceToken: secret?.token ?? '' } };
  };
  const { opened, account, deviceToken } = await decide(deps, held.accountId, verify, key);
  return grantSession(deps, opened, account, deviceToken, now);
}
