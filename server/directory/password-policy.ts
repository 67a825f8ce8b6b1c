// What a new password has to be: not short, not the account's own, not easy to guess, on no list. Knows no account and no SQL.

import { fileURLToPath } from 'node:url';
import { ownWords, type PasswordWeakness, passwordWeaknesses, withoutOwnWords } from '../domain/password.ts';
import type { PasswordPolicy } from '../flows/ports.ts';
import { type BreachedPasswords, type DirectoryLog, openBreachedPasswords } from './breached-passwords.ts';
import { createStrength } from './strength.ts';

export interface PasswordPolicyOptions {
  /** A list of breached passwords, besides that of the commonest. */
  readonly breachedFile: string | undefined;
  readonly brandName: string;
  readonly log: DirectoryLog;
}

export interface OpenPasswordPolicy extends PasswordPolicy {
  close(): Promise<void>;
}

/**
 * What zxcvbn calls "safely unguessable": 10^8 guesses. Signing in takes 100 guesses an hour, so that is a century, and a code besides;
 * who has stolen the hashes needs hours of a graphics card for one account (OWASP's parameters of argon2id hold it below 10,000 a
 * second). Of 8 random letters and digits 98% pass, of two random words of Diceware 97%; a name or a word with a year, digits or a
 * mark does not. zxcvbn's own score of 3 begins a few guesses higher, and would refuse any 8 random characters, which NIST SP 800-63B-4
 * would have us take. Words of other languages than English it does not know: a full list of breached passwords has those.
 */
const fewestGuesses = 1e8;

/** The 10,000 commonest of 8 characters or more; made by make-common-passwords.ts. */
const commonFile = fileURLToPath(new URL('./common-passwords.txt', import.meta.url));

/** @throws Error that names the file which can't be used, and what it takes. */
export async function createPasswordPolicy(options: PasswordPolicyOptions): Promise<OpenPasswordPolicy> {
  const { breachedFile, brandName, log } = options;
  const lists: BreachedPasswords[] = [];
  for (const path of [commonFile, ...(breachedFile === undefined ? [] : [breachedFile])]) {
    lists.push(await openBreachedPasswords({ path, log }));
  }
  const strength = createStrength(log);

  const isGuessable = async (password: string, words: readonly string[]): Promise<boolean> => {
    const whole = password.normalize('NFKC');
    // zxcvbn takes `annasmith84` for three patterns and so for a good password, whoever Anna Smith is.
    const forms = new Set([whole, withoutOwnWords(whole, words)]);
    const guesses = await Promise.all([...forms].map((form) => strength.guesses(form, words)));
    return guesses.some((count) => count < fewestGuesses);
  };
  const isListed = async (password: string): Promise<boolean> =>
    (await Promise.all(lists.map((list) => list.has(password)))).includes(true);

  return {
    weaknesses: async (password, { email }) => {
      const seen = passwordWeaknesses(password, email);
      if (seen.length > 0) return seen;
      const [guessable, listed] = await Promise.all([
        isGuessable(password, ownWords(email, brandName)),
        isListed(password),
      ]);
      const found: PasswordWeakness[] = [];
      if (guessable) found.push('GUESSABLE');
      if (listed) found.push('BREACHED');
      return found;
    },
    close: async () => {
      await Promise.all([strength.close(), ...lists.map((list) => list.close())]);
    },
  };
}
