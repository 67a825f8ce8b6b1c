// A code out of a MAC. Pure: the key and the HMAC are platform/keys.ts; what is authenticated is fixed here.

import type { Channel } from './challenge.ts';

/** What the HMAC is taken over: the challenge and the channel, so that each channel has a code of its own. */
export function codeInput(challengeId: string, channel: Channel): string {
  return `countersign code v1\0${challengeId}\0${channel}`;
}

/**
 * The decimal code of `digits` digits (6 to 9) from an HMAC-SHA-256: its first 8 bytes, big endian, modulo 10^digits.
 * With 6 digits the bias is below 10^6 / 2^64 < 10^-13 (NIST SP 800-63B-4, 3.1.3.2 asks for at least 6 digits).
 */
export function codeFromMac(mac: Uint8Array, digits: number): string {
  const head = new DataView(mac.buffer, mac.byteOffset, 8).getBigUint64(0);
  return (head % 10n ** BigInt(digits)).toString().padStart(digits, '0');
}
