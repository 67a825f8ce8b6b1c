// The time and the randomness of the machine; nothing else in the server asks for either.

import { randomFillSync } from 'node:crypto';
import type { Clock, Random } from '../flows/ports.ts';

export const systemClock: Clock = { now: () => new Date() };

/**
 * UUIDv7 (RFC 9562, 5.7): 48 bits of milliseconds, a counter of 12 bits that starts at random below 2^11 and goes up
 * within a millisecond (6.2, method 1), 62 random bits.
 */
export function createRandom(): Random {
  const bytes = Buffer.alloc(16);
  // Asked of the system for many ids at once: one costs as much as a page of them.
  const pool = Buffer.alloc(4_096);
  let used = pool.length;
  let lastMs = 0;
  let counter = 0;
  return {
    fraction: Math.random,
    uuid(now) {
      if (used === pool.length) {
        randomFillSync(pool);
        used = 0;
      }
      used += pool.copy(bytes, 0, used, used + bytes.length);
      const ms = now.getTime();
      if (ms === lastMs && counter < 0xfff) {
        counter += 1;
      } else {
        lastMs = ms;
        counter = bytes.readUInt16BE(6) & 0x7ff;
      }
      bytes.writeUIntBE(ms, 0, 6);
      bytes.writeUInt16BE(0x7000 | counter, 6);
      bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
      const hex = bytes.toString('hex');
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    },
  };
}
