// One delivery from its job to what its provider answered: written now, so that a code exists only on its way; handed over
// once; noted with the time of the next try. It must not know how jobs are run.

import { setTimeout as sleep } from 'node:timers/promises';
import { type AlertKind, alertKinds } from '../domain/alert.ts';
import { type Challenge, challengeState } from '../domain/challenge.ts';
import {
  type AttemptOutcome,
  deadlineOf,
  mostAttempts,
  resetLinkLifetimeMs,
  routeOf,
  waitBeforeRetry,
} from '../domain/delivery.ts';
import type { PushRegistration } from '../domain/device.ts';
import { isAway } from '../domain/errors.ts';
import { type LoginEvent, timeOfUuid } from '../domain/login-event.ts';
import { maskEmail } from '../domain/mask.ts';
import type { Clock, Codes, Directory, DirectoryAccount, WasNotMe } from '../flows/ports.ts';
import type { DeliveryRecord } from '../flows/store-ports.ts';
import type { Logger } from '../platform/log.ts';
import type { Telemetry } from '../platform/telemetry.ts';
import { oneLine } from '../texts/untrusted.ts';
import { type AlertMessage, type Brand, type CodeMessage, compose, composePush, type Message } from './compose.ts';
import type { Mailer } from './email.ts';
import type { Handover } from './handover.ts';
import type { ChallengeJob, DeliveryJob, DeliveryLog, TakenDelivery } from './jobs.ts';
import type { Push, PushSender } from './push.ts';

export interface DeliverDeps {
  readonly clock: Clock;
  readonly codes: Codes;
  readonly directory: Directory;
  /**
   * Whether the directory is the customer's system. Our own database is waited for; that system is asked again with the message's
   * next try, so that an account of which it makes no sense holds up nobody else's mail.
   */
  readonly accountsElsewhere: boolean;
  readonly deliveries: DeliveryLog;
  readonly mailer: Mailer;
  /** Those that are configured. */
  readonly apns: PushSender<Extract<PushRegistration, { readonly service: 'APNS' }>> | undefined;
  readonly fcm: PushSender<Extract<PushRegistration, { readonly service: 'FCM' }>> | undefined;
  /** Where "it wasn't me" is said to a challenge, or to an entry of the login activity that no challenge belongs to. */
  readonly wasNotMeUrl: (accountId: string, may: WasNotMe) => string;
  /** Where a new password is set, for a link that was promised then; undefined where the account is gone. */
  readonly resetUrl: (accountId: string, promiseTime: Date) => Promise<string | undefined>;
  /** What happens when a push of a code has failed for good. */
  readonly onPushFailed: (job: ChallengeJob) => Promise<void>;
  /** Evenly distributed in [0, 1). */
  readonly fraction: () => number;
  readonly telemetry: Pick<Telemetry, 'delivery' | 'span'>;
  readonly brand: Brand;
  /** Whether a code stands in the notification, or only in the app. */
  readonly codeInNotification: boolean;
  readonly log: Logger;
}

/** A job waits this long for PostgreSQL before it fails, and is tried again by the worker's own rule. */
const insistMs = 5 * 60_000;

/**
 * Tries again while PostgreSQL is away: what was taken and not noted is sent twice, and a job that fails would wait
 * far longer than for its return.
 */
export async function insist<T>(work: () => Promise<T>, stopped: AbortSignal): Promise<T> {
  const deadline = performance.now() + insistMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isAway(error) || stopped.aborted || performance.now() > deadline) throw error;
      await sleep(250, undefined, { signal: stopped }).catch(() => {});
    }
  }
}

/** Sends a delivery if it is still to be sent, once. */
export async function deliver(deps: DeliverDeps, job: DeliveryJob, stopped: AbortSignal): Promise<void> {
  const { clock, deliveries, telemetry } = deps;
  const taken = await insist(() => deliveries.take(job, clock.now()), stopped);
  if (taken === undefined) return;
  const { delivery } = taken;
  if ('later' in taken) {
    // Another job of it was there first, or another machine's clock is behind.
    const now = clock.now();
    const retryMs = Math.max(1, taken.later.getTime() - now.getTime());
    return insist(() => deliveries.note(delivery, { state: 'QUEUED', attempt: undefined, retryMs, now }), stopped);
  }
  const channel = channelOf(delivery);
  const attributes = {
    'countersign.account_id': delivery.accountId,
    'countersign.delivery_id': delivery.deliveryId,
    'countersign.channel': channel,
    'countersign.attempt': delivery.attempts.length + 1,
  };
  await telemetry.span(
    'deliver',
    attributes,
    async (span) => span.set('countersign.outcome', await attempt(deps, taken, stopped)),
    { kind: 'consumer', parent: job.traceparent ?? undefined },
  );
}

/** One try, with what it leaves behind: the note, the numbers, a line in the log. */
async function attempt(deps: DeliverDeps, taken: TakenDelivery, stopped: AbortSignal): Promise<string> {
  const { telemetry } = deps;
  const { delivery } = taken;
  const channel = channelOf(delivery);
  const letter = await letterFor(deps, taken, stopped);
  const isSent = letter.kind === 'outgoing';
  if (isSent && delivery.attempts.length === 0) {
    telemetry.delivery.handedOver(channel, (deps.clock.now().getTime() - delivery.createTime.getTime()) / 1000);
  }
  const handover = letter.kind === 'outgoing' ? forRecord(await letter.send(), letter.secrets) : notHandedOver(letter);
  const outcome = await settle(deps, taken, handover, isSent, stopped);
  telemetry.delivery.count(channel, metricNames[outcome]);
  const { accountId, deliveryId, kind } = delivery;
  const fields = { accountId, deliveryId, kind, channel, outcome, answer: handover.answer };
  if (outcome === 'ACCEPTED' || outcome === 'NOT_SENT') deps.log.info(fields, 'delivery');
  else deps.log.warn(fields, 'delivery');
  return metricNames[outcome];
}

const outcomes = {
  accepted: 'ACCEPTED',
  unregistered: 'UNREGISTERED',
  retry: 'RETRY',
  refused: 'REFUSED',
  unreachable: 'UNREACHABLE',
  notSent: 'NOT_SENT',
} as const satisfies Readonly<Record<Handover['kind'] | 'notSent', AttemptOutcome>>;

const metricNames = {
  ACCEPTED: 'accepted',
  UNREGISTERED: 'unregistered',
  RETRY: 'retry',
  REFUSED: 'refused',
  UNREACHABLE: 'unreachable',
  NOT_SENT: 'not_sent',
  GAVE_UP: 'gave_up',
} as const satisfies Readonly<Record<Outcome, string>>;

/** What one try can come to here; that one was interrupted is seen by the next. */
type Outcome = Exclude<AttemptOutcome, 'INTERRUPTED'>;

function channelOf(delivery: DeliveryRecord): 'apns' | 'fcm' | 'email' {
  const route = routeOf(delivery);
  return route === 'APNS' ? 'apns' : route === 'FCM' ? 'fcm' : 'email';
}

type Answered = Handover | { readonly kind: 'notSent'; readonly answer: string };

function notHandedOver(letter: Extract<Letter, { readonly kind: 'none' | 'unwritten' }>): Answered {
  return { kind: letter.kind === 'none' ? 'notSent' : 'retry', answer: letter.why };
}

/** Notes what was answered, and decides whether and when it is tried again. Returns what became of this try. */
async function settle(
  deps: DeliverDeps,
  { delivery, challenge, registration }: TakenDelivery,
  handover: Answered,
  wasHandedOver: boolean,
  stopped: AbortSignal,
): Promise<Outcome> {
  const { deliveries } = deps;
  const { accountId, deviceId, kind } = delivery;
  const now = deps.clock.now();
  const tries = delivery.attempts.length + 1;
  const deadline = deadlineOf(kind, delivery.createTime, challenge?.expireTime);
  let retryMs: number | undefined;
  if (handover.kind === 'retry' || handover.kind === 'unreachable') {
    const askedMs = handover.kind === 'retry' ? handover.afterMs : undefined;
    retryMs = waitBeforeRetry({ kind, deadline }, tries, askedMs, deps.fraction(), now);
  } else if (handover.kind === 'unregistered' && deviceId !== null && registration !== undefined) {
    const { since } = handover;
    const forgotten = await insist(
      () => deliveries.forgetRegistration(accountId, deviceId, registration, since),
      stopped,
    );
    // The device has registered again meanwhile: it can be reached there.
    if (!forgotten) retryMs = waitBeforeRetry({ kind, deadline }, tries, undefined, 0, now);
  }
  const triesAgain = handover.kind === 'retry' || handover.kind === 'unreachable';
  const outcome: Outcome = triesAgain && retryMs === undefined ? 'GAVE_UP' : outcomes[handover.kind];
  const tried = {
    startTime: wasHandedOver ? (delivery.handoverTime ?? now).toISOString() : null,
    endTime: now.toISOString(),
    outcome,
    answer: handover.answer,
  };
  const state = handover.kind === 'accepted' ? 'ACCEPTED' : retryMs === undefined ? 'FAILED' : 'QUEUED';
  await insist(() => deliveries.note(delivery, { state, attempt: tried, retryMs, now }), stopped);
  if (state === 'FAILED' && kind === 'CODE' && delivery.pushService !== null && challenge !== undefined) {
    const { challengeId } = challenge;
    await insist(() => deps.onPushFailed({ accountId, challengeId }), stopped);
  }
  return outcome;
}

const longestAnswer = 300;

/**
 * An answer that is fit to be kept and logged: on one line, of bounded length, without what PostgreSQL can't hold. Providers
 * quote what they took or refused: the code, which is never stored, and the address and the token, which are elsewhere.
 */
function forRecord(handover: Handover, secrets: readonly (readonly [string, string])[]): Handover {
  const answer = secrets.reduce(
    (text, [secret, shown]) => text.replace(new RegExp(RegExp.escape(secret), 'gi'), () => shown),
    handover.answer.toWellFormed(),
  );
  return { ...handover, answer: oneLine(answer, longestAnswer) };
}

type Letter =
  | {
      readonly kind: 'outgoing';
      readonly send: () => Promise<Handover>;
      /** What must not be kept of an answer, and what stands for it. */
      readonly secrets: readonly (readonly [string, string])[];
    }
  | { readonly kind: 'none'; readonly why: string }
  | { readonly kind: 'unwritten'; readonly why: string };

async function letterFor(deps: DeliverDeps, taken: TakenDelivery, stopped: AbortSignal): Promise<Letter> {
  const { accountId, deliveryId } = taken.delivery;
  const ask = () => deps.directory.getAccount(accountId);
  let account: DirectoryAccount | undefined;
  try {
    account = await (deps.accountsElsewhere ? ask() : insist(ask, stopped));
  } catch (error) {
    if (!deps.accountsElsewhere || !isAway(error)) throw error;
    deps.log.warn({ err: error, deliveryId }, 'whom a message goes to could not be asked');
    return { kind: 'unwritten', why: 'the directory of accounts did not answer' };
  }
  return write(deps, taken, account).catch((error): Letter => {
    // A key that is not here yet, or a bug: another replica, or the next release, may do better.
    deps.log.error({ err: error, deliveryId }, 'a message could not be written');
    return { kind: 'unwritten', why: 'it could not be written; see the log' };
  });
}

const nothing = (why: string): Letter => ({ kind: 'none', why: `not sent: ${why}` });

async function write(deps: DeliverDeps, taken: TakenDelivery, account: DirectoryAccount | undefined): Promise<Letter> {
  const { delivery, challenge, registration } = taken;
  if (account === undefined) return nothing('the account is gone');
  const now = deps.clock.now();
  if (delivery.kind === 'CODE' && (challenge === undefined || challengeState(challenge, now) !== 'PENDING')) {
    return nothing('its challenge was over');
  }
  const deadline = deadlineOf(delivery.kind, delivery.createTime, challenge?.expireTime);
  // After a long outage, or where servers die over it again and again.
  if (now >= deadline || delivery.attempts.length >= mostAttempts) return nothing('its time was over');
  if (delivery.channel === 'EMAIL') return writeMail(deps, taken, account, now);
  if (registration === undefined) return nothing('the device takes no notifications any more');
  // Who is signed out may not see a code any more; what happened to the account they may be told.
  if (delivery.kind === 'CODE' && !taken.signedIn) return nothing('the device is signed out');
  const push = writePush(deps, taken, account, now);
  if (push === undefined) return nothing('what it is about is gone');
  const send = sendOf(deps, registration, push);
  // It was when this was decided: another replica has it.
  if (send === undefined)
    return { kind: 'unwritten', why: `${registration.service} is not configured on this replica` };
  const code = challenge === undefined ? undefined : deps.codes.derive(challenge, 'APP');
  const secrets: [string, string][] = [[registration.token, '…']];
  if (code !== undefined) secrets.push([code, '…']);
  return { kind: 'outgoing', send, secrets };
}

function sendOf(deps: DeliverDeps, registration: PushRegistration, push: Push): (() => Promise<Handover>) | undefined {
  const { apns, fcm } = deps;
  if (registration.service === 'APNS') return apns && (() => apns.send(registration, push));
  return fcm && (() => fcm.send(registration, push));
}

async function writeMail(
  deps: DeliverDeps,
  taken: TakenDelivery,
  account: DirectoryAccount,
  now: Date,
): Promise<Letter> {
  const { delivery } = taken;
  const message = await (delivery.kind === 'PASSWORD_RESET'
    ? resetOf(deps, delivery, now)
    : messageOf(deps, taken, account, now));
  if (message === undefined) return nothing('what it is about is gone');
  const to = delivery.address ?? account.email;
  const locale = delivery.locale ?? account.locale;
  const composed = await compose(message, { locale, brand: deps.brand });
  const secrets: [string, string][] = [[to, maskEmail(to)]];
  if (message.kind === 'code') secrets.push([message.code, '…']);
  const url = urlIn(message);
  if (url !== undefined) secrets.push([url, '…']);
  return { kind: 'outgoing', send: () => deps.mailer.send(to, delivery.deliveryId, composed), secrets };
}

/** The link with a secret that a message holds. */
function urlIn(message: Message): string | undefined {
  if (message.kind === 'emailChanged') return undefined;
  return message.kind === 'passwordReset' ? message.resetUrl : message.denyUrl;
}

async function resetOf(
  deps: DeliverDeps,
  { accountId, createTime }: DeliveryRecord,
  now: Date,
): Promise<Message | undefined> {
  const resetUrl = await deps.resetUrl(accountId, createTime);
  if (resetUrl === undefined) return undefined;
  const leftMs = createTime.getTime() + resetLinkLifetimeMs - now.getTime();
  return { kind: 'passwordReset', resetUrl, minutesValid: minutesIn(leftMs), time: createTime };
}

/** Whole minutes, at least one. */
const minutesIn = (ms: number) => Math.max(1, Math.round(ms / 60_000));

function writePush(deps: DeliverDeps, taken: TakenDelivery, account: DirectoryAccount, now: Date): Push | undefined {
  const { delivery, challenge } = taken;
  const { kind, deliveryId, createTime } = delivery;
  const deadline = deadlineOf(kind, createTime, challenge?.expireTime);
  const id = { id: deliveryId, expireTime: deadline };
  if (kind === 'CODE_SETTLED') {
    if (challenge === undefined) return undefined;
    const { challengeId } = challenge;
    const data = { kind: 'challenge_resolved', challenge_id: challengeId };
    return { ...id, collapseId: challengeId, notification: undefined, urgent: false, data };
  }
  const message = messageOf(deps, taken, account, now);
  if (message?.kind !== 'code' && message?.kind !== 'alert') return undefined;
  const locale = delivery.locale ?? account.locale;
  const notification = composePush(message, { locale, brand: deps.brand, showCode: deps.codeInNotification });
  if (kind !== 'CODE' || challenge === undefined) {
    const about = { event_id: delivery.eventId, challenge_id: taken.event?.challengeId };
    const named = Object.entries(about).flatMap(([name, id]) => (id == null ? [] : [[name, id] as const]));
    const data = { kind: 'security_notice', notice: kind.toLowerCase(), ...Object.fromEntries(named) };
    return { ...id, collapseId: deliveryId, notification, urgent: false, data };
  }
  const { challengeId, expireTime } = challenge;
  const data = { kind: 'code_arrived', challenge_id: challengeId, expire_time: expireTime.toISOString() };
  return { ...id, collapseId: challengeId, notification, urgent: true, data };
}

function messageOf(
  deps: DeliverDeps,
  { delivery, challenge, event }: TakenDelivery,
  account: DirectoryAccount,
  now: Date,
): Message | undefined {
  if (delivery.kind === 'EMAIL_CHANGED') {
    const newEmailMasked = maskEmail(account.email);
    return { kind: 'emailChanged', newEmailMasked, time: delivery.createTime };
  }
  if (isAlert(delivery.kind)) return event && alertOf(deps, delivery.kind, event);
  return challenge && codeOf(deps, challenge, delivery, now);
}

function codeOf(deps: DeliverDeps, challenge: Challenge, { channel }: DeliveryRecord, now: Date): CodeMessage {
  const { purpose, device, origin, createTime, expireTime } = challenge;
  return {
    kind: 'code',
    purpose,
    code: deps.codes.derive(challenge, channel),
    device,
    time: createTime,
    place: origin.place,
    ipAddress: origin.ipAddress,
    minutesValid: minutesIn(expireTime.getTime() - now.getTime()),
    denyUrl: deps.wasNotMeUrl(challenge.accountId, { kind: 'deny', challengeId: challenge.challengeId }),
  };
}

function alertOf(deps: DeliverDeps, alert: AlertKind, event: LoginEvent): AlertMessage {
  const { device, origin, unusualDetails } = event;
  // Of a removal the event says where the remover was, which beside the removed device would mislead.
  const placed = origin.ipAddress !== '' && alert !== 'DEVICE_REMOVED';
  return {
    kind: 'alert',
    alert,
    device,
    time: timeOfUuid(event.eventId),
    place: placed ? origin.place : undefined,
    ipAddress: placed ? origin.ipAddress : '',
    denyUrl: wasNotMeUrl(deps, alert, event),
    findings: unusualDetails ?? [],
  };
}

/** Of what an intruder may have done: not of what its owner did to them. */
const deniable: ReadonlySet<AlertKind> = new Set([
  'NEW_SIGN_IN',
  'UNUSUAL_SIGN_IN',
  'TWO_STEP_OFF',
  'PASSWORD_CHANGED',
  'CODE_NOT_SENT',
]);

function wasNotMeUrl(deps: DeliverDeps, alert: AlertKind, event: LoginEvent): string | undefined {
  const { accountId, challengeId, sessionId } = event;
  // Where no session did it, there is nobody to put out.
  if (!deniable.has(alert) || (challengeId === null && sessionId === null)) return undefined;
  const may: WasNotMe =
    challengeId === null ? { kind: 'report', eventId: event.eventId } : { kind: 'deny', challengeId };
  return deps.wasNotMeUrl(accountId, may);
}

const isAlert = (kind: DeliveryRecord['kind']): kind is AlertKind => alertKinds.some((alert) => alert === kind);
