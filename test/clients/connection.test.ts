// A client's HTTP/2 connection that is told to go while nothing is called.

import { once } from 'node:events';
import { createServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Connection } from '../../clients/connection.ts';

// An uncaught exception fails the run, whatever is expected here.
test('a call that comes just as an idle connection is told to go is made over another, and nothing is thrown beside it', async () => {
  const server = createServer();
  server.on('stream', (stream) => stream.respond({ ':status': 200 }, { endStream: true }));
  const serverSessions: ServerHttp2Session[] = [];
  server.on('session', (session) => serverSessions.push(session));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connection = new Connection(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    connection.abort();
    server.close();
  });
  const call = async () => {
    const stream = await connection.request('POST', '/', {}, {});
    const { session } = stream;
    const answer = once(stream, 'response');
    stream.resume().end();
    await answer;
    await once(stream, 'close');
    return session;
  };
  const session = await call();
  const hear = (event: string) => new Promise((resolve) => session?.once(event, resolve));
  const [told, gone] = [hear('goaway'), hear('close')];
  serverSessions[0]?.close();
  await told;
  await call();
  await gone;
  expect(serverSessions).toHaveLength(2);
});
