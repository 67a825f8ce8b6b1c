// A challenge: when it can be sent, tried and verified, and what its holder may do next. Pure: takes the time, codes and
// randomness as values, and returns decisions as values.

import type { DeviceDescription, Origin } from './device.ts';
import type { Limits } from './limits.ts';

export type Channel = 'APP' | 'EMAIL';
export type Purpose = 'SIGN_IN' | 'SWITCH_OFF';
export type ChallengeState = 'PENDING' | 'VERIFIED' | 'CLOSED' | 'EXPIRED';
export type Delivery = 'NOT_SENT' | 'QUEUED' | 'ACCEPTED' | 'SHOWN' | 'FAILED';

/** What was sent on a channel of a challenge. */
export interface Sends {
  readonly count: number;
  readonly lastTime: Date | null;
}

export interface Challenge {
  readonly accountId: string;
  readonly challengeId: string;
  readonly purpose: Purpose;
  readonly state: Exclude<ChallengeState, 'EXPIRED'>;
  /** SHA-256 of the secret that its requester holds. */
  readonly tokenHash: Uint8Array;
  /** The client's own id of the request that opened it. */
  readonly requestId: string | null;
  /** Names the key that its codes are derived with, so that a rotation breaks no pending code. */
  readonly codeKeyId: string;
  /** The session that asked, for SWITCH_OFF; the session that it opened, once a SIGN_IN is verified. */
  readonly sessionId: string | null;
  readonly defaultChannel: Channel;
  /** The language of its messages, a BCP 47 tag. */
  readonly locale: string;
  readonly device: DeviceDescription;
  readonly origin: Origin;
  /** The account's address, masked. */
  readonly maskedEmail: string;
  readonly createTime: Date;
  readonly expireTime: Date;
  /** When it was verified or closed. */
  readonly settleTime: Date | null;
  readonly wrongCodes: number;
  readonly sends: Readonly<Partial<Record<Channel, { readonly count: number; readonly lastTime: string }>>>;
}

/** The devices that can take a code by app now. */
export interface AppAudience {
  readonly devices: number;
}

export interface ChannelView {
  readonly channel: Channel;
  /** The masked address, or the number of devices. */
  readonly destination:
    | { readonly kind: 'email'; readonly masked: string }
    | { readonly kind: 'devices'; readonly count: number };
  readonly available: boolean;
  readonly nextSendTime: Date | undefined;
  readonly sendsRemaining: number;
  readonly delivery: Delivery;
}

/** What is told of a challenge, in every answer that touches one. */
export interface ChallengeView {
  readonly challengeId: string;
  readonly purpose: Purpose;
  readonly state: ChallengeState;
  readonly channels: readonly ChannelView[];
  readonly defaultChannel: Channel;
  readonly createTime: Date;
  readonly expireTime: Date;
  readonly attemptsRemaining: number;
}

/** How far the newest send of each channel has come; a channel that is absent was not sent. */
export type Deliveries = Readonly<Partial<Record<Channel, Delivery>>>;

export function challengeState(challenge: Challenge, now: Date): ChallengeState {
  return challenge.state === 'PENDING' && now >= challenge.expireTime ? 'EXPIRED' : challenge.state;
}

export function viewChallenge(challenge: Challenge, deliveries: Deliveries, limits: Limits, now: Date): ChallengeView {
  return {
    challengeId: challenge.challengeId,
    purpose: challenge.purpose,
    state: challengeState(challenge, now),
    channels: [viewEmail(challenge.maskedEmail, challenge, deliveries, limits, now)],
    defaultChannel: challenge.defaultChannel,
    createTime: challenge.createTime,
    expireTime: challenge.expireTime,
    attemptsRemaining: Math.max(0, limits.wrongCodesPerChallenge - challenge.wrongCodes),
  };
}

/** The e-mail channel of a challenge, or of an account with none open. */
export function viewEmail(
  masked: string,
  challenge: Challenge | undefined,
  deliveries: Deliveries,
  limits: Limits,
  now: Date,
): ChannelView {
  const sends = sendsOf(challenge, 'EMAIL');
  const next = nextSendTime(sends, limits);
  return {
    channel: 'EMAIL',
    destination: { kind: 'email', masked },
    available: true,
    nextSendTime: next !== undefined && next > now ? next : undefined,
    sendsRemaining: Math.max(0, limits.sendsPerChannel - sends.count),
    delivery: deliveries.EMAIL ?? 'NOT_SENT',
  };
}

function sendsOf(challenge: Challenge | undefined, channel: Channel): Sends {
  const sends = challenge?.sends[channel];
  return sends === undefined
    ? { count: 0, lastTime: null }
    : { count: sends.count, lastTime: new Date(sends.lastTime) };
}

/** When the channel may be used again: after 30, 60, 120, 240 s; undefined where nothing was sent or nothing is left. */
function nextSendTime(sends: Sends, limits: Limits): Date | undefined {
  if (sends.count === 0 || sends.count >= limits.sendsPerChannel || sends.lastTime === null) return undefined;
  const wait = limits.resendWaitsMs[Math.min(sends.count, limits.resendWaitsMs.length) - 1] ?? 0;
  return new Date(sends.lastTime.getTime() + wait);
}

export type SendDecision =
  | { readonly kind: 'send'; readonly challenge: Challenge }
  | { readonly kind: 'expired' | 'closed' | 'unavailable' | 'exhausted' }
  | { readonly kind: 'tooSoon'; readonly waitMs: number };

/** Whether a code may be sent on this channel now, and the challenge as it is then. */
export function decideSend(challenge: Challenge, channel: Channel, limits: Limits, now: Date): SendDecision {
  const state = challengeState(challenge, now);
  if (state === 'EXPIRED') return { kind: 'expired' };
  if (state !== 'PENDING') return { kind: 'closed' };
  if (channel === 'APP') return { kind: 'unavailable' };
  const sends = sendsOf(challenge, channel);
  if (sends.count >= limits.sendsPerChannel) return { kind: 'exhausted' };
  const next = nextSendTime(sends, limits);
  if (next !== undefined && next > now) return { kind: 'tooSoon', waitMs: next.getTime() - now.getTime() };
  const sent = { count: sends.count + 1, lastTime: now.toISOString() };
  return { kind: 'send', challenge: { ...challenge, sends: { ...challenge.sends, [channel]: sent } } };
}

/** The channels whose code counts: only those that were sent. */
export function sentChannels(challenge: Challenge): readonly Channel[] {
  return (['APP', 'EMAIL'] as const).filter((channel) => sendsOf(challenge, channel).count > 0);
}

export type VerifyDecision =
  | { readonly kind: 'expired' | 'closed' }
  /** The code is compared, and the answer is `right` or `wrong`. */
  | { readonly kind: 'compare' }
  /** It was verified before: the code is compared, and a right one gets the same session again. */
  | { readonly kind: 'compareAgain' };

/** Whether a presented code is looked at at all. */
export function admitCode(challenge: Challenge, limits: Limits, now: Date): VerifyDecision {
  if (challenge.wrongCodes >= limits.wrongCodesPerChallenge) return { kind: 'closed' };
  if (challenge.state === 'VERIFIED') {
    const settled = challenge.settleTime?.getTime() ?? 0;
    return now.getTime() - settled < limits.repeatWindowMs ? { kind: 'compareAgain' } : { kind: 'closed' };
  }
  const state = challengeState(challenge, now);
  if (state === 'EXPIRED') return { kind: 'expired' };
  return state === 'PENDING' ? { kind: 'compare' } : { kind: 'closed' };
}

/** The challenge after a wrong code: closed with the fifth one. */
export function afterWrongCode(challenge: Challenge, limits: Limits, now: Date): Challenge {
  const wrongCodes = challenge.wrongCodes + 1;
  const closes = challenge.state === 'PENDING' && wrongCodes >= limits.wrongCodesPerChallenge;
  return { ...challenge, wrongCodes, ...(closes ? { state: 'CLOSED' as const, settleTime: now } : {}) };
}
