// The same requests to Connect's own unary handlers and to ours: what a client makes of the answers is the same, but where
// we differ on purpose.

import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, createConnectRouter, createContextValues } from '@connectrpc/connect';
import type { UniversalServerRequest, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { errorFromJson } from '@connectrpc/connect/protocol-connect';
import { findTrailerError } from '@connectrpc/connect/protocol-grpc';
import { trailerParse } from '@connectrpc/connect/protocol-grpc-web';
import pLimit from 'p-limit';
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
import { checkPath, toConnectError } from './serve.ts';

const message = (service: string) =>
  toBinary(HealthCheckRequestSchema, { $typeName: HealthCheckRequestSchema.typeName, service });
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

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
    decompressing: pLimit(1),
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
