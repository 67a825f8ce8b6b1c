// Password hashing: off the event loop, in whichever form a hash is kept, bounded in number so that a wave of sign-ins can't starve
// the rest. It must not know accounts.

import { scrypt as scryptWithCallback, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { hash, verify as verifyArgon2 } from '@node-rs/argon2';
import { verify as verifyBcrypt } from '@node-rs/bcrypt';
import pLimit from 'p-limit';
import { DomainError } from '../domain/errors.ts';
import { costOf, type PasswordHash, parsePasswordHash } from '../domain/password-hash.ts';

const scrypt = promisify<string, Buffer, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(
  scryptWithCallback,
);

/** OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, 2 iterations, 1 lane. */
const parameters = { algorithm: 2 /* argon2id */, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;
export const ourForm = `$argon2id$v=19$m=${parameters.memoryCost},t=${parameters.timeCost},p=${parameters.parallelism}`;

/** bcrypt looks at no more of a password. */
const bcryptBytes = 72;

/** What is kept of a password. */
export interface StoredPassword {
  readonly passwordHash: string;
  /** Of another system, which hashed what was typed; ours are made of its NFKC. */
  readonly passwordAsTyped: boolean;
}

export interface Passwords {
  hash(password: string): Promise<string>;
  /** Whether this is the password. How long a wrong one takes is for the form of the hash alone to say. */
  verify(stored: StoredPassword, password: string): Promise<boolean>;
  /** Whether the hash of this password, which is the right one, should give way to one of ours. */
  isOutdated(stored: StoredPassword, password: string): boolean;
}

/** What takes more than this leaves a turn to the others: 64 MiB, or about half a second. */
const heavyKiB = 64 * 1024;
const heavyMs = 500;

/**
 * Heavy ones take every turn but one, where there are more: whoever has a light one does not wait behind them. Hashing takes 256 MiB
 * for each of theirs at most, and 64 MiB for the other.
 *
 * @param atOnce how many hashes are computed at once; the libuv pool has 4 threads, and other work needs some.
 * @param waiting how many may wait for their turn, of heavy ones and of all; more are refused with DEPENDENCY_UNAVAILABLE.
 */
export function createPasswords(atOnce: number, waiting: number): Passwords {
  const limit = pLimit(atOnce);
  const heavyLimit = pLimit(Math.max(1, atOnce - 1));
  const bounded = <T>(isHeavy: boolean, work: () => Promise<T>): Promise<T> => {
    if ((isHeavy ? heavyLimit : limit).pendingCount >= waiting)
      throw new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 2_000 });
    return isHeavy ? heavyLimit(() => limit(work)) : limit(work);
  };
  return {
    // NFKC, so that the same characters typed on another keyboard are the same password (NIST SP 800-63B-4, 3.1.1.2).
    hash: async (password) => bounded(false, () => hash(password.normalize('NFKC'), parameters)),
    verify: async ({ passwordHash, passwordAsTyped }, password) => {
      const stored = parsePasswordHash(passwordHash);
      if (stored === undefined) throw new Error('a password is kept in a form that is not known');
      const normalised = password.normalize('NFKC');
      const spellings = passwordAsTyped && password !== normalised ? [password, normalised] : [normalised];
      const { memoryKiB, ms } = costOf(stored.params);
      return bounded(memoryKiB > heavyKiB || ms * spellings.length > heavyMs, async () => {
        for (const spelling of spellings) if (await compare(passwordHash, stored, spelling)) return true;
        return false;
      });
    },
    isOutdated: ({ passwordHash, passwordAsTyped }, password) => {
      const stored = parsePasswordHash(passwordHash);
      // Of a longer one only the beginning is known to be right: what follows may be a slip, and would lock its owner out.
      if (stored?.params.kind === 'bcrypt' && isBeyondBcrypt(password)) return false;
      return passwordAsTyped || stored?.form !== ourForm;
    },
  };
}

const isBeyondBcrypt = (password: string) =>
  [password, password.normalize('NFKC')].some((spelling) => Buffer.byteLength(spelling) > bcryptBytes);

async function compare(text: string, { params, salt, digest }: PasswordHash, password: string): Promise<boolean> {
  switch (params.kind) {
    case 'argon2id':
      return verifyArgon2(text, password);
    case 'bcrypt':
      // Looks at 72 bytes, as the system did that made it. A NUL is a byte like any other here, and no call brings one.
      return verifyBcrypt(password, text);
    case 'scrypt': {
      const { logN, r, p } = params;
      const wanted = Buffer.from(digest, 'base64');
      // OpenSSL's own count of what it takes (RFC 7914: V, B and two blocks), and no default bound below ours.
      const maxmem = 128 * r * (2 ** logN + p + 2) + 1_024;
      const made = await scrypt(password, Buffer.from(salt, 'base64'), wanted.length, { N: 2 ** logN, r, p, maxmem });
      return timingSafeEqual(made, wanted);
    }
  }
}
