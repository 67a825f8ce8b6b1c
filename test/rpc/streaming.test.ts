// Properties of streams, and of clients that leave or stop reading at any moment, down to single frames.

import * as http2 from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { compressionGzip } from '@connectrpc/connect-node';
import { describe, expect, test, vi } from 'vitest';
import { ServerReflection, ServerReflectionRequestSchema } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import type { Exchange } from '../../server/rpc/exchange.ts';
import { reflectionRoutes } from '../../server/rpc/reflection.ts';
import { cancel, connectRaw, dataFrame, headersFrame, noError, resetFrame } from '../support/raw-http2.ts';
import {
  checkPath,
  collect,
  healthClient,
  protocols,
  refusalOf,
  serve,
  serving,
  transportOf,
  watchPath,
} from './serve.ts';

const empty = encodeEnvelope(0, new Uint8Array());
const reflectionPath = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
const question = toBinary(
  ServerReflectionRequestSchema,
  create(ServerReflectionRequestSchema, {
    messageRequest: { case: 'fileContainingSymbol', value: 'grpc.health.v1.Health' },
  }),
);

/** A server whose streams say when they begin and when their signal says that they are over. */
async function serveWatched() {
  const seen = { begun: 0, ended: 0 };
  async function* untilAborted<T>(signal: AbortSignal, message: T) {
    seen.begun += 1;
    const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    ended.then(() => {
      seen.ended += 1;
    });
    // More than any window here takes.
    for (let count = 0; count < 50 && !signal.aborted; count++) yield message;
    await ended;
  }
  const server = await serve({
    routes: (router) =>
      router
        .service(Health, { ...serving, watch: (_, { signal }) => untilAborted(signal, { status: Status.SERVING }) })
        // Reads nothing of what it is sent.
        .service(ServerReflection, {
          serverReflectionInfo: (_, { signal }) => untilAborted(signal, { validHost: 'host' }),
        }),
  });
  return { ...server, seen };
}

describe.each([
  ['without an error', noError],
  ['as cancelled', cancel],
])('a stream that its client resets %s', (_name, code) => {
  test('is over, also where it waits for a client that does not read', async () => {
    const { port, seen, errors } = await serveWatched();
    const raw = connectRaw(port, 0);
    const streams = [1, 3, 5, 7, 9, 11];
    for (const id of streams) {
      const path = id % 4 === 1 ? watchPath : reflectionPath;
      raw.send(headersFrame(id, path), dataFrame(id, empty, path === watchPath));
    }
    await vi.waitFor(() => expect(seen.begun).toBe(streams.length));
    for (const id of streams) raw.send(resetFrame(id, code));
    await vi.waitFor(() => expect(seen.ended).toBe(streams.length));
    raw.close();
    expect(errors).toEqual([]);
  });

  test('in the packet that opens it is over, and so is a unary call', async () => {
    const { port, url, errors } = await serveWatched();
    const raw = connectRaw(port);
    for (const [index, path] of [watchPath, checkPath, '/nowhere', reflectionPath].entries()) {
      const id = 1 + 4 * index;
      raw.send(headersFrame(id, path), resetFrame(id, code));
      raw.send(
        headersFrame(id + 2, path, { expect: '100-continue' }),
        dataFrame(id + 2, empty, true),
        resetFrame(id + 2, code),
      );
    }
    expect((await healthClient(transportOf('gRPC over HTTP/2', url)).check({})).status).toBe(Status.SERVING);
    raw.close();
    expect(errors).toEqual([]);
  });
});

test('a deadline ends a stream also where it waits for a client that does not read', async () => {
  const { port, seen } = await serveWatched();
  const raw = connectRaw(port, 0);
  raw.send(headersFrame(1, watchPath, { 'grpc-timeout': '200m' }), dataFrame(1, empty, true));
  await vi.waitFor(() => expect(seen.begun).toBe(1));
  await vi.waitFor(() => expect(seen.ended).toBe(1));
  raw.close();
});

describe.each(Object.entries(protocols))('%s', (_name, transport) => {
  test('a stream ends with its deadline', async () => {
    const { url, seen } = await serveWatched();
    const error = await refusalOf(collect(healthClient(transport(url)).watch({}, { timeoutMs: 300 })));
    expect(error.code).toBe(Code.DeadlineExceeded);
    await vi.waitFor(() => expect(seen.ended).toBe(1));
  });

  test('a stream may be compressed', async () => {
    const service = 'x'.repeat(5_000);
    const server = await serve({
      health: {
        async *watch(request) {
          yield { status: request.service === service ? Status.SERVING : Status.NOT_SERVING };
        },
      },
    });
    const options = { sendCompression: compressionGzip, acceptCompression: [compressionGzip] };
    const answers = await collect(healthClient(transport(server.url, options)).watch({ service }));
    expect(answers.map(({ status }) => status)).toEqual([Status.SERVING]);
  });

  test('what an error says beside itself is said once', async () => {
    const server = await serve({
      health: {
        async *watch() {
          yield { status: Status.SERVING };
          throw new ConnectError('enough', Code.ResourceExhausted, { 'x-meta': 'one' });
        },
      },
    });
    const error = await refusalOf(collect(healthClient(transport(server.url)).watch({})));
    expect([error.code, error.metadata.get('x-meta')]).toEqual([Code.ResourceExhausted, 'one']);
  });
});

test('a stream does not begin for a client that has left', async () => {
  let begun = 0;
  const entered = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const server = await serve({
    health: {
      async *watch() {
        begun += 1;
        yield { status: Status.SERVING };
      },
    },
    interceptors: [
      (next) => async (req) => {
        entered.resolve();
        req.signal.addEventListener('abort', () => left.resolve());
        await left.promise;
        return next(req);
      },
    ],
  });
  const raw = connectRaw(server.port);
  raw.send(headersFrame(1, watchPath), dataFrame(1, empty, true));
  await entered.promise;
  raw.send(resetFrame(1, cancel));
  await left.promise;
  await new Promise((resolve) => setTimeout(resolve, 20));
  raw.close();
  expect(begun).toBe(0);
});

describe('both directions', () => {
  const reflecting = () => serve({ routes: reflectionRoutes([Health]) });

  test('messages may come in any pieces', async () => {
    const { url } = await reflecting();
    const session = http2.connect(url);
    const stream = session.request({ ':method': 'POST', ':path': reflectionPath, 'content-type': 'application/grpc' });
    const bytes = Buffer.concat([1, 2, 3].map(() => encodeEnvelope(0, question)));
    for (const byte of bytes) stream.write(Buffer.from([byte]));
    stream.end(Buffer.concat([encodeEnvelope(0, question), encodeEnvelope(0, question)]));
    const pieces: Buffer[] = [];
    stream.on('data', (piece: Buffer) => pieces.push(piece));
    const status = await new Promise((resolve) =>
      stream.on('trailers', (trailers) => resolve(trailers['grpc-status'])),
    );
    session.destroy();
    expect(status).toBe('0');
    const all = Buffer.concat(pieces);
    let answers = 0;
    for (let at = 0; at < all.length; at += 5 + all.readUInt32BE(at + 1)) answers += 1;
    expect(answers).toBe(5);
  });

  test('an open call ends when the server stops', async () => {
    const shutdown = new AbortController();
    const server = await serve({ routes: reflectionRoutes([Health]), shutdownSignal: shutdown.signal });
    const client = createClient(ServerReflection, transportOf('gRPC over HTTP/2', server.url));
    const hold = Promise.withResolvers<void>();
    async function* questions() {
      yield { messageRequest: { case: 'listServices', value: '' } } as const;
      await hold.promise;
    }
    const answers = client.serverReflectionInfo(questions())[Symbol.asyncIterator]();
    expect((await answers.next()).value?.messageResponse.case).toBe('listServicesResponse');
    shutdown.abort();
    expect((await refusalOf(answers.next())).code).toBe(Code.Unavailable);
    hold.resolve();
  });

  test('a message beyond the bound is refused', async () => {
    const server = await serve({ routes: reflectionRoutes([Health]), readMaxBytes: 100 });
    const client = createClient(ServerReflection, transportOf('gRPC over HTTP/2', server.url));
    async function* questions() {
      yield { host: 'x'.repeat(200) };
    }
    const error = await refusalOf(collect(client.serverReflectionInfo(questions())));
    expect(error.code).toBe(Code.ResourceExhausted);
  });
});

test('a body in pieces of one byte is put together, and takes no more than its bytes', async () => {
  const { port } = await serve({ health: serving, readMaxBytes: 1024 * 1024, bodyTimeoutMs: 60_000 });
  const socket = connectTcp(port, '127.0.0.1');
  const answered = new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
  socket.write(
    `POST ${checkPath} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
  );
  const json = `{"service":"${'x'.repeat(60_000)}"}`;
  socket.write([...json].map((byte) => `1\r\n${byte}\r\n`).join(''));
  socket.write('0\r\n\r\n');
  expect(await answered).toContain('200 OK');
  socket.destroy();
});

test('HEAD and 100-continue are understood over HTTP/2', async () => {
  const text = (exchange: Exchange) =>
    exchange.answer({ status: 200, header: new Headers(), body: Buffer.from('text') });
  const server = await serve({ health: serving, http: new Map([['/plain', text]]) });
  const session = http2.connect(server.url);
  const ask = (headers: http2.OutgoingHttpHeaders, body = '') =>
    new Promise<{ status: unknown; body: string; continued: boolean }>((resolve, reject) => {
      const stream = session.request(headers, { endStream: body === '' });
      let status: unknown;
      let all = '';
      let continued = false;
      stream.on('response', (fields) => {
        status = fields[':status'];
      });
      stream.on('continue', () => {
        continued = true;
        stream.end(body);
      });
      stream.on('data', (piece) => {
        all += piece;
      });
      stream.on('error', reject);
      stream.on('close', () => resolve({ status, body: all, continued }));
    });
  expect(await ask({ ':method': 'HEAD', ':path': '/plain' })).toMatchObject({ status: 200, body: '' });
  expect(await ask({ ':method': 'GET', ':path': '/plain' })).toMatchObject({ status: 200, body: 'text' });
  expect(await ask({ ':method': 'HEAD', ':path': checkPath })).toMatchObject({ status: 405, body: '' });
  const patient = { ':method': 'POST', ':path': checkPath, 'content-type': 'application/json', expect: '100-continue' };
  expect(await ask(patient, '{}')).toMatchObject({ status: 200, continued: true });
  session.destroy();
  expect(server.errors).toEqual([]);
});
