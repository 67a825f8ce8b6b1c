// The guesses of the last hour at a password, one row an address, known or not. A row is only replaced as it was read, which
// makes the count exact.

import { sql } from 'kysely';
import type { PasswordGuess } from '../domain/limits.ts';
import { type Db, first, type Reader, statement } from './statement.ts';

interface Row {
  readonly emailHash: Uint8Array;
  readonly guesses: readonly PasswordGuess[];
  readonly updateTime: Date;
}

const select = statement((db, p: Pick<Row, 'emailHash'>) =>
  db.selectFrom('PasswordGuesses').select('guesses').where('emailHash', '=', p.emailHash),
);

export async function passwordGuesses(db: Reader, emailHash: Uint8Array): Promise<readonly PasswordGuess[]> {
  return (await first(db, select, { emailHash }))?.guesses ?? [];
}

const replace = statement<Row & { readonly before: string }, unknown>(
  (_, p) => sql`
    with unsynchronised as (select set_config('synchronous_commit', 'off', true))
    insert into password_guesses as kept (email_hash, guesses, update_time)
    select ${p.emailHash}, ${p.guesses}::jsonb, ${p.updateTime} from unsynchronised
    on conflict (email_hash) do update set guesses = excluded.guesses, update_time = excluded.update_time
      where kept.guesses = ${p.before}::jsonb
    returning 1`,
);

/**
 * False where the guesses are not `before` any more: whoever was first has counted, and this one looks again. The commit
 * does not wait for the disk: a crash of PostgreSQL, which no guesser can cause, forgets the guesses of its last second.
 */
export async function replacePasswordGuesses(
  db: Reader,
  emailHash: Uint8Array,
  before: readonly PasswordGuess[],
  guesses: readonly PasswordGuess[],
  now: Date,
): Promise<boolean> {
  const values = { emailHash, guesses, updateTime: now, before: JSON.stringify(before) };
  return (await first(db, replace, values)) !== undefined;
}

const remove = statement<{ readonly emailHash: Uint8Array; readonly guessId: string }, unknown>(
  (_, p) => sql`
    update password_guesses
    set guesses = (
      select coalesce(jsonb_agg(guess), '[]') from jsonb_array_elements(guesses) guess where guess ->> 'id' <> ${p.guessId}
    )
    where email_hash = ${p.emailHash}`,
  'password_guesses',
);

export function forgetPasswordGuess(db: Db, emailHash: Uint8Array, guessId: string): void {
  db.write(remove, { emailHash, guessId });
}

const removeAll = statement((db, p: { readonly emailHashes: readonly Uint8Array[] }) =>
  db.deleteFrom('PasswordGuesses').where('emailHash', '=', sql<Uint8Array>`any (${p.emailHashes}::bytea[])`),
);

export function erasePasswordGuesses(db: Db, emailHashes: readonly Uint8Array[]): void {
  db.write(removeAll, { emailHashes });
}
