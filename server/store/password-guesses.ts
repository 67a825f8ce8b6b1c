// The guesses of the last hour at a password, one row an address, known or not. The row's lock makes the count exact.

import { sql } from 'kysely';
import type { PasswordGuess } from '../domain/limits.ts';
import type { Store } from '../flows/ports.ts';
import type { Db } from './database.ts';

/** Locks the row, making it if need be, lets `decide` see what is there, and writes what it returns. */
export async function countPasswordGuess(
  db: Db,
  emailHash: Uint8Array,
  decide: Parameters<Store['countPasswordGuess']>[1],
  now: Date,
): Promise<number> {
  const row = await db
    .insertInto('PasswordGuesses')
    .values({ emailHash, guesses: [], updateTime: now })
    .onConflict((conflict) => conflict.column('emailHash').doUpdateSet({ updateTime: now }))
    .returning('guesses')
    .executeTakeFirstOrThrow();
  const decision = decide(row.guesses);
  await saveGuesses(db, emailHash, decision.guesses);
  return decision.waitMs;
}

export async function forgetPasswordGuess(db: Db, emailHash: Uint8Array, guessId: string): Promise<void> {
  await sql`
    update password_guesses
    set guesses = (
      select coalesce(jsonb_agg(guess), '[]') from jsonb_array_elements(guesses) guess where guess ->> 'id' <> ${guessId}
    )
    where email_hash = ${emailHash}`.execute(db);
}

async function saveGuesses(db: Db, emailHash: Uint8Array, guesses: readonly PasswordGuess[]): Promise<void> {
  await db.updateTable('PasswordGuesses').set({ guesses }).where('emailHash', '=', emailHash).execute();
}
