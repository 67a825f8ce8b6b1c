// A number that is drawn for a text, the same at every replica and every time, and that nobody outside can foretell.

import { createHmac } from 'node:crypto';
import type { Clock } from '../flows/ports.ts';
import type { KeyRing } from './key-ring.ts';

const bits = 48;

/** Evenly distributed between 0 and 1, neither of them included. By HMAC-SHA-256 under the key in use: the next one draws anew. */
export function createDraw(keys: Pick<KeyRing, 'current'>, clock: Clock): (text: string) => number {
  return (text) => {
    // Apart from codes and links, which are made under the same keys.
    const mac = createHmac('sha256', keys.current(clock.now()).key).update(`countersign draw v1\0${text}`).digest();
    return (mac.readUIntBE(0, bits / 8) + 0.5) / 2 ** bits;
  };
}
