// Properties of the health service.

import { create } from '@bufbuild/protobuf';
import { Code, type HandlerContext } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { expect, test } from 'vitest';
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as Status,
} from '../../gen/health/v1/health_pb.ts';
import { createServingState, healthService } from '../../server/rpc/health.ts';
import { healthClient, refusalOf, serve } from './serve.ts';

async function start() {
  const state = createServingState(true);
  const shutdown = new AbortController();
  const server = await serve({
    routes: (router) => router.service(Health, healthService({ state, services: ['a.B'] })),
    shutdownSignal: shutdown.signal,
  });
  return { state, shutdown, client: healthClient(createGrpcTransport({ baseUrl: server.url })) };
}

test('check and list tell the state, of the whole and of each service', async () => {
  const { state, client } = await start();
  expect((await client.check({})).status).toBe(Status.SERVING);
  state.set(false);
  expect((await client.check({ service: 'a.B' })).status).toBe(Status.NOT_SERVING);
  const { statuses } = await client.list({});
  expect(Object.entries(statuses).map(([name, { status }]) => [name, status])).toEqual([
    ['', Status.NOT_SERVING],
    ['a.B', Status.NOT_SERVING],
  ]);
  expect((await refusalOf(client.check({ service: 'c.D' }))).code).toBe(Code.NotFound);
});

test('watch tells changes as they happen, each once, and says when the server stops', async () => {
  const { state, shutdown, client } = await start();
  const watch = client.watch({ service: 'a.B' })[Symbol.asyncIterator]();
  const next = async () => (await watch.next()).value?.status;
  expect(await next()).toBe(Status.SERVING);
  state.set(true);
  state.set(false);
  expect(await next()).toBe(Status.NOT_SERVING);
  state.set(true);
  expect(await next()).toBe(Status.SERVING);
  shutdown.abort();
  expect((await refusalOf(watch.next())).code).toBe(Code.Unavailable);
});

test('watch of an unknown service says so and stays open', async () => {
  const { shutdown, client } = await start();
  const watch = client.watch({ service: 'c.D' })[Symbol.asyncIterator]();
  expect((await watch.next()).value?.status).toBe(Status.SERVICE_UNKNOWN);
  const end = watch.next();
  expect(await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 50, 'open'))])).toBe('open');
  shutdown.abort();
  expect((await refusalOf(end)).code).toBe(Code.Unavailable);
});

test('where too many watch, the one that has watched longest ends, and is told to come again', async () => {
  const state = createServingState(true);
  const { watch } = healthService({ state, services: [] });
  const { signal } = new AbortController();
  const open = () => watch(create(HealthCheckRequestSchema), { signal } as HandlerContext)[Symbol.asyncIterator]();
  const watches = Array.from({ length: 1_000 }, open);
  await Promise.all(watches.map((each) => each.next()));
  const [first, second] = watches.map((each) => each.next());
  const more = open();
  expect((await more.next()).value?.status).toBe(Status.SERVING);
  await expect(first).rejects.toMatchObject({ code: Code.Unavailable });
  state.set(false);
  expect((await second)?.value?.status).toBe(Status.NOT_SERVING);
});

test('a state forgets who no longer watches', () => {
  const state = createServingState(true);
  let told = 0;
  const unsubscribe = state.subscribe(() => told++);
  state.set(false);
  unsubscribe();
  state.set(true);
  expect(told).toBe(1);
});
