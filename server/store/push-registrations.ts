// The rows of where devices' notifications go. A token has one owner over all accounts.

import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { PushRegistration } from '../domain/device.ts';
import { columnValues, type Db, first, statement } from './statement.ts';

interface Key {
  readonly accountId: string;
  readonly deviceId: string;
}

const hashOf = ({ service, token }: PushRegistration) => createHash('sha256').update(`${service}:${token}`).digest();

const deleteReplaced = statement((db, p: Key & { readonly tokenHash: Uint8Array }) =>
  db
    .deleteFrom('PushRegistration')
    .where((e) => e.or([e('tokenHash', '=', p.tokenHash), e.and({ accountId: p.accountId, deviceId: p.deviceId })])),
);

const insertRegistration = statement((db, p: Key & { readonly [column: string]: unknown }) =>
  db.insertInto('PushRegistration').values(columnValues('PushRegistration', p) as never),
);

/** Replaces the device's registration; the token leaves whichever device, of whichever account, had it before. */
export async function savePushRegistration(
  db: Db,
  accountId: string,
  deviceId: string,
  registration: PushRegistration,
  now: Date,
): Promise<void> {
  const { service, token } = registration;
  const tokenHash = hashOf(registration);
  const { topic = null, environment = null } = registration.service === 'APNS' ? registration : {};
  // Waited for: another account may be giving or taking the token at this moment.
  db.write(deleteReplaced, { accountId, deviceId, tokenHash });
  await db.rows(insertRegistration, {
    accountId,
    deviceId,
    service,
    token,
    tokenHash,
    topic,
    environment,
    updateTime: now,
  });
}

const deleteOfDevice = statement((db, p: Key) =>
  db.deleteFrom('PushRegistration').where('accountId', '=', p.accountId).where('deviceId', '=', p.deviceId),
);

const deleteOfAccount = statement((db, p: { readonly accountId: string }) =>
  db.deleteFrom('PushRegistration').where('accountId', '=', p.accountId),
);

export function deletePushRegistrations(db: Db, accountId: string, deviceId: string | undefined): void {
  if (deviceId === undefined) db.write(deleteOfAccount, { accountId });
  else db.write(deleteOfDevice, { accountId, deviceId });
}

const deleteUnregistered = statement<
  Key & { readonly tokenHash: Uint8Array; readonly since: Date | null },
  { readonly isThere: boolean }
>(
  (_, p) => sql`
    with gone as (
      delete from push_registration
      where account_id = ${p.accountId} and device_id = ${p.deviceId} and token_hash = ${p.tokenHash}
        and (${p.since}::timestamptz is null or update_time <= ${p.since}::timestamptz)
      returning 1
    )
    select exists (
      select from push_registration where account_id = ${p.accountId} and device_id = ${p.deviceId}
    ) and not exists (select from gone) as "isThere"`,
);

/**
 * Forgets a registration whose token its service does not know any more, unless the device was given another token, or this
 * one again after `since`. True where it is forgotten or there was none.
 */
export async function forgetRegistration(
  db: Db,
  accountId: string,
  deviceId: string,
  registration: PushRegistration,
  since: Date | undefined,
): Promise<boolean> {
  const tokenHash = hashOf(registration);
  const left = await first(db, deleteUnregistered, { accountId, deviceId, tokenHash, since: since ?? null });
  return left?.isThere !== true;
}
