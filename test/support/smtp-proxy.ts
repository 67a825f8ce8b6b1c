// A TCP proxy in front of an SMTP server that can hold back what a client says, or the answer to its message: from then on
// that connection is silent, until the test releases it or has killed who was behind it. It must not know what is sent.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** The client's envelope; the end of its message, with the final dot; and the server's answer to that. */
export type SmtpMoment = 'envelope' | 'message' | 'answer';

export interface SmtpProxy {
  readonly url: string;
  /** Holds everything back from this moment on, once, and calls `onHeld`. */
  arm(moment: SmtpMoment, onHeld: () => void): void;
  disarm(): void;
  /** Passes what was held back. */
  release(): void;
  close(): Promise<void>;
}

export async function startSmtpProxy(smtpUrl: string): Promise<SmtpProxy> {
  const target = new URL(smtpUrl);
  const sockets = new Set<Socket>();
  let armed: { readonly moment: SmtpMoment; readonly onHeld: () => void } | undefined;
  let held: (() => void)[] = [];
  const quiet = new Set<{ silent: boolean }>();

  const listener = createServer((client) => {
    const connection = { silent: false };
    const server = connect(Number(target.port), target.hostname);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    /** The end of what the client said: a final dot may come in pieces. */
    let said = '';
    let inMessage = false;
    let answersMessage = false;
    const pass = (moment: SmtpMoment | undefined, to: Socket, chunk: Buffer) => {
      const hit = moment !== undefined && armed?.moment === moment ? armed : undefined;
      if (hit !== undefined) {
        connection.silent = true;
        quiet.add(connection);
        armed = undefined;
      }
      if (connection.silent) held.push(() => to.write(chunk));
      else to.write(chunk);
      hit?.onHeld();
    };
    client.on('data', (chunk: Buffer) => {
      const words = chunk.toString('latin1');
      said = (said + words).slice(-5);
      const ended = inMessage && said === '\r\n.\r\n';
      if (ended) answersMessage = true;
      const moment = ended ? 'message' : !inMessage && words.startsWith('MAIL FROM') ? 'envelope' : undefined;
      if (ended) inMessage = false;
      pass(moment, server, chunk);
    });
    server.on('data', (chunk: Buffer) => {
      // RFC 5321, 4.3.2: start mail input.
      if (/^354/m.test(chunk.toString('latin1'))) inMessage = true;
      const moment = answersMessage ? 'answer' : undefined;
      answersMessage = false;
      pass(moment, client, chunk);
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    url: `smtp://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    arm: (moment, onHeld) => {
      armed = { moment, onHeld };
    },
    disarm: () => {
      armed = undefined;
    },
    release: () => {
      for (const connection of quiet) connection.silent = false;
      quiet.clear();
      for (const pass of held) pass();
      held = [];
    },
    close: async () => {
      const closed = new Promise((resolve) => listener.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
