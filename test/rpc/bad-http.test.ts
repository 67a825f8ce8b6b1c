// What odd HTTP gets, on the running server: at streams, at the version gate, at either listener.

import { request as http1Request } from 'node:http';
import * as http2 from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { fromBinary } from '@bufbuild/protobuf';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { describe, expect, test } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../../gen/google/rpc/status_pb.ts';
import { hashServiceToken } from '../../server/platform/service-tokens.ts';
import { scopeOf } from '../../server/rpc/access.ts';
import { byName, goodRequest, internalRpcs, isStream, named, publicRpcs, type Rpc, rpcs } from '../support/contract.ts';
import {
  type Answer,
  call,
  challengeOfNewAccount,
  changingNothing,
  device,
  errorOf,
  expectNothingInside,
  expectTyped,
  gate,
  read,
  server,
  tokenWithout,
  useServer,
} from '../support/plain-calls.ts';

useServer();

describe.each(named(rpcs.filter(isStream)))('%s', (_name, rpc) => {
  const good = encodeEnvelope(0, Buffer.from('{}'));
  const bodies: Readonly<Record<string, Uint8Array>> = {
    'no message': new Uint8Array(),
    'half a head': good.subarray(0, 3),
    'half a message': good.subarray(0, 6),
    'two messages': Buffer.concat([good, good]),
    'a message that promises 4 GB': Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff),
    'a message that is compressed, it does not say how': encodeEnvelope(1, Buffer.from('{}')),
    'a field that is not known': encodeEnvelope(0, Buffer.from('{"x":1}')),
    'bytes without a frame': Buffer.from('{}'),
  };

  test.each(Object.keys(bodies))('%s is refused, in each protocol', async (what) => {
    const body = bodies[what] ?? new Uint8Array();
    await changingNothing(async () => {
      const answer = await call(rpc, body, { contentType: 'application/connect+json' });
      expectTyped(answer, what);
      for (const contentType of ['application/grpc-web+json', 'application/grpc+json']) {
        const seen = await callHttp2(rpc, body, contentType);
        expectTyped(seen, [what, contentType]);
        expect([contentType, seen.reason]).toEqual([contentType, answer.reason]);
      }
    });
  });

  /** The refusal of a call in gRPC or gRPC-Web, wherever it stands. */
  async function callHttp2(rpc: Rpc, body: Uint8Array, contentType: string) {
    const session = http2.connect(rpc.internal ? server.internalUrl : server.publicUrl);
    try {
      const token = rpc.internal ? server.serviceToken : device.session.accessToken;
      const headers = { ...gate, authorization: `Bearer ${token}`, te: 'trailers' };
      const stream = session.request({
        ':method': 'POST',
        ':path': rpc.path,
        'content-type': contentType,
        ...headers,
      });
      let status: Record<string, unknown> = {};
      const keep = (more: http2.IncomingHttpHeaders) => {
        status = { ...status, ...more };
      };
      stream.once('response', keep);
      stream.once('trailers', keep);
      const chunks: Buffer[] = [];
      stream.on('data', (chunk) => chunks.push(chunk));
      stream.setTimeout(5_000, () => stream.close(http2.constants.NGHTTP2_CANCEL));
      stream.end(body);
      await new Promise((resolve, reject) => {
        stream.once('close', resolve);
        stream.once('error', reject);
      });
      const sent = Buffer.concat(chunks);
      if (contentType.includes('web')) {
        expect(sent[0]).toBe(0x80);
        const lines = sent.subarray(5).toString().trim().split('\r\n');
        status = Object.fromEntries(lines.map((line) => line.split(/: ?(.*)/, 2)));
      } else {
        expect(sent.length).toBe(0);
      }
      const { code, details } = fromBinary(
        StatusSchema,
        Buffer.from(String(status['grpc-status-details-bin']), 'base64'),
      );
      const seen = read(
        String(code),
        details.map(({ typeUrl, value }) => ({ type: typeUrl.split('/').at(-1) ?? '', value })),
      );
      return { ...seen, text: String(status['grpc-message']) };
    } finally {
      session.destroy();
    }
  }
});

describe('the gate', () => {
  const forms: readonly (readonly [string, Record<string, string>, string])[] = [
    ['nothing', { 'countersign-client-version': '', 'countersign-client-platform': '' }, 'CLIENT_VERSION_MISSING'],
    ['no version', { 'countersign-client-version': '' }, 'CLIENT_VERSION_MISSING'],
    ['no platform', { 'countersign-client-platform': '' }, 'CLIENT_VERSION_MISSING'],
    ['a version that is none', { 'countersign-client-version': 'latest' }, 'CLIENT_VERSION_INVALID'],
    ['a version twice', { 'countersign-client-version': '2.3, 2.3' }, 'CLIENT_VERSION_INVALID'],
    ['a platform that is none', { 'countersign-client-platform': 'symbian' }, 'CLIENT_VERSION_INVALID'],
    ['a platform in capitals', { 'countersign-client-platform': 'IOS' }, 'CLIENT_VERSION_INVALID'],
    ['an old version', { 'countersign-client-version': '2.2.9' }, 'CLIENT_VERSION_UNSUPPORTED'],
    ['a pre-release of the minimum', { 'countersign-client-version': '2.3-rc.1' }, 'CLIENT_VERSION_UNSUPPORTED'],
  ];

  test.each(named(publicRpcs))('of %s comes before the body and before the session', async (_name, rpc) => {
    await changingNothing(async () => {
      for (const [what, headers, reason] of forms) {
        for (const body of [
          JSON.stringify(goodRequest(rpc.method.input)),
          '{',
          Uint8Array.from([0xff]),
          'x'.repeat(1 << 20),
        ]) {
          for (const authorization of ['', 'Bearer x', `Bearer ${device.session.accessToken}`]) {
            const answer = await call(rpc, body, { headers: { ...headers, authorization } });
            expectTyped(answer, what);
            expect([what, answer.reason, answer.headers.get('countersign-minimum-version')]).toEqual([
              what,
              reason,
              '2.3',
            ]);
          }
        }
      }
    });
  });

  test.each(named(publicRpcs))('of %s answers a gRPC call whose body never comes', async (_name, rpc) => {
    const session = http2.connect(server.publicUrl);
    try {
      for (const [what, headers, reason] of forms) {
        const sent = Object.fromEntries(Object.entries({ ...gate, ...headers }).filter(([, value]) => value !== ''));
        const stream = session.request({
          ':method': 'POST',
          ':path': rpc.path,
          'content-type': 'application/grpc',
          te: 'trailers',
          ...sent,
        });
        const answer = await new Promise<http2.IncomingHttpHeaders>((resolve, reject) => {
          stream.once('response', resolve);
          stream.once('error', reject);
        });
        stream.close();
        const bin = Buffer.from(String(answer['grpc-status-details-bin']), 'base64');
        const { code, details } = fromBinary(StatusSchema, bin);
        const seen = read(
          String(code),
          details.map(({ typeUrl, value }) => ({ type: typeUrl.split('/').at(-1) ?? '', value })),
        );
        expectTyped({ ...seen, text: String(answer['grpc-message']) }, what);
        expect([what, seen.reason, answer['countersign-minimum-version']]).toEqual([what, reason, '2.3']);
      }
    } finally {
      session.destroy();
    }
  });
});

describe('the listeners', () => {
  /** Sends a path as it is: fetch would tidy it up. */
  const rawCall = (url: string, path: string, headers: Record<string, string>) =>
    new Promise<Answer>((resolve, reject) => {
      const { port } = new URL(url);
      const request = http1Request({ port, path, method: 'POST', headers, agent: false }, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: new Headers(), text, ...errorOf(text) });
        });
      });
      request.on('error', reject);
      request.end('{}');
    });

  test.each(named(internalRpcs))('on the public one %s is found by no spelling', async (name, rpc) => {
    const [service = '', method = ''] = name.split('/');
    const ours = '/countersign.v1.TwoStepAuth';
    const paths = [
      rpc.path,
      `/${rpc.path}`,
      `${rpc.path}/`,
      `${rpc.path}?x=1`,
      `${rpc.path}#x`,
      `${rpc.path};x`,
      `${ours}/..${rpc.path}`,
      `/.${rpc.path}`,
      `${ours}/%2e%2e${rpc.path}`,
      `/${service}%2f${method}`,
      `/${service}%2F${method}`,
      `/${service}//${method}`,
      `/${service}/%${method.charCodeAt(0).toString(16)}${method.slice(1)}`,
      `/%63${service.slice(1)}/${method}`,
      `/${service}\\${method}`,
      `/${service.toUpperCase()}/${method}`,
      `/${service}/${method.toLowerCase()}`,
      `/.${service}/${method}`,
      `${server.internalUrl}${rpc.path}`,
      `${server.publicUrl}${rpc.path}`,
      `${ours}/${service}/${method}`,
      `${ours}/${method}`,
      `${rpc.path}%00`,
    ];
    const tokens = { ...gate, authorization: `Bearer ${server.serviceToken}`, 'content-type': 'application/json' };
    const { host } = new URL(server.internalUrl);
    await changingNothing(async () => {
      for (const path of paths) {
        for (const headers of [tokens, { ...tokens, host, 'x-forwarded-host': host, 'x-original-url': rpc.path }]) {
          const answer = await rawCall(server.publicUrl, path, headers);
          expectTyped(answer, path);
          expect([path, answer.status, answer.code, answer.reason]).toEqual([
            path,
            404,
            'unimplemented',
            'METHOD_UNKNOWN',
          ]);
        }
      }
    });
  });

  test.each(named(publicRpcs))('on the internal one %s is not there', async (_name, rpc) => {
    const headers = { ...gate, authorization: `Bearer ${server.serviceToken}`, 'content-type': 'application/json' };
    const answer = await rawCall(server.internalUrl, rpc.path, headers);
    expectTyped(answer);
    expect([answer.status, answer.code, answer.reason]).toEqual([404, 'unimplemented', 'METHOD_UNKNOWN']);
  });

  test.each(named(internalRpcs))('%s needs a service token of its scope', async (_name, rpc) => {
    const good = `Bearer ${server.serviceToken}`;
    const wrong = [
      '',
      'Bearer',
      'Bearer x',
      server.serviceToken,
      good.slice(0, -1),
      `${good}x`,
      `${good}=`,
      good.toUpperCase(),
      `Basic ${Buffer.from(`test:${server.serviceToken}`).toString('base64')}`,
      `${good}, ${good}`,
      `Bearer ${Buffer.from(hashServiceToken(server.serviceToken)).toString('hex')}`,
      `Bearer ${device.session.accessToken}`,
    ];
    await changingNothing(async () => {
      for (const authorization of wrong) {
        const answer = await call(rpc, goodRequest(rpc.method.input), { headers: { authorization } });
        expectTyped(answer, authorization);
        expect([authorization, answer.status, answer.reason]).toEqual([authorization, 401, 'SERVICE_TOKEN_INVALID']);
      }
      const headers = { authorization: `Bearer ${tokenWithout(scopeOf(rpc.method))}` };
      const answer = await call(rpc, goodRequest(rpc.method.input), { headers });
      expectTyped(answer);
      expect([answer.status, answer.code, answer.reason]).toEqual([403, 'permission_denied', 'SCOPE_MISSING']);
    });
  });

  test('answer a very long path or name with a short refusal, also in gRPC, whose refusals are headers', async () => {
    for (const url of [server.publicUrl, server.internalUrl]) {
      const session = http2.connect(url);
      try {
        const long = 'a'.repeat(40_000);
        const name = Buffer.concat([Buffer.from([0x0a, 0xc0, 0xb8, 0x02]), Buffer.from(long)]);
        const message = Buffer.concat([Buffer.from([0, 0, 0, name.length >> 8, name.length & 255]), name]);
        for (const [path, body] of [
          [`/${long}`, Buffer.from([0, 0, 0, 0, 0])],
          ['/grpc.health.v1.Health/Check', message],
        ] as const) {
          const stream = session.request({
            ':method': 'POST',
            ':path': path,
            'content-type': 'application/grpc',
            te: 'trailers',
          });
          stream.end(body);
          const answer = await new Promise<http2.IncomingHttpHeaders>((resolve, reject) => {
            stream.once('response', resolve);
            stream.once('error', reject);
          });
          expect(JSON.stringify(answer).length).toBeLessThan(8_000);
          const { details } = fromBinary(
            StatusSchema,
            Buffer.from(String(answer['grpc-status-details-bin']), 'base64'),
          );
          expect(details.map(({ typeUrl }) => typeUrl.split('/').at(-1))).toContain(ErrorInfoSchema.typeName);
        }
      } finally {
        session.destroy();
      }
    }
  });

  test('outlive headers of 70 KB, bodies that stop half way, and callers that leave', async () => {
    await changingNothing(async () => {
      for (const rpc of [byName('SignIn'), byName('CreateAccount')]) {
        const url = new URL(rpc.internal ? server.internalUrl : server.publicUrl);
        const headers = Object.entries({
          host: url.host,
          'content-type': 'application/json',
          'content-length': '200',
          authorization: `Bearer ${server.serviceToken}`,
          ...gate,
        }).map(([name, value]) => `${name}: ${value}\r\n`);
        const start = `POST ${rpc.path} HTTP/1.1\r\n${headers.join('')}`;
        const ends = {
          'in its headers': start.slice(0, 40),
          'before its body': `${start}\r\n`,
          'in its body': `${start}\r\n{"email":"half@example.com","password":"correct`,
          'in a chunk': `${start.replace(/content-length: .*\r\n/, 'transfer-encoding: chunked\r\n')}\r\nff\r\n{"email"`,
          'in a chunk that is none': `${start.replace(/content-length: .*\r\n/, 'transfer-encoding: chunked\r\n')}\r\nzz\r\n`,
        };
        for (const text of Object.values(ends)) {
          for (const leave of ['end', 'destroy', 'resetAndDestroy'] as const) {
            const socket = connectTcp(Number(url.port), '127.0.0.1');
            let received = '';
            socket.on('data', (data) => {
              received += data;
            });
            socket.on('error', () => {});
            const closed = new Promise((resolve) => socket.once('close', resolve));
            await new Promise<void>((resolve) => socket.once('connect', resolve));
            await new Promise((resolve) => socket.write(text, resolve));
            socket[leave]();
            await closed;
            expect(received).not.toMatch(/^HTTP\/1.1 (200|5)/);
            expectNothingInside(received);
          }
        }

        const huge = await new Promise<string>((resolve) => {
          const socket = connectTcp(Number(url.port), '127.0.0.1');
          let received = '';
          socket.on('data', (data) => {
            received += data;
          });
          socket.on('error', () => {});
          socket.once('close', () => resolve(received));
          socket.end(`${start}x-long: ${'a'.repeat(70_000)}\r\n\r\n`);
        });
        // A client that is still writing may be reset before it has read; never an answer to the call itself.
        expect(huge).toMatch(/^($|HTTP\/1.1 431 )/);

        const session = http2.connect(url.origin);
        for (const leave of [http2.constants.NGHTTP2_CANCEL, http2.constants.NGHTTP2_INTERNAL_ERROR]) {
          const stream = session.request({
            ':method': 'POST',
            ':path': rpc.path,
            'content-type': 'application/json',
            authorization: `Bearer ${server.serviceToken}`,
            ...gate,
          });
          stream.on('error', () => {});
          stream.write('{"email":"half@example.com"');
          stream.close(leave);
          await new Promise((resolve) => stream.once('close', resolve));
        }
        session.destroy();
      }
    });
    expect((await challengeOfNewAccount()).challengeToken).toBeTruthy();
  });
});
