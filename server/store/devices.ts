// The rows of devices, trusted or not.

import type { Device } from '../domain/device.ts';
import type { Db } from './database.ts';

export function findDevice(db: Db, accountId: string, deviceId: string): Promise<Device | undefined> {
  return db
    .selectFrom('Device')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('deviceId', '=', deviceId)
    .executeTakeFirst();
}

export function findDeviceByToken(db: Db, accountId: string, tokenHash: Uint8Array): Promise<Device | undefined> {
  return db
    .selectFrom('Device')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('tokenHash', '=', tokenHash)
    .executeTakeFirst();
}

/** Devices that were given trust which nobody has ended. */
export function devicesWithTrust(db: Db, accountId: string): Promise<Device[]> {
  return db
    .selectFrom('Device')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('trustTime', 'is not', null)
    .where('trustEndTime', 'is', null)
    .execute();
}

export async function insertDevice(db: Db, device: Device): Promise<void> {
  await db.insertInto('Device').values(device).execute();
}

export async function saveDevice(db: Db, device: Device): Promise<void> {
  const { accountId, deviceId, createTime: _, ...state } = device;
  await db
    .updateTable('Device')
    .set(state)
    .where('accountId', '=', accountId)
    .where('deviceId', '=', deviceId)
    .execute();
}
