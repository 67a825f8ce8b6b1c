// The guesses of the last hour at a password, one row an address, known or not. The row's lock makes the count exact.

import { sql } from 'kysely';
import type { PasswordGuess } from '../domain/limits.ts';
import type { Store } from '../flows/ports.ts';
import { type Db, first, statement } from './statement.ts';

interface Row {
  readonly emailHash: Uint8Array;
  readonly guesses: readonly PasswordGuess[];
  readonly updateTime: Date;
}

const insertMissing = statement((db, p: Row) =>
  db
    .insertInto('PasswordGuesses')
    .values({ emailHash: p.emailHash, guesses: p.guesses, updateTime: p.updateTime })
    .onConflict((conflict) => conflict.column('emailHash').doNothing()),
);

const selectForUpdate = statement((db, p: Pick<Row, 'emailHash'>) =>
  db.selectFrom('PasswordGuesses').select('guesses').where('emailHash', '=', p.emailHash).forUpdate(),
);

const update = statement((db, p: Row) =>
  db
    .updateTable('PasswordGuesses')
    .set({ guesses: p.guesses, updateTime: p.updateTime })
    .where('emailHash', '=', p.emailHash),
);

/** Locks the row, making it if need be, lets `decide` see what is there, and writes what it returns. */
export async function countPasswordGuess(
  db: Db,
  emailHash: Uint8Array,
  decide: Parameters<Store['countPasswordGuess']>[1],
  now: Date,
): Promise<number> {
  db.write(insertMissing, { emailHash, guesses: [], updateTime: now });
  const row = await first(db, selectForUpdate, { emailHash });
  // Maintenance may forget an old row between the two.
  if (row === undefined) return countPasswordGuess(db, emailHash, decide, now);
  const decision = decide(row.guesses);
  db.write(update, { emailHash, guesses: decision.guesses, updateTime: now });
  return decision.waitMs;
}

const remove = statement<{ readonly emailHash: Uint8Array; readonly guessId: string }, unknown>(
  (_, p) => sql`
    update password_guesses
    set guesses = (
      select coalesce(jsonb_agg(guess), '[]') from jsonb_array_elements(guesses) guess where guess ->> 'id' <> ${p.guessId}
    )
    where email_hash = ${p.emailHash}`,
);

export function forgetPasswordGuess(db: Db, emailHash: Uint8Array, guessId: string): void {
  db.write(remove, { emailHash, guessId });
}
