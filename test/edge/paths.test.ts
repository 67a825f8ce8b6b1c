// What gets through the edge, and what is told that there is nothing: by every spelling.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { internalRpcs, publicRpcs } from '../support/contract.ts';
import { type Edge, hasHaproxy, startEdge } from '../support/edge.ts';
import { errorOf } from '../support/plain-calls.ts';
import { gate, rawRequest, send, sendRaw } from './http.ts';
import { type Replica, startReplica } from './stand-in.ts';

const hasIt = await hasHaproxy();
let edge: Edge;
let replica: Replica;
beforeAll(async () => {
  if (!hasIt) return;
  replica = await startReplica();
  // Each call has a connection of its own.
  const env = { COUNTERSIGN_EDGE_CONNECTIONS_PER_ADDRESS: '2000' };
  edge = (await startEdge({ replicas: [replica.address], env })) as Edge;
});
afterAll(async () => {
  await edge?.stop();
  await replica?.stop();
});

/** The paths that arrived at the replica through `work`. */
async function arriving(work: () => Promise<unknown>): Promise<unknown[]> {
  const before = replica.calls.length;
  await work();
  return replica.calls.slice(before).map((headers) => headers[':path']);
}

function expectNothingThere(answer: { status: number; body: string }, what: unknown): void {
  expect({ what, status: answer.status, ...errorOf(answer.body) }).toMatchObject({
    what,
    status: 404,
    code: 'unimplemented',
    reason: 'METHOD_UNKNOWN',
  });
}

const internal = '/countersign.internal.v1.Sessions/GetSigningKeys';
const spellings = [
  // It says nothing for hours, which no time-out here allows.
  '/grpc.health.v1.Health/Watch',
  ...internalRpcs.map(({ path }) => path),
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
  '/metrics',
  '/',
  '',
  '*',
  `${internal}?a=b`,
  `/${internal}`,
  `/.${internal}`,
  `/countersign.v1.TwoStepAuth/..${internal}`,
  `/countersign.v1.TwoStepAuth/SignIn/../..${internal}`,
  `/countersign.v1.TwoStepAuth/SignIn/..%2f..${internal}`,
  `/deny/..${internal}`,
  `/deny%3f/..${internal}`,
  internal.replace('c', '%63'),
  internal.replace('/G', '%2fG'),
  internal.replace('/G', '//G'),
  internal.replace('/G', '\\G'),
  internal.toUpperCase(),
  `${internal}/`,
  `${internal};`,
  `${internal}%00`,
  `${internal}#`,
  // Nor public ones in other words.
  '/countersign.v1.TwoStepAuth/signIn',
  '/countersign.v1.TwoStepAuth/SignIn/',
  '/countersign.v1.TwoStepAuth//SignIn',
  '/countersign.v1.TwoStepAuth/SignIn%20',
  '/countersign.v1.TwoStepAuth/Sign%49n',
  '/countersign.v1.TwoStepAuth/',
  '/Deny',
  '/deny/',
  '/.well-known/jwks.json/',
  '/.well-known/./jwks.json',
];

describe.skipIf(!hasIt)('the edge', () => {
  test.each(publicRpcs.map(({ path }) => path))('lets %s through', async (path) => {
    expect(await arriving(() => send(edge, { ':path': path }))).toEqual([path]);
    expect(await arriving(() => sendRaw(edge, rawRequest(path)))).toEqual([path]);
    // A call has no other method; what may come before it is answered by the edge.
    for (const method of ['GET', 'OPTIONS', 'PUT', 'DELETE', 'TRACE', 'PATCH']) {
      expect(
        await arriving(async () => {
          expectNothingThere(await send(edge, { ':path': path, ':method': method }, ''), method);
        }),
      ).toEqual([]);
    }
  });

  test.each(['Check', 'List'])('lets health through: %s', async (method) => {
    const path = `/grpc.health.v1.Health/${method}`;
    expect((await send(edge, { ':path': path })).status).toBe(200);
  });

  test.each([
    ['/deny', ['GET', 'HEAD', 'POST']],
    ['/reset', ['GET', 'HEAD', 'POST']],
    ['/.well-known/jwks.json', ['GET', 'HEAD']],
  ])('lets the page %s through, by the methods that it takes', async (path, methods) => {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS']) {
      const asked = `${path}?token=s3cret-word`;
      const arrived = await arriving(() => send(edge, { ':path': asked, ':method': method }, ''));
      expect([method, arrived]).toEqual([method, methods.includes(method) ? [asked] : []]);
    }
    expect(edge.log()).not.toContain('s3cret-word');
  });

  test.each(spellings.filter((path) => path !== ''))('has nothing at %s, over HTTP/2', async (path) => {
    const arrived = await arriving(async () => {
      // Some of them are no request: nghttp2 and HAProxy end the stream.
      const answer = await send(edge, { ':path': path, ...gate }).catch(() => undefined);
      if (answer !== undefined) expectNothingThere(answer, path);
    });
    expect(arrived).toEqual([]);
  });

  test.each([
    ...spellings,
    ...['http', 'https', 'ftp'].map((scheme) => `${scheme}://localhost${internal}`),
    `//localhost${internal}`,
    `https://localhost/countersign.v1.TwoStepAuth/SignIn/../..${internal}`,
    internal.slice(1),
  ])('has nothing at %s, over HTTP/1.1', async (path) => {
    const arrived = await arriving(async () => {
      const answer = await sendRaw(edge, rawRequest(path));
      // What is no HTTP gets HAProxy's own 400.
      if (answer.status !== 400) expectNothingThere(answer, path);
    });
    expect(arrived).toEqual([]);
  });

  test('takes no upgrade, to HTTP/2 in cleartext or anything else', async () => {
    const settings = Buffer.from([0, 3, 0, 0, 0, 100]).toString('base64url');
    for (const [connection, ...more] of [
      ['close, Upgrade, HTTP2-Settings', 'upgrade: h2c', `http2-settings: ${settings}`],
      ['close, upgrade', 'upgrade: websocket'],
      ['close', 'upgrade: h2c'],
    ]) {
      const whole = rawRequest('/countersign.v1.TwoStepAuth/SignIn', more);
      const request = whole.replace('connection: close', `connection: ${connection}`);
      const withoutBody = request.replace(/content-length: 2\r\n/, '').replace(/\{\}$/, '');
      expect(await arriving(async () => expect((await sendRaw(edge, withoutBody)).status).toBe(400))).toEqual([]);
      // One with a body is refused, too, or is a call like any other.
      const before = replica.calls.length;
      await sendRaw(edge, request);
      for (const { upgrade, 'http2-settings': sent, ':method': method } of replica.calls.slice(before)) {
        expect([upgrade, sent, method]).toEqual([undefined, undefined, 'POST']);
      }
    }
  });

  test('CONNECT leads nowhere', async () => {
    const request = 'CONNECT 127.0.0.1:9090 HTTP/1.1\r\nhost: 127.0.0.1:9090\r\nconnection: close\r\n\r\n';
    expect(await arriving(async () => expect((await sendRaw(edge, request)).status).toBeGreaterThan(399))).toEqual([]);
  });
});
