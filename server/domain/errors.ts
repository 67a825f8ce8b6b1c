// The refusals of this product, as values with a reason. This file knows no wire: rpc/errors.ts gives each reason its
// canonical code and details.

import type { ChallengeView } from './challenge.ts';
import type { ClientVersionRequirement } from './client-version.ts';
import type { PasswordWeakness } from './password.ts';
import type { SessionEndCause } from './session.ts';

/** One field of a request that was refused, and what it takes. `field` is the path in the request, snake_case. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** Why a call was refused, with what its caller needs to go on. One variant a reason of the contract's table. */
export type Refusal =
  | {
      readonly reason: 'CLIENT_VERSION_UNSUPPORTED' | 'CLIENT_VERSION_MISSING' | 'CLIENT_VERSION_INVALID';
      readonly requirement: ClientVersionRequirement;
    }
  | { readonly reason: 'SESSION_INVALID'; readonly cause: SessionEndCause | 'UNKNOWN' }
  | {
      readonly reason:
        | 'CODE_INCORRECT'
        | 'CHALLENGE_EXPIRED'
        | 'CHALLENGE_CLOSED'
        | 'SENDS_EXHAUSTED'
        | 'CHANNEL_UNAVAILABLE';
      readonly challenge: ChallengeView;
    }
  | { readonly reason: 'SEND_TOO_SOON'; readonly challenge: ChallengeView; readonly retryAfterMs: number }
  | { readonly reason: 'DEPENDENCY_UNAVAILABLE'; readonly retryAfterMs: number }
  | { readonly reason: 'RATE_LIMITED'; readonly retryAfterMs: number; readonly challenge?: ChallengeView }
  | { readonly reason: 'VERIFICATION_LOCKED'; readonly challenge?: ChallengeView }
  | { readonly reason: 'REQUEST_INVALID'; readonly violations: readonly FieldViolation[] }
  | {
      readonly reason: 'PASSWORD_WEAK';
      /** What the request calls the password. */
      readonly field: string;
      readonly weaknesses: readonly PasswordWeakness[];
    }
  | {
      readonly reason:
        | 'CREDENTIALS_INCORRECT'
        | 'SERVICE_TOKEN_INVALID'
        | 'SCOPE_MISSING'
        | 'DEVICE_NOT_TRUSTED'
        | 'CHALLENGE_UNKNOWN'
        | 'DEVICE_UNKNOWN'
        | 'EVENT_UNKNOWN'
        | 'RESET_TOKEN_INVALID'
        | 'ACCOUNT_UNKNOWN'
        | 'ACCOUNT_EXISTS'
        | 'ACCOUNTS_ELSEWHERE';
    };

export type Reason = Refusal['reason'];

/**
 * Thrown where a flow ends in a refusal, after its transaction has committed. Rules return refusals as values; only
 * flows throw them.
 */
export class DomainError extends Error {
  override readonly name = 'DomainError';
  readonly refusal: Refusal;

  constructor(refusal: Refusal, options?: { cause?: unknown }) {
    super(refusal.reason, options);
    this.refusal = refusal;
  }
}

/** Whether something is out of reach that may come back. */
export function isAway(error: unknown): boolean {
  return error instanceof DomainError && error.refusal.reason === 'DEPENDENCY_UNAVAILABLE';
}

/** Whether nothing was decided because something is out of reach or broken; every other refusal was decided. */
export function isOutage(error: unknown): boolean {
  return !(error instanceof DomainError) || isAway(error);
}
