// One TCP port for HTTP/2 with prior knowledge and HTTP/1.1, in cleartext or over TLS: who opens with HTTP/2's preface
// gets HTTP/2. It must not know paths or protocols above HTTP, nor where certificates come from.

import type { X509Certificate } from 'node:crypto';
import { createServer as createHttp1 } from 'node:http';
import { constants, createServer as createHttp2, type ServerHttp2Session } from 'node:http2';
import { type AddressInfo, createServer as createTcp, type Socket } from 'node:net';
import { createServer as createTls, type TLSSocket } from 'node:tls';
import type { Logger } from 'pino';
import { parseCertificates, type TlsMaterial, type TlsSource } from '../platform/tls-files.ts';
import { certificateNames, noteNames, standingOf, tlsOptions } from './certificates.ts';
import { type Connection, createCrowd } from './crowd.ts';
import { type Handler, Http1Exchange, Http2Exchange } from './exchange.ts';

export interface ListenOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly handler: Handler;
  readonly log: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;
  /**
   * Without it the port speaks cleartext. With authorities of clients, who has no certificate of them is not let in. What has
   * changed counts for new connections; those that are open go on. Where an authority was taken out, those of its clients are cut,
   * and those of clients that can't be told to be of one that is left have to come again.
   */
  readonly tls?: TlsSource;
  /** Replaces single bounds: how many connections, as is set; the others for tests. */
  readonly limits?: Partial<typeof defaultLimits>;
}

export interface Listener {
  readonly address: AddressInfo;
  readonly encrypted: boolean;
  /** The notice of a close to come: answers over HTTP/1.1 say that their connections go. Everything is taken as before. */
  announceClose(): void;
  /**
   * Takes no new connection and no new call, lets open calls finish, and those that were on their way over a connection in
   * cleartext HTTP/2, and resolves when the last connection has ended, at the latest after `graceMs`, when it cuts what is left.
   */
  close(graceMs: number): Promise<void>;
}

const defaultLimits = {
  /** ms in which a connection has to send its first bytes (and, with TLS, shake hands). */
  firstBytesMs: 10_000,
  /** ms in which an HTTP/1.1 request's headers have to be there. */
  headersMs: 15_000,
  /** ms in which a whole HTTP/1.1 request has to be there. The handler's own, typed time-out comes first. */
  requestMs: 60_000,
  /** ms in which an HTTP/2 session has to ask for something first: longer than HTTP/1.1's headers, as clients may connect ahead. */
  firstStreamMs: 30_000,
  /** ms without a frame after which an HTTP/2 session is asked to end; its open streams go on. */
  idleSessionMs: 600_000,
  /** ms in which a connection that has to come again may end its calls. */
  leaveMs: 10_000,
  /** ms in which the peer of an HTTP/2 session has to say that it knows of its end. */
  goawayMs: 1_000,
  headerBytes: 64 * 1024,
  callsPerConnection: 250,
  /** Each takes 0.2 MB at most, its headers and its message. */
  calls: 4_000,
  connections: 10_000,
};
/** ms in which the log says but once that there are too many. */
const toldMs = 60_000;

/** On the socket itself: what HTTP/2 shows of it is a proxy. */
const placeKey = Symbol('place in the crowd');

interface PlacedSocket extends Socket {
  [placeKey]?: Connection;
}

const placeOf = (socket: PlacedSocket): Connection | undefined => socket[placeKey];

function takePlace(socket: PlacedSocket, place: Connection): void {
  socket[placeKey] = place;
  place.cut = () => socket.destroy();
}

const preface = Buffer.from('PRI ');
/** RFC 9113, 4.1 and 6.8: 8 bytes, type 7, no flags, stream 0; the last stream, NO_ERROR. */
const goawayOfEveryStream = Buffer.from('000008070000000000' + '7fffffff' + '00000000', 'hex');

export async function listen(options: ListenOptions): Promise<Listener> {
  const { handler, log } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const sockets = new Set<Socket>();
  const unopened = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  /** What lies below a session that takes a frame of ours. A TLS connection takes none: two writers at once are too many for it. */
  const cleartext = new WeakMap<ServerHttp2Session, Socket>();
  let opening: Socket | undefined;
  const leaving = new WeakSet<Socket>();
  let announced = false;
  let closing = false;
  const told = new Set<string>();
  /** What an attack would say over and over. */
  const warn = (message: string, fields: object = {}) => {
    if (told.has(message)) return;
    told.add(message);
    setTimeout(() => told.delete(message), toldMs).unref();
    log.warn(fields, message);
  };
  const crowd = createCrowd(limits, (what) => warn(`there are too many ${what}: those that are of no use are cut`));
  const brokenAnswer = (error: Error) => log.debug({ err: error }, 'an answer could not be written');

  const http1 = createHttp1({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: Math.min(limits.headersMs, 5_000),
  });
  http1.on('request', (req, res) => {
    const place = placeOf(req.socket);
    if (place === undefined) {
      req.socket.destroy();
      return;
    }
    if (!place.admits()) {
      // As HTTP/2's REFUSED_STREAM: nothing was done.
      res.writeHead(503, { connection: 'close', 'retry-after': '1' }).end();
      return;
    }
    // HTTP/1.1 has no GOAWAY: an answer says that its connection goes. Upgrades are ignored, but Node's parser reads
    // nothing behind one.
    if (announced || leaving.has(req.socket) || req.headers.upgrade !== undefined) res.setHeader('connection', 'close');
    res.once('close', () => {
      if (closing) setImmediate(() => http1.closeIdleConnections());
      if (leaving.has(req.socket)) req.socket.end();
    });
    res.on('error', brokenAnswer);
    handler(new Http1Exchange(req, res, place));
  });
  // Node watches the time-outs above, and idle connections, only for a server that listens. This one is fed by hand.
  http1.emit('listening');

  const http2 = createHttp2({
    settings: { maxConcurrentStreams: limits.callsPerConnection, maxHeaderListSize: limits.headerBytes },
    maxSessionInvalidFrames: 100,
    // A burst of calls before our settings arrive is refused stream by stream, and clients try those again.
    maxSessionRejectedStreams: 1_000,
    // A rapid reset (CVE-2023-44487, some 100,000 a second) ends the session. A proxy other than our edge may put many clients on
    // one session, at most as many as it may have streams, and resets a stream for each that leaves: that must stay far below.
    streamResetBurst: 1_000,
    streamResetRate: 200,
  });
  http2.on('session', (session) => {
    const place = placeOf(session.socket);
    sessions.add(session);
    if (opening !== undefined && options.tls === undefined) cleartext.set(session, opening);
    if (place) place.cut = () => session.destroy();
    const silent = setTimeout(() => session.destroy(), limits.firstStreamMs);
    session.once('stream', () => clearTimeout(silent));
    session.once('close', () => {
      clearTimeout(silent);
      sessions.delete(session);
    });
    session.on('stream', (stream, headers) => {
      stream.on('error', brokenAnswer);
      // Clients try that again.
      if (place === undefined || !place.admits()) {
        stream.close(constants.NGHTTP2_REFUSED_STREAM);
        return;
      }
      try {
        handler(new Http2Exchange(stream, headers, place));
      } catch (error) {
        log.error({ err: error }, 'a request could not be taken');
        stream.destroy();
      }
    });
    session.setTimeout(limits.idleSessionMs, () => session.close());
    // An event of ours, said below: what a session shows of its socket is a proxy.
    session.socket.once('leave', () => session.close());
    if (closing) session.close();
  });
  http2.on('sessionError', (error) => log.debug({ err: error }, 'an HTTP/2 session failed'));

  const route = (socket: Socket) => {
    unopened.add(socket);
    socket.once('close', () => unopened.delete(socket));
    peek(socket, limits.firstBytesMs, (isHttp2) => {
      unopened.delete(socket);
      opening = socket;
      (isHttp2 ? http2 : http1).emit('connection', socket);
      opening = undefined;
    });
  };
  // Keep-alive probes find peers that vanished; a stream that waits for news would never write to one.
  const tcp = { keepAlive: true, keepAliveInitialDelay: 60_000, noDelay: true };
  const createTlsFront = (tls: TlsSource) => {
    const secured = new Set<TLSSocket>();
    // What shakes hands, by the peer's end: the connection that comes of it does not show what lies below.
    const endOf = ({ localAddress, remoteAddress, remotePort }: Socket) =>
      `${localAddress} ${remoteAddress} ${remotePort}`;
    interface Shaking {
      readonly asked: readonly X509Certificate[];
      readonly place: () => Connection | undefined;
      readonly done: () => void;
    }
    const shaking = new Map<string, Shaking>();
    const authoritiesOf = ({ clientCa }: TlsMaterial) => (clientCa === undefined ? [] : parseCertificates(clientCa));
    let authorities = authoritiesOf(tls.current());
    const server = createTls(
      {
        ...tcp,
        ...tlsOptions(tls.current()),
        requestCert: tls.current().clientCa !== undefined,
        rejectUnauthorized: true,
        ALPNProtocols: ['h2', 'http/1.1'],
        handshakeTimeout: limits.firstBytesMs,
      },
      (socket) => {
        const begun = shaking.get(endOf(socket));
        begun?.done();
        // It was asked for a certificate of the authorities that there were when it began.
        if (begun === undefined || standingOf(socket, begun.asked, authorities) !== 'stays') {
          socket.destroy();
          return;
        }
        secured.add(socket);
        socket.once('close', () => secured.delete(socket));
        noteNames(socket);
        const place = begun.place();
        if (place) takePlace(socket, place);
        route(socket);
      },
    );
    server.on('connection', (socket: Socket) => {
      const end = endOf(socket);
      const done = () => {
        unopened.delete(socket);
        shaking.delete(end);
      };
      unopened.add(socket);
      shaking.set(end, { asked: authorities, place: () => placeOf(socket), done });
      socket.once('close', done);
    });
    // Who speaks cleartext, is silent, or has no certificate where one is asked for.
    server.on('tlsClientError', (error, socket) => {
      log.debug({ err: error }, 'a TLS handshake failed');
      // Node leaves one open that has run out of time.
      socket.destroy();
    });
    tls.onChange((renewed) => {
      server.setSecureContext(tlsOptions(renewed));
      const before = authorities;
      authorities = authoritiesOf(renewed);
      for (const socket of secured) {
        const standing = standingOf(socket, before, authorities);
        if (standing === 'stays') continue;
        log.info(
          { names: certificateNames(socket) },
          standing === 'taken out'
            ? 'a connection is cut: the authority of its certificate was taken out'
            : 'a connection has to come again: an authority was taken out, and its certificate may lead to it',
        );
        // Who has asked for nothing yet loses nothing.
        if (standing === 'taken out' || unopened.has(socket)) {
          socket.destroy();
          continue;
        }
        leaving.add(socket);
        socket.emit('leave');
        const deadline = setTimeout(() => socket.destroy(), limits.leaveMs);
        socket.once('close', () => clearTimeout(deadline));
      }
    });
    return server;
  };
  const front = options.tls ? createTlsFront(options.tls) : createTcp(tcp, route);
  front.on('connection', (socket: Socket) => {
    const place = crowd.enter(() => socket.destroy());
    takePlace(socket, place);
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      place.leave();
    });
    socket.on('error', (error) => log.debug({ err: error }, 'a connection failed'));
  });

  await new Promise<void>((resolve, reject) => {
    front.once('error', reject);
    front.listen(options.port, options.host, () => {
      front.off('error', reject);
      resolve();
    });
  });
  // From here on an error is one of accepting (too many open files); the next connection may succeed.
  front.on('error', (error) => {
    warn('accepting a connection failed', { err: error });
    crowd.makeRoom();
  });

  /**
   * RFC 9113, 6.8: the first GOAWAY names every stream that there may be, so that calls which are on their way are taken. Who
   * answers the ping after it has read it, and begins no more. Node has but the last one, and passes over what comes behind it:
   * a client tries that again, but HAProxy fails it unless told otherwise.
   */
  const endSession = (session: ServerHttp2Session) => {
    const socket = cleartext.get(session);
    // What has had its last GOAWAY must not hear of more streams.
    if (socket === undefined || session.closed || session.destroyed) {
      session.close();
      return;
    }
    socket.write(goawayOfEveryStream);
    const close = () => session.close();
    const patience = setTimeout(close, limits.goawayMs);
    session.once('close', () => clearTimeout(patience));
    if (!session.ping(close)) close();
  };

  return {
    address: front.address() as AddressInfo,
    encrypted: options.tls !== undefined,
    announceClose: () => {
      announced = true;
    },
    close: (graceMs) =>
      new Promise((resolve) => {
        announced = true;
        closing = true;
        const deadline = setTimeout(() => {
          for (const session of sessions) session.destroy();
          for (const socket of sockets) socket.destroy();
        }, graceMs);
        front.close(() => {
          clearTimeout(deadline);
          http1.close();
          resolve();
        });
        for (const socket of unopened) socket.destroy();
        for (const session of sessions) endSession(session);
        http1.closeIdleConnections();
      }),
  };
}

/** Waits for the first bytes, gives them back to the socket, and says whether they open HTTP/2. */
function peek(socket: Socket, timeoutMs: number, hand: (isHttp2: boolean) => void): void {
  let seen = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  socket.on('data', onData);
  socket.once('close', () => clearTimeout(timer));
  socket.on('error', () => {
    // Reported by the listener, where it is one of the connection; here it only must not be thrown.
  });

  function onData(chunk: Buffer) {
    seen = Buffer.concat([seen, chunk]);
    const open = seen.subarray(0, preface.length);
    const isPreface = preface.subarray(0, open.length).equals(open);
    if (isPreface && open.length < preface.length) return;
    clearTimeout(timer);
    socket.off('data', onData);
    socket.pause();
    socket.unshift(seen);
    hand(isPreface);
    // HTTP/1.1 reads what flows; HTTP/2 has taken over what lies below the socket.
    if (!isPreface) socket.resume();
  }
}
