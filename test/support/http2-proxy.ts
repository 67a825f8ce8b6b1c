// A proxy in front of one HTTP/2 server (cleartext) that can break the calls of one path, and only those, or everything. It must
// not know what the calls say.

import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';

export interface Http2Proxy {
  readonly url: string;
  /** Breaks every open call whose path ends so, and every one to come. */
  cut(pathEnd: string): void;
  /** Lets everything pass again. */
  restore(): void;
  /** Takes no more connections, and cuts those that there are. */
  goDown(): Promise<void>;
  /** Listens again, on the same port. */
  comeBack(): Promise<void>;
}

export async function startHttp2Proxy(target: string): Promise<Http2Proxy> {
  const open = new Map<ServerHttp2Stream, string>();
  const connections = new Set<ServerHttp2Session>();
  let broken: string | undefined;
  let upstream: ClientHttp2Session | undefined;

  const behind = () => {
    if (upstream === undefined || upstream.closed || upstream.destroyed) {
      upstream = connect(target);
      upstream.on('error', () => {});
    }
    return upstream;
  };
  const pass = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const path = String(headers[':path']);
    const refuse = () => stream.close(constants.NGHTTP2_REFUSED_STREAM);
    stream.on('error', () => {});
    if (broken !== undefined && path.endsWith(broken)) return refuse();
    open.set(stream, path);
    const { ':authority': _, ...rest } = headers;
    const request = behind().request(rest);
    request.on('error', refuse);
    request.on('response', (answer, flags) => {
      const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      if (!stream.destroyed) stream.respond(answer, endStream ? { endStream } : { waitForTrailers: true });
    });
    let trailers: IncomingHttpHeaders = {};
    request.on('trailers', (last) => {
      trailers = last;
    });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.once('close', () => {
      open.delete(stream);
      request.close(constants.NGHTTP2_CANCEL);
    });
    stream.pipe(request);
    request.pipe(stream);
  };
  const server = createServer();
  server.on('stream', pass);
  server.on('session', (session) => {
    connections.add(session);
    session.on('error', () => {});
    session.once('close', () => connections.delete(session));
  });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const port = await listen(0);
  return {
    url: `http://127.0.0.1:${port}`,
    cut: (pathEnd) => {
      broken = pathEnd;
      for (const [stream, path] of open) if (path.endsWith(pathEnd)) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    },
    restore: () => {
      broken = undefined;
    },
    goDown: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const session of connections) session.destroy();
      upstream?.destroy();
      await closed;
    },
    comeBack: async () => {
      await listen(port);
    },
  };
}
