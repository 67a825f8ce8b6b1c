// Properties of unary calls by real clients of every protocol, and the comparison with Connect's own handlers.

import { connect as connectTcp } from 'node:net';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { toBinary } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  createConnectRouter,
  createContextKey,
  createContextValues,
  type Interceptor,
} from '@connectrpc/connect';
import type { UniversalServerRequest, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { errorFromJson } from '@connectrpc/connect/protocol-connect';
import { findTrailerError } from '@connectrpc/connect/protocol-grpc';
import { trailerParse } from '@connectrpc/connect/protocol-grpc-web';
import { compressionGzip } from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as Status,
} from '../../gen/health/v1/health_pb.ts';
import { acceptCompression } from '../../server/rpc/body.ts';
import type { Answer } from '../../server/rpc/exchange.ts';
import { RunningCall } from '../../server/rpc/running-call.ts';
import { createUnaryHandler } from '../../server/rpc/unary.ts';
import { contentTypeOf, timeoutOf, type Wire, wireOf } from '../../server/rpc/wire.ts';
import { checkPath, healthClient, isTyped, protocols, refusalOf, serve, serving, toConnectError } from './serve.ts';

const message = (service: string) =>
  toBinary(HealthCheckRequestSchema, { $typeName: HealthCheckRequestSchema.typeName, service });
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

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

describe('the same request to Connect’s own handler and to ours', () => {
  const impl = ({ service }: { service: string }) => {
    if (service === 'refuse') throw new ConnectError('refused', Code.NotFound, { 'x-meta': 'data' });
    if (service === 'fail') throw new TypeError('bug');
    return { status: Status.SERVING };
  };
  const ours = createUnaryHandler(Health.method.check, impl as never, {
    interceptors: [],
    toConnectError,
    readMaxBytes: 2000,
    bodyTimeoutMs: 1000,
  });
  const [theirs] = createConnectRouter({ readMaxBytes: 2000, acceptCompression }).rpc(
    Health.method.check,
    impl,
  ).handlers;

  interface Case {
    readonly name: string;
    readonly body: Record<'proto' | 'json', Uint8Array>;
    readonly header?: Record<string, string>;
    /** Where we differ on purpose: a caller's mistake is never Connect's INTERNAL, nor let through. */
    readonly ourCode?: Code;
    readonly only?: 'envelope' | 'json' | 'proto' | 'connect';
  }
  const invalid = Uint8Array.of(0x0a, 2, 0xc3, 0x28);
  const cases: Case[] = [
    { name: 'a good call', body: { proto: message('x'), json: json({ service: 'x' }) } },
    { name: 'an empty message', body: { proto: new Uint8Array(), json: json({}) } },
    { name: 'a refusal with metadata', body: { proto: message('refuse'), json: json({ service: 'refuse' }) } },
    { name: 'a bug', body: { proto: message('fail'), json: json({ service: 'fail' }) } },
    {
      name: 'unknown JSON fields',
      only: 'json',
      body: { proto: message(''), json: json({ other: 1 }) },
      ourCode: Code.InvalidArgument,
    },
    {
      name: 'unknown binary fields',
      only: 'proto',
      body: { proto: Buffer.concat([message('x'), Uint8Array.of(0x9a, 0x06, 1, 0x61)]), json: json({}) },
    },
    { name: 'malformed', body: { proto: Uint8Array.of(0xff), json: json('{') }, ourCode: Code.InvalidArgument },
    { name: 'wrong JSON type', only: 'json', body: { proto: message(''), json: json({ service: 1 }) } },
    {
      name: 'invalid UTF-8',
      body: { proto: invalid, json: Buffer.from('{"service":"\xc3\x28"}', 'latin1') },
      ourCode: Code.InvalidArgument,
    },
    { name: 'too large', body: { proto: message('x'.repeat(3000)), json: json({ service: 'x'.repeat(3000) }) } },
    { name: 'at the bound', only: 'proto', body: { proto: message('x'.repeat(1997)), json: json({}) } },
    { name: 'one above the bound', only: 'proto', body: { proto: message('x'.repeat(1998)), json: json({}) } },
    ...['bad', '-1', '1234567890123', '1.5', ''].map((value) => ({
      name: `time-out ${value}`,
      header: { timeout: value },
      body: { proto: message(''), json: json({}) },
    })),
    { name: 'unknown compression', header: { encoding: 'snappy' }, body: { proto: message(''), json: json({}) } },
    { name: 'identity', header: { encoding: 'identity' }, body: { proto: message(''), json: json({}) } },
    {
      name: 'gzip that is none',
      only: 'connect',
      header: { encoding: 'gzip' },
      body: { proto: message('abcdef'), json: json({}) },
    },
    {
      name: 'gzip cut short',
      only: 'connect',
      header: { encoding: 'gzip' },
      body: { proto: gzipSync(message('abc')).subarray(0, 12), json: gzipSync(json({})).subarray(0, 12) },
      ourCode: Code.InvalidArgument,
    },
    {
      name: 'gzip',
      only: 'connect',
      header: { encoding: 'gzip' },
      body: { proto: gzipSync(message('abc')), json: gzipSync(json({ service: 'abc' })) },
    },
  ];
  const good = encodeEnvelope(0, message('x'));
  const rawCases: { name: string; body: Uint8Array; header?: Record<string, string>; ourCode?: Code }[] = [
    { name: 'no message at all', body: new Uint8Array() },
    { name: 'two messages', body: Buffer.concat([good, good]) },
    { name: 'a truncated envelope', body: good.subarray(0, 7) },
    { name: 'a truncated envelope header', body: good.subarray(0, 3) },
    { name: 'an envelope that promises 4 GB', body: Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff) },
    { name: 'compressed without saying how', body: encodeEnvelope(1, message('x')), ourCode: Code.InvalidArgument },
    { name: 'gzip', header: { 'grpc-encoding': 'gzip' }, body: encodeEnvelope(1, gzipSync(message('x'))) },
    { name: 'plain beside gzip', header: { 'grpc-encoding': 'gzip' }, body: good },
    { name: 'gzip that is none', header: { 'grpc-encoding': 'gzip' }, body: encodeEnvelope(1, message('abcdef')) },
    {
      name: 'a gzip bomb',
      header: { 'grpc-encoding': 'gzip' },
      body: encodeEnvelope(1, gzipSync(message('x'.repeat(1_000_000)))),
    },
  ];
  const contentTypes = [
    'application/grpc',
    'application/grpc+proto',
    'application/grpc+json',
    'application/grpc-web',
    'application/grpc-web+json',
    'application/proto',
    'application/json',
    'application/json; charset=utf-8',
  ];
  const table = contentTypes.flatMap((contentType) => {
    const isConnect = !contentType.includes('grpc');
    const form = contentType.includes('json') ? ('json' as const) : ('proto' as const);
    const framed = cases
      .filter(({ only }) => only === undefined || only === form || (only === 'connect' && isConnect))
      .map(({ name, body, header, ourCode }) => ({
        name,
        contentType,
        ourCode,
        body: isConnect ? body[form] : encodeEnvelope(0, body[form]),
        header: Object.fromEntries(
          Object.entries(header ?? {}).map(([key, value]) => [
            key === 'timeout'
              ? isConnect
                ? 'connect-timeout-ms'
                : 'grpc-timeout'
              : isConnect
                ? 'content-encoding'
                : 'grpc-encoding',
            value,
          ]),
        ),
      }));
    const raw =
      isConnect || form === 'json' ? [] : rawCases.map((one) => ({ ...one, contentType, header: one.header ?? {} }));
    return [...framed, ...raw];
  });

  test.each(table)('$contentType: $name', async ({ contentType, body, header, ourCode }) => {
    const request = (): UniversalServerRequest => ({
      httpVersion: '2',
      method: 'POST',
      url: `http://localhost${checkPath}`,
      header: new Headers({ 'content-type': contentType, ...header }),
      body: chunks(body),
      signal: new AbortController().signal,
    });
    const wire = wireOf(contentType);
    if (!theirs || !wire) throw new Error('unreachable');
    const expected = await outcome(await theirs(request()), contentType);
    const call = runningCall(request().header, wire);
    const actual = await outcome(await ours(call, wire, Readable.from(chunks(body))), contentType);
    expect(actual.code).toBe(ourCode ?? expected.code);
    if (actual.code === expected.code) expect(actual).toEqual(expected);
  });

  function runningCall(requestHeader: Headers, wire: Wire): RunningCall {
    const timeout = timeoutOf(wire, requestHeader);
    const call = new RunningCall({
      method: Health.method.check,
      protocolName: wire.protocol,
      url: `http://localhost${checkPath}`,
      requestHeader,
      responseHeader: new Headers({ 'content-type': contentTypeOf(wire) }),
      values: createContextValues(),
      timeoutMs: timeout.timeoutMs,
    });
    if (timeout.error) call.end(timeout.error);
    return call;
  }

  async function* chunks(body: Uint8Array) {
    for (let i = 0; i < body.length; i += 4) yield Buffer.from(body.subarray(i, i + 4));
  }

  /** What a client makes of an answer, apart from details and the words of messages. */
  async function outcome(answer: UniversalServerResponse | Answer, contentType: string) {
    const header = new Headers(answer.header);
    const parts: Uint8Array[] = [];
    if (answer.body instanceof Uint8Array) parts.push(answer.body);
    else for await (const chunk of answer.body ?? []) parts.push(chunk);
    const body = Buffer.concat(parts);
    let error: ConnectError | undefined;
    let message: Buffer | undefined = body;
    let trailer = new Headers(answer.trailer);
    if (contentType.includes('grpc-web')) {
      const end = body[0] === 0x80 ? 0 : 5 + body.readUInt32BE(1);
      trailer = trailerParse(body.subarray(end + 5));
      message = body.subarray(0, end);
    }
    if (contentType.includes('grpc')) {
      error = findTrailerError(trailer) ?? findTrailerError(header);
    } else if (answer.status !== 200) {
      error = errorFromJson(JSON.parse(body.toString()), undefined, new ConnectError('unreadable'));
    }
    return {
      status: answer.status,
      code: error?.code ?? 0,
      message: error ? undefined : message.toString('hex'),
      meta: trailer.get('x-meta') ?? header.get('x-meta'),
      contentType: header.get('content-type'),
      accepted:
        trailer.get('grpc-accept-encoding') ?? header.get('grpc-accept-encoding') ?? header.get('accept-encoding'),
    };
  }
});
