// What jobs are told, and what they need of the store. Names only: never a code, a token or an address.

import type { Challenge } from '../domain/challenge.ts';
import type { Attempt, DeliveryKind, DeliveryState } from '../domain/delivery.ts';
import type { PushRegistration } from '../domain/device.ts';
import type { LoginEvent } from '../domain/login-event.ts';
import type { DeliveryRecord } from '../flows/store-ports.ts';

/** The identifiers of the jobs. Mail and push have workers of their own, so that neither waits for the other's provider. */
export const tasks = {
  mail: 'mail',
  push: 'push',
  /** The same for kinds of messages that a release before does not know: its replicas would take them for nothing, and drop them. */
  newerMail: 'mail_v2',
  newerPush: 'push_v2',
  /** Looks whether a code has arrived by app. */
  fallBack: 'fall_back',
  /** Takes the notifications of a challenge away that is over. */
  settle: 'settle',
  /** Mails the link of a forgotten password. */
  passwordReset: 'password_reset',
  maintain: 'maintain',
} as const;

const newerKinds: ReadonlySet<DeliveryKind> = new Set(['UNUSUAL_SIGN_IN', 'PASSWORD_RESET', 'CODE_NOT_SENT']);

/** By which task a message goes. */
export function taskOf({ channel, kind }: Pick<DeliveryRecord, 'channel' | 'kind'>): string {
  const isNewer = newerKinds.has(kind);
  if (channel === 'EMAIL') return isNewer ? tasks.newerMail : tasks.mail;
  return isNewer ? tasks.newerPush : tasks.push;
}

export interface DeliveryJob {
  readonly accountId: string;
  readonly deliveryId: string;
  /** The span of the call that decided it. */
  readonly traceparent?: string | null;
}

export interface ChallengeJob {
  readonly accountId: string;
  readonly challengeId: string;
}

export interface PasswordResetJob {
  /** May be nobody's: whoever asks learns nothing of it. */
  readonly accountId: string;
  /** The language that was asked in, BCP 47; null for the account's own. */
  readonly locale: string | null;
}

/** A delivery whose turn it is, with what it takes to send it. */
export interface TakenDelivery {
  readonly delivery: DeliveryRecord;
  readonly challenge: Challenge | undefined;
  readonly event: LoginEvent | undefined;
  /** The device that a push goes to, as it is registered now. */
  readonly registration: PushRegistration | undefined;
  /** Whether that device has a live session. */
  readonly signedIn: boolean;
}

/** What the jobs read and write of deliveries. */
export interface DeliveryLog {
  /**
   * The delivery, noted as being handed over from now on, if it is queued and due; `later` where its next try is not due
   * yet; undefined where there is nothing left to do.
   */
  take(
    job: DeliveryJob,
    now: Date,
  ): Promise<TakenDelivery | { readonly later: Date; readonly delivery: DeliveryRecord } | undefined>;
  /**
   * Notes a try, and what the delivery is then; with `retryMs` it stays queued, and its job runs again in so many ms. Where
   * it is final, a foreign address is forgotten.
   */
  note(
    delivery: DeliveryRecord,
    note: {
      readonly state: DeliveryState;
      readonly attempt: Attempt | undefined;
      readonly retryMs: number | undefined;
      readonly now: Date;
    },
  ): Promise<void>;
  /**
   * Forgets where a device's pushes go, if that is still this token, registered no later than `since`. False where the device
   * has another one by now.
   */
  forgetRegistration(
    accountId: string,
    deviceId: string,
    registration: PushRegistration,
    since: Date | undefined,
  ): Promise<boolean>;
  /** Runs the look at a challenge again in so many ms. */
  fallBackLater(job: ChallengeJob, inMs: number): Promise<void>;
  /** Takes the notifications of a challenge away in so many ms. */
  settleLater(job: ChallengeJob, inMs: number): Promise<void>;
}
