// A TCP proxy in front of PostgreSQL that sees each statement before it is passed on, and can lose it, half of it, or its
// answer: from then on it is silent, until the test has killed who was behind it. It must not know any statement.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Statement {
  /** The connection's application_name. */
  readonly application: string;
  readonly text: string;
}

/** What happens to a statement. `cut` ends its connection, and no other; after what is lost nothing passes in any direction. */
export type Fate = 'pass' | 'cut' | 'lost' | 'half lost' | 'answer lost';

export interface PostgresProxy {
  /** The database's URL through the proxy. */
  readonly url: string;
  /** Decides on every statement. `onCut` is called once the fate is sealed: the statement is lost, or has been run. */
  arm(decide: (statement: Statement) => Fate, onCut: () => void): void;
  /** Passes everything again. Connections of before the cut stay silent. */
  disarm(): void;
  /** Cuts the connections of this application_name, and those that it makes from now on, until it is let in again. */
  shutOut(application: string): void;
  letIn(): void;
  /** Takes no more connections, as a stopped server, and cuts those that there are. */
  goDown(): Promise<void>;
  /** Listens again, on the same port, before the server of `databaseUrl`. */
  comeBack(databaseUrl: string): Promise<void>;
  close(): Promise<void>;
}

export async function startPostgresProxy(databaseUrl: string): Promise<PostgresProxy> {
  let target = new URL(databaseUrl);
  let decide: ((statement: Statement) => Fate) | undefined;
  let onCut: (() => void) | undefined;
  const sockets = new Set<Socket>();
  const clients = new Map<Socket, string>();
  let shut: string | undefined;
  /** Counts cuts: a connection that was there before one is silent for good. */
  let age = 0;

  const cut = () => {
    age += 1;
    decide = undefined;
  };

  const accept = (client: Socket) => {
    const born = age;
    const server = connect(Number(target.port), target.hostname);
    const silent = () => age !== born;
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.once('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }

    let awaitsAnswer = false;
    let application = '';
    /** By the name that Bind calls them; most have the empty one. */
    const prepared = new Map<string, string>();
    const fromClient = messages(true, (type, message) => {
      if (silent() && !awaitsAnswer) return;
      if (type === undefined) {
        application = parameterOf(message, 'application_name');
        clients.set(client, application);
        client.once('close', () => clients.delete(client));
      }
      if (application === shut) return void client.destroy();
      if (type === 'P') prepared.set(words(message)[0] ?? '', words(message)[1] ?? '');
      const text = type === 'Q' ? words(message)[0] : type === 'B' ? prepared.get(words(message)[1] ?? '') : undefined;
      const fate = text === undefined ? 'pass' : (decide?.({ application, text }) ?? 'pass');
      if (fate === 'pass' || fate === 'answer lost') server.write(message);
      if (fate === 'half lost') server.write(message.subarray(0, message.length / 2));
      if (fate === 'cut') client.destroy();
      if (fate === 'pass' || fate === 'cut') return;
      cut();
      if (fate === 'answer lost') awaitsAnswer = true;
      else onCut?.();
    });
    client.on('data', fromClient);
    server.on(
      'data',
      messages(false, (type, message) => {
        if (awaitsAnswer && type === 'Z') {
          awaitsAnswer = false;
          onCut?.();
        }
        if (!silent()) client.write(message);
      }),
    );
  };

  const listener = createServer(accept);
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String(port);

  const goDown = async () => {
    const closed = new Promise((resolve) => listener.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return {
    url: url.href,
    arm: (decideNow, onCutNow) => {
      decide = decideNow;
      onCut = onCutNow;
    },
    disarm: () => {
      decide = undefined;
      onCut = undefined;
    },
    shutOut: (application) => {
      shut = application;
      for (const [client, name] of clients) if (name === application) client.destroy();
    },
    letIn: () => {
      shut = undefined;
    },
    goDown,
    comeBack: async (nextUrl) => {
      target = new URL(nextUrl);
      listener.listen(port, '127.0.0.1');
      await once(listener, 'listening');
    },
    close: goDown,
  };
}

/** Cuts a stream into messages: a type of one byte (a client's first has none), a length that counts itself, the rest. */
function messages(
  opensWithoutType: boolean,
  take: (type: string | undefined, message: Buffer) => void,
): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  let untyped = opensWithoutType;
  return (chunk) => {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    for (;;) {
      const head = untyped ? 0 : 1;
      if (rest.length < head + 4) return;
      const length = head + rest.readUInt32BE(head);
      if (rest.length < length) return;
      const message = rest.subarray(0, length);
      rest = rest.subarray(length);
      const type = untyped ? undefined : String.fromCharCode(message[0] ?? 0);
      untyped = false;
      take(type, message);
    }
  };
}

/** The zero-terminated words that a Query (its text), a Parse (name, text) or a Bind (portal, name) begins with. */
function words(message: Buffer): readonly string[] {
  return message.toString('utf8', 5).split('\0', 2);
}

function parameterOf(startup: Buffer, name: string): string {
  const parameters = startup.toString('utf8', 8).split('\0');
  return parameters[parameters.indexOf(name) + 1] ?? '';
}
