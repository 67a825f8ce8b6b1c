// Connections that do nothing: half of them have spoken HTTP/2's first words, the others are silent.

import { readFileSync } from 'node:fs';
import { connectRaw } from '../support/raw-http2.ts';
import { openRaw, type Peer } from '../support/raw-socket.ts';

/** Where a process may open fewer files, as many as it may. */
export const idleConnections = Math.min(5_000, openFiles() - 1_000);
const addresses = 25;
/** Shaking hands takes the attacker as long as whom he attacks. */
const mostHandshakes = 500;

export interface Idle {
  /** Resolves once each is open, or cut. */
  readonly opened: Promise<unknown>;
  stillOpen(): number;
  close(): void;
}

/** From many addresses: one may not open so many at the edge. */
export function openIdle(peer: Peer): Idle {
  const from = (index: number) => ({ ...peer, from: `127.0.1.${1 + (index % addresses)}` });
  const speaks = (index: number) => index < (peer.tls ? mostHandshakes : idleConnections / 2);
  const all = Array.from({ length: idleConnections }, (_, index) =>
    speaks(index) ? connectRaw(from(index)) : openRaw({ ...from(index), tls: false, alpn: 'http/1.1' }),
  );
  return {
    opened: Promise.all(all.map((each) => each.opened)),
    stillOpen: () => all.filter((each) => !each.isClosed()).length,
    close: () => {
      for (const each of all) each.close();
    },
  };
}

function openFiles(): number {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return Number(soft ?? 1_024);
}
