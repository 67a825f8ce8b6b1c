// A challenge: when it can be sent, tried and verified, and what its holder may do next. Pure: takes the time, codes and
// randomness as values, and returns decisions as values.

import { type CodeSend, deliveryOn, type PushService } from './delivery.ts';
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
  /** The device that asked, where the account knows it: it is never shown the code. */
  readonly deviceId: string | null;
  /** The /24 or /48 that asked. */
  readonly network: string;
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
  /** When a trusted device said that it was not its owner. */
  readonly denyTime: Date | null;
  readonly wrongCodes: number;
  readonly sends: Readonly<Partial<Record<Channel, { readonly count: number; readonly lastTime: string }>>>;
}

/** A trusted, signed-in device: it can be shown a code. */
export interface AppDevice {
  readonly deviceId: string;
  /** Whether it has an open stream. */
  readonly watching: boolean;
  /** Where its notifications go; null without a registration, or where the service is not configured. */
  readonly push: PushService | null;
}

/** The devices that could show a code to their owner now: all but the one that asks. */
export function appAudience(devices: readonly AppDevice[], askingDeviceId: string | null): readonly AppDevice[] {
  return devices.filter((device) => device.deviceId !== askingDeviceId);
}

/** Which accounts are sent codes by e-mail, as operators set it; `FIRST_DEVICE`: those that never had a trusted device. */
export type EmailCodes = 'ON' | 'FIRST_DEVICE' | 'OFF';

/**
 * Whether a code may go to an account's mailbox. A device that was put out counts: links in mails can do that, and who reads the
 * mailbox must not open it for codes.
 */
export function opensEmail(policy: EmailCodes, hadTrustedDevice: boolean): boolean {
  return policy === 'ON' || (policy === 'FIRST_DEVICE' && !hadTrustedDevice);
}

/**
 * Where a first code goes: to the app where a device is reachable at once, else by e-mail, where that is open. Where nothing is, the app,
 * which is not available then.
 */
export function chooseDefaultChannel({ audience, emailOpen }: Pick<Surroundings, 'audience' | 'emailOpen'>): Channel {
  return !emailOpen || audience.some((device) => device.watching || device.push !== null) ? 'APP' : 'EMAIL';
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

export function challengeState(challenge: Challenge, now: Date): ChallengeState {
  return challenge.state === 'PENDING' && now >= challenge.expireTime ? 'EXPIRED' : challenge.state;
}

/** When it was over, or now. */
function overSince({ settleTime, expireTime }: Challenge, now: Date): Date {
  return new Date(Math.min(...[settleTime ?? now, expireTime, now].map(Number)));
}

/** What is known around a challenge when it is looked at. */
export interface Surroundings {
  /** What was sent of its code. */
  readonly codeSends: readonly CodeSend[];
  /** The devices that could show its code. */
  readonly audience: readonly AppDevice[];
  /** Whether it may go by e-mail. */
  readonly emailOpen: boolean;
}

export function viewChallenge(challenge: Challenge, around: Surroundings, limits: Limits, now: Date): ChallengeView {
  const state = challengeState(challenge, now);
  const { maskedEmail, defaultChannel, createTime, expireTime } = challenge;
  const channels = viewChannels(maskedEmail, defaultChannel, challenge, around, limits, now);
  const isClosed = state === 'CLOSED';
  return {
    challengeId: challenge.challengeId,
    purpose: challenge.purpose,
    state,
    // Nothing more can be sent or tried, and nothing tells what closed it.
    channels: isClosed ? channels.map((view) => ({ ...view, nextSendTime: undefined, sendsRemaining: 0 })) : channels,
    defaultChannel,
    createTime,
    expireTime,
    attemptsRemaining: isClosed ? 0 : Math.max(0, limits.wrongCodesPerChallenge - challenge.wrongCodes),
  };
}

/** The channels of a challenge, or of an account with none open; the default one first. */
export function viewChannels(
  maskedEmail: string,
  defaultChannel: Channel,
  challenge: Challenge | undefined,
  around: Surroundings,
  limits: Limits,
  now: Date,
): readonly ChannelView[] {
  const until = challenge === undefined ? now : overSince(challenge, now);
  const { codeSends, audience } = around;
  const view = (channel: Channel): ChannelView => {
    const sends = sendsOf(challenge, channel);
    const next = nextSendTime(sends, limits);
    return {
      channel,
      destination:
        channel === 'EMAIL' ? { kind: 'email', masked: maskedEmail } : { kind: 'devices', count: audience.length },
      available: isAvailable(channel, around),
      nextSendTime: next !== undefined && next > now ? next : undefined,
      sendsRemaining: Math.max(0, limits.sendsPerChannel - sends.count),
      delivery: deliveryOn(channel, codeSends, audience, limits, until),
    };
  };
  return defaultChannel === 'APP' ? [view('APP'), view('EMAIL')] : [view('EMAIL'), view('APP')];
}

/** Whether a code can go this way now. */
export function isAvailable(channel: Channel, { audience, emailOpen }: Surroundings): boolean {
  return channel === 'EMAIL' ? emailOpen : audience.length > 0;
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
export function decideSend(
  challenge: Challenge,
  channel: Channel,
  around: Surroundings,
  limits: Limits,
  now: Date,
): SendDecision {
  const state = challengeState(challenge, now);
  if (state === 'EXPIRED') return { kind: 'expired' };
  if (state !== 'PENDING') return { kind: 'closed' };
  if (!isAvailable(channel, around)) return { kind: 'unavailable' };
  const sends = sendsOf(challenge, channel);
  if (sends.count >= limits.sendsPerChannel) return { kind: 'exhausted' };
  const next = nextSendTime(sends, limits);
  if (next !== undefined && next > now) return { kind: 'tooSoon', waitMs: next.getTime() - now.getTime() };
  const sent = { count: sends.count + 1, lastTime: now.toISOString() };
  return { kind: 'send', challenge: { ...challenge, sends: { ...challenge.sends, [channel]: sent } } };
}

/** The channels that its code was sent by. */
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

/** The challenge after somebody has said that it was not them: closed, if it was open. */
export function denied(challenge: Challenge, now: Date): Challenge {
  const isOpen = challengeState(challenge, now) === 'PENDING';
  return { ...challenge, ...(isOpen ? { state: 'CLOSED' as const, settleTime: now } : {}), denyTime: now };
}

/** A challenge that was over as it began: no way was open to send its code by. */
export function unsent(challenge: Challenge): Challenge {
  return { ...challenge, state: 'CLOSED', settleTime: challenge.createTime };
}

/** Whether it is such a challenge: any other sends its first code as it is opened. */
export function isUnsent(challenge: Challenge): boolean {
  return sentChannels(challenge).length === 0;
}

/** How often its code went to the app; 0 where it did not. */
export function appSends(challenge: Challenge): number {
  return sendsOf(challenge, 'APP').count;
}

/** Whether a trusted device may show this challenge's code now. */
export function mayShowCode(challenge: Challenge, deviceId: string, now: Date): boolean {
  return challengeState(challenge, now) === 'PENDING' && appSends(challenge) > 0 && challenge.deviceId !== deviceId;
}

/** When challenges may open again from a network that one was denied from: an hour later. */
const denialBlockMs = 3_600_000;

/** ms until a challenge may open from this network, as far as denials go; 0 now. */
export function denialWait(
  challenges: readonly Pick<Challenge, 'network' | 'denyTime'>[],
  network: string,
  now: Date,
): number {
  const times = challenges.flatMap((one) => (one.network === network && one.denyTime ? [one.denyTime.getTime()] : []));
  return Math.max(0, ...times.map((time) => time + denialBlockMs - now.getTime()));
}
