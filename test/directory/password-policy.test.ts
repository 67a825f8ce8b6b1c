// Which new passwords do, and what the others lack. Nobody's taste: each line stands for a kind that people choose.

import { createHash } from 'node:crypto';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createPasswordPolicy, type OpenPasswordPolicy } from '../../server/directory/password-policy.ts';
import { createStrength } from '../../server/directory/strength.ts';
import { DomainError } from '../../server/domain/errors.ts';

const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() };
const email = 'anna.petrova+shop84@kontoso.example.com';
const unlisted = 'vk7 Quartz-oboe listed by its file';

let folder: string;
let breachedFile: string;
let policy: OpenPasswordPolicy;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-policy-'));
  breachedFile = join(folder, 'breached.txt');
  await writeFile(breachedFile, `${createHash('sha1').update(unlisted).digest('hex').toUpperCase()}:3\r\n`);
  policy = await createPasswordPolicy({ breachedFile, brandName: 'Blue Heron', log });
});
afterAll(async () => {
  await policy?.close();
  await rm(folder, { recursive: true, force: true });
});

const weaknesses = (password: string) => policy.weaknesses(password, { email });

test.each([
  ['of 7 characters', 'kT9#mQ2', ['TOO_SHORT']],
  ['of 7 emoji', '🐎🔋📎🦊🍕🚀🎻', ['TOO_SHORT']],
  ['of 7 letters with accents of their own', 'a\u0301e\u0301i\u0301o\u0301u\u0301y\u0301n\u0303', ['TOO_SHORT']],
  ['of no character', '', ['TOO_SHORT']],
  ['of one character', 'aaaaaaaaaaaa', ['ONE_CHARACTER']],
  ['of one character in two widths', 'aaaaaａａａａａ', ['ONE_CHARACTER']],
  ['of one short character', '🐎🐎🐎', ['TOO_SHORT', 'ONE_CHARACTER']],
  ['that is the address', 'Anna.Petrova+Shop84@Kontoso.Example.com', ['IS_EMAIL']],
  ['that is its local part', 'anna.petrova+shop84', ['IS_EMAIL']],
  ['that is its local part, run together', 'AnnaPetrovaShop84', ['IS_EMAIL']],
  ['that is its domain', 'kontoso.example.com', ['IS_EMAIL']],
  ['that is the commonest', 'password', ['GUESSABLE', 'BREACHED']],
  ['of digits in order', '1234567890', ['GUESSABLE', 'BREACHED']],
  ['that walks the keyboard', '1qaz2wsx', ['GUESSABLE', 'BREACHED']],
  ['that walks the keyboard in capitals', 'ZXCVbnm,./', ['GUESSABLE']],
  ['in letters replaced by digits', 'P@ssw0rd!', ['GUESSABLE']],
  ['in wide letters', 'ｂｕｔｔｅｒｆｌｙ９９', ['GUESSABLE']],
  ['in letters replaced in several ways', 'f00t84!!', ['GUESSABLE']],
  ['that is repeated', 'monkeymonkey', ['GUESSABLE']],
  ['of three letters, repeated', 'abcabcabcabcabcabc', ['GUESSABLE']],
  ['that is a date', '12.04.1987', ['GUESSABLE']],
  ['that is a date in one', '19870412', ['GUESSABLE']],
  ['that is a season and a year', 'Summer2024!', ['GUESSABLE']],
  ['that is a name, digits and a mark', 'Adelaide75!', ['GUESSABLE']],
  ['that is a name and a year', 'Mignonne1963', ['GUESSABLE']],
  ['that is a word and digits', 'butterfly9', ['GUESSABLE']],
  ['of the address’s words', 'AnnaPetrova1984', ['GUESSABLE']],
  ['of the address’s words and a mark', 'petrova-anna-84!', ['GUESSABLE']],
  ['of the domain’s word', 'Kontoso2024!', ['GUESSABLE']],
  ['of the product’s name', 'BlueHeron2024', ['GUESSABLE']],
  ['of the product’s name in parts', 'my blue heron', ['GUESSABLE']],
  ['of the product’s name in wide letters', 'ＢｌｕｅＨｅｒｏｎ１２３', ['GUESSABLE']],
  ['on the list that is set', unlisted, ['BREACHED']],
])('a password %s is refused', async (_kind, password, lacks) => {
  expect(await weaknesses(password)).toEqual(lacks);
});

test.each([
  ['of 8 random letters and digits', 'kT9bmQ2x'],
  ['of a password manager', 'J9xW-q2Lm-4RtZ-k8Vb'],
  ['of four random words', 'correct horse battery staple'],
  ['of three random words', 'river otter lamp'],
  ['of words that are lists of zxcvbn', 'red tiger seven march'],
  ['of words in Cyrillic', 'кошка на крыше поёт'],
  ['of words in Japanese', '青い馬が三匹走った夜'],
  ['of 8 emoji', '🐎🔋📎🦊🍕🚀🎻🐢'],
  ['with an own word among others', 'anna loves purple elephants'],
  ['of 1,024 bytes', 'x7 Quartz vows! '.repeat(64)],
])('a password %s will do', async (_kind, password) => {
  expect(await weaknesses(password)).toEqual([]);
});

test('another account’s words are anybody’s', async () => {
  expect(await policy.weaknesses('quxblarg.dfhkwz', { email: 'quxblarg.dfhkwz@example.com' })).toEqual(['IS_EMAIL']);
  expect(await policy.weaknesses('dfhkwz-quxblarg', { email: 'quxblarg.dfhkwz@example.com' })).toEqual(['GUESSABLE']);
  expect(await policy.weaknesses('dfhkwz-quxblarg', { email })).toEqual([]);
});

test('the commonest are refused without any list that is set', async () => {
  const bundled = await createPasswordPolicy({ breachedFile: undefined, brandName: 'Blue Heron', log });
  expect(await bundled.weaknesses('iloveyou2', { email })).toContain('BREACHED');
  expect(await bundled.weaknesses(unlisted, { email })).toEqual([]);
  await bundled.close();
});

describe('the time that a password takes', () => {
  const longest = (text: string) => text.repeat(1_024).slice(0, 1_024);
  test.each([
    ['random', longest('kT9#mQ2x@!v$Zr+7Lw^8(B')],
    ['digits', longest('1234567890')],
    ['dates', longest('19870412')],
    ['letters in digits', longest('4@8({[<369&1!|05$7+2%')],
    ['letters of several signs', longest('^^//|-||_|')],
    ['words', longest('correct horse battery staple ')],
    ['one letter but the last', `${longest('a').slice(1)}b`],
    ['emoji', '🐎🔋📎🦊'.repeat(64)],
    ['accents', 'e\u0301'.repeat(341)],
  ])('has bounds: %s', async (_kind, password) => {
    const started = performance.now();
    await weaknesses(password);
    // Some 50 ms on a machine that has nothing else to do.
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  test('is not the event loop’s', async () => {
    let longestPause = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longestPause = Math.max(longestPause, performance.now() - last);
      last = performance.now();
    }, 1);
    const started = last;
    await Promise.all(Array.from({ length: 50 }, (_, at) => weaknesses(longest(`kT9#mQ2x@!v$Zr+7Lw^8(B${at}`))));
    const took = performance.now() - started;
    clearInterval(timer);
    expect(longestPause).toBeLessThan(took / 2);
  });
});

describe('what can’t be told is put off', () => {
  const isUnavailable = (error: unknown) =>
    error instanceof DomainError && error.refusal.reason === 'DEPENDENCY_UNAVAILABLE';

  test('as a list can’t be read', async () => {
    const path = join(folder, 'cut.txt');
    const hashes = Array.from({ length: 500 }, (_, at) => createHash('sha1').update(`${at}`).digest('hex')).sort();
    await writeFile(path, hashes.join('\n'));
    const cut = await createPasswordPolicy({ breachedFile: path, brandName: 'Blue Heron', log });
    expect(await cut.weaknesses('river otter lamp', { email })).toEqual([]);
    await truncate(path, 0);
    expect(await cut.weaknesses('river otter lamp', { email }).catch(isUnavailable)).toBe(true);
    await cut.close();
  });

  test('as too many wait', async () => {
    const strength = createStrength(log);
    const asked = Array.from({ length: 210 }, (_, at) =>
      strength.guesses(`river otter ${at}`, []).catch(isUnavailable),
    );
    const answers = await Promise.all(asked);
    expect(answers.filter((answer) => answer === true)).toHaveLength(10);
    expect(answers.filter((answer) => Number(answer) > 1e8)).toHaveLength(200);
    await strength.close();
  });

  test('as the thread ends, and the next one has a new thread', async () => {
    const strength = createStrength(log);
    const cut = strength.guesses('river otter lamp', []).catch(isUnavailable);
    await strength.close();
    expect(await cut).toBe(true);
    expect(await strength.guesses('river otter lamp', [])).toBeGreaterThan(1e8);
    await strength.close();
  });
});

test('nothing of a password was logged', () => {
  const said = JSON.stringify([log.info.mock.calls, log.warn.mock.calls, log.error.mock.calls]);
  for (const part of ['river', 'otter', 'Quartz', 'kT9']) expect(said).not.toContain(part);
});
