// One HTTP request and its answer, over HTTP/1.1 and HTTP/2 alike. HTTP/2 is spoken on its streams: Node's compatibility
// classes cost as much as a small call, and as an open stream. It must not know RPCs.

import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { certificateNames } from './certificates.ts';
import type { Call, Connection } from './crowd.ts';

export type Handler = (exchange: Exchange) => void;

/** A whole answer. Without a body, its headers are its end: gRPC's "trailers-only". */
export interface Answer {
  readonly status: number;
  readonly header: Headers;
  readonly body?: Uint8Array;
  readonly trailer?: Headers;
}

/** ms in which a client has to take a whole answer, and after any answer to end its own side; else the call is cut. */
const answerTimeoutMs = 60_000;

export abstract class Exchange implements Call {
  readonly method: string;
  /** Path and query, as the client wrote them. */
  readonly target: string;
  readonly httpVersion: string;
  headers: IncomingHttpHeaders;
  readonly authority: string | undefined;
  /** The request's bytes. */
  readonly body: Readable;
  /** Called once, when the client goes before its answer has been handed over whole. */
  onLeave: (() => void) | undefined;
  left = false;
  headersSent = false;
  readonly #added: (readonly [string, string])[] = [];
  readonly #connection: Connection;
  #ended = false;

  protected constructor(
    connection: Connection,
    of: Pick<Exchange, 'method' | 'target' | 'httpVersion' | 'headers' | 'authority' | 'body'>,
  ) {
    this.#connection = connection;
    connection.begin(this);
    this.method = of.method;
    this.target = of.target;
    this.httpVersion = of.httpVersion;
    this.headers = of.headers;
    this.authority = of.authority;
    this.body = of.body;
  }

  protected abstract readonly socket: Socket | undefined;
  protected abstract readonly output: Writable;
  protected abstract writeHead(status: number, header: OutgoingHttpHeaders, last: boolean, trailers: boolean): void;
  protected abstract endWith(last: Uint8Array | undefined, trailer: Headers | undefined): void;
  /** Breaks the call off without a word. */
  abstract cut(): void;
  abstract giveWay(): void;

  get waitsForClient(): boolean {
    return this.#ended || !this.body.readableEnded;
  }

  /** The address of the TCP peer, which may be a proxy. */
  get peerAddress(): string | undefined {
    return this.socket?.remoteAddress;
  }

  /** The names that the client's certificate is for. */
  get certificateNames(): readonly string[] {
    return certificateNames(this.socket);
  }

  get encrypted(): boolean {
    return (this.socket as Partial<TLSSocket> | undefined)?.encrypted === true;
  }

  /** For a stream that stays open: they are larger than all else of it. */
  forgetHeaders(): void {
    this.headers = {};
  }

  /** Headers of whatever answer there will be. */
  addHeaders(headers: Iterable<readonly [string, string]>): void {
    this.#added.push(...headers);
  }

  /** Sends a whole answer. */
  answer({ status, header, body, trailer }: Answer): void {
    // What is closed does not close again: whoever waits for that would be held for a minute.
    if (this.left) return;
    this.#cutIfOpen();
    this.#discardWhenSent();
    const isEnd = body === undefined && trailer === undefined;
    this.#head(status, header, isEnd, trailer !== undefined);
    this.#ended = true;
    this.endWith(body, trailer);
  }

  /** Begins an answer that comes piece by piece; over HTTP/2 it may end with trailers. */
  begin(status: number, header: Headers, trailers: boolean): void {
    this.#discardWhenSent();
    if (this.body.readableEnded) this.#connection.stream(this);
    this.#head(status, header, false, trailers);
  }

  /** Writes a piece; waits, where there is more than the client takes, until it has taken some or has left. */
  write(piece: Uint8Array): Promise<void> | undefined {
    if (this.left || this.output.write(piece)) return undefined;
    return new Promise((resolve) => {
      const done = () => {
        this.output.off('drain', done);
        this.output.off('close', done);
        resolve();
      };
      this.output.once('drain', done);
      this.output.once('close', done);
    });
  }

  /** Ends what `begin` began. */
  end(last: Uint8Array | undefined, trailer: Headers | undefined): void {
    this.#ended = true;
    if (this.left) return;
    this.#cutIfOpen();
    this.endWith(last, trailer);
  }

  /** For who implements this: the connection or the stream is closed. */
  protected closed(): void {
    this.#connection.end(this);
    if (this.#ended) return;
    this.left = true;
    this.onLeave?.();
  }

  #head(status: number, header: Headers, last: boolean, trailers: boolean): void {
    const all: OutgoingHttpHeaders = {};
    header.forEach((value, name) => {
      all[name] = value;
    });
    for (const [name, value] of this.#added) all[name] = value;
    this.writeHead(status, all, last, trailers);
    this.headersSent = true;
  }

  /**
   * Takes what a refused call still sends off the wire, so that the next call on its connection is read. An HTTP/2 stream
   * could be reset instead, but clients that are still writing then miss the answer (connect-node does).
   */
  #discardWhenSent(): void {
    this.output.once('finish', () => {
      if (this.body.readableEnded) return;
      this.#cutIfOpen();
      // An iterator that was left while it waited still listens; nothing flows as long as somebody does.
      this.body.removeAllListeners('readable');
      this.body.resume();
    });
  }

  /** Cuts the call unless both sides have ended it in time. */
  #cutIfOpen(): void {
    const timer = setTimeout(() => this.cut(), answerTimeoutMs);
    this.output.once('close', () => clearTimeout(timer));
  }
}

export class Http1Exchange extends Exchange {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse, connection: Connection) {
    super(connection, {
      method: request.method ?? '',
      target: request.url ?? '',
      httpVersion: request.httpVersion,
      headers: request.headers,
      authority: request.headers.host,
      body: request,
    });
    this.#request = request;
    this.#response = response;
    response.once('close', () => this.closed());
  }

  protected override get socket(): Socket {
    return this.#request.socket;
  }

  protected override get output(): Writable {
    return this.#response;
  }

  protected override writeHead(status: number, header: OutgoingHttpHeaders): void {
    this.#response.writeHead(status, header);
  }

  protected override endWith(last: Uint8Array | undefined, trailer: Headers | undefined): void {
    if (trailer !== undefined) {
      // Written apart from its end, or Node would choose a content length, beside which there are no trailers.
      this.#response.write(last ?? new Uint8Array());
      this.#response.addTrailers(Object.fromEntries(trailer));
      this.#response.end();
    } else if (last !== undefined) {
      this.#response.end(last);
    } else {
      this.#response.end();
    }
  }

  override cut(): void {
    this.#request.destroy();
  }

  override giveWay(): void {
    this.cut();
  }
}

export class Http2Exchange extends Exchange {
  readonly #stream: ServerHttp2Stream;
  #trailer: Headers | undefined;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders & { readonly [name: string]: unknown },
    connection: Connection,
  ) {
    super(connection, {
      method: String(headers[':method']),
      target: String(headers[':path'] ?? ''),
      httpVersion: '2.0',
      headers,
      authority: (headers[':authority'] as string | undefined) ?? headers.host,
      body: stream,
    });
    this.#stream = stream;
    stream.once('close', () => this.closed());
    // Node waits for the rest of a body that nobody reads before it closes a stream that its client has reset without an
    // error: it would never be closed.
    stream.once('aborted', () => setImmediate(() => stream.destroy()));
    // It may have been reset before we hear of it.
    if (headers.expect === '100-continue' && !this.#isGone) stream.additionalHeaders({ ':status': 100 });
  }

  protected override get socket(): Socket | undefined {
    return this.#stream.session?.socket as Socket | undefined;
  }

  protected override get output(): Writable {
    return this.#stream;
  }

  protected override writeHead(status: number, header: OutgoingHttpHeaders, last: boolean, trailers: boolean): void {
    if (this.#isGone) return;
    this.#stream.respond({ ':status': status, ...header }, { endStream: last, waitForTrailers: trailers });
    if (!trailers) return;
    this.#stream.once('wantTrailers', () => this.#stream.sendTrailers(Object.fromEntries(this.#trailer ?? [])));
  }

  protected override endWith(last: Uint8Array | undefined, trailer: Headers | undefined): void {
    this.#trailer = trailer;
    // Node ends the answer to a HEAD by itself.
    if (last === undefined || this.method === 'HEAD') this.#stream.end();
    else this.#stream.end(last);
  }

  get #isGone(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  override cut(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  /** gRPC's clients read it as RESOURCE_EXHAUSTED. */
  override giveWay(): void {
    this.#stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
}
