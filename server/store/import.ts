// Many accounts at once, of another system: each or none, in a handful of statements.

import { sql } from 'kysely';
import { newAccount } from '../domain/account.ts';
import { decideImport, type ImportResult } from '../domain/import.ts';
import type { ImportEntry } from '../flows/ports.ts';
import { type Db, statement } from './statement.ts';

interface TakenRow {
  readonly accountId: string;
  /** Null where it is the id that was found. */
  readonly normalisedEmail: string | null;
}

// In one statement, which sees one moment: of an account that somebody makes meanwhile it finds both or neither.
const selectTaken = statement<{ readonly emails: readonly string[]; readonly accountIds: readonly string[] }, TakenRow>(
  (_, p) => sql`
    select account_id, normalised_email from directory_account where normalised_email = any (${p.emails}::text[])
    union all
    select account_id, null from account where account_id = any (${p.accountIds}::text[])`,
);

interface Columns {
  readonly accountIds: readonly string[];
  readonly emails: readonly string[];
  readonly normalisedEmails: readonly string[];
  readonly locales: readonly string[];
  readonly passwordHashes: readonly string[];
  readonly createTimes: readonly Date[];
  readonly twoStepEnabled: readonly boolean[];
  readonly passwordChangeRequired: readonly boolean[];
  readonly passwordVersions: readonly number[];
  readonly wrongCodes: readonly number[];
}

// Both in an order that every import has, ids before addresses: of two at once one waits for the other, and none for both.
const insertAccounts = statement<Columns, { readonly accountId: string }>(
  (_, p) => sql`
    insert into account
      (account_id, create_time, two_step_enabled, password_change_required, password_version, wrong_codes)
    select *
    from unnest(${p.accountIds}::text[], ${p.createTimes}::timestamptz[], ${p.twoStepEnabled}::boolean[],
      ${p.passwordChangeRequired}::boolean[], ${p.passwordVersions}::integer[], ${p.wrongCodes}::integer[]) as entry (account_id)
    order by account_id collate "C"
    on conflict do nothing
    returning account_id`,
);

const insertEntries = statement<Columns, { readonly accountId: string }>(
  (_, p) => sql`
    insert into directory_account
      (account_id, email, normalised_email, password_hash, password_as_typed, locale, create_time, update_time)
    select account_id, email, normalised_email, password_hash, true, locale, create_time, create_time
    from unnest(${p.accountIds}::text[], ${p.emails}::text[], ${p.normalisedEmails}::text[],
        ${p.passwordHashes}::text[], ${p.locales}::text[], ${p.createTimes}::timestamptz[])
      as entry (account_id, email, normalised_email, password_hash, locale, create_time)
    order by normalised_email collate "C"
    on conflict do nothing
    returning account_id`,
);

/**
 * Takes the accounts over that are not there, within a transaction. Undefined where another transaction came in between: then it
 * has to be rolled back, and all of it decided anew.
 */
export async function importAccounts(
  db: Db,
  entries: readonly ImportEntry[],
): Promise<readonly ImportResult[] | undefined> {
  const taken = await db.rows(selectTaken, {
    emails: entries.map(({ normalisedEmail }) => normalisedEmail),
    accountIds: entries.map(({ accountId }) => accountId),
  });
  const results = decideImport(entries, {
    ownerOf: new Map(
      taken.flatMap(({ normalisedEmail, accountId }) =>
        normalisedEmail === null ? [] : [[normalisedEmail, accountId]],
      ),
    ),
    accountIds: new Set(
      taken.flatMap(({ normalisedEmail, accountId }) => (normalisedEmail === null ? [accountId] : [])),
    ),
  });
  const created = entries.filter((_, index) => results[index]?.outcome === 'CREATED');
  if (created.length === 0) return results;
  const columns = columnsOf(created);
  const inserted = await Promise.all([db.rows(insertAccounts, columns), db.rows(insertEntries, columns)]);
  return inserted.every(({ length }) => length === created.length) ? results : undefined;
}

function columnsOf(entries: readonly ImportEntry[]): Columns {
  const accounts = entries.map(({ accountId, createTime }) => newAccount(accountId, createTime));
  return {
    accountIds: entries.map(({ accountId }) => accountId),
    emails: entries.map(({ email }) => email),
    normalisedEmails: entries.map(({ normalisedEmail }) => normalisedEmail),
    locales: entries.map(({ locale }) => locale),
    passwordHashes: entries.map(({ passwordHash }) => passwordHash),
    createTimes: entries.map(({ createTime }) => createTime),
    twoStepEnabled: accounts.map(({ twoStepEnabled }) => twoStepEnabled),
    passwordChangeRequired: accounts.map(({ passwordChangeRequired }) => passwordChangeRequired),
    passwordVersions: accounts.map(({ passwordVersion }) => passwordVersion),
    wrongCodes: accounts.map(({ wrongCodes }) => wrongCodes),
  };
}
