// The devices of an account: new ones, the list, and trust that ends to make room.

import type { Device, DeviceDescription, Origin } from '../domain/device.ts';
import { displacedByOneMore, isTrusted } from '../domain/trust.ts';
import { type Deps, eventOf, type SignedInCaller } from './context.ts';
import type { AccountTransaction } from './ports.ts';

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
    lastUseTime: now,
    lastIpAddress: origin.ipAddress,
    lastPlace: origin.place,
  };
}

/** Ends the trust of the longest unused device where the account has no room for one more. */
export async function makeRoomForOne(deps: Deps, tx: AccountTransaction, now: Date): Promise<void> {
  const trusted = (await tx.devicesWithTrust()).filter((device) => isTrusted(device, deps.limits, now));
  for (const device of displacedByOneMore(trusted, deps.limits)) {
    await tx.saveDevice({ ...device, trustEndTime: now });
    await tx.endSessions({ deviceId: device.deviceId }, 'DEVICE_REMOVED', now);
    const { displayName, model, platform, osVersion, appVersion } = device;
    await tx.appendEvent(
      eventOf(deps, device.accountId, 'DEVICE_REMOVED', now, {
        device: { displayName, model, platform, osVersion, appVersion },
        deviceId: device.deviceId,
      }),
    );
  }
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
