// The devices of an account: new ones, the list, what they change of themselves, and how trust ends.

import type { AppDevice } from '../domain/challenge.ts';
import { type Device, type DeviceDescription, type Origin, type PushRegistration, signedIn } from '../domain/device.ts';
import { DomainError } from '../domain/errors.ts';
import type { LoginEvent } from '../domain/login-event.ts';
import { displacedByOneMore, isTrusted } from '../domain/trust.ts';
import { appendAndAlert } from './alerts.ts';
import { type Deps, decideFor, describe, eventOf, refuse, type SignedInCaller } from './context.ts';
import type { AccountTransaction } from './store-ports.ts';

/** A device that signs in for the first time; not trusted yet. */
export function newDevice(
  deps: Deps,
  accountId: string,
  description: DeviceDescription,
  origin: Origin,
  now: Date,
): Device {
  return {
    ...description,
    accountId,
    deviceId: deps.random.uuid(now),
    displayName: description.displayName || description.model,
    tokenHash: null,
    trustTime: null,
    trustEndTime: null,
    createTime: now,
    ...signedIn(origin, now),
  };
}

/** Ends the trust of the longest unused of these devices where the account has no room for one more. */
export function makeRoomForOne(
  deps: Deps,
  tx: AccountTransaction,
  withTrust: readonly Device[],
  toTell: readonly AppDevice[],
  now: Date,
): void {
  const trusted = withTrust.filter((device) => isTrusted(device, deps.limits, now));
  for (const device of displacedByOneMore(trusted, deps.limits)) {
    endTrust(tx, device, now);
    appendAndAlert(deps, tx, 'DEVICE_REMOVED', removalEvent(deps, device, now), toTell, device.deviceId, now);
  }
}

/** Puts a device out: its trust, its session with its tokens, and where its notifications go. */
export function endTrust(tx: AccountTransaction, device: Device, now: Date): void {
  tx.saveDevice({ ...device, trustEndTime: device.trustEndTime ?? now });
  tx.endSessions({ deviceId: device.deviceId }, 'DEVICE_REMOVED', now);
  tx.deletePushRegistrations(device.deviceId);
}

/**
 * Ends the trust of every device but one, and returns the event of each, newest use first, for the caller to append; they say where `by`
 * came from. Where their notifications go stays known: they may still be told of it.
 */
export async function endAllTrust(
  deps: Deps,
  tx: AccountTransaction,
  keptDeviceId: string | null,
  by: Pick<LoginEvent, 'origin' | 'sessionId'> | undefined,
  now: Date,
): Promise<readonly LoginEvent[]> {
  const ended = (await tx.devicesWithTrust()).filter(({ deviceId }) => deviceId !== keptDeviceId).sort(byNewestUse);
  const from = by && { origin: by.origin, sessionId: by.sessionId };
  return ended.map((device) => {
    tx.saveDevice({ ...device, trustEndTime: now });
    tx.endSessions({ deviceId: device.deviceId }, 'DEVICE_REMOVED', now);
    return removalEvent(deps, device, now, from);
  });
}

/** Which device was removed; from where is the remover's. */
export function removalEvent(deps: Deps, device: Device, now: Date, more: Partial<LoginEvent> = {}): LoginEvent {
  return eventOf(deps, device.accountId, 'DEVICE_REMOVED', now, {
    device: describe(device, device.appVersion),
    deviceId: device.deviceId,
    ...more,
  });
}

/** The "X". A device that was removed before, or whose trust has lapsed, stays removed. */
export async function removeTrustedDevice(deps: Deps, deviceId: string, caller: SignedInCaller): Promise<void> {
  const now = deps.clock.now();
  await decideFor(deps, caller, async (tx) => {
    const [device, devices] = await Promise.all([tx.device(deviceId), tx.appDevices(now)]);
    if (device === undefined || device.trustTime === null) return refuse({ reason: 'DEVICE_UNKNOWN' });
    if (device.trustEndTime === null) {
      endTrust(tx, device, now);
      const origin = deps.places.originOf(caller.ipAddress);
      const event = removalEvent(deps, device, now, { origin, sessionId: caller.session.sessionId });
      // The one that does it knows, and the removed one takes no pushes any more.
      const others = devices.filter((other) => other.deviceId !== deviceId);
      appendAndAlert(deps, tx, 'DEVICE_REMOVED', event, others, caller.device.deviceId, now);
    }
    return { ok: undefined };
  });
}

/** What a device may change of itself; what is undefined stays. */
export interface DeviceUpdate {
  readonly displayName: string | undefined;
  readonly pushRegistration: PushRegistration | undefined;
}

export async function updateDevice(deps: Deps, update: DeviceUpdate, caller: SignedInCaller): Promise<Device> {
  if (update.displayName === '') {
    const violations = [{ field: 'display_name', description: 'must not be only spaces' }];
    throw new DomainError({ reason: 'REQUEST_INVALID', violations });
  }
  const now = deps.clock.now();
  return decideFor(deps, caller, async (tx) => {
    const device = await tx.device(caller.device.deviceId);
    if (device === undefined) return refuse({ reason: 'SESSION_INVALID', cause: 'UNKNOWN' });
    const renamed = { ...device, displayName: update.displayName ?? device.displayName };
    if (update.displayName !== undefined) tx.saveDevice(renamed);
    if (update.pushRegistration !== undefined) {
      await tx.savePushRegistration(device.deviceId, update.pushRegistration, now);
    }
    return { ok: renamed };
  });
}

/** A place in the list: after this device. */
export interface DevicePosition {
  readonly lastUseTime: number;
  readonly deviceId: string;
}

/** The trusted devices after a position, newest use first; at most 20 there are, so the whole list is read. */
export async function listTrustedDevices(
  deps: Deps,
  caller: SignedInCaller,
  after: DevicePosition | undefined,
  count: number,
): Promise<{ readonly devices: readonly Device[]; readonly next: DevicePosition | undefined }> {
  const now = deps.clock.now();
  const devices = (await deps.store.devicesWithTrust(caller.session.accountId))
    .filter((device) => isTrusted(device, deps.limits, now))
    .sort(byNewestUse)
    .filter((device) => after === undefined || byNewestUse(device, after) > 0);
  const page = devices.slice(0, count);
  const last = page.at(-1);
  return { devices: page, next: last !== undefined && devices.length > count ? positionOf(last) : undefined };
}

const positionOf = (device: Device): DevicePosition => ({
  lastUseTime: device.lastUseTime.getTime(),
  deviceId: device.deviceId,
});

function byNewestUse(
  a: { readonly lastUseTime: Date | number; readonly deviceId: string },
  b: { readonly lastUseTime: Date | number; readonly deviceId: string },
): number {
  return (
    Number(b.lastUseTime) - Number(a.lastUseTime) || (a.deviceId < b.deviceId ? 1 : a.deviceId > b.deviceId ? -1 : 0)
  );
}
