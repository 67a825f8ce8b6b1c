// Comparing with hashes that other implementations have made, in whichever form; which of them are outdated; and that heavy ones
// leave room for the others.

import { describe, expect, test } from 'vitest';
import { createPasswords, ourForm, type Passwords } from '../../server/directory/passwords.ts';
import { DomainError } from '../../server/domain/errors.ts';
import { times } from '../support/at-once.ts';
import { foreignHashes } from '../support/foreign-hashes.ts';

const passwords = createPasswords(2, 20);
const typed = (passwordHash: string) => ({ passwordHash, passwordAsTyped: true });

test.each(foreignHashes)('$from', async ({ hash, password }) => {
  expect(await passwords.verify(typed(hash), password)).toBe(true);
  for (const wrong of [`${password}x`, password.slice(1), password.toUpperCase(), '']) {
    if (wrong === password || Buffer.byteLength(password) >= 72) continue;
    expect(await passwords.verify(typed(hash), wrong), wrong).toBe(false);
  }
});

describe('bcrypt', () => {
  // crypt_blowfish 1.3, wrapper.c: "0123…789chars after 72 are ignored".
  const hash = '$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui';
  const first72 = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

  test('looks at 72 bytes, as the system did that made it', async () => {
    for (const password of [first72, `${first72}chars after 72 are ignored`]) {
      expect(await passwords.verify(typed(hash), password)).toBe(true);
    }
    expect(await passwords.verify(typed(hash), first72.slice(0, -1))).toBe(false);
  });

  test('is not replaced after a longer password: of what follows nobody knows whether it was right', () => {
    expect(passwords.isOutdated(typed(hash), first72)).toBe(true);
    expect(passwords.isOutdated(typed(hash), `${first72}x`)).toBe(false);
    // 71 characters, and 142 bytes.
    expect(passwords.isOutdated(typed(hash), 'ä'.repeat(71))).toBe(false);
  });

  test('does not end at a NUL', async () => {
    // crypt_blowfish 1.3, wrapper.c: "U*U".
    const short = '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW';
    expect(await passwords.verify(typed(short), 'U*U\0')).toBe(false);
    expect(await passwords.verify(typed(short), 'U*U\0x')).toBe(false);
  });
});

test('a hash of ours is of the NFKC, and of no other form', async () => {
  const passwordHash = await passwords.hash('ﬁancé');
  expect(passwordHash.startsWith(`${ourForm}$`)).toBe(true);
  const ours = { passwordHash, passwordAsTyped: false };
  for (const spelling of ['ﬁancé', 'fiancé', 'fiance\u0301']) expect(await passwords.verify(ours, spelling)).toBe(true);
  expect(passwords.isOutdated(ours, 'ﬁancé')).toBe(false);
  expect(passwords.isOutdated({ passwordHash, passwordAsTyped: true }, 'ﬁancé')).toBe(true);
  const stronger = passwordHash.replace('m=19456', 'm=65536');
  expect(passwords.isOutdated({ passwordHash: stronger, passwordAsTyped: false }, 'ﬁancé')).toBe(true);
});

test('one of another system is of what was typed, or of its NFKC', async () => {
  // Python 3.11, hashlib.scrypt('ﬁancé'.encode(), salt=b'0123456789abcdef', n=1024, r=8, p=1, dklen=32).
  const ofTyped = typed('$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$5ScGa+/KAp8xdOExHC2UxemxDKgCvDWG7hdRt1ycPdY');
  // The same of 'fiancé'.
  const ofNfkc = typed('$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$ZxkPsOebiGLYy3DF9RJCD7ktePx6SSu0cYO7D+uFCEo');
  expect(await passwords.verify(ofTyped, 'ﬁancé')).toBe(true);
  expect(await passwords.verify(ofTyped, 'fiancé')).toBe(false);
  expect(await passwords.verify(ofNfkc, 'ﬁancé')).toBe(true);
  expect(await passwords.verify({ ...ofTyped, passwordAsTyped: false }, 'ﬁancé')).toBe(false);
});

describe('heavy ones', () => {
  // 65 MiB; what it is of does not matter.
  const heavy = typed(`$argon2id$v=19$m=66560,t=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`);
  const light = typed('$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW');

  /** Compares all of them at once, and tells which ended when, or how. */
  async function order(bounded: Passwords, stored: Readonly<Record<string, typeof light>>, password = 'U*U') {
    const ended: string[] = [];
    const run = ([name, each]: [string, typeof light]) =>
      bounded.verify(each, password).then(
        () => ended.push(name),
        (error: unknown) => ended.push(error instanceof DomainError ? error.refusal.reason : String(error)),
      );
    await Promise.all(Object.entries(stored).map(run));
    return ended;
  }
  const heavies = (count: number) => Object.fromEntries(times(count, (at) => [`heavy ${at + 1}`, heavy]));

  test('leave the others a turn', async () => {
    const ended = await order(createPasswords(2, 20), { ...heavies(4), 'light 1': light, 'light 2': light });
    for (const light of ['light 1', 'light 2']) expect(ended.indexOf(light)).toBeLessThan(ended.indexOf('heavy 2'));
  });

  test('take all the other turns, and so many may wait as of any', async () => {
    const ended = await order(createPasswords(4, 5), heavies(9));
    expect(ended.filter((name) => name === 'DEPENDENCY_UNAVAILABLE')).toHaveLength(1);
    expect(ended.filter((name) => name.startsWith('heavy'))).toHaveLength(8);
  });

  test('are those, too, that become so by two spellings of a password', async () => {
    // About 0.4 s; not of the password.
    const scrypt = typed(`$scrypt$ln=16,r=8,p=2$${'A'.repeat(22)}$${'A'.repeat(43)}`);
    const one = await order(createPasswords(2, 1), { a: scrypt, b: scrypt, c: light }, 'fiancé');
    expect(one).not.toContain('DEPENDENCY_UNAVAILABLE');
    const two = await order(createPasswords(2, 1), { a: scrypt, b: scrypt, c: light }, 'ﬁancé');
    expect(two.indexOf('c')).toBe(0);
  });
});
