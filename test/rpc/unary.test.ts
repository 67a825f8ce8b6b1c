// Properties of unary calls by real clients of every protocol.

import { connect as connectTcp } from 'node:net';
import { toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, createContextKey, type Interceptor } from '@connectrpc/connect';
import { compressionGzip, createGrpcTransport } from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as Status,
} from '../../gen/health/v1/health_pb.ts';
import { acceptCompression } from '../../server/rpc/body.ts';
import { checkPath, healthClient, isTyped, protocols, refusalOf, serve, serving, toConnectError } from './serve.ts';

const message = (service: string) =>
  toBinary(HealthCheckRequestSchema, { $typeName: HealthCheckRequestSchema.typeName, service });

describe.each(Object.entries(protocols))('%s', (_name, transport) => {
  test('a call is answered, with its headers and the answer headers', async () => {
    const server = await serve({
      health: {
        check: ({ service }, context) => {
          context.responseHeader.set('x-echo', `${context.requestHeader.get('x-in')} ${service}`);
          context.responseTrailer.set('x-last', 'yes');
          return { status: Status.SERVING };
        },
      },
      answerHeaders: () => [['x-request-id', '7']],
    });
    let header = new Headers();
    let trailer = new Headers();
    await healthClient(transport(server.url)).check(
      { service: 'e' },
      {
        headers: { 'x-in': 'in' },
        onHeader: (h) => {
          header = h;
        },
        onTrailer: (t) => {
          trailer = t;
        },
      },
    );
    expect(header.get('x-echo')).toBe('in e');
    expect(header.get('x-request-id')).toBe('7');
    expect(trailer.get('x-last')).toBe('yes');
    expect(server.errors).toEqual([]);
  });

  test('a refusal is typed and carries the answer headers and those set before it', async () => {
    const server = await serve({
      health: {
        check: (_request, context) => {
          context.responseHeader.set('x-before', 'set');
          throw new ConnectError('no — not now', Code.FailedPrecondition);
        },
      },
      answerHeaders: () => [['countersign-minimum-version', '2.3']],
    });
    const error = await refusalOf(healthClient(transport(server.url)).check({}));
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.rawMessage).toBe('no — not now');
    expect(isTyped(error)).toBe(true);
    expect(error.metadata.get('countersign-minimum-version')).toBe('2.3');
    expect(error.metadata.get('x-before')).toBe('set');
  });

  test('an unexpected failure says no more than internal error', async () => {
    const server = await serve({
      health: {
        check: () => {
          throw new Error('secret');
        },
      },
    });
    const error = await refusalOf(healthClient(transport(server.url)).check({}));
    expect([error.code, error.rawMessage, isTyped(error)]).toEqual([Code.Internal, 'internal error', true]);
  });

  test('the gate refuses before the body is read', async () => {
    let called = 0;
    const server = await serve({
      health: {
        check: () => {
          called++;
          return {};
        },
      },
      interceptors: [
        (next) => (req) => {
          called++;
          return next(req);
        },
      ],
      admit: (_method, header) =>
        header.has('x-admit') ? undefined : toConnectError(new ConnectError('too old', Code.FailedPrecondition)),
      answerHeaders: () => [['countersign-minimum-version', '2.3']],
      readMaxBytes: 100,
    });
    const client = healthClient(transport(server.url));
    const error = await refusalOf(client.check({ service: 'x'.repeat(200) }));
    expect([error.code, isTyped(error), called]).toEqual([Code.FailedPrecondition, true, 0]);
    expect(error.metadata.get('countersign-minimum-version')).toBe('2.3');
    await client.check({}, { headers: { 'x-admit': '1' } });
    expect(called).toBe(2);
  });

  test('a message of 4 MB is refused again and again, and its connection stays of use', async () => {
    const server = await serve({ health: serving });
    const client = healthClient(transport(server.url));
    const big = 'x'.repeat(4 * 1024 * 1024);
    for (let i = 0; i < 5; i++) {
      const error = await refusalOf(client.check({ service: big }));
      expect([error.code, isTyped(error)]).toEqual([Code.ResourceExhausted, true]);
    }
    expect((await client.check({})).status).toBe(Status.SERVING);
    expect(server.errors).toEqual([]);
  });

  test('a bomb of 64 MB compressed is refused', async () => {
    const server = await serve({ health: serving });
    const client = healthClient(transport(server.url, { sendCompression: compressionGzip }));
    const error = await refusalOf(client.check({ service: 'x'.repeat(64 * 1024 * 1024) }));
    expect([error.code, isTyped(error)]).toEqual([Code.ResourceExhausted, true]);
  });

  test.each(acceptCompression)('$name works both ways', async (compression) => {
    const server = await serve({
      health: {
        check: ({ service }) => ({ status: service.length as Status }),
        list: () => ({
          statuses: Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`service-${i}`, { status: 1 }])),
        }),
      },
    });
    const client = healthClient(
      transport(server.url, { sendCompression: compression, acceptCompression: [compression] }),
    );
    let encodings: (string | null)[] = [];
    const answer = await client.list(
      {},
      {
        onHeader: (h) => {
          encodings = [h.get('content-encoding'), h.get('grpc-encoding')];
        },
      },
    );
    expect(Object.keys(answer.statuses)).toHaveLength(500);
    expect(encodings).toContain(compression.name);
    expect((await client.check({ service: 'x'.repeat(3000) })).status).toBe(3000);
  });

  test('a deadline ends the call, and its signal', async () => {
    const reasons: unknown[] = [];
    const server = await serve({
      health: {
        check: (_request, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              reasons.push(ConnectError.from(signal.reason).code);
              reject(new DOMException('stopped', 'AbortError'));
            });
          }),
      },
    });
    const error = await refusalOf(healthClient(transport(server.url)).check({}, { timeoutMs: 50 }));
    expect(error.code).toBe(Code.DeadlineExceeded);
    await expect.poll(() => reasons).toHaveLength(1);
    expect([Code.DeadlineExceeded, Code.Canceled]).toContain(reasons[0]);
  });

  test('a client that leaves aborts the signal, and nothing is logged as an error', async () => {
    const started = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<unknown>();
    const server = await serve({
      health: {
        check: (_request, { signal }) => {
          started.resolve();
          return new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              aborted.resolve(signal.reason);
              reject(signal.reason);
            });
          });
        },
      },
    });
    const controller = new AbortController();
    const call = refusalOf(healthClient(transport(server.url)).check({}, { signal: controller.signal }));
    await started.promise;
    controller.abort();
    expect((await call).code).toBe(Code.Canceled);
    expect(ConnectError.from(await aborted.promise).code).toBe(Code.Canceled);
    expect(server.errors).toEqual([]);
  });
});

test('grpc-js gets answers, refusals with their headers, and deadlines', async () => {
  const server = await serve({
    health: {
      check: async ({ service }) => {
        if (service === 'slow') await new Promise((resolve) => setTimeout(resolve, 300));
        if (service === 'refused') throw new ConnectError('no', Code.ResourceExhausted);
        return { status: Status.SERVING };
      },
    },
    answerHeaders: () => [['countersign-minimum-version', '2.3']],
  });
  const client = new grpc.Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure());
  const check = (service: string, deadlineMs = 5000) =>
    new Promise<Buffer | grpc.ServiceError>((resolve) => {
      client.makeUnaryRequest(
        checkPath,
        (bytes: Uint8Array) => Buffer.from(bytes),
        (bytes: Buffer) => bytes,
        message(service),
        new grpc.Metadata(),
        { deadline: Date.now() + deadlineMs },
        (error, value) => resolve(error ?? (value as Buffer)),
      );
    });
  expect(await check('')).toEqual(Buffer.from([8, 1]));
  const refused = (await check('refused')) as grpc.ServiceError;
  expect(refused.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  expect(refused.metadata.get('countersign-minimum-version')).toEqual(['2.3']);
  expect(refused.metadata.get('grpc-status-details-bin')).toHaveLength(1);
  const tooBig = (await check('x'.repeat(4 * 1024 * 1024))) as grpc.ServiceError;
  expect(tooBig.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  expect(((await check('slow', 50)) as grpc.ServiceError).code).toBe(grpc.status.DEADLINE_EXCEEDED);
  expect(await check('')).toEqual(Buffer.from([8, 1]));
  client.close();
});

test('a time-out longer than a timer can hold does not end the call', async () => {
  const server = await serve({ health: serving });
  const answer = await fetch(server.url + checkPath, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'connect-timeout-ms': '9999999999' },
    body: '{}',
  });
  expect(await answer.json()).toEqual({ status: 'SERVING' });
});

test('interceptors run outermost first, once applied, and may replace the headers', async () => {
  let applied = 0;
  const key = createContextKey('unset');
  const named =
    (name: string): Interceptor =>
    (next) => {
      applied++;
      return async (req) => {
        req.contextValues.set(key, `${req.contextValues.get(key)} ${name}`);
        const response = await next(req);
        return { ...response, header: new Headers([...response.header, [`x-${name}`, '1']]) };
      };
    };
  const seen: string[] = [];
  const server = await serve({
    interceptors: [named('outer'), named('inner')],
    health: {
      check: (_request, { values }) => {
        seen.push(values.get(key));
        return {};
      },
    },
  });
  const appliedAtStart = applied;
  for (let i = 0; i < 2; i++) {
    const answer = await fetch(server.url + checkPath, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    expect([answer.headers.get('x-outer'), answer.headers.get('x-inner')]).toEqual(['1', '1']);
  }
  expect(seen).toEqual(['unset outer inner', 'unset outer inner']);
  expect(applied).toBe(appliedAtStart);
});

test('what cannot be read is told without quoting it', async () => {
  const server = await serve({ health: serving });
  const answer = await fetch(server.url + checkPath, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"service": "hunter2" "x"}',
  });
  expect(answer.status).toBe(400);
  expect(await answer.text()).not.toContain('hunter2');
});

test('a body that stops half way is answered, typed, after its time', async () => {
  const server = await serve({ health: serving, bodyTimeoutMs: 100 });
  const socket = connectTcp(server.port, '127.0.0.1');
  socket.write(
    `POST ${checkPath} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{`,
  );
  const answer = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
  expect(answer).toContain('HTTP/1.1 504');
  expect(answer).toContain('google.rpc.ErrorInfo');
  socket.destroy();
});

test('of many messages that come compressed, a few are decompressed at once', async () => {
  const server = await serve({ health: serving });
  const client = healthClient(createGrpcTransport({ baseUrl: server.url, sendCompression: compressionGzip }));
  let atOnce = 0;
  let most = 0;
  const decompress = compressionGzip.decompress;
  const watched = vi.spyOn(compressionGzip, 'decompress').mockImplementation(async (...of) => {
    most = Math.max(most, ++atOnce);
    return decompress(...of).finally(() => atOnce--);
  });
  onTestFinished(() => watched.mockRestore());
  const calls = Array.from({ length: 60 }, () => refusalOf(client.check({ service: 'x'.repeat(1_100_000) })));
  for (const { code } of await Promise.all(calls)) expect(code).toBe(Code.ResourceExhausted);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(8);
});
