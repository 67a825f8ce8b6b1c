// Password hashing: argon2id off the event loop, bounded in number so that a wave of sign-ins can't starve the rest.

import { hash, verify } from '@node-rs/argon2';
import pLimit from 'p-limit';
import { DomainError } from '../domain/errors.ts';

/** OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, 2 iterations, 1 lane. */
const parameters = { algorithm: 2 /* argon2id */, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

export interface Passwords {
  hash(password: string): Promise<string>;
  /** Compares with a hash, or with one that nothing matches where there is none: in the same time. */
  verify(stored: string | undefined, password: string): Promise<boolean>;
}

/**
 * @param atOnce how many hashes are computed at once; the libuv pool has 4 threads, and other work needs some.
 * @param waiting how many may wait for their turn; more are refused with DEPENDENCY_UNAVAILABLE.
 */
export async function createPasswords(atOnce: number, waiting: number): Promise<Passwords> {
  const limit = pLimit(atOnce);
  const decoy = await hash('what nobody has', parameters);
  const bounded = <T>(work: () => Promise<T>): Promise<T> => {
    if (limit.pendingCount >= waiting) {
      throw new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 2_000 });
    }
    return limit(work);
  };
  return {
    // NFKC, so that the same characters typed on another keyboard are the same password (NIST SP 800-63B-4, 3.1.1.2).
    hash: async (password) => bounded(() => hash(password.normalize('NFKC'), parameters)),
    verify: async (stored, password) => {
      const matches = await bounded(() => verify(stored ?? decoy, password.normalize('NFKC')));
      return stored !== undefined && matches;
    },
  };
}
