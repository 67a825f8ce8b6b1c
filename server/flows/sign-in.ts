// Sign-in: password, then trust or a code. Counts before it looks, and decides in one transaction under the account's lock.

import type { Account } from '../domain/account.ts';
import type { AppDevice, Challenge } from '../domain/challenge.ts';
import { type Device, type DeviceDescription, type Origin, signedIn } from '../domain/device.ts';
import { DomainError, isOutage, type Reason } from '../domain/errors.ts';
import type { AuthenticationMethod } from '../domain/session.ts';
import { isTrusted } from '../domain/trust.ts';
import {
  countriesAfter,
  findUnusual,
  isAlarming,
  ownPlace,
  type Sighting,
  type StepUp,
  type UnusualFinding,
} from '../domain/unusual.ts';
import { appendAndAlert } from './alerts.ts';
import { type ChallengeGrant, openChallenge, reissueChallenge, tryCode, viewIn } from './codes.ts';
import { type Caller, type Deps, decide, eventOf, type Outcome, oddities, refuse, unlessAway } from './context.ts';
import { countGuess, guessesAt } from './password-guesses.ts';
import type { DirectoryAccount } from './ports.ts';
import { grantSession, type OpenedSession, openSession, reopenSession, type SessionGrant } from './sessions.ts';
import type { AccountTransaction } from './store-ports.ts';
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
  const [guesses, trustedId] = await Promise.all([guessesAt(deps, request.email), trustedDeviceOf(deps, request, now)]);
  const guess = await countGuess(deps, guesses, caller.ipAddress, trustedId, now);
  const forgetGuess = () => deps.store.forgetPasswordGuess(guess.key, guess.id);
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
    await deps.store.appendEvent(
      eventOf(deps, accountId, 'PASSWORD_WRONG', now, { device: request.device, deviceId: trustedId, origin }),
    );
    throw new DomainError({ reason: 'CREDENTIALS_INCORRECT' });
  }

  const directory = verdict.account;
  // What the hash that was compared is to be replaced by can wait for the next sign-in; this one does not fail for it.
  const renewal = await unlessAway(verdict.renewHash?.());
  const admit = async (tx: AccountTransaction): Promise<Outcome<Admission>> => {
    const held = request.deviceToken === '' ? undefined : deps.secrets.read(request.deviceToken);
    const [account, known, sightings] = await Promise.all([
      tx.account,
      held?.accountId === directory.accountId ? tx.deviceByToken(held.hash) : undefined,
      tx.sightings(),
    ]);
    // Deleted, or given a new password, while the old one was being compared.
    const stale = verdict.passwordVersion !== undefined && account?.passwordVersion !== verdict.passwordVersion;
    const admission =
      account === undefined || stale
        ? refuse({ reason: 'CREDENTIALS_INCORRECT' })
        : await admitDevice(deps, tx, { account, directory, sightings }, known, request, caller, now);
    if (renewal !== undefined && account !== undefined && !stale) tx.renewPasswordHash(renewal, now);
    // It was no guess; but where nothing else counts it, whoever has the password must not have it compared without end.
    if (!('refused' in admission && countsNothing.has(admission.refused.reason))) {
      tx.forgetPasswordGuess(guess.key, guess.id);
    }
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

/** What a right password is refused with that leaves no challenge behind. */
const countsNothing: ReadonlySet<Reason> = new Set(['RATE_LIMITED', 'VERIFICATION_LOCKED']);

/**
 * The id of the trusted device that presents itself for this very address, or null. Only for a trusted device is the directory asked:
 * nothing bounds yet how often a stranger calls.
 */
async function trustedDeviceOf(deps: Deps, request: SignInRequest, now: Date): Promise<string | null> {
  const held = request.deviceToken === '' ? undefined : deps.secrets.read(request.deviceToken);
  if (held === undefined) return null;
  const device = await deps.store.findDeviceByToken(held.accountId, held.hash);
  if (device === undefined || !isTrusted(device, deps.limits, now)) return null;
  const known = await deps.directory.lookUpAccount(request.email);
  return known?.accountId === held.accountId ? device.deviceId : null;
}

type Admission =
  | { readonly opened: OpenedSession; readonly account: Account }
  | { readonly challengeGrant: ChallengeGrant };

/** Who signs in, and from where the account's devices did so before. */
interface Owner {
  readonly account: Account;
  readonly directory: DirectoryAccount;
  readonly sightings: readonly Sighting[];
}

/** The password was right: a trusted device, or an account without two-step verification, gets a session. */
async function admitDevice(
  deps: Deps,
  tx: AccountTransaction,
  owner: Owner,
  known: Device | undefined,
  request: SignInRequest,
  caller: Caller,
  now: Date,
): Promise<Outcome<Admission>> {
  const { account, sightings } = owner;
  const origin = deps.places.originOf(caller.ipAddress);
  const trusted = known !== undefined && isTrusted(known, deps.limits, now) ? known : undefined;
  const arrival = { time: now, origin, deviceId: trusted?.deviceId ?? null };
  const findings = findUnusual(arrival, { sightings, countries: account.countries ?? [] });
  const asksMore = account.twoStepEnabled && deps.stepUpOn.some((cause) => isAmong(findings, cause));

  if (trusted !== undefined && !asksMore) {
    // Its owner may have renamed it here; what it calls itself does not undo that.
    const device = { ...request.device, displayName: trusted.displayName };
    const opened = replaceSession(
      deps,
      tx,
      { ...trusted, ...device, ...signedIn(origin, now) },
      ['pwd', 'device'],
      now,
    );
    const learned = learnCountry(tx, account, origin);
    const event = eventOf(deps, account.accountId, 'SIGNED_IN_TRUSTED_DEVICE', now, {
      device,
      deviceId: trusted.deviceId,
      sessionId: opened.session.sessionId,
      origin,
      ...oddities(findings),
    });
    if (isAlarming(findings)) {
      appendAndAlert(deps, tx, 'UNUSUAL_SIGN_IN', event, await tx.appDevices(now), trusted.deviceId, now);
    } else tx.appendEvent(event);
    return { ok: { opened, account: learned } };
  }

  if (!account.twoStepEnabled) {
    const [others, noticed] = await Promise.all([
      tx.appDevices(now),
      tx.countMails('NEW_SIGN_IN', new Date(now.getTime() - deps.limits.challengesPerAccount.windowMs)),
    ]);
    const device = newDevice(deps, account.accountId, request.device, origin, now);
    tx.insertDevice(device);
    const opened = openSession(deps, tx, device, ['pwd'], now);
    const learned = learnCountry(tx, account, origin);
    const event = eventOf(deps, account.accountId, 'SIGNED_IN_WITHOUT_TWO_STEP', now, {
      device: request.device,
      deviceId: device.deviceId,
      sessionId: opened.session.sessionId,
      origin,
      ...oddities(findings),
    });
    // No code bounds such sign-ins: whoever has the password must not fill the owner's mailbox with them.
    if (noticed >= deps.limits.challengesPerAccount.count) tx.appendEvent(event);
    else appendAndAlert(deps, tx, 'NEW_SIGN_IN', event, others, device.deviceId, now);
    return { ok: { opened, account: learned } };
  }

  if (request.requestId !== null) {
    const since = new Date(now.getTime() - deps.limits.repeatWindowMs);
    const repeated = await tx.challengeByRequest(request.requestId, since);
    const isSame = repeated?.deviceId === (trusted?.deviceId ?? null);
    if (repeated !== undefined && isSame)
      return { ok: { challengeGrant: await reissueChallenge(deps, tx, repeated, now) } };
  }
  const opened = await openChallenge(
    deps,
    tx,
    owner,
    caller,
    {
      purpose: 'SIGN_IN',
      requestId: request.requestId,
      sessionId: null,
      // A trusted device that is asked all the same: its own screen must not show the code.
      deviceId: trusted?.deviceId ?? null,
      device: request.device,
    },
    findings,
    now,
  );
  return 'refused' in opened ? opened : { ok: { challengeGrant: opened.ok } };
}

const isAmong = (findings: readonly UnusualFinding[], cause: StepUp) =>
  findings.some(({ unusual }) => unusual === cause);

/** Notes the country of a sign-in that succeeded, where it is a new one. */
function learnCountry(tx: AccountTransaction, account: Account, origin: Origin): Account {
  const countries = countriesAfter(account.countries, ownPlace(origin));
  if (countries === account.countries) return account;
  const learned = { ...account, countries };
  tx.saveAccount(learned);
  return learned;
}

/** A device that is known signs in again: the session of before ends. */
function replaceSession(
  deps: Deps,
  tx: AccountTransaction,
  device: Device,
  amr: readonly AuthenticationMethod[],
  now: Date,
): OpenedSession {
  tx.endSessions({ deviceId: device.deviceId }, 'REPLACED', now);
  tx.saveDevice(device);
  return openSession(deps, tx, device, amr, now);
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
    const [before, challenge, withTrust, others, sightings] = await Promise.all([
      tx.account,
      tx.challengeByToken(held.hash),
      tx.devicesWithTrust(),
      tx.appDevices(now),
      tx.sightings(),
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
      // A device that was trusted before keeps the token that it has.
      const hasToken = device.tokenHash !== null && challenge.deviceId === null;
      const secret = hasToken ? deps.secrets.issue(account.accountId) : undefined;
      if (secret !== undefined) tx.saveDevice({ ...device, tokenHash: secret.hash });
      return { ok: { opened: reopenSession(deps, tx, session), account, deviceToken: secret?.token ?? '' } };
    }

    const origin = deps.places.originOf(caller.ipAddress);
    const countries = countriesAfter(account.countries, ownPlace(origin));
    const after = countries === account.countries ? account : { ...account, countries };
    if (after !== before) tx.saveAccount(after);
    // A trusted device that was asked all the same keeps its trust and its token.
    const known = withTrust.find(
      (device) => device.deviceId === challenge.deviceId && isTrusted(device, deps.limits, now),
    );
    const arrival = { time: now, origin, deviceId: known?.deviceId ?? null };
    const findings = findUnusual(arrival, { sightings, countries: before.countries ?? [] });
    const { device, opened, deviceToken } =
      known === undefined
        ? admitNew(deps, tx, { challenge, withTrust, others, trustDevice }, caller, origin, now)
        : admitAgain(deps, tx, known, caller, origin, now);
    tx.saveChallenge({ ...challenge, state: 'VERIFIED', settleTime: now, sessionId: opened.session.sessionId });
    const event = eventOf(deps, account.accountId, 'SIGNED_IN_WITH_CODE', now, {
      device: challenge.device,
      deviceId: device.deviceId,
      sessionId: opened.session.sessionId,
      challengeId: challenge.challengeId,
      origin,
      ...oddities(findings),
    });
    if (known !== undefined && !isAlarming(findings)) tx.appendEvent(event);
    else {
      const kind = known === undefined ? 'NEW_SIGN_IN' : 'UNUSUAL_SIGN_IN';
      appendAndAlert(deps, tx, kind, event, others, device.deviceId, now);
    }
    return { ok: { opened, account: after, deviceToken } };
  };
  const { opened, account, deviceToken } = await decide(deps, held.accountId, verify, key);
  return grantSession(deps, opened, account, deviceToken, now);
}

interface Admitted {
  readonly device: Device;
  readonly opened: OpenedSession;
  readonly deviceToken: string;
}

/** A new device, trusted unless it declines. */
function admitNew(
  deps: Deps,
  tx: AccountTransaction,
  asked: {
    readonly challenge: Challenge;
    readonly withTrust: readonly Device[];
    readonly others: readonly AppDevice[];
    readonly trustDevice: boolean;
  },
  caller: Caller,
  origin: Origin,
  now: Date,
): Admitted {
  const { challenge, withTrust, others, trustDevice } = asked;
  const { accountId } = challenge;
  const secret = trustDevice ? deps.secrets.issue(accountId) : undefined;
  if (trustDevice) makeRoomForOne(deps, tx, withTrust, others, now);
  const device: Device = {
    ...newDevice(deps, accountId, { ...challenge.device, appVersion: caller.appVersion }, origin, now),
    ...(secret === undefined ? {} : { tokenHash: secret.hash, trustTime: now }),
  };
  tx.insertDevice(device);
  const opened = openSession(deps, tx, device, ['pwd', 'otp'], now);
  return { device, opened, deviceToken: secret?.token ?? '' };
}

/** A device that is trusted already. */
function admitAgain(
  deps: Deps,
  tx: AccountTransaction,
  known: Device,
  caller: Caller,
  origin: Origin,
  now: Date,
): Admitted {
  const device = { ...known, appVersion: caller.appVersion, ...signedIn(origin, now) };
  const opened = replaceSession(deps, tx, device, ['pwd', 'device', 'otp'], now);
  return { device, opened, deviceToken: '' };
}
