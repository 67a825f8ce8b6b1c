// The rows that the floors work on: sessions in the product's own table, and what their transaction needs.

import type pg from 'pg';

/** Of the accounts whose sessions the floors look up. */
export const floorPrefix = 'floor-';

/** The tables of the floors' transaction, with the columns and indexes of the product's; `floor-` accounts must be there. */
export async function createFloorTables(database: pg.Pool): Promise<void> {
  await database.query(`
    create table floor_challenge (like challenge including all);
    create table floor_session (like session including all);
    insert into floor_challenge (account_id, challenge_id, purpose, state, token_hash, code_key_id, default_channel, locale,
        device, origin, masked_email, create_time, expire_time, wrong_codes, sends)
      select account_id, uuidv7(), 'SIGN_IN', 'PENDING', sha256(account_id::bytea), 'bench', 'APP', 'en',
        '{"model": "iPhone 17", "platform": "IOS", "osVersion": "19.1", "appVersion": "2.3", "displayName": "Bench"}',
        '{"place": null, "ipAddress": "127.0.0.1", "connectionType": null}', 'f•••@example.com', now(),
        now() + interval '10 minutes', 0, '{"APP": {"count": 1, "lastTime": "2026-01-01T00:00:00.000Z"}}'
      from account where account_id like '${floorPrefix}%';
    analyze floor_challenge;`);
}
