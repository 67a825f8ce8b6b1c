// The rows of devices, trusted or not, and where their notifications go.

import { createHash } from 'node:crypto';
import type { Device, PushRegistration } from '../domain/device.ts';
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

/** Replaces the device's registration; the token leaves whichever device, of whichever account, had it before. */
export async function savePushRegistration(
  db: Db,
  accountId: string,
  deviceId: string,
  registration: PushRegistration,
  now: Date,
): Promise<void> {
  const tokenHash = createHash('sha256').update(`${registration.service}:${registration.token}`).digest();
  await db
    .deleteFrom('PushRegistration')
    .where((e) => e.or([e('tokenHash', '=', tokenHash), e.and({ accountId, deviceId })]))
    .execute();
  const { service, token } = registration;
  const apns = registration.service === 'APNS' ? registration : undefined;
  await db
    .insertInto('PushRegistration')
    .values({
      accountId,
      deviceId,
      service,
      token,
      tokenHash,
      topic: apns?.topic ?? null,
      environment: apns?.environment ?? null,
      updateTime: now,
    })
    .execute();
}

export async function deletePushRegistrations(db: Db, accountId: string, deviceId: string | undefined): Promise<void> {
  await db
    .deleteFrom('PushRegistration')
    .where('accountId', '=', accountId)
    .$if(deviceId !== undefined, (query) => query.where('deviceId', '=', deviceId ?? ''))
    .execute();
}
