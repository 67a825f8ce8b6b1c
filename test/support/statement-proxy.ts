// Counts what a server asks of PostgreSQL: a TCP proxy in front of it that reads the heads of the frontend's messages.

import { connect, createServer, type Socket } from 'node:net';

export interface Count {
  /** Statements that were executed; begin and commit are statements. */
  statements: number;
  /** How often it waited for PostgreSQL: statements sent together are one. */
  trips: number;
}

export interface StatementProxy {
  readonly url: string;
  /** Since the start, over the connections of `application`. */
  readonly count: Readonly<Count>;
  close(): void;
}

const query = 'Q'.charCodeAt(0);
const execute = 'E'.charCodeAt(0);

/** @param application the `application_name` of the connections that count: others look after themselves. */
export async function startStatementProxy(databaseUrl: string, application: string): Promise<StatementProxy> {
  const target = new URL(databaseUrl);
  const count: Count = { statements: 0, trips: 0 };
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
    let waiting = false;
    const read = readMessages(application, () => {
      count.statements += 1;
      if (!waiting) count.trips += 1;
      waiting = true;
    });
    client.on('data', (chunk) => {
      read(chunk);
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      waiting = false;
      client.write(chunk);
    });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = new URL(databaseUrl);
  url.port = String(typeof address === 'object' ? address?.port : '');
  return {
    url: url.href,
    count,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** PostgreSQL's protocol 3: a start-up message without a type, then a type of 1 byte and a length of 4 with each. */
function readMessages(application: string, onStatement: () => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  let started = false;
  let counts = false;
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const lengthAt = started ? 1 : 0;
      if (rest.length < lengthAt + 4) return;
      const end = lengthAt + rest.readUInt32BE(lengthAt);
      if (rest.length < end) return;
      if (!started) counts = rest.subarray(0, end).includes(`application_name\0${application}\0`);
      else if (counts && (rest[0] === query || rest[0] === execute)) onStatement();
      started = true;
      rest = rest.subarray(end);
    }
  };
}
