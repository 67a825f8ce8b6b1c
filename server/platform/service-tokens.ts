// Who an internal caller is, by its service token. Only SHA-256 of tokens are known here.

import { hash, timingSafeEqual } from 'node:crypto';

export const scopes = ['accounts', 'sessions', 'support', 'legacy'] as const;
export type Scope = (typeof scopes)[number];

export interface ServiceToken {
  /** The caller's name, as it is logged. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** SHA-256 of the token. */
  readonly hash: Uint8Array;
}

export function hashServiceToken(token: string): Uint8Array {
  return hash('sha256', token, 'buffer');
}

/** The caller that holds this token; every known one is compared. */
export function findService(known: readonly ServiceToken[], token: string): ServiceToken | undefined {
  const presented = hashServiceToken(token);
  return known.reduce<ServiceToken | undefined>(
    (found, each) => (timingSafeEqual(each.hash, presented) ? each : found),
    undefined,
  );
}
