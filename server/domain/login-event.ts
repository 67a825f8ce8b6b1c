// One entry of the login activity. Pure.

import type { Channel } from './challenge.ts';
import type { DeviceDescription, Origin } from './device.ts';
import type { Unusual, UnusualFinding } from './unusual.ts';

export type EventKind =
  | 'SIGNED_IN_TRUSTED_DEVICE'
  | 'SIGNED_IN_WITH_CODE'
  | 'SIGNED_IN_WITHOUT_TWO_STEP'
  | 'CODE_SENT'
  | 'CODE_WRONG'
  | 'PASSWORD_WRONG'
  | 'CHALLENGE_DENIED'
  | 'REFUSED_OLD_CLIENT'
  | 'SIGNED_OUT'
  | 'DEVICE_REMOVED'
  | 'SETTINGS_CHANGED'
  | 'PASSWORD_CHANGED';

export interface LoginEvent {
  readonly accountId: string;
  /** UUIDv7: its time is the event's. */
  readonly eventId: string;
  readonly kind: EventKind;
  /** Null where the service itself acted. */
  readonly device: DeviceDescription | null;
  readonly deviceId: string | null;
  readonly sessionId: string | null;
  readonly challengeId: string | null;
  readonly channel: Channel | null;
  readonly origin: Origin;
  readonly unusual: readonly Unusual[];
  /** Why it was; null in entries of a release that did not know it. */
  readonly unusualDetails: readonly UnusualFinding[] | null;
  readonly reported: boolean;
}

/** The time in a UUIDv7 (RFC 9562, 5.7), exact to the millisecond. */
export function timeOfUuid(uuid: string): Date {
  return new Date(Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16));
}
