// A device as it describes itself, and as the account knows it. Pure.

import type { AnonymousKind, AutonomousSystem, ConnectionType, Place } from './place.ts';

export const platforms = ['IOS', 'ANDROID', 'WEB'] as const;
export type Platform = (typeof platforms)[number];

/** What a device says of itself at sign-in; never proof of anything. */
export interface DeviceDescription {
  readonly displayName: string;
  readonly model: string;
  readonly platform: Platform;
  readonly osVersion: string;
  readonly appVersion: string;
}

/** Where a call came from. */
export interface Origin {
  /** The caller's IP address; empty where it is not known. */
  readonly ipAddress: string;
  readonly place: Place | null;
  readonly connectionType: ConnectionType | null;
  /** Missing where it is not known. */
  readonly network?: AutonomousSystem;
  /** Missing where nothing hides the caller, or no database tells. */
  readonly anonymous?: readonly AnonymousKind[];
}

/** Where push notifications for a device go. */
export type PushRegistration =
  | {
      readonly service: 'APNS';
      readonly token: string;
      readonly topic: string;
      readonly environment: 'PRODUCTION' | 'SANDBOX';
    }
  | { readonly service: 'FCM'; readonly token: string };

/** Where and when a device was last used. */
export interface LastSeen {
  readonly lastUseTime: Date;
  readonly lastIpAddress: string;
  readonly lastPlace: Place | null;
}

/** When and from where a device last signed in. Kept as JSON: the time as ISO 8601. */
export interface SignedInFrom {
  readonly time: string;
  readonly origin: Origin;
}

/** A use of a device, as its row keeps it. */
export function lastSeen(origin: Origin, now: Date): LastSeen {
  return {
    lastUseTime: now,
    lastIpAddress: origin.ipAddress,
    lastPlace: origin.place,
  };
}

/**
 * A sign-in of a device, as its row keeps it. What is odd is judged by these alone: who holds a stolen refresh token must not
 * teach the account where it is used.
 */
export function signedIn(origin: Origin, now: Date): LastSeen & { readonly signedInFrom: SignedInFrom } {
  return { ...lastSeen(origin, now), signedInFrom: { time: now.toISOString(), origin } };
}

/** A device row: one that signed in, trusted or not. */
export interface Device extends DeviceDescription, LastSeen {
  readonly accountId: string;
  readonly deviceId: string;
  /** SHA-256 of the device token's secret; null on a device that was never trusted. */
  readonly tokenHash: Uint8Array | null;
  readonly trustTime: Date | null;
  readonly trustEndTime: Date | null;
  readonly createTime: Date;
  /** Null in rows of a release that did not keep it. */
  readonly signedInFrom: SignedInFrom | null;
}
