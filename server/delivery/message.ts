// What there is to tell somebody, as values. This file knows no words and no transport.

import type { AlertKind } from '../domain/alert.ts';
import type { Purpose } from '../domain/challenge.ts';
import type { Place } from '../domain/place.ts';
import type { UnusualFinding } from '../domain/unusual.ts';
import type { DeviceFacts } from '../texts/facts.ts';

/** A code, to the address of the account that it is for. */
export interface CodeMessage {
  readonly kind: 'code';
  readonly purpose: Purpose;
  /** Decimal digits. */
  readonly code: string;
  /** The device that asks for the code. */
  readonly device: DeviceFacts;
  /** When it asked. */
  readonly time: Date;
  readonly place: Place | null | undefined;
  /** '' where it is not known. */
  readonly ipAddress: string;
  /** What is left of the code's life, in whole minutes. */
  readonly minutesValid: number;
  /** The page where "it wasn't me" is said. */
  readonly denyUrl: string | undefined;
}

/** Something happened that the account's owner should know of. */
export interface AlertMessage {
  readonly kind: 'alert';
  readonly alert: AlertKind;
  /** The device that did it, or tried to; for DEVICE_REMOVED the one that was removed. null where there is none to name. */
  readonly device: DeviceFacts | null;
  readonly time: Date;
  /** null says that it is not known; undefined says nothing of a place. */
  readonly place: Place | null | undefined;
  /** '' where it is not known. */
  readonly ipAddress: string;
  /** The page where "it wasn't me" is said. */
  readonly denyUrl: string | undefined;
  /** What was odd about it. */
  readonly findings: readonly UnusualFinding[];
}

/** A link that sets a new password, for who has forgotten it. */
export interface PasswordResetMessage {
  readonly kind: 'passwordReset';
  /** Holds the secret. */
  readonly resetUrl: string;
  /** What is left of the link's life, in whole minutes. */
  readonly minutesValid: number;
  /** When it was asked for. */
  readonly time: Date;
}

/** The account's address was changed; goes to the one before. */
export interface EmailChangedMessage {
  readonly kind: 'emailChanged';
  /** As maskEmail gives it. */
  readonly newEmailMasked: string;
  readonly time: Date;
}

export type Message = CodeMessage | AlertMessage | EmailChangedMessage | PasswordResetMessage;
