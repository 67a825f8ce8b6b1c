// Who attacks, in a process of its own: does what its parent names, again and again, until it is told to stop, and says when it has.

import { floods } from '../test/hostile/floods.ts';
import { openIdle } from '../test/hostile/idle.ts';
import { beginSlowOnes } from '../test/hostile/slow.ts';
import type { Peer } from '../test/support/raw-socket.ts';

export interface Order {
  /** Of a flood, or `slow` or `idle`; none: stop. */
  readonly attack: string | undefined;
  readonly peer: Peer;
}

/** Floods of the kind, at once. */
const atOnce = 2;
let strangers = 0;
let stop: () => Promise<unknown> = async () => {};

process.on('message', async ({ attack, peer }: Order) => {
  if (attack === undefined) {
    await stop();
    process.send?.('stopped');
    return;
  }
  /** From an address of its own each, as the edge lets one make but so many calls. */
  const stranger = (): Peer => {
    strangers++;
    return { ...peer, from: `127.0.${2 + (strangers >> 7)}.${1 + (strangers & 127)}` };
  };
  if (attack === 'slow') {
    const slow = beginSlowOnes(stranger());
    stop = async () => slow.map(({ close }) => close());
  } else if (attack === 'idle') {
    const idle = openIdle(peer);
    stop = async () => idle.close();
  } else {
    const flood = floods.find(({ name }) => name === attack);
    let going = true;
    const again = async () => {
      while (going) await flood?.run(stranger(), 0);
    };
    const running = Array.from({ length: atOnce }, again);
    stop = () => {
      going = false;
      return Promise.all(running);
    };
  }
});
process.once('disconnect', () => process.exit(0));
