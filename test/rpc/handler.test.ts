// Properties of the way from a request to its RPC: what is no RPC, the gate, streams, CORS.

import * as http2 from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { Code, ConnectError } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { describe, expect, test } from 'vitest';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { createCors } from '../../server/rpc/cors.ts';
import type { Exchange } from '../../server/rpc/exchange.ts';
import { createRequestHandler } from '../../server/rpc/handler.ts';
import {
  checkPath,
  collect,
  healthClient,
  isTyped,
  protocols,
  refusalOf,
  serve,
  serving,
  toConnectError,
  transportOf,
  watchPath,
} from './serve.ts';

const minimum: [string, string][] = [['countersign-minimum-version', '2.3']];

async function call(url: string, init: RequestInit & { type?: string } = {}) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { ...(init.type && { 'content-type': init.type }) },
    ...init,
  });
  const text = await answer.text();
  return { status: answer.status, header: answer.headers, text };
}

describe.each(Object.entries(protocols))('%s', (_name, transport) => {
  test('an RPC that is not here is UNIMPLEMENTED, typed', async () => {
    const server = await serve({ health: serving, answerHeaders: () => minimum });
    const elsewhere = { ...Health.method.check, parent: { ...Health, typeName: 'a.B' } };
    const error = await refusalOf(
      transport(server.url).unary(elsewhere as typeof Health.method.check, undefined, undefined, undefined, {}),
    );
    expect([error.code, isTyped(error)]).toEqual([Code.Unimplemented, true]);
    expect(error.metadata.get('countersign-minimum-version')).toBe('2.3');
  });

  test('the gate stands before streams, too', async () => {
    const server = await serve({
      admit: () => toConnectError(new ConnectError('too old', Code.FailedPrecondition)),
      answerHeaders: () => minimum,
    });
    const error = await refusalOf(collect(healthClient(transport(server.url)).watch({})));
    expect([error.code, isTyped(error)]).toEqual([Code.FailedPrecondition, true]);
  });

  test('a stream flows; its error in the middle is typed; its answer headers come', async () => {
    const server = await serve({
      health: {
        async *watch() {
          yield { status: Status.SERVING };
          throw new Error('bug');
        },
      },
      answerHeaders: () => minimum,
    });
    const seen: Status[] = [];
    let header = new Headers();
    const options = {
      onHeader: (h: Headers) => {
        header = h;
      },
    };
    const error = await refusalOf(
      (async () => {
        for await (const { status } of healthClient(transport(server.url)).watch({}, options)) seen.push(status);
      })(),
    );
    expect(seen).toEqual([Status.SERVING]);
    expect([error.code, error.rawMessage, isTyped(error)]).toEqual([Code.Internal, 'internal error', true]);
    expect(header.get('countersign-minimum-version')).toBe('2.3');
  });

  test('a client that leaves its stream aborts the signal; nothing is logged as an error', async () => {
    const aborted = Promise.withResolvers<void>();
    const server = await serve({
      health: {
        async *watch(_request, { signal }) {
          signal.addEventListener('abort', () => aborted.resolve());
          yield { status: Status.SERVING };
          await aborted.promise;
        },
      },
    });
    const controller = new AbortController();
    await refusalOf(
      (async () => {
        const { signal } = controller;
        for await (const _ of healthClient(transport(server.url)).watch({}, { signal })) controller.abort();
      })(),
    );
    await aborted.promise;
    expect(server.errors).toEqual([]);
  });
});

test('streams have their framework errors typed and as the caller’s', async () => {
  const server = await serve({ health: { async *watch() {} } });
  const cases: [Buffer | Uint8Array, Record<string, string>][] = [
    [encodeEnvelope(0, Uint8Array.of(0xff)), {}],
    [encodeEnvelope(0, new Uint8Array(2_000_000)), {}],
    [encodeEnvelope(0, new Uint8Array()), { 'grpc-encoding': 'snappy' }],
    [encodeEnvelope(0, new Uint8Array()), { 'grpc-timeout': 'soon' }],
    [Uint8Array.of(0, 0, 0), {}],
    [new Uint8Array(), {}],
  ];
  const codes: (string | null)[] = [];
  for (const [body, header] of cases) {
    const answer = await fetch(server.url + watchPath, {
      method: 'POST',
      headers: { 'content-type': 'application/grpc-web', ...header },
      body: Buffer.from(body),
    });
    const text = Buffer.from(await answer.arrayBuffer()).toString('latin1');
    expect(text).toContain('grpc-status-details-bin');
    codes.push(/grpc-status: (\d+)/.exec(text)?.[1] ?? null);
  }
  expect(codes).toEqual(['3', '8', '12', '3', '3', '12']);
});

test('what is no call of an RPC is told what would be, in JSON', async () => {
  const server = await serve({ health: serving });
  const cases = [
    { path: checkPath, init: { method: 'GET' }, status: 405 },
    { path: `${checkPath}?connect=v1&encoding=json&message=%7B%7D`, init: { method: 'GET' }, status: 405 },
    { path: checkPath, init: { method: 'PUT', body: '{}' }, status: 405 },
    { path: checkPath, init: { method: 'OPTIONS' }, status: 405 },
    { path: checkPath, init: { type: 'text/plain', body: '{}' }, status: 415 },
    { path: checkPath, init: { type: 'application/connect+json', body: '{}' }, status: 415 },
    { path: checkPath, init: { type: 'application/grpc-web-text', body: '' }, status: 415 },
    { path: checkPath, init: { body: Buffer.from('{}') }, status: 415 },
    { path: watchPath, init: { type: 'application/json', body: '{}' }, status: 415 },
    { path: '/', init: { method: 'GET' }, status: 404 },
    { path: `/${checkPath}`, init: { type: 'application/json', body: '{}' }, status: 404 },
    { path: `${checkPath}/`, init: { type: 'application/json', body: '{}' }, status: 404 },
    { path: checkPath.replace('Check', 'C%68eck'), init: { type: 'application/json', body: '{}' }, status: 404 },
    { path: checkPath.toLowerCase(), init: { type: 'application/json', body: '{}' }, status: 404 },
  ];
  for (const { path, init, status } of cases) {
    const answer = await call(server.url + path, init);
    expect([path, answer.status, answer.header.get('allow')]).toEqual([path, status, status === 405 ? 'POST' : null]);
    expect(JSON.parse(answer.text)).toMatchObject({
      code: 'unimplemented',
      message: expect.any(String),
      details: [{ type: 'google.rpc.ErrorInfo' }],
    });
  }
  expect((await call(server.url + checkPath, { type: 'application/json', body: '{}' })).status).toBe(200);
  expect(server.errors).toEqual([]);
});

test('a call in both directions over HTTP/1.1 is refused, not left hanging', async () => {
  const server = await serve({ routes: (router) => router.service(ServerReflection, {}) });
  const answer = await call(`${server.url}/grpc.reflection.v1.ServerReflection/ServerReflectionInfo`, {
    type: 'application/grpc-web',
    body: '',
  });
  expect([answer.status, answer.header.get('connection')]).toEqual([505, 'close']);
});

test('a missing or broken authority is no crash', async () => {
  const server = await serve({ health: serving });
  const session = http2.connect(server.url);
  for (const authority of [undefined, 'no host at all[', 'x:y:z']) {
    const stream = session.request({
      ':method': 'POST',
      ':path': checkPath,
      'content-type': 'application/json',
      ...(authority ? { ':authority': authority } : {}),
    });
    stream.end('{}');
    const header = await new Promise<http2.IncomingHttpHeaders>((resolve, reject) => {
      stream.once('response', resolve);
      stream.once('error', reject);
    }).catch(() => undefined);
    // nghttp2 itself resets a stream whose authority is malformed.
    if (header) expect(header[':status']).toBe(200);
  }
  session.destroy();
  const socket = connectTcp(server.port, '127.0.0.1');
  socket.write(`POST ${checkPath} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`);
  expect(String(await new Promise((resolve) => socket.once('data', resolve)))).toContain('200 OK');
  socket.destroy();
  expect(server.errors).toEqual([]);
});

test('a gate that fails itself lets nobody through', async () => {
  const server = await serve({
    health: serving,
    admit: () => {
      throw new Error('bug');
    },
  });
  const answer = await call(server.url + checkPath, { type: 'application/json', body: '{}' });
  expect([answer.status, JSON.parse(answer.text)]).toMatchObject([
    500,
    { code: 'internal', message: 'internal error' },
  ]);
  expect(server.errors).toHaveLength(1);
});

test('plain handlers have their exact path', async () => {
  const http = new Map([
    [
      '/.well-known/jwks.json',
      (exchange: Exchange) => exchange.answer({ status: 200, header: new Headers(), body: Buffer.from('{"keys":[]}') }),
    ],
  ]);
  const server = await serve({ http });
  expect((await call(`${server.url}/.well-known/jwks.json`, { method: 'GET' })).text).toBe('{"keys":[]}');
  expect((await call(`${server.url}/.well-known/jwks.json/`, { method: 'GET' })).status).toBe(404);
});

test('what answerHeaders puts into the request, the implementation sees', async () => {
  const seen: (string | null)[] = [];
  const server = await serve({
    health: {
      check: (_request, { requestHeader }) => {
        seen.push(requestHeader.get('x-request-id'));
        return {};
      },
    },
    answerHeaders: (_method, header) => {
      header.set('x-request-id', 'made');
      return [['x-request-id', 'made']];
    },
  });
  const answer = await call(server.url + checkPath, { type: 'application/json', body: '{}' });
  expect([answer.header.get('x-request-id'), seen]).toEqual(['made', ['made']]);
});

test('open streams are ended as the server stops, and told so; unary calls finish', async () => {
  const shutdown = new AbortController();
  const server = await serve({
    shutdownSignal: shutdown.signal,
    health: {
      check: async (_request, { signal }) => {
        shutdown.abort();
        await new Promise((resolve) => setTimeout(resolve, 20));
        return { status: signal.aborted ? Status.NOT_SERVING : Status.SERVING };
      },
      async *watch(_request, { signal }) {
        yield { status: Status.SERVING };
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    },
  });
  const client = healthClient(transportOf('gRPC over HTTP/2', server.url));
  const stream = client.watch({})[Symbol.asyncIterator]();
  await stream.next();
  expect((await client.check({})).status).toBe(Status.SERVING);
  expect((await refusalOf(stream.next())).code).toBe(Code.Unavailable);
});

test('a method that two services route is refused at the start', () => {
  const routes = (router: Parameters<Parameters<typeof createRequestHandler>[0]['routes']>[0]) =>
    router.service(Health, {}).service(Health, {});
  const log = { debug: () => {}, error: () => {} } as never;
  expect(() => createRequestHandler({ routes, interceptors: [], toConnectError, readMaxBytes: 1, log })).toThrow(
    'twice',
  );
});

describe('CORS', () => {
  const cors = createCors(['https://app.example.com']);
  const preflight = (url: string, origin: string) =>
    call(url, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    });

  test('a configured origin may call, and see what clients need', async () => {
    const server = await serve({ health: serving, cors });
    const { status, header } = await preflight(server.url + checkPath, 'https://app.example.com');
    expect(status).toBe(204);
    expect(header.get('access-control-allow-origin')).toBe('https://app.example.com');
    expect(header.get('access-control-allow-methods')).toBe('POST');
    expect(header.get('access-control-max-age')).toBe('7200');
    const allowed = header.get('access-control-allow-headers')?.toLowerCase().split(', ');
    for (const name of [
      'authorization',
      'accept-language',
      'countersign-client-version',
      'countersign-client-platform',
      'x-request-id',
      'content-type',
      'grpc-timeout',
      'x-grpc-web',
      'connect-protocol-version',
    ]) {
      expect(allowed).toContain(name);
    }
    for (const body of ['{}', '{']) {
      const answer = await call(server.url + checkPath, {
        headers: { origin: 'https://app.example.com', 'content-type': 'application/json' },
        body,
      });
      expect(answer.header.get('access-control-allow-origin')).toBe('https://app.example.com');
      expect(answer.header.get('vary')).toBe('Origin');
      const exposed = answer.header.get('access-control-expose-headers')?.toLowerCase();
      for (const name of ['grpc-status', 'grpc-message', 'countersign-minimum-version', 'x-request-id']) {
        expect(exposed).toContain(name);
      }
    }
  });

  test.each(['https://app.example.com.evil.com', 'http://app.example.com', 'https://APP.example.com', 'null'])(
    'the origin %s gets nothing',
    async (origin) => {
      const server = await serve({ health: serving, cors });
      const { status, header } = await preflight(server.url + checkPath, origin);
      expect([status, header.get('access-control-allow-origin'), header.get('access-control-allow-headers')]).toEqual([
        405,
        null,
        null,
      ]);
      const answer = await call(server.url + checkPath, {
        headers: { origin, 'content-type': 'application/json' },
        body: '{}',
      });
      expect([answer.status, answer.header.get('access-control-allow-origin')]).toEqual([200, null]);
    },
  );
});
