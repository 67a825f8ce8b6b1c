// What the password for an address that nobody has is compared with: a hash of one of the forms that the directory holds, as often
// as it holds them. So the time of a refusal does not tell whether there is an account. It must not know SQL.

import { randomBytes } from 'node:crypto';
import { normaliseEmail } from '../domain/email.ts';
import { isAway } from '../domain/errors.ts';
import { type PasswordHash, parsePasswordHash } from '../domain/password-hash.ts';
import type { DirectoryLog } from './breached-passwords.ts';
import { ourForm, type StoredPassword } from './passwords.ts';

/** A number between 0 and 1 for a text, always the same, that nobody outside can foretell. */
export type Draw = (text: string) => number;

/** A form of hashes in the directory. */
export interface HeldForm {
  /** A hash of it. */
  readonly example: string;
  readonly passwordAsTyped: boolean;
  /** How many there are, in whatever unit. */
  readonly count: number;
}

export interface Decoys {
  /** Always the same for an address, as long as the mix of forms stays. */
  for(email: string): StoredPassword;
  /** Reads the mix anew. False where it can't be read, and that of before stays. */
  refresh(): Promise<boolean>;
}

interface Decoy {
  readonly key: string;
  readonly count: number;
  readonly stored: StoredPassword;
}

/** @param sample the commonest forms, of rows that are taken at random but always the same, so that all replicas see one mix. */
export function createDecoys(sample: () => Promise<readonly HeldForm[]>, draw: Draw, log: DirectoryLog): Decoys {
  const ours = { example: `${ourForm}$${'A'.repeat(22)}$${'A'.repeat(43)}`, passwordAsTyped: false, count: 1 };
  let decoys: readonly Decoy[] = decoysOf([ours]);
  return {
    for: (email) => {
      const address = normaliseEmail(email);
      // Rendezvous hashing with weights: where a form becomes rarer only addresses that had it change, to what has become more
      // frequent, as accounts do when their hashes are replaced.
      let best: Decoy | undefined;
      let least = Number.POSITIVE_INFINITY;
      for (const decoy of decoys) {
        const wait = -Math.log(draw(`${decoy.key}\0${address}`)) / decoy.count;
        if (wait < least) [best, least] = [decoy, wait];
      }
      if (best === undefined) throw new Error('no decoys');
      return best.stored;
    },
    refresh: async () => {
      try {
        const forms = await sample();
        const held = decoysOf(forms);
        const unknown = forms.length - held.length;
        if (unknown > 0) log.error({ forms: unknown }, 'passwords are kept in forms that are not known');
        decoys = held.length > 0 ? held : decoysOf([ours]);
        return true;
      } catch (error) {
        const said = 'the forms of passwords could not be read; unknown addresses may be told by the time they take';
        if (isAway(error)) log.warn({}, said);
        else log.error({ err: error }, said);
        return false;
      }
    },
  };
}

function decoysOf(forms: readonly HeldForm[]): readonly Decoy[] {
  return forms.flatMap(({ example, passwordAsTyped, count }) => {
    const hash = parsePasswordHash(example);
    if (hash === undefined) return [];
    const key = `${hash.form}\0${passwordAsTyped}`;
    return [{ key, count, stored: { passwordHash: decoyLike(hash), passwordAsTyped } }];
  });
}

/** Takes as long to compare with as the others of its form; that a password matches it is as likely as guessing a key. */
function decoyLike({ form, salt, digest, params }: PasswordHash): string {
  const random = (like: string) => {
    const text = randomBytes(Math.floor((like.length * 3) / 4))
      .toString('base64')
      .replace(/=+$/, '');
    return params.kind === 'bcrypt' ? inBcryptAlphabet(text) : text;
  };
  return `${form}$${random(salt)}${params.kind === 'bcrypt' ? '' : '$'}${random(digest)}`;
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const bcryptAlphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

const inBcryptAlphabet = (text: string) =>
  text.replace(/./g, (character) => bcryptAlphabet[alphabet.indexOf(character)] ?? '');
