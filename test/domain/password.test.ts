// Which words are an account's own, and what a password is without them.

import { expect, test } from 'vitest';
import { ownWords, withoutOwnWords } from '../../server/domain/password.ts';

test.each([
  [
    'anna@example.com',
    'Blue Heron',
    ['anna@example.com', 'anna', 'example.com', 'example', 'blue heron', 'blueheron', 'blue', 'heron'],
  ],
  // Words of fewer than 3 letters are nobody's own, but the whole of them is.
  ['a.b-c7@x.io', 'Q8 TV', ['a.b-c7@x.io', 'a.b-c7', 'abc7', 'x.io', 'q8 tv', 'q8tv']],
  [
    'JÖRG_müller+2@mail.kontoso.co.uk',
    '',
    [
      'jörg_müller+2@mail.kontoso.co.uk',
      'jörg_müller+2',
      'jörgmüller2',
      'mail.kontoso.co.uk',
      'jörg',
      'müller',
      'mail',
      'kontoso',
    ],
  ],
  [' ａｎｎａ@example.com ', 'anna', ['anna@example.com', 'anna', 'example.com', 'example']],
])('%s and %s', (email, brandName, words) => {
  expect(ownWords(email, brandName)).toEqual(words);
});

test.each([
  ['AnnaSmith84', ['anna', 'smith', 'annasmith'], '84'],
  ['anna and Anna again', ['anna'], ' and  again'],
  // `ann` is in too many words.
  ['planning', ['ann'], 'planning'],
  ['a.b matters, aXb does not', ['a.b matters'], ', aXb does not'],
  ['STRAßE', ['straße'], ''],
  ['nothing of it', ['anna'], 'nothing of it'],
])('%s', (password, words, rest) => {
  expect(withoutOwnWords(password, words)).toBe(rest);
});
