// What stands behind the edge where a test must see what arrives there, or break it: HTTP/2, in cleartext or not, which says that it
// serves.

import { once } from 'node:events';
import {
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Certificate } from '../support/certificate.ts';

export interface Replica {
  /** `host:port`. */
  readonly address: string;
  /** The headers of every call so far, health checks left out. */
  readonly calls: readonly IncomingHttpHeaders[];
  serving: boolean;
  stop(): Promise<void>;
}

const healthCheck = '/grpc.health.v1.Health/Check';

/** @param answer by default an empty message. @param tls in place of cleartext. */
export async function startReplica(
  answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void = answerEmpty,
  tls?: Certificate,
): Promise<Replica> {
  const calls: IncomingHttpHeaders[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const server = tls === undefined ? createServer() : createSecureServer(tls);
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    stream.resume();
    if (headers[':path'] === healthCheck) {
      stream.respond({ ':status': 200, 'content-type': 'application/json' });
      stream.end(`{"status":"${replica.serving ? 'SERVING' : 'NOT_SERVING'}"}`);
      return;
    }
    calls.push(headers);
    answer(stream, headers);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const replica: Replica = {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    serving: true,
    stop: async () => {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return replica;
}

function answerEmpty(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200, 'content-type': 'application/json' });
  stream.end('{}');
}
