// Accounts with trusted, signed-in devices, put into the database by SQL, and the secrets that their devices hold.

import type pg from 'pg';
import { createPasswords } from '../server/directory/passwords.ts';
import { createRandom, systemClock } from '../server/platform/clock.ts';
import { keyRingOf } from '../server/platform/key-ring.ts';
import { createAccessTokens } from '../server/platform/keys.ts';
import { secrets } from '../server/platform/secrets.ts';
import { benchConfig, benchKeys } from './support.ts';

export const password = 'correct horse';

export interface SignedInDevice {
  readonly accountId: string;
  readonly email: string;
  readonly deviceId: string;
  readonly sessionId: string;
  readonly deviceToken: string;
  readonly refreshToken: string;
  readonly accessToken: string;
  /** An address of its own, as a proxy would tell it. */
  readonly ipAddress: string;
}

export interface AccountsOptions {
  /** Of the accounts' ids; a number from 1 follows. */
  readonly prefix: string;
  readonly accounts: number;
  readonly devicesEach: number;
  /** `plain` is a stub of a hash, so that what is measured is everything else. */
  readonly hash: 'plain' | 'argon2id';
  /** Whether the first device of each counts as one with an open stream, on a replica that is not there. */
  readonly watched?: boolean;
}

/** The first device of each account in turn, then the second of each. */
export async function createAccounts(database: pg.Pool, options: AccountsOptions): Promise<readonly SignedInDevice[]> {
  const { prefix, accounts, devicesEach } = options;
  const random = createRandom();
  const now = systemClock.now();
  const tokens = accessTokens();
  const devices = Array.from({ length: accounts * devicesEach }, (_, index) => {
    const number = 1 + (index % accounts);
    const accountId = `${prefix}${number}`;
    return {
      accountId,
      email: `${accountId}@example.com`,
      deviceId: random.uuid(now),
      sessionId: random.uuid(now),
      device: secrets.issue(accountId),
      refresh: secrets.issueRefresh(accountId),
      ipAddress: `81.2.${(number >> 8) % 256}.${number % 256}`,
    };
  });
  await database.query(
    `insert into account (account_id, create_time, two_step_enabled, password_change_required, password_version,
        wrong_codes)
      select $1 || n, now(), true, false, 1, 0 from generate_series(1, $2::int) n`,
    [prefix, accounts],
  );
  await database.query(
    `insert into directory_account (account_id, email, normalised_email, password_hash, locale, create_time, update_time)
      select $1 || n, $1 || n || '@example.com', $1 || n || '@example.com', $3, 'en', now(), now()
      from generate_series(1, $2::int) n`,
    [prefix, accounts, await passwordHash(options.hash)],
  );
  const column = <T>(of: (device: (typeof devices)[number]) => T) => devices.map(of);
  const [accountIds, deviceIds] = [column(({ accountId }) => accountId), column(({ deviceId }) => deviceId)];
  await database.query(
    `insert into device (account_id, device_id, display_name, model, platform, os_version, app_version, token_hash,
        trust_time, create_time, last_use_time, last_ip_address)
      select account_id, device_id, 'Phone', 'iPhone 17', 'IOS', '19.1', '2.3', token_hash, now(), now(), now(),
        '127.0.0.1'
      from unnest($1::text[], $2::uuid[], $3::bytea[]) as device (account_id, device_id, token_hash)`,
    [accountIds, deviceIds, column(({ device }) => device.hash)],
  );
  await database.query(
    `insert into session (account_id, session_id, device_id, amr, create_time, last_use_time, generation,
        oldest_generation, family_hash, refresh_hash, first_use_time)
      select account_id, session_id, device_id, '["pwd", "otp"]', now(), now(), 1, 1, family_hash, refresh_hash, now()
      from unnest($1::text[], $2::uuid[], $3::uuid[], $4::bytea[], $5::bytea[])
        as session (account_id, session_id, device_id, family_hash, refresh_hash)`,
    [
      accountIds,
      column(({ sessionId }) => sessionId),
      deviceIds,
      column(({ refresh }) => refresh.familyHash),
      column(({ refresh }) => refresh.refreshHash),
    ],
  );
  if (options.watched === true) await noteStreams(database, prefix);
  await database.query('analyze account, directory_account, device, session');
  return Promise.all(
    devices.map(async ({ device, refresh, ...names }) => ({
      ...names,
      deviceToken: device.token,
      refreshToken: refresh.token,
      accessToken: await tokens.sign(names, 0),
    })),
  );
}

/** Signs access tokens as the servers that are measured do; good for an hour and `extraSeconds`. */
export function accessTokens() {
  const { tokenIssuer, tokenAudience, limits } = benchConfig({ databaseUrl: '', smtpUrl: '' });
  const { sign } = createAccessTokens(
    keyRingOf(() => [benchKeys.signing]),
    { issuer: tokenIssuer, audience: tokenAudience, lifetimeMs: limits.accessTokenLifetimeMs },
  );
  const issueTime = systemClock.now();
  return {
    sign: async (
      { accountId, sessionId, deviceId }: Pick<SignedInDevice, 'accountId' | 'sessionId' | 'deviceId'>,
      extraSeconds: number,
    ) => {
      const expireTime = new Date(issueTime.getTime() + (3_600 + extraSeconds) * 1_000);
      const claims = { accountId, sessionId, deviceId, amr: ['pwd', 'otp'], generation: 1, issueTime, expireTime };
      return String(await sign(claims));
    },
  };
}

/** A code for such an account goes to the app, and no mail is sent beside what is measured. */
async function noteStreams(database: pg.Pool, prefix: string): Promise<void> {
  await database.query(
    `with elsewhere as (
        insert into replica (replica_id, alive_until) values (uuidv7(), now() + interval '1 hour') returning replica_id
      )
      insert into open_stream (account_id, stream_id, session_id, device_id, replica_id)
      select distinct on (account_id) account_id, uuidv7(), session_id, device_id, replica_id
      from session, elsewhere where account_id like $1 || '%'`,
    [prefix],
  );
}

async function passwordHash(kind: AccountsOptions['hash']): Promise<string> {
  return kind === 'argon2id' ? createPasswords(1, 1).hash(password) : plainHash(password);
}

/** A password as accounts have it whose hash is a stub. */
export const plainHash = (of: string) => `plain:${of}`;
