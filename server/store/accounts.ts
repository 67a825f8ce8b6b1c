// The accounts' rows: our own state, and the embedded directory's entries.

import { sql } from 'kysely';
import type { Account } from '../domain/account.ts';
import { normaliseEmail } from '../domain/email.ts';
import type { AccountKey, DirectoryAccount } from '../flows/ports.ts';
import type { Db } from './database.ts';

const columns = [
  'accountId',
  'createTime',
  'twoStepEnabled',
  'passwordChangeRequired',
  'passwordVersion',
  'wrongCodes',
  'lastWrongCodeTime',
] as const;

/**
 * The account under its lock: everything of an account is decided while holding it. Where a key is asked for, strangers
 * who only know the account's id can't hold its lock.
 */
export function lockAccount(db: Db, accountId: string, key: AccountKey | undefined): Promise<Account | undefined> {
  return db
    .selectFrom('Account')
    .select(columns)
    .where('accountId', '=', accountId)
    .$if(key !== undefined, (query) => query.where(isHeld(accountId, key)))
    .forNoKeyUpdate()
    .executeTakeFirst();
}

function isHeld(accountId: string, key: AccountKey | undefined) {
  if (key === undefined) return sql<boolean>`true`;
  return 'challengeToken' in key
    ? sql<boolean>`exists (select from challenge where account_id = ${accountId} and token_hash = ${key.challengeToken})`
    : sql<boolean>`exists (select from session where account_id = ${accountId} and family_hash = ${key.refreshFamily})`;
}

export function findAccount(db: Db, accountId: string): Promise<Account | undefined> {
  return db.selectFrom('Account').select(columns).where('accountId', '=', accountId).executeTakeFirst();
}

export async function saveAccount(db: Db, account: Account): Promise<void> {
  const { accountId, createTime: _, ...state } = account;
  await db.updateTable('Account').set(state).where('accountId', '=', accountId).execute();
}

const entryColumns = ['accountId', 'email', 'locale'] as const;

export function directoryAccount(db: Db, accountId: string): Promise<DirectoryAccount | undefined> {
  return db.selectFrom('DirectoryAccount').select(entryColumns).where('accountId', '=', accountId).executeTakeFirst();
}

export function directoryAccountByEmail(db: Db, email: string): Promise<DirectoryAccount | undefined> {
  return db
    .selectFrom('DirectoryAccount')
    .select(entryColumns)
    .where('normalisedEmail', '=', normaliseEmail(email))
    .executeTakeFirst();
}

/** The password hash behind an address, with the version of it that a later transaction can check. */
export function passwordByEmail(
  db: Db,
  email: string,
): Promise<(DirectoryAccount & { readonly passwordHash: string; readonly passwordVersion: number }) | undefined> {
  return db
    .selectFrom('DirectoryAccount as d')
    .innerJoin('Account as a', 'a.accountId', 'd.accountId')
    .select(['d.accountId', 'd.email', 'd.locale', 'd.passwordHash', 'a.passwordVersion'])
    .where('d.normalisedEmail', '=', normaliseEmail(email))
    .executeTakeFirst();
}

/** False where the address is taken. */
export async function insertAccount(
  db: Db,
  entry: DirectoryAccount & { readonly passwordHash: string; readonly createTime: Date },
): Promise<boolean> {
  await db
    .insertInto('Account')
    .values({
      accountId: entry.accountId,
      createTime: entry.createTime,
      twoStepEnabled: true,
      passwordChangeRequired: false,
      passwordVersion: 1,
      wrongCodes: 0,
      lastWrongCodeTime: null,
    })
    .execute();
  const inserted = await db
    .insertInto('DirectoryAccount')
    .values({ ...entry, normalisedEmail: normaliseEmail(entry.email), updateTime: entry.createTime })
    .onConflict((conflict) => conflict.column('normalisedEmail').doNothing())
    .returning('accountId')
    .executeTakeFirst();
  return inserted !== undefined;
}

export async function setPasswordHash(db: Db, accountId: string, passwordHash: string, now: Date): Promise<void> {
  await db
    .updateTable('DirectoryAccount')
    .set({ passwordHash, updateTime: now })
    .where('accountId', '=', accountId)
    .execute();
}

export async function updateDirectoryAccount(
  db: Db,
  accountId: string,
  change: { readonly email?: string; readonly locale?: string },
  now: Date,
): Promise<{ readonly before: DirectoryAccount } | 'taken'> {
  const before = await directoryAccount(db, accountId);
  if (before === undefined) throw new Error(`no directory entry for account ${accountId}`);
  const email = change.email ?? before.email;
  const owner = await directoryAccountByEmail(db, email);
  if (owner !== undefined && owner.accountId !== accountId) return 'taken';
  await db
    .updateTable('DirectoryAccount')
    .set({ email, normalisedEmail: normaliseEmail(email), locale: change.locale ?? before.locale, updateTime: now })
    .where('accountId', '=', accountId)
    .execute();
  return { before };
}
