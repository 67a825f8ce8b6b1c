// Properties of the port: both HTTP versions, its bounds, and a stop that fails no call.

import { request as http1Request } from 'node:http';
import * as http2 from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node';
import { expect, onTestFinished, test } from 'vitest';
import { HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { eventually } from '../support/eventually.ts';
import { connectRaw, dataFrame, headersFrame, pongFrame } from '../support/raw-http2.ts';
import { checkPath, healthClient, serve, serving, transportOf } from './serve.ts';

const post = (body: string, extra = '') =>
  `POST ${checkPath} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${extra}content-length: ${body.length}\r\n\r\n${body}`;

/** Opens a connection; `end` resolves with all it was sent, when it is over. */
function tcp(port: number): { socket: Socket; end: Promise<string> } {
  const socket = connectTcp(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let received = '';
  socket.on('data', (data) => {
    received += data;
  });
  socket.on('error', () => {});
  return { socket, end: new Promise((resolve) => socket.once('close', () => resolve(received))) };
}

/** A server whose Check waits until `release` is called. */
async function serveSlowly() {
  const started = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const server = await serve({
    health: {
      check: async () => {
        started.resolve();
        await released.promise;
        return { status: Status.SERVING };
      },
    },
  });
  return { ...server, started: started.promise, release: released.resolve };
}

test('a preface that comes byte by byte opens HTTP/2 all the same', async () => {
  const server = await serve({ health: serving });
  const socket = connectTcp({ port: server.port, host: '127.0.0.1', noDelay: true });
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
  for (const byte of preface) {
    socket.write(byte);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  socket.write(Buffer.from('000000040000000000', 'hex'));
  const settings = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  expect(settings[3]).toBe(4);
  socket.destroy();
});

test('pipelined HTTP/1.1 calls on one connection are all answered', async () => {
  const server = await serve({ health: serving });
  const { socket, end } = tcp(server.port);
  socket.write(post('{}') + post('{}'));
  socket.write(post('{}', 'connection: close\r\n'));
  expect((await end).match(/HTTP\/1\.1 200/g)).toHaveLength(3);
});

test('an Upgrade is ignored: the call is answered in HTTP/1.1, and its connection closed', async () => {
  const server = await serve({ health: serving });
  const { socket, end } = tcp(server.port);
  socket.write(post('{}', 'connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n'));
  const answer = await end;
  expect(answer).toContain('HTTP/1.1 200');
  expect(answer.toLowerCase()).toContain('connection: close');
});

test('a connection that sends nothing ends by itself, also one that stops in its headers', async () => {
  const server = await serve({ listener: { limits: { firstBytesMs: 50, headersMs: 100 } } });
  const silent = tcp(server.port);
  const half = tcp(server.port);
  half.socket.write('POST / HTTP/1.1\r\nhost: x\r\n');
  expect(await silent.end).toBe('');
  expect(await half.end).toContain('408');
});

test('an HTTP/2 stream that never sends its body is answered after its time, its session stays', async () => {
  const server = await serve({ health: serving, bodyTimeoutMs: 50 });
  const session = http2.connect(server.url);
  const stream = session.request(
    { ':method': 'POST', ':path': checkPath, 'content-type': 'application/grpc' },
    { endStream: false },
  );
  const headers = await new Promise<http2.IncomingHttpHeaders>((resolve) => stream.once('response', resolve));
  expect(headers['grpc-status']).toBe('4');
  expect(headers['grpc-status-details-bin']).toBeTruthy();
  stream.end();
  const again = session.request({ ':method': 'POST', ':path': checkPath, 'content-type': 'application/json' });
  again.end('{}');
  const answer = await new Promise<http2.IncomingHttpHeaders>((resolve) => again.once('response', (h) => resolve(h)));
  expect(answer[':status']).toBe(200);
  session.destroy();
});

test('headers beyond 64 KB are refused, below they pass', async () => {
  const server = await serve({ health: serving });
  const large = tcp(server.port);
  large.socket.write(post('{}', `x-large: ${'x'.repeat(70_000)}\r\n`));
  expect(await large.end).toContain('431');
  const session = http2.connect(server.url);
  session.on('error', () => {});
  const status = (length: number) =>
    new Promise((resolve) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': checkPath,
        'content-type': 'application/json',
        'x-large': 'x'.repeat(length),
      });
      stream.once('response', (headers) => resolve(headers[':status']));
      stream.once('error', () => resolve('reset'));
      stream.end('{}');
    });
  expect(await status(30_000)).toBe(200);
  expect(await status(70_000)).not.toBe(200);
  session.destroy();
});

test('a rapid reset ends the session, and the server serves on', async () => {
  const server = await serve({ health: serving });
  const session = http2.connect(server.url);
  session.on('error', () => {});
  const closed = new Promise((resolve) => session.once('close', resolve));
  const flood = setInterval(() => {
    for (let i = 0; i < 100 && !session.closed && !session.destroyed; i++) {
      const stream = session.request({ ':method': 'POST', ':path': checkPath });
      stream.on('error', () => {});
      stream.close(http2.constants.NGHTTP2_CANCEL);
    }
  }, 1);
  await closed;
  clearInterval(flood);
  expect((await healthClient(createGrpcTransport({ baseUrl: server.url })).check({})).status).toBe(Status.SERVING);
  expect(server.errors).toEqual([]);
});

test.each(['gRPC over HTTP/2', 'Connect over HTTP/1.1'])('%s: 1,000 calls at once are all answered', async (name) => {
  const server = await serve({ health: serving });
  const client = healthClient(transportOf(name, server.url));
  const answers = await Promise.all(Array.from({ length: 1_000 }, () => client.check({})));
  expect(answers.every(({ status }) => status === Status.SERVING)).toBe(true);
});

test('garbage and connections cut half way crash nothing', async () => {
  const server = await serve({ health: serving });
  for (const bytes of [
    '\0\0\0\0\0\0',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage that is no frame',
    'GET',
    'PRI nonsense\r\n\r\n',
  ]) {
    const { socket } = tcp(server.port);
    socket.write(bytes);
    setTimeout(() => socket.resetAndDestroy(), 5);
  }
  const cut = tcp(server.port);
  cut.socket.write(post('{}').slice(0, -1));
  setTimeout(() => cut.socket.resetAndDestroy(), 5);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const transport = createConnectTransport({ baseUrl: server.url, httpVersion: '1.1' });
  expect((await healthClient(transport).check({})).status).toBe(Status.SERVING);
  expect(server.errors).toEqual([]);
});

test.each(['gRPC over HTTP/2', 'Connect over HTTP/1.1'])(
  '%s: a graceful stop lets the open call finish and takes no new one',
  async (name) => {
    const server = await serveSlowly();
    const call = healthClient(transportOf(name, server.url)).check({});
    await server.started;
    const closed = server.close(5_000);
    const late = tcp(server.port);
    expect(await late.end).toBe('');
    server.release();
    expect((await call).status).toBe(Status.SERVING);
    const before = Date.now();
    await closed;
    expect(Date.now() - before).toBeLessThan(1_000);
  },
);

test('a graceful stop takes the HTTP/2 calls that are on their way, until their client knows of it', async () => {
  const server = await serve({ health: serving });
  const raw = connectRaw(server.port);
  onTestFinished(() => raw.close());
  const call = (stream: number) => raw.send(headersFrame(stream, checkPath), dataFrame(stream, Buffer.alloc(5), true));
  const seen = (type: string) => raw.frames().filter((frame) => frame.type === type);
  const answered = (...streams: number[]) =>
    eventually(5_000, () => expect([...new Set(seen('headers').map(({ stream }) => stream))]).toEqual(streams));
  call(1);
  await answered(1);
  const closed = server.close(5_000);
  // The client has not read of the stop yet, or has and had begun this one before.
  call(3);
  await answered(1, 3);
  await eventually(5_000, () => expect(seen('ping')).toHaveLength(1));
  call(5);
  await answered(1, 3, 5);
  const lastStreams = () => seen('goaway').map(({ payload }) => payload.readUInt32BE(0));
  expect(lastStreams()).toEqual([2 ** 31 - 1]);
  for (const ping of seen('ping')) void raw.send(pongFrame(ping));
  await closed;
  // Node says it once more with the last byte.
  await eventually(5_000, () => expect([...new Set(lastStreams())]).toEqual([2 ** 31 - 1, 5]));
});

test('a client that does not answer the ping holds up no stop', async () => {
  const server = await serve({ health: serving, listener: { limits: { goawayMs: 50 } } });
  const raw = connectRaw(server.port);
  onTestFinished(() => raw.close());
  void raw.send(headersFrame(1, checkPath), dataFrame(1, Buffer.alloc(5), true));
  await eventually(5_000, () => expect(raw.frames().some(({ type }) => type === 'headers')).toBe(true));
  // Longer than a test may take.
  await server.close(120_000);
});

test('once a close is announced, HTTP/1.1 connections go with their next answer, and new ones come in', async () => {
  const server = await serve({ health: serving });
  const keptAlive = tcp(server.port);
  keptAlive.socket.write(post('{}'));
  await new Promise((resolve) => keptAlive.socket.once('data', resolve));
  server.announceClose();
  keptAlive.socket.write(post('{}'));
  const late = tcp(server.port);
  late.socket.write(post('{}'));
  expect((await keptAlive.end).match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  expect((await late.end).toLowerCase()).toContain('connection: close');
  const client = healthClient(createGrpcTransport({ baseUrl: server.url }));
  expect((await client.check({})).status).toBe(Status.SERVING);
});

test('a graceful stop ends idle connections at once', async () => {
  const server = await serve({ health: serving });
  const silent = tcp(server.port);
  const keepAlive = tcp(server.port);
  keepAlive.socket.write(post('{}'));
  await new Promise((resolve) => keepAlive.socket.once('data', resolve));
  const session = http2.connect(server.url);
  await new Promise((resolve) => session.once('remoteSettings', resolve));
  const before = Date.now();
  await server.close(5_000);
  expect(Date.now() - before).toBeLessThan(1_000);
  await Promise.all([silent.end, keepAlive.end]);
});

test('a raw HTTP/1.1 call that is open at the stop gets its whole answer', async () => {
  const server = await serveSlowly();
  const first = tcp(server.port);
  first.socket.write(post('{}'));
  await server.started;
  const closed = server.close(5_000);
  server.release();
  await closed;
  expect(await first.end).toContain('200 OK');
});

test('what outlasts the grace is cut', async () => {
  const server = await serveSlowly();
  const sent = http1Request({
    port: server.port,
    path: checkPath,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  });
  const error = new Promise((resolve) => sent.once('error', resolve));
  sent.end('{}');
  await server.started;
  await server.close(50);
  expect(await error).toMatchObject({ code: 'ECONNRESET' });
  server.release();
});

test('a port that is taken is refused at the start', async () => {
  const server = await serve();
  await expect(serve({ listener: { port: server.port } })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
