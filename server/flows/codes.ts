// Challenges from opening to settling: who may open one, sending again, and the one place where a code is compared.

import { type Account, admitVerification } from '../domain/account.ts';
import {
  admitCode,
  afterWrongCode,
  appAudience,
  type Challenge,
  type ChallengeView,
  type Channel,
  chooseDefaultChannel,
  decideSend,
  denialWait,
  isAvailable,
  type Purpose,
  type Surroundings,
  sentChannels,
  unsent,
  viewChallenge,
} from '../domain/challenge.ts';
import type { PushService } from '../domain/delivery.ts';
import type { DeviceDescription } from '../domain/device.ts';
import { DomainError, type Refusal } from '../domain/errors.ts';
import { budgetWait } from '../domain/limits.ts';
import type { LoginEvent } from '../domain/login-event.ts';
import { maskEmail } from '../domain/mask.ts';
import { networkOf } from '../domain/network.ts';
import type { UnusualFinding } from '../domain/unusual.ts';
import { appendAndAlert } from './alerts.ts';
import { type Caller, type Deps, decide, eventOf, type Outcome, oddities, refuse } from './context.ts';
import type { DirectoryAccount } from './ports.ts';
import type { AccountTransaction, Delivery } from './store-ports.ts';

/** A challenge and its requester's secret. */
export interface ChallengeGrant {
  readonly challengeToken: string;
  readonly challenge: ChallengeView;
}

export interface ChallengeRequest {
  readonly purpose: Purpose;
  readonly requestId: string | null;
  readonly sessionId: string | null;
  /** The device that asks, where the account knows it. */
  readonly deviceId: string | null;
  readonly device: DeviceDescription;
}

/** What is denied now was opened, or repeated, within the last hours: a day is more than enough. */
const rememberedMs = 25 * 3_600_000;

/**
 * Opens a challenge and sends its first code, unless the account is locked or has had too many within the hour. Where nothing can
 * bring a code it is closed at once, and counts: CHANNEL_UNAVAILABLE.
 */
export async function openChallenge(
  deps: Deps,
  tx: AccountTransaction,
  owner: { readonly account: Account; readonly directory: DirectoryAccount },
  caller: Caller,
  request: ChallengeRequest,
  findings: readonly UnusualFinding[],
  now: Date,
): Promise<Outcome<ChallengeGrant>> {
  const { limits } = deps;
  if (admitVerification(owner.account, limits, now).kind === 'locked') return refuse({ reason: 'VERIFICATION_LOCKED' });
  const network = networkOf(caller.ipAddress);
  const [recent, devices, emailOpen] = await Promise.all([
    tx.recentChallenges(new Date(now.getTime() - rememberedMs)),
    tx.appDevices(now),
    tx.emailOpen(),
  ]);
  const times = recent.map(({ createTime }) => createTime.getTime());
  const waitMs = Math.max(
    budgetWait(times, limits.challengesPerAccount, now.getTime()),
    denialWait(recent, network, now),
  );
  if (waitMs > 0) return refuse({ reason: 'RATE_LIMITED', retryAfterMs: waitMs });

  const around = { codeSends: [], audience: appAudience(devices, request.deviceId), emailOpen };
  const { token, hash } = deps.secrets.issue(owner.account.accountId);
  const challenge: Challenge = {
    ...request,
    accountId: owner.account.accountId,
    challengeId: deps.random.uuid(now),
    state: 'PENDING',
    tokenHash: hash,
    codeKeyId: deps.codes.currentKeyId(now),
    defaultChannel: chooseDefaultChannel(around),
    network,
    locale: caller.locale ?? owner.directory.locale,
    origin: deps.places.originOf(caller.ipAddress),
    maskedEmail: maskEmail(owner.directory.email),
    createTime: now,
    expireTime: new Date(now.getTime() + limits.challengeLifetimeMs),
    settleTime: null,
    denyTime: null,
    wrongCodes: 0,
    sends: {},
  };
  if (!isAvailable(challenge.defaultChannel, around)) {
    return refuseUnsent(deps, tx, unsent(challenge), around, findings, now);
  }
  const sent = sendOn(deps, tx, challenge, challenge.defaultChannel, around, now, tx.insertChallenge, findings);
  return 'refused' in sent ? sent : { ok: { challengeToken: token, challenge: sent.ok } };
}

/** Leaves a trace of who had the right password, or a session, and no way to get a code: for the owner, and for support. */
function refuseUnsent(
  deps: Deps,
  tx: AccountTransaction,
  challenge: Challenge,
  around: Surroundings,
  findings: readonly UnusualFinding[],
  now: Date,
): Outcome<never> {
  tx.insertChallenge(challenge);
  const event = eventOfChallenge(deps, challenge, 'CHALLENGE_DENIED', findings, now);
  // In place of the mail with a code, and so no more often. Nobody else could be told: no trusted device is signed in but who asks.
  if (challenge.purpose === 'SIGN_IN') appendAndAlert(deps, tx, 'CODE_NOT_SENT', event, [], null, now);
  else tx.appendEvent(event);
  return refuse({ reason: 'CHANNEL_UNAVAILABLE', challenge: viewChallenge(challenge, around, deps.limits, now) });
}

/** What somebody's asking for a code left in the login activity. */
function eventOfChallenge(
  deps: Deps,
  { accountId, challengeId, purpose, sessionId, device, deviceId, origin }: Challenge,
  kind: 'CODE_SENT' | 'CHALLENGE_DENIED',
  findings: readonly UnusualFinding[],
  now: Date,
  channel: Channel | null = null,
): LoginEvent {
  return eventOf(deps, accountId, kind, now, {
    device,
    deviceId,
    challengeId,
    sessionId: purpose === 'SWITCH_OFF' ? sessionId : null,
    channel,
    origin,
    ...oddities(findings),
  });
}

/** The same challenge for a repeated request, under a new token; nothing is sent. */
export async function reissueChallenge(
  deps: Deps,
  tx: AccountTransaction,
  challenge: Challenge,
  now: Date,
): Promise<ChallengeGrant> {
  const { token, hash } = deps.secrets.issue(challenge.accountId);
  const reissued = { ...challenge, tokenHash: hash };
  tx.saveChallenge(reissued);
  return { challengeToken: token, challenge: await viewIn(deps, tx, reissued, now) };
}

/** Resend, or the other channel. */
export async function sendCode(deps: Deps, challengeToken: string, channel: Channel): Promise<ChallengeView> {
  const held = deps.secrets.read(challengeToken);
  if (held === undefined) throw new DomainError({ reason: 'CHALLENGE_UNKNOWN' });
  const now = deps.clock.now();
  const key = { challengeToken: held.hash };
  const send = async (tx: AccountTransaction) => {
    const [account, challenge] = await Promise.all([tx.account, tx.challengeByToken(held.hash)]);
    if (account === undefined || challenge === undefined) return refuse({ reason: 'CHALLENGE_UNKNOWN' });
    return sendOn(deps, tx, challenge, channel, await surroundingsIn(tx, challenge, now), now, tx.saveChallenge);
  };
  return decide(deps, held.accountId, send, key);
}

/** Sends the code on a channel, if it may be sent now. `findings` say what is odd about who asks. */
export function sendOn(
  deps: Deps,
  tx: AccountTransaction,
  challenge: Challenge,
  channel: Channel,
  around: Surroundings,
  now: Date,
  save: (challenge: Challenge) => void,
  findings: readonly UnusualFinding[] = [],
): Outcome<ChallengeView> {
  const decision = decideSend(challenge, channel, around, deps.limits, now);
  const asItIs = () => viewChallenge(challenge, around, deps.limits, now);
  const refusedWith = (reason: ChallengeReason) => refuse({ reason, challenge: asItIs() });
  switch (decision.kind) {
    case 'expired':
      return refusedWith('CHALLENGE_EXPIRED');
    case 'closed':
      return refusedWith('CHALLENGE_CLOSED');
    case 'unavailable':
      return refusedWith('CHANNEL_UNAVAILABLE');
    case 'exhausted':
      return refusedWith('SENDS_EXHAUSTED');
    case 'tooSoon':
      return refuse({
        reason: 'SEND_TOO_SOON',
        challenge: asItIs(),
        retryAfterMs: decision.waitMs,
      });
    case 'send': {
      const sent = decision.challenge;
      save(sent);
      tx.appendEvent(eventOfChallenge(deps, sent, 'CODE_SENT', findings, now, channel));
      const deliveries = codeDeliveries(deps, sent, channel, around, now);
      tx.send(deliveries, now);
      if (channel === 'APP') {
        const pushed = deliveries.some(({ pushService }) => pushService !== null);
        if (pushed) tx.settleLater(sent.challengeId, sent.expireTime.getTime() - now.getTime());
        const mayFallBack = around.emailOpen && !sentChannels(sent).includes('EMAIL');
        if (mayFallBack) tx.fallBackLater(sent.challengeId, deps.limits.shownWithinMs);
      }
      const justSent = deliveries.map((delivery) => ({ ...delivery, state: 'QUEUED' as const, createTime: now }));
      const codeSends = [...around.codeSends, ...justSent];
      return { ok: viewChallenge(sent, { ...around, codeSends }, deps.limits, now) };
    }
  }
}

/** One mail; or what open apps show, and a push to each device that takes them. */
function codeDeliveries(
  deps: Deps,
  { accountId, challengeId, locale }: Challenge,
  channel: Channel,
  { audience }: Surroundings,
  now: Date,
): readonly Delivery[] {
  const one = (pushService: PushService | null, deviceId: string | null): Delivery => ({
    accountId,
    deliveryId: deps.random.uuid(now),
    kind: 'CODE',
    channel,
    pushService,
    deviceId,
    challengeId,
    eventId: null,
    address: null,
    // Who asks chooses the language of the mail, but not what the owner's own devices say.
    locale: channel === 'EMAIL' ? locale : null,
  });
  if (channel === 'EMAIL') return [one(null, null)];
  return [one(null, null), ...audience.flatMap(({ push, deviceId }) => (push === null ? [] : [one(push, deviceId)]))];
}

/** The refusals that say no more than the challenge. */
type ChallengeReason = Exclude<Extract<Refusal, { readonly challenge: ChallengeView }>['reason'], 'SEND_TOO_SOON'>;

export async function getChallenge(deps: Deps, challengeToken: string): Promise<ChallengeView> {
  const held = deps.secrets.read(challengeToken);
  const now = deps.clock.now();
  const found = held && (await deps.store.findChallengeByToken(held.accountId, held.hash, now));
  if (found === undefined) throw new DomainError({ reason: 'CHALLENGE_UNKNOWN' });
  return viewChallenge(found.challenge, found.around, deps.limits, now);
}

/** The challenge as its requester sees it, with what this transaction has sent. */
export async function viewIn(
  deps: Deps,
  tx: AccountTransaction,
  challenge: Challenge,
  now: Date,
): Promise<ChallengeView> {
  return viewChallenge(challenge, await surroundingsIn(tx, challenge, now), deps.limits, now);
}

/** What is around a challenge, with what this transaction has sent. */
export async function surroundingsIn(tx: AccountTransaction, challenge: Challenge, now: Date): Promise<Surroundings> {
  const [codeSends, devices, emailOpen] = await Promise.all([
    tx.codeSendsOf(challenge.challengeId),
    tx.appDevices(now),
    tx.emailOpen(),
  ]);
  return { codeSends, audience: appAudience(devices, challenge.deviceId), emailOpen };
}

/**
 * Compares a code, the only place that does. A wrong one is counted on the challenge and on the account, and what this
 * returns must be committed. A right one is for the caller to settle the challenge with, and to save the account, whose
 * count it clears; `again` says that the challenge was settled by the same code before.
 */
export async function tryCode(
  deps: Deps,
  tx: AccountTransaction,
  account: Account,
  challenge: Challenge,
  presented: string,
  caller: Caller,
  now: Date,
): Promise<Outcome<{ readonly challenge: Challenge; readonly account: Account; readonly again: boolean }>> {
  if (presented.length !== deps.limits.codeDigits) {
    // No code of ours: it costs no attempt.
    const description = `must have ${deps.limits.codeDigits} digits`;
    return refuse({ reason: 'REQUEST_INVALID', violations: [{ field: 'code', description }] });
  }
  const admission = admitCode(challenge, deps.limits, now);
  const refusedWith = async (reason: ChallengeReason, of: Challenge) =>
    refuse({ reason, challenge: await viewIn(deps, tx, of, now) });
  if (admission.kind === 'expired') return refusedWith('CHALLENGE_EXPIRED', challenge);
  if (admission.kind === 'closed') return refusedWith('CHALLENGE_CLOSED', challenge);
  const again = admission.kind === 'compareAgain';

  const verification = admitVerification(account, deps.limits, now);
  if (verification.kind !== 'open') {
    const view = await viewIn(deps, tx, challenge, now);
    return verification.kind === 'locked'
      ? refuse({ reason: 'VERIFICATION_LOCKED', challenge: view })
      : refuse({ reason: 'RATE_LIMITED', retryAfterMs: verification.waitMs, challenge: view });
  }

  // A repeat gets the session that the code has opened, however it came.
  const channels = again ? sentChannels(challenge) : await openChannels(tx, challenge);
  if (!deps.codes.matches(challenge, channels, presented)) {
    const after = afterWrongCode(challenge, deps.limits, now);
    tx.saveChallenge(after);
    tx.saveAccount({ ...account, wrongCodes: account.wrongCodes + 1, lastWrongCodeTime: now });
    tx.appendEvent(
      eventOf(deps, account.accountId, 'CODE_WRONG', now, {
        device: challenge.device,
        deviceId: challenge.deviceId,
        challengeId: challenge.challengeId,
        origin: deps.places.originOf(caller.ipAddress),
      }),
    );
    return refusedWith(again ? 'CHALLENGE_CLOSED' : 'CODE_INCORRECT', after);
  }
  const cleared = account.wrongCodes === 0 ? account : { ...account, wrongCodes: 0, lastWrongCodeTime: null };
  return { ok: { challenge, account: cleared, again } };
}

/**
 * The channels whose code counts: those that were sent, unless they were closed since. A code that was mailed before the account had a
 * trusted device must not let another in after it.
 */
async function openChannels(tx: AccountTransaction, challenge: Challenge): Promise<readonly Channel[]> {
  const sent = sentChannels(challenge);
  return !sent.includes('EMAIL') || (await tx.emailOpen()) ? sent : sent.filter((channel) => channel !== 'EMAIL');
}
