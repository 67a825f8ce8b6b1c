// What is pushed to a device, whatever the service; apns.ts and fcm.ts bring it. It must not know challenges or accounts.

import type { PushRegistration } from '../domain/device.ts';
import type { Handover } from './handover.ts';

/** A notification, or a silent message to the app. */
export interface Push {
  /** A UUID that names this send: the same one sent twice can be recognised (`apns-id`; `data.delivery_id` by FCM). */
  readonly id: string;
  /** What one notification replaces another by, at most 64 bytes (`apns-collapse-id`; `collapse_key` and tag by FCM). */
  readonly collapseId: string;
  /** After this the service must not deliver it any more. */
  readonly expireTime: Date;
  /** What is shown; undefined for a silent message, which wakes the app. */
  readonly notification: { readonly title: string; readonly body: string } | undefined;
  /** Whether it breaks through focus modes: iOS' time-sensitive interruption level. Priority is high all the same. */
  readonly urgent: boolean;
  /** What the app reads. Values are strings, as FCM wants them. */
  readonly data: Readonly<Record<string, string>>;
}

/** A push service. */
export interface PushSender<R extends PushRegistration = PushRegistration> {
  /** Hands a push over, once: who calls decides on retries. Never throws. */
  send(registration: R, push: Push): Promise<Handover>;
  close(): Promise<void>;
}
