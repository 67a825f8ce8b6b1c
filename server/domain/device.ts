// A device as it describes itself, and as the account knows it. Pure.

import type { ConnectionType, Place } from './place.ts';

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

/** A device row: one that signed in, trusted or not. */
export interface Device extends DeviceDescription {
  readonly accountId: string;
  readonly deviceId: string;
  /** SHA-256 of the device token's secret; null on a device that was never trusted. */
  readonly tokenHash: Uint8Array | null;
  readonly trustTime: Date | null;
  readonly trustEndTime: Date | null;
  readonly createTime: Date;
  readonly lastUseTime: Date;
  readonly lastIpAddress: string;
  readonly lastPlace: Place | null;
}
