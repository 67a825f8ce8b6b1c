// The rows of devices, trusted or not.

import type { Device } from '../domain/device.ts';
import { columnsOf, columnValues, type Db, first, type Reader, statement } from './statement.ts';

interface Key {
  readonly accountId: string;
  readonly deviceId: string;
}

const columns = columnsOf('Device');

const select = statement((db, p: Key) =>
  db.selectFrom('Device').select(columns).where('accountId', '=', p.accountId).where('deviceId', '=', p.deviceId),
);

export function findDevice(db: Reader, accountId: string, deviceId: string): Promise<Device | undefined> {
  return first(db, select, { accountId, deviceId });
}

const selectByToken = statement((db, p: { readonly accountId: string; readonly tokenHash: Uint8Array }) =>
  db.selectFrom('Device').select(columns).where('accountId', '=', p.accountId).where('tokenHash', '=', p.tokenHash),
);

export function findDeviceByToken(db: Reader, accountId: string, tokenHash: Uint8Array): Promise<Device | undefined> {
  return first(db, selectByToken, { accountId, tokenHash });
}

const selectWithTrust = statement((db, p: { readonly accountId: string }) =>
  db
    .selectFrom('Device')
    .select(columns)
    .where('accountId', '=', p.accountId)
    .where('trustTime', 'is not', null)
    .where('trustEndTime', 'is', null),
);

/** Devices that were given trust which nobody has ended. */
export function devicesWithTrust(db: Reader, accountId: string): Promise<Device[]> {
  return db.rows(selectWithTrust, { accountId });
}

const insert = statement((db, p: Device) => db.insertInto('Device').values(columnValues('Device', p)));

export function insertDevice(db: Db, device: Device): void {
  db.write(insert, device);
}

const update = statement((db, p: Device) =>
  db
    .updateTable('Device')
    .set(columnValues('Device', p, ['accountId', 'deviceId', 'createTime']))
    .where('accountId', '=', p.accountId)
    .where('deviceId', '=', p.deviceId),
);

export function saveDevice(db: Db, device: Device): void {
  db.write(update, device);
}

type Use = Pick<Device, 'deviceId' | 'appVersion' | 'lastUseTime' | 'lastIpAddress' | 'lastPlace'>;

const updateUse = statement((db, p: Use & { readonly accountId: string }) =>
  db
    .updateTable('Device')
    .set({
      appVersion: p.appVersion,
      lastUseTime: p.lastUseTime,
      lastIpAddress: p.lastIpAddress,
      lastPlace: p.lastPlace,
    })
    .where('accountId', '=', p.accountId)
    .where('deviceId', '=', p.deviceId),
);

export function noteDeviceUse(db: Db, accountId: string, use: Use): void {
  db.write(updateUse, { ...use, accountId });
}
