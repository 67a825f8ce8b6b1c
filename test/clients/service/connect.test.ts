// The session checker in front of a Connect server, called over gRPC as its users would.

import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type Client, Code, type ConnectRouter, createClient } from '@connectrpc/connect';
import { connectNodeAdapter, createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { expect, onTestFinished, test } from 'vitest';
import { typedErrors } from '../../../clients/errors.ts';
import type { SessionChecker } from '../../../clients/service/checker.ts';
import { type RequireSessionOptions, requireSession, sessionOf } from '../../../clients/service/connect.ts';
import { Health } from '../../../gen/health/v1/health_pb.ts';
import { refusal } from '../../support/refusal.ts';
import { checkerOf, newSession, startServer, tokenOf } from './support.ts';

/** A service that says whose call it is where its contract has a text. */
async function startShop(checker: SessionChecker, options: RequireSessionOptions = {}): Promise<Client<typeof Health>> {
  const fresh = ({ method }: { readonly method: { readonly name: string } }) => method.name === 'List';
  const routes = (router: ConnectRouter) =>
    router.service(Health, {
      check: (_, context) => {
        context.responseHeader.set('session', sessionOf(context).sessionId);
        return {};
      },
      list: (_, context) => {
        context.responseHeader.set('session', sessionOf(context).sessionId);
        return {};
      },
      watch: async function* (_, context) {
        context.responseHeader.set('session', sessionOf(context).sessionId);
        yield {};
      },
    });
  const adapter = connectNodeAdapter({ routes, interceptors: [requireSession(checker, { fresh, ...options })] });
  const server = createServer(adapter).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  onTestFinished(() => {
    sessionManager.abort();
    server.close();
  });
  return createClient(Health, createGrpcTransport({ baseUrl, sessionManager, interceptors: [typedErrors] }));
}

test('a call with a good token reaches its handler with its session, a stream too', async () => {
  const checker = checkerOf(await startServer());
  const shop = await startShop(checker);
  const sessionId = newSession();
  const headers = { authorization: `Bearer ${tokenOf(sessionId)}` };
  const told: (string | null)[] = [];
  const onHeader = (header: Headers) => told.push(header.get('session'));
  await shop.check({}, { headers, onHeader });
  for await (const _ of shop.watch({}, { headers, onHeader }));
  expect(told).toEqual([sessionId, sessionId]);
});

test('any other is refused as the server refuses: code, reason, cause, and when to try again', async () => {
  const server = await startServer();
  const checker = checkerOf(server);
  await checker.ready(20_000);
  const shop = await startShop(checker);
  const bearer = (authorization: string) => ({ headers: { authorization } });
  for (const options of [{}, bearer('Bearer garbage'), bearer(tokenOf(newSession())), bearer('Basic Zm9vOmJhcg==')]) {
    expect(await refusal(shop.check({}, options))).toMatchObject({
      code: Code.Unauthenticated,
      reason: 'SESSION_INVALID',
      reasonMetadata: { cause: 'UNKNOWN' },
    });
  }
  const old = tokenOf(newSession(), { issuedAt: Date.now() - 400_000 });
  expect((await refusal(shop.check({}, bearer(`Bearer ${old}`)))).reasonMetadata).toEqual({ cause: 'EXPIRED' });
  const stream = async () => {
    for await (const _ of shop.watch({}, bearer('Bearer garbage')));
  };
  expect((await refusal(stream())).reason).toBe('SESSION_INVALID');

  server.does.introspect = 'fail';
  const good = bearer(`Bearer ${tokenOf(newSession())}`);
  const unavailable = await refusal(shop.list({}, good));
  expect(unavailable).toMatchObject({ code: Code.Unavailable, reason: 'DEPENDENCY_UNAVAILABLE', retryAfter: 1_000 });
  expect(unavailable.rawMessage).not.toContain('no database');
  await shop.check({}, good);
});

test('what must not lag asks the server each time, and nothing else does', async () => {
  const server = await startServer();
  const checker = checkerOf(server);
  await checker.ready(20_000);
  const shop = await startShop(checker);
  const options = { headers: { authorization: `Bearer ${tokenOf(newSession())}` } };
  await shop.check({}, options);
  expect(server.calls.introspections).toBe(0);
  await shop.list({}, options);
  await shop.list({}, options);
  expect(server.calls.introspections).toBe(2);
});

test('a call that is skipped needs no session, and has none; all others need one', async () => {
  const shop = await startShop(checkerOf(await startServer()), { skip: ({ method }) => method.name === 'List' });
  const headers = { authorization: `Bearer ${tokenOf(newSession())}` };
  // Its handler asks whose call it is.
  expect((await refusal(shop.list({}, { headers }))).code).toBe(Code.Internal);
  expect((await refusal(shop.check({}))).reason).toBe('SESSION_INVALID');
  await shop.check({}, { headers });
});
