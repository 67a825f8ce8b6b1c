// A challenge told from its opening to its end, and each of its messages explained, for whoever has to say why a code did not
// arrive. Pure.

import { type Challenge, type Delivery as ChannelDelivery, challengeState, isUnsent } from './challenge.ts';
import {
  type Attempt,
  type AttemptOutcome,
  type DeliveryState,
  type PushService,
  type Route,
  routeOf,
} from './delivery.ts';
import type { Limits } from './limits.ts';

export type TraceEventKind =
  | 'OPENED'
  | 'QUEUED'
  | 'HANDED_OVER'
  | AttemptOutcome
  | 'SHOWN'
  | 'WRONG_CODE'
  | 'VERIFIED'
  | 'DENIED'
  | 'CLOSED'
  | 'EXPIRED';

export interface TraceEvent {
  readonly time: Date;
  readonly kind: TraceEventKind;
  /** The message that it concerns; '' for the challenge itself. */
  readonly deliveryId: string;
  /** The provider's own words, or why nothing was sent; ''. */
  readonly answer: string;
}

/** A message of a challenge, as it is kept. */
export interface TracedDelivery {
  readonly deliveryId: string;
  readonly kind: 'CODE' | 'CODE_SETTLED';
  readonly channel: 'APP' | 'EMAIL';
  readonly pushService: PushService | null;
  readonly state: DeliveryState;
  readonly createTime: Date;
  readonly handoverTime: Date | null;
  readonly nextAttemptTime: Date | null;
  readonly endTime: Date | null;
  readonly attempts: readonly Attempt[];
}

/** Everything that happened, oldest first; what happened at once in the order of cause and effect. */
export function traceEvents(
  challenge: Challenge,
  deliveries: readonly TracedDelivery[],
  wrongCodeTimes: readonly Date[],
  now: Date,
): readonly TraceEvent[] {
  const ofChallenge = (kind: TraceEventKind, time: Date): TraceEvent => ({ time, kind, deliveryId: '', answer: '' });
  const { settleTime, denyTime, createTime, expireTime } = challenge;
  const state = challengeState(challenge, now);
  const ends: TraceEvent[] = [
    ...(denyTime === null ? [] : [ofChallenge('DENIED', denyTime)]),
    ...(state === 'VERIFIED' && settleTime !== null ? [ofChallenge('VERIFIED', settleTime)] : []),
    ...(state === 'CLOSED' && settleTime !== null ? [ofChallenge('CLOSED', settleTime)] : []),
    ...(state === 'EXPIRED' ? [ofChallenge('EXPIRED', expireTime)] : []),
  ];
  return [
    ofChallenge('OPENED', createTime),
    ...(isUnsent(challenge) ? [{ ...ofChallenge('NOT_SENT', createTime), answer: noWay }] : []),
    ...deliveries.flatMap(eventsOf),
    ...wrongCodeTimes.map((time) => ofChallenge('WRONG_CODE', time)),
    ...ends,
  ].sort((a, b) => a.time.getTime() - b.time.getTime());
}

const noWay =
  'not sent: no way was open. No trusted device was signed in that could show the code, and codes of this account may not go by e-mail';

function eventsOf({ deliveryId, createTime, state, endTime, attempts, handoverTime }: TracedDelivery): TraceEvent[] {
  const event = (kind: TraceEventKind, time: Date, answer = ''): TraceEvent => ({ time, kind, deliveryId, answer });
  const last = attempts.at(-1);
  // Handed over, and not answered yet; or the process died before it could note the answer.
  const isNoted = last !== undefined && handoverTime !== null && new Date(last.endTime) >= handoverTime;
  const open = handoverTime !== null && state === 'QUEUED' && !isNoted;
  return [
    event('QUEUED', createTime),
    ...attempts.flatMap(({ startTime, endTime: answered, outcome, answer }) => [
      ...(startTime === null ? [] : [event('HANDED_OVER', new Date(startTime))]),
      event(outcome, new Date(answered), answer),
    ]),
    ...(open ? [event('HANDED_OVER', handoverTime)] : []),
    ...(state === 'SHOWN' && endTime !== null ? [event('SHOWN', endTime)] : []),
  ];
}

const providers: Readonly<Record<Route, string>> = {
  IN_APP: 'the app',
  APNS: 'Apple (APNs)',
  FCM: 'Google (FCM)',
  SMTP: 'the mail server',
};

/** What became of a message and what that means, in one or two English sentences for a support agent. */
export function explain(delivery: TracedDelivery, limits: Pick<Limits, 'shownWithinMs'>, now: Date): string {
  const route = routeOf(delivery);
  const provider = providers[route];
  const last = delivery.attempts.at(-1);
  const said = last === undefined || last.answer === '' ? '' : ` It said: ${last.answer}`;
  if (delivery.kind === 'CODE_SETTLED' && delivery.state === 'ACCEPTED') return `${cap(provider)} took it.${said}`;
  if (delivery.state === 'SHOWN') return 'A trusted device has shown the code.';
  if (route === 'IN_APP') return explainInApp(delivery, limits, now);
  switch (last?.outcome) {
    case undefined:
      return delivery.handoverTime === null
        ? 'It waits for its turn. If it stays so, the jobs do not run: look at countersign_jobs_oldest_age_seconds.'
        : `It was handed to ${provider}, which has not answered yet.`;
    case 'INTERRUPTED':
      return `It was handed to ${provider}, and the server stopped before the answer; it is sent again.`;
    case 'ACCEPTED':
      return route === 'SMTP'
        ? `The mail server took it.${said} If it is not in the mailbox, look in the spam folder, or search the mail server's log for the Message-ID.`
        : `${cap(provider)} took it.${said} The device may be off or offline, or not allow notifications; opening the app there shows the code.`;
    case 'UNREGISTERED':
      return delivery.state === 'QUEUED'
        ? `${cap(provider)} does not know the device's former token; the device has registered anew, and it is tried there.${said}`
        : `The app was removed from this device, or may not notify any more. Its registration was forgotten; it comes back when the app is opened there.${said}`;
    case 'RETRY':
      if (last.startTime === null)
        return `It could not be handed over here (${last.answer}), and is tried again. An operator looks into it.`;
      return `${cap(provider)} asked to try again later, and it will be.${said}`;
    case 'REFUSED':
      return `${cap(provider)} refused it for good.${said}`;
    case 'UNREACHABLE':
      return `${cap(provider)} could not be reached, or broke off; it is tried again.${said}`;
    case 'NOT_SENT':
      return `${cap(last.answer)}.`;
    case 'GAVE_UP':
      return `No try got through in time. The last answer of ${provider}: ${last.answer}`;
  }
}

function explainInApp({ createTime }: TracedDelivery, limits: Pick<Limits, 'shownWithinMs'>, now: Date): string {
  const seconds = Math.round(limits.shownWithinMs / 1000);
  return now.getTime() - createTime.getTime() < limits.shownWithinMs
    ? 'It is shown as soon as the app is opened on a trusted device.'
    : `No trusted device had the app open within ${seconds} seconds. The app shows it when it is opened, while the challenge lasts.`;
}

const cap = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** How far one message has come, as its channel would say it. */
export function messageDelivery(
  delivery: TracedDelivery,
  limits: Pick<Limits, 'shownWithinMs'>,
  until: Date,
): ChannelDelivery {
  const late = until.getTime() - delivery.createTime.getTime() >= limits.shownWithinMs;
  return routeOf(delivery) === 'IN_APP' && delivery.state === 'QUEUED' && late ? 'FAILED' : delivery.state;
}
