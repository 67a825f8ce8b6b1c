// The accounts' rows: our own state, and the embedded directory's entries.

import { sql } from 'kysely';
import type { HeldForm } from '../directory/decoys.ts';
import type { StoredPassword } from '../directory/passwords.ts';
import { type Account, newAccount } from '../domain/account.ts';
import { normaliseEmail } from '../domain/email.ts';
import type { DirectoryAccount, HashRenewal } from '../flows/ports.ts';
import type { AccountKey } from '../flows/store-ports.ts';
import { type Builder, columnsOf, columnValues, type Db, first, type Reader, statement } from './statement.ts';

interface Key {
  readonly accountId: string;
}

const columns = columnsOf('Account');

/**
 * The account under its lock: everything of an account is decided while holding it. Where a key is asked for, strangers
 * who only know the account's id can't hold its lock.
 */
export function lockAccount(db: Reader, accountId: string, key: AccountKey | undefined): Promise<Account | undefined> {
  if (key === undefined) return first(db, selectForUpdate, { accountId });
  return 'challengeToken' in key
    ? first(db, selectForUpdateByChallenge, { accountId, tokenHash: key.challengeToken })
    : first(db, selectForUpdateBySession, { accountId, familyHash: key.refreshFamily });
}

const locked = (db: Builder, p: Key) =>
  db.selectFrom('Account').select(columns).where('accountId', '=', p.accountId).forNoKeyUpdate();

const selectForUpdate = statement(locked);

const selectForUpdateByChallenge = statement((db, p: Key & { readonly tokenHash: Uint8Array }) =>
  locked(db, p).where((e) =>
    e.exists(
      e
        .selectFrom('Challenge')
        .select('state')
        .where('accountId', '=', p.accountId)
        .where('tokenHash', '=', p.tokenHash),
    ),
  ),
);

const selectForUpdateBySession = statement((db, p: Key & { readonly familyHash: Uint8Array }) =>
  locked(db, p).where((e) =>
    e.exists(
      e.selectFrom('Session').select('amr').where('accountId', '=', p.accountId).where('familyHash', '=', p.familyHash),
    ),
  ),
);

const select = statement((db, p: Key) => db.selectFrom('Account').select(columns).where('accountId', '=', p.accountId));

export function findAccount(db: Reader, accountId: string): Promise<Account | undefined> {
  return first(db, select, { accountId });
}

const update = statement((db, p: Account) =>
  db
    .updateTable('Account')
    .set(columnValues('Account', p, ['accountId', 'createTime']))
    .where('accountId', '=', p.accountId),
);

export function saveAccount(db: Db, account: Account): void {
  db.write(update, account);
}

const entryColumns = ['accountId', 'email', 'locale'] as const;

const selectEntry = statement((db, p: Key) =>
  db.selectFrom('DirectoryAccount').select(entryColumns).where('accountId', '=', p.accountId),
);

export function directoryAccount(db: Reader, accountId: string): Promise<DirectoryAccount | undefined> {
  return first(db, selectEntry, { accountId });
}

const selectEntryByEmail = statement((db, p: { readonly normalisedEmail: string }) =>
  db.selectFrom('DirectoryAccount').select(entryColumns).where('normalisedEmail', '=', p.normalisedEmail),
);

export function directoryAccountByEmail(db: Reader, email: string): Promise<DirectoryAccount | undefined> {
  return first(db, selectEntryByEmail, { normalisedEmail: normaliseEmail(email) });
}

const selectPassword = statement((db, p: { readonly normalisedEmail: string }) =>
  db
    .selectFrom('DirectoryAccount as d')
    .innerJoin('Account as a', 'a.accountId', 'd.accountId')
    .select(['d.accountId', 'd.email', 'd.locale', 'd.passwordHash', 'd.passwordAsTyped', 'a.passwordVersion'])
    .where('d.normalisedEmail', '=', p.normalisedEmail),
);

/** The password hash behind an address, with the version of it that a later transaction can check. */
export function passwordByEmail(
  db: Reader,
  email: string,
): Promise<(DirectoryAccount & StoredPassword & { readonly passwordVersion: number }) | undefined> {
  return first(db, selectPassword, { normalisedEmail: normaliseEmail(email) });
}

const insert = statement((db, p: Account) => db.insertInto('Account').values(columnValues('Account', p)));

type Entry = DirectoryAccount & { readonly passwordHash: string; readonly createTime: Date };

const insertEntry = statement((db, p: Entry & { readonly normalisedEmail: string; readonly updateTime: Date }) =>
  db
    .insertInto('DirectoryAccount')
    .values({ ...columnValues('DirectoryAccount', p), passwordAsTyped: sql.lit(false) })
    .onConflict((conflict) => conflict.column('normalisedEmail').doNothing())
    .returning('accountId'),
);

/** False where the address is taken. */
export async function insertAccount(db: Db, entry: Entry): Promise<boolean> {
  db.write(insert, newAccount(entry.accountId, entry.createTime));
  const normalisedEmail = normaliseEmail(entry.email);
  const inserted = await first(db, insertEntry, { ...entry, normalisedEmail, updateTime: entry.createTime });
  return inserted !== undefined;
}

/** No account's id is empty. */
const nobody = '';

const insertMet = statement<Account, unknown>(
  (_, p) => sql`
    with unsynchronised as (select set_config('synchronous_commit', 'off', true))
    insert into account (account_id, create_time, two_step_enabled, password_change_required, password_version, wrong_codes)
    select ${p.accountId}::text, ${p.createTime}::timestamptz, ${p.twoStepEnabled}::boolean,
      ${p.passwordChangeRequired}::boolean, ${p.passwordVersion}::integer, ${p.wrongCodes}::integer
    from unsynchronised where ${p.accountId}::text <> ${sql.lit(nobody)}
    on conflict do nothing`,
);

/**
 * Makes the row of an account that lives elsewhere where there is none, and returns the version of its password; for none at all it
 * does the same in vain. The commit does not wait for the disk: what a crash forgets is made again when the account is next named,
 * and whatever is written of it before that takes this along.
 */
export async function meetAccount(db: Db, accountId: string | undefined, now: Date): Promise<number | undefined> {
  db.write(insertMet, newAccount(accountId ?? nobody, now));
  return (await findAccount(db, accountId ?? nobody))?.passwordVersion;
}

const updatePassword = statement((db, p: Key & { readonly passwordHash: string; readonly now: Date }) =>
  db
    .updateTable('DirectoryAccount')
    .set({ passwordHash: p.passwordHash, passwordAsTyped: sql.lit(false), updateTime: p.now })
    .where('accountId', '=', p.accountId),
);

export function setPasswordHash(db: Db, accountId: string, passwordHash: string, now: Date): void {
  db.write(updatePassword, { accountId, passwordHash, now });
}

const renewPassword = statement((db, p: Key & HashRenewal & { readonly now: Date }) =>
  db
    .updateTable('DirectoryAccount')
    .set({ passwordHash: p.passwordHash, passwordAsTyped: sql.lit(false), updateTime: p.now })
    .where('accountId', '=', p.accountId)
    .where('passwordHash', '=', p.before),
);

export function renewPasswordHash(db: Db, accountId: string, renewal: HashRenewal, now: Date): void {
  db.write(renewPassword, { accountId, ...renewal, now });
}

/** Pages that are looked at: some 10,000 rows of a large directory, and a few hundredths of a second. */
const sampledPages = 400;
const mostForms = 16;

// Of the same pages each time: replicas see one mix, and it changes only as the directory does.
const selectForms = statement<object, HeldForm>(
  () => sql`
    select min(password_hash) as example, password_as_typed, count(*)::int as count
    from directory_account tablesample system (least(100, 100.0 * ${sql.lit(sampledPages)}
      / greatest(1, pg_relation_size('directory_account') / current_setting('block_size')::int))) repeatable (0)
    group by password_as_typed,
      case when password_hash like '$2%' then left(password_hash, 6)
        else regexp_replace(password_hash, '[$][^$]+[$][^$]+$', '') end
    order by count(*) desc
    limit ${sql.lit(mostForms)}`,
);

/** The commonest forms of hashes that the directory holds, of a sample of it. */
export function heldForms(db: Reader): Promise<readonly HeldForm[]> {
  return db.rows(selectForms, {});
}

const updateEntry = statement((db, p: DirectoryAccount & { readonly normalisedEmail: string; readonly now: Date }) =>
  db
    .updateTable('DirectoryAccount')
    .set({ email: p.email, normalisedEmail: p.normalisedEmail, locale: p.locale, updateTime: p.now })
    .where('accountId', '=', p.accountId),
);

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
  const locale = change.locale ?? before.locale;
  // Waited for: another account may be taking the address at this moment.
  await db.rows(updateEntry, { accountId, email, normalisedEmail: normaliseEmail(email), locale, now });
  return { before };
}
