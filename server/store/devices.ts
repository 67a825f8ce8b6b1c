// The rows of devices, trusted or not.

import { sql } from 'kysely';
import type { Device, LastSeen } from '../domain/device.ts';
import type { Sighting } from '../domain/unusual.ts';
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

const selectOnceTrusted = statement((db, p: { readonly accountId: string }) =>
  db
    .selectFrom('Device')
    .select('deviceId')
    .where('accountId', '=', p.accountId)
    .where('trustTime', 'is not', null)
    .limit(1),
);

/** Whether a device of the account was ever trusted; maintenance keeps the newest that was. */
export async function hadTrustedDevice(db: Reader, accountId: string): Promise<boolean> {
  return (await first(db, selectOnceTrusted, { accountId })) !== undefined;
}

const updateTrust = statement((db, p: { readonly accountId: string; readonly now: Date }) =>
  db
    .updateTable('Device')
    .set((row) => ({
      trustTime: null,
      tokenHash: null,
      trustEndTime: row.fn.coalesce('trustEndTime', sql<Date>`${p.now}`),
    }))
    .where('accountId', '=', p.accountId)
    .where('trustTime', 'is not', null),
);

/** As if none had ever been trusted. */
export function forgetTrust(db: Db, accountId: string, now: Date): void {
  db.write(updateTrust, { accountId, now });
}

const seenColumns = ['deviceId', 'lastUseTime', 'lastPlace', 'signedInFrom'] as const;
/** An account has 20 trusted devices, and 50 sessions of others. */
const mostSightings = 70;

const selectSightings = statement((db, p: { readonly accountId: string }) =>
  db
    .selectFrom('Device')
    .select(seenColumns)
    .where('accountId', '=', p.accountId)
    .where('trustEndTime', 'is', null)
    .orderBy('lastUseTime', 'desc')
    .limit(mostSightings),
);

/** Where the account's devices last signed in, but for those that were put out. */
export async function sightings(db: Reader, accountId: string): Promise<readonly Sighting[]> {
  const rows = await db.rows(selectSightings, { accountId });
  return rows.map(({ deviceId, lastUseTime, lastPlace, signedInFrom }) => {
    // Of a release before only the last use is known.
    if (signedInFrom === null) {
      return { deviceId, time: lastUseTime, place: lastPlace, connectionType: null, anonymous: [] };
    }
    const { place, connectionType, anonymous = [] } = signedInFrom.origin;
    return { deviceId, time: new Date(signedInFrom.time), place, connectionType, anonymous };
  });
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

type Use = Pick<Device, 'deviceId' | 'appVersion'> & LastSeen;

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
