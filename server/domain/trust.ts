// When a device is trusted, and which one makes room. Pure.

import type { Device } from './device.ts';
import type { Limits } from './limits.ts';

/** Trust holds until it is ended, or lapses after 180 days without use. */
export function isTrusted(device: Device, limits: Limits, now: Date): boolean {
  return (
    device.tokenHash !== null &&
    device.trustTime !== null &&
    device.trustEndTime === null &&
    now.getTime() - device.lastUseTime.getTime() < limits.trustIdleMs
  );
}

/** The devices that lose trust so that one more fits among the account's 20: the longest unused first. */
export function displacedByOneMore(trusted: readonly Device[], limits: Limits): readonly Device[] {
  const excess = trusted.length + 1 - limits.trustedDevicesPerAccount;
  if (excess <= 0) return [];
  return [...trusted].sort((a, b) => a.lastUseTime.getTime() - b.lastUseTime.getTime()).slice(0, excess);
}
