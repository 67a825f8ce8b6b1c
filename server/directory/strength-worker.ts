// The thread that zxcvbn runs in: it takes a second and 100 MB to load, and up to 50 ms a password, all without a pause. It must not
// know anything but what strength.ts asks it.

import { parentPort } from 'node:worker_threads';
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary as common } from '@zxcvbn-ts/language-common';
import { dictionary as english } from '@zxcvbn-ts/language-en';

export interface StrengthQuestion {
  readonly id: number;
  readonly password: string;
  readonly words: readonly string[];
}

/** `guesses` is undefined where zxcvbn failed; its own words could quote the password. */
export interface StrengthAnswer {
  readonly id: number;
  readonly guesses: number | undefined;
}

const names = ['commonWords-en', 'firstnames-en', 'lastnames-en', 'wikipedia-en'] as const;
const zxcvbn = new ZxcvbnFactory({
  // Names and words of English find `Adelaide75!`, which the common passwords alone take for a good one. Left out are the lists of
  // days, planets and the like: two of them side by side count as one guess or two, and so would "red tiger seven march".
  dictionary: { ...common, ...Object.fromEntries(names.map((name) => [name, english[name] ?? []])) },
  graphs: adjacencyGraphs,
  // The time grows with the square of the length, and 64 characters are what NIST SP 800-63B-4, 3.1.1.2, has everybody take. Who
  // begins with 64 that are easy to guess is refused, whatever follows.
  maxLength: 64,
  // Ways to read `4`, `$` and the like as letters. Of 600 common passwords in such letters 20 ways found 99%, 10 found 97%; the
  // default of 100 took up to 200 ms for what a password manager makes.
  l33tMaxSubstitutions: 20,
});

parentPort?.on('message', ({ id, password, words }: StrengthQuestion) => {
  parentPort?.postMessage({ id, guesses: guessesOf(password, words) } satisfies StrengthAnswer);
});

function guessesOf(password: string, words: readonly string[]): number | undefined {
  try {
    return zxcvbn.check(password, [...words]).guesses;
  } catch {
    return undefined;
  }
}
