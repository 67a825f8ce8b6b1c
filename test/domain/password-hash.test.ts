// Which hashes of passwords are taken, and how they are read.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { base64Bytes, costOf, parsePasswordHash } from '../../server/domain/password-hash.ts';

const salt = 'c29tZXNhbHQ';
const digest = 'CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
const argon2id = (params: string) => `$argon2id$v=19$${params}$${salt}$${digest}`;
const scrypt = (params: string) => `$scrypt$${params}$${salt}$${digest}`;
const bcrypt = (head: string) => `${head}$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW`;

test.each([
  ['ours', argon2id('m=19456,t=2,p=1'), { kind: 'argon2id', memoryKiB: 19_456, iterations: 2, lanes: 1 }],
  [
    'the most of argon2id',
    argon2id('m=262144,t=10,p=16'),
    { kind: 'argon2id', memoryKiB: 262_144, iterations: 10, lanes: 16 },
  ],
  ['the least of argon2id', argon2id('m=8,t=1,p=1'), { kind: 'argon2id', memoryKiB: 8, iterations: 1, lanes: 1 }],
  ['bcrypt of cost 4', bcrypt('$2a$04'), { kind: 'bcrypt', cost: 4 }],
  ['bcrypt of cost 15', bcrypt('$2b$15'), { kind: 'bcrypt', cost: 15 }],
  ['bcrypt as PHP writes it', bcrypt('$2y$10'), { kind: 'bcrypt', cost: 10 }],
  ['scrypt', scrypt('ln=17,r=8,p=1'), { kind: 'scrypt', logN: 17, r: 8, p: 1 }],
  ['the most of scrypt', scrypt('ln=18,r=8,p=2'), { kind: 'scrypt', logN: 18, r: 8, p: 2 }],
  ['the largest N of the smallest r', scrypt('ln=15,r=1,p=1'), { kind: 'scrypt', logN: 15, r: 1, p: 1 }],
])('%s is taken', (_what, text, params) => {
  expect(parsePasswordHash(text)?.params).toEqual(params);
});

test.each([
  ['nothing', ''],
  ['a password', 'correct horse battery staple'],
  ['SHA-256', '5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8'],
  ['crypt of SHA-512', '$6$rounds=5000$usesomesillystri$KqJWpanXZHKq2BOB43TSaYhEWsQ1Lr5QNyPCDH/Tp.6'],
  ['argon2i', argon2id('m=19456,t=2,p=1').replace('argon2id', 'argon2i')],
  ['argon2id of the first version', argon2id('m=19456,t=2,p=1').replace('v=19', 'v=16')],
  ['argon2id without a version', argon2id('m=19456,t=2,p=1').replace('v=19$', '')],
  ['argon2id beyond 256 MiB', argon2id('m=262145,t=1,p=1')],
  ['argon2id of 11 iterations', argon2id('m=8,t=11,p=1')],
  ['argon2id of none', argon2id('m=8,t=0,p=1')],
  ['argon2id of 17 lanes', argon2id('m=19456,t=1,p=17')],
  ['argon2id with too little memory for its lanes', argon2id('m=8,t=1,p=2')],
  ['parameters in another order', argon2id('t=2,m=19456,p=1')],
  ['a number in another spelling', argon2id('m=019456,t=2,p=1')],
  ['a parameter that is not known', argon2id('m=19456,t=2,p=1,keyid=AAAA')],
  ['a salt of 7 bytes', argon2id('m=19456,t=2,p=1').replace(salt, 'AAAAAAAAAA')],
  ['a salt of 49 bytes', argon2id('m=19456,t=2,p=1').replace(salt, `${'A'.repeat(66)}`)],
  ['a hash of 15 bytes', argon2id('m=19456,t=2,p=1').replace(digest, 'A'.repeat(20))],
  ['a hash of 65 bytes', argon2id('m=19456,t=2,p=1').replace(digest, 'A'.repeat(87))],
  ['base64 with padding', `${argon2id('m=19456,t=2,p=1')}=`],
  ['base64 of the alphabet for URLs', argon2id('m=19456,t=2,p=1').replace('+', '-').replace(salt, 'c29tZXNhbH-')],
  ['base64 with bits left over', argon2id('m=19456,t=2,p=1').replace(salt, 'c29tZXNhbHR')],
  ['something behind', `${argon2id('m=19456,t=2,p=1')}\n`],
  ['something in front', ` ${argon2id('m=19456,t=2,p=1')}`],
  ['bcrypt of cost 3', bcrypt('$2b$03')],
  ['bcrypt of cost 16', bcrypt('$2b$16')],
  ['bcrypt of cost +4', bcrypt('$2b$+4')],
  ['bcrypt of the faulty kind', bcrypt('$2x$10')],
  ['bcrypt of the first kind', bcrypt('$2$10')],
  ['bcrypt that is cut', bcrypt('$2b$10').slice(0, -1)],
  ['bcrypt whose salt has bits left over', bcrypt('$2b$10').replace('C.E', 'C/E')],
  ['bcrypt whose hash has bits left over', bcrypt('$2b$10').replace(/W$/, 'X')],
  ['scrypt beyond 256 MiB', scrypt('ln=19,r=8,p=1')],
  ['scrypt that takes seconds', scrypt('ln=18,r=8,p=3')],
  ['scrypt with p of 17', scrypt('ln=10,r=8,p=17')],
  ['scrypt with r of 257', scrypt('ln=1,r=257,p=1')],
  ['scrypt with N beyond what r allows', scrypt('ln=16,r=1,p=1')],
  ['scrypt of nothing', scrypt('ln=0,r=8,p=1')],
])('%s is not taken', (_what, text) => {
  expect(parsePasswordHash(text)).toBeUndefined();
});

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replace(/=+$/, '');

describe('whatever is read', () => {
  const phc = fc.record({
    form: fc.oneof(
      fc
        .record({
          p: fc.integer({ min: 1, max: 16 }),
          m: fc.integer({ min: 128, max: 262_144 }),
          t: fc.integer({ min: 1, max: 10 }),
        })
        .map(({ m, t, p }) => `$argon2id$v=19$m=${m},t=${t},p=${p}`),
      fc
        .record({
          ln: fc.integer({ min: 1, max: 18 }),
          p: fc.integer({ min: 1, max: 16 }),
          r: fc.integer({ min: 2, max: 8 }),
        })
        .filter(({ ln, r, p }) => 2 ** ln * r * p <= 2 ** 22)
        .map(({ ln, r, p }) => `$scrypt$ln=${ln},r=${r},p=${p}`),
    ),
    salt: fc.uint8Array({ minLength: 8, maxLength: 48 }),
    digest: fc.uint8Array({ minLength: 16, maxLength: 64 }),
  });

  test('is what was written', () => {
    fc.assert(
      fc.property(phc, ({ form, salt, digest }) => {
        const text = `${form}$${base64(salt)}$${base64(digest)}`;
        expect(parsePasswordHash(text)).toMatchObject({ form, salt: base64(salt), digest: base64(digest) });
      }),
    );
  });

  test('is within the bounds, however a good one was damaged', () => {
    const characters = fc.constantFrom(...'$=,.0123456789abcmtplnrvAZ+/\n \0');
    fc.assert(
      fc.property(
        fc.oneof(
          phc.map((each) => `${each.form}$${base64(each.salt)}$${base64(each.digest)}`),
          fc.constant(bcrypt('$2b$10')),
        ),
        fc.array(fc.tuple(fc.nat(), fc.nat(2), characters), { minLength: 1, maxLength: 3 }),
        (good, damages) => {
          const text = damages.reduce((now, [at, removed, put]) => {
            const place = at % now.length;
            return now.slice(0, place) + put + now.slice(place + removed);
          }, good);
          const hash = parsePasswordHash(text);
          if (hash === undefined) return;
          const { memoryKiB, ms } = costOf(hash.params);
          expect(memoryKiB).toBeLessThanOrEqual(256 * 1024);
          expect(ms).toBeLessThanOrEqual(2_000);
          const between = hash.params.kind === 'bcrypt' ? '' : '$';
          expect(`${hash.form}$${hash.salt}${between}${hash.digest}`).toBe(text);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

test('base64 has one spelling', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (bytes) => {
      expect(base64Bytes(base64(bytes))).toBe(bytes.length);
    }),
  );
  for (const wrong of ['A', 'AB', 'AAB', 'AAAAB', 'AAAAAB']) expect(base64Bytes(wrong), wrong).toBeNaN();
});
