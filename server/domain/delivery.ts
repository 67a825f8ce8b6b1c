// What is sent to an account's owner, by which way, what became of it, and when to try again. Pure.

import type { AlertKind } from './alert.ts';
import type { AppDevice, Channel, Delivery as ChannelDelivery } from './challenge.ts';
import type { Limits } from './limits.ts';

export type PushService = 'APNS' | 'FCM';

/** By which way one send goes: shown by an open app, a push service, or a mail server. */
export type Route = 'IN_APP' | PushService | 'SMTP';

/** What is said. `CODE_SETTLED` is silent: it takes the notification of a code away whose challenge is over. */
export type DeliveryKind = 'CODE' | 'CODE_SETTLED' | 'EMAIL_CHANGED' | 'PASSWORD_RESET' | AlertKind;

export type DeliveryState = Exclude<ChannelDelivery, 'NOT_SENT'>;

/**
 * What became of one try, or why there was none: `NOT_SENT` where there was nothing left to send or nobody to send it to,
 * `GAVE_UP` where its time was over, `INTERRUPTED` where the server stopped before it could note an answer.
 */
export type AttemptOutcome =
  | 'INTERRUPTED'
  | 'ACCEPTED'
  | 'UNREGISTERED'
  | 'RETRY'
  | 'REFUSED'
  | 'UNREACHABLE'
  | 'NOT_SENT'
  | 'GAVE_UP';

/** One try of a send, as it is kept for support. Times as ISO 8601. */
export interface Attempt {
  /** When it was handed over; null where it was not. */
  readonly startTime: string | null;
  readonly endTime: string;
  readonly outcome: AttemptOutcome;
  /** In the provider's own words, without codes, tokens and addresses. */
  readonly answer: string;
}

export function routeOf(send: { readonly channel: Channel; readonly pushService: PushService | null }): Route {
  return send.channel === 'EMAIL' ? 'SMTP' : (send.pushService ?? 'IN_APP');
}

/** One send of a challenge's code. */
export interface CodeSend {
  readonly channel: Channel;
  readonly pushService: PushService | null;
  readonly state: DeliveryState;
  readonly createTime: Date;
}

/** How far the newest send on a channel has come. `until` is now, or when the challenge was over. */
export function deliveryOn(
  channel: Channel,
  sends: readonly CodeSend[],
  audience: readonly AppDevice[],
  limits: Pick<Limits, 'shownWithinMs'>,
  until: Date,
): ChannelDelivery {
  const own = sends.filter((send) => send.channel === channel);
  const newestTime = Math.max(...own.map(({ createTime }) => createTime.getTime()));
  // To the app one send goes by several routes.
  const newest = own.filter(({ createTime }) => createTime.getTime() === newestTime);
  const [only] = newest;
  if (only === undefined) return 'NOT_SENT';
  if (channel === 'EMAIL') return only.state;
  if (newest.some(({ state }) => state === 'SHOWN')) return 'SHOWN';
  // Nobody has seen it: a phone may be off, or the notification be lost.
  if (until.getTime() - newestTime >= limits.shownWithinMs) return 'FAILED';
  const pushes = newest.filter(({ pushService }) => pushService !== null);
  if (pushes.some(({ state }) => state === 'ACCEPTED')) return 'ACCEPTED';
  const underway = pushes.some(({ state }) => state === 'QUEUED') || audience.some(({ watching }) => watching);
  return underway ? 'QUEUED' : 'FAILED';
}

interface Patience {
  readonly firstWaitMs: number;
  readonly longestWaitMs: number;
}

/** Somebody waits for a code, and for a link; a notice may come later. */
const patienceOf = (kind: DeliveryKind): Patience =>
  kind === 'CODE' || kind === 'CODE_SETTLED' || kind === 'PASSWORD_RESET'
    ? { firstWaitMs: 1_000, longestWaitMs: 30_000 }
    : { firstWaitMs: 5_000, longestWaitMs: 3_600_000 };

/** How long the link of a forgotten password works. */
export const resetLinkLifetimeMs = 30 * 60_000;

/** How long a notice is tried, and how long it matters that a notification is taken away. */
const noticeLifetimeMs = 24 * 3_600_000;
const settledLifetimeMs = 120_000;

/** After this a send is not tried any more. A code's is its challenge's end. */
export function deadlineOf(kind: DeliveryKind, createTime: Date, challengeExpireTime: Date | undefined): Date {
  if (kind === 'CODE') return challengeExpireTime ?? createTime;
  return new Date(createTime.getTime() + lifetimeOf(kind));
}

function lifetimeOf(kind: Exclude<DeliveryKind, 'CODE'>): number {
  if (kind === 'CODE_SETTLED') return settledLifetimeMs;
  return kind === 'PASSWORD_RESET' ? resetLinkLifetimeMs : noticeLifetimeMs;
}

/** The tries that are kept of one send, and so made at most. */
export const mostAttempts = 40;

/**
 * ms until the next try after `attempts` tries, doubling, between half and one and a half of that (`fraction` in [0, 1)), and not
 * before the provider asked for it; undefined where that would be too late.
 */
export function waitBeforeRetry(
  send: { readonly kind: DeliveryKind; readonly deadline: Date },
  attempts: number,
  askedMs: number | undefined,
  fraction: number,
  now: Date,
): number | undefined {
  const { firstWaitMs, longestWaitMs } = patienceOf(send.kind);
  const wait = Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(attempts - 1, 20)) * (0.5 + fraction);
  const waitMs = Math.round(Math.max(wait, askedMs ?? 0));
  return attempts < mostAttempts && now.getTime() + waitMs < send.deadline.getTime() ? waitMs : undefined;
}
