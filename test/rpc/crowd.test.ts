// Properties of a listener that is crowded: who has to go, and that whoever comes is served.

import { createGrpcTransport } from '@connectrpc/connect-node';
import { expect, onTestFinished, test, vi } from 'vitest';
import { HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { connectRaw, continuationFrame, dataFrame, headersFrame, type RawHttp2 } from '../support/raw-http2.ts';
import { openRaw, type RawSocket } from '../support/raw-socket.ts';
import { checkPath, healthClient, serve, watchPath } from './serve.ts';

const empty = Buffer.alloc(5);
const health = {
  check: () => ({ status: Status.SERVING }),
  async *watch(_: unknown, { signal }: { readonly signal: AbortSignal }) {
    yield { status: Status.SERVING };
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
  },
};

function open<T extends RawSocket | RawHttp2>(socket: T): T {
  onTestFinished(() => socket.close());
  return socket;
}

const http1 = (port: number) => open(openRaw({ port, alpn: 'http/1.1' }));
const http2 = (port: number) => open(connectRaw(port));
const typesOn = (raw: RawHttp2, stream: number) =>
  raw.frames().flatMap((frame) => (frame.stream === stream && frame.type !== undefined ? [frame.type] : []));
const call = (stream: number, path = checkPath) => [headersFrame(stream, path), dataFrame(stream, empty, true)];

/** One more client: that it is served is what the bounds are for. */
async function expectServed(url: string): Promise<void> {
  expect((await healthClient(createGrpcTransport({ baseUrl: url })).check({})).status).toBe(Status.SERVING);
}

test('where there are too many connections, the one of no use for longest goes; who streams stays', async () => {
  const { port, url, errors } = await serve({ health, listener: { limits: { connections: 4 } } });
  const streaming = http2(port);
  await streaming.send(...call(1, watchPath));
  await vi.waitFor(() => expect(typesOn(streaming, 1)).toContain('data'));
  const calling = http2(port);
  await calling.send(...call(1));
  await vi.waitFor(() => expect(typesOn(calling, 1)).toContain('data'));
  const silent = http1(port);
  await silent.opened;
  const half = http2(port);
  await half.send(headersFrame(1, checkPath, {}, { more: true }));
  await calling.send(...call(3));
  await vi.waitFor(() => expect(typesOn(calling, 3)).toContain('data'));

  await expectServed(url);
  await silent.closed;
  expect([streaming, calling, half].map((each) => each.isClosed())).toEqual([false, false, false]);
  await expectServed(url);
  await half.closed;
  // It hears why.
  expect(half.frames().map(({ type }) => type)).toContain('goaway');
  expect(streaming.isClosed()).toBe(false);
  expect(errors).toEqual([]);
});

test('where all connections stream, the next is turned away, and the first place that is free is taken', async () => {
  const { port, url } = await serve({ health, listener: { limits: { connections: 2 } } });
  const streaming = [http2(port), http2(port)] as const;
  for (const each of streaming) {
    await each.send(...call(1, watchPath));
    await vi.waitFor(() => expect(typesOn(each, 1)).toContain('data'));
  }
  await http2(port).closed;
  expect(streaming.map((each) => each.isClosed())).toEqual([false, false]);
  streaming[0].close();
  await vi.waitFor(() => expectServed(url));
});

test('where there are too many calls, the one that has waited for its client longest gives way', async () => {
  const { port, url, errors } = await serve({ health, listener: { limits: { calls: 3 } } });
  const slow = http2(port);
  // One whose body never comes, one whose answer is not taken, one whose body never ends.
  await slow.send(headersFrame(1, checkPath));
  const window0 = open(connectRaw(port, 0));
  await window0.send(...call(1));
  await vi.waitFor(() => expect(typesOn(window0, 1)).toContain('headers'));
  await slow.send(headersFrame(3, checkPath), dataFrame(3, empty.subarray(1)));
  const inTurn = [
    { raw: slow, stream: 1, next: 5 },
    { raw: window0, stream: 1, next: 7 },
    { raw: slow, stream: 3, next: 9 },
  ];
  for (const { raw, stream, next } of inTurn) {
    expect(typesOn(raw, stream)).not.toContain('reset');
    await slow.send(headersFrame(next, checkPath));
    await vi.waitFor(() => expect(typesOn(raw, stream)).toContain('reset'));
  }
  await expectServed(url);
  expect(errors).toEqual([]);
});

test('calls that are worked on are not ended for others, which are refused, to be tried again', async () => {
  const released = Promise.withResolvers<void>();
  let begun = 0;
  const check = async () => {
    begun++;
    await released.promise;
    return { status: Status.SERVING };
  };
  const { port } = await serve({ health: { check }, listener: { limits: { calls: 2 } } });
  const raw = http2(port);
  await raw.send(...call(1), ...call(3));
  await vi.waitFor(() => expect(begun).toBe(2));
  await raw.send(...call(5));
  await vi.waitFor(() => expect(typesOn(raw, 5)).toEqual(['reset']));
  const refusedStream = 7;
  expect(
    raw
      .frames()
      .find(({ type }) => type === 'reset')
      ?.payload.readUInt32BE(),
  ).toBe(refusedStream);
  released.resolve();
  await vi.waitFor(() =>
    expect([typesOn(raw, 1), typesOn(raw, 3)].map((types) => types.includes('data'))).toEqual([true, true]),
  );
  await raw.send(...call(7));
  await vi.waitFor(() => expect(typesOn(raw, 7)).toContain('data'));
});

test('open streams are no calls that count', async () => {
  const { port, url } = await serve({ health, listener: { limits: { calls: 1 } } });
  const raw = http2(port);
  for (const stream of [1, 3, 5]) {
    await raw.send(...call(stream, watchPath));
    await vi.waitFor(() => expect(typesOn(raw, stream)).toContain('data'));
  }
  await expectServed(url);
  expect([1, 3, 5].flatMap((stream) => typesOn(raw, stream))).not.toContain('reset');
});

test('who pipelines more calls than one connection may have is cut', async () => {
  const { port, url } = await serve({ health, listener: { limits: { callsPerConnection: 10 } } });
  const post = `POST ${checkPath} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`;
  const few = http1(port);
  await few.send(post.repeat(9));
  await vi.waitFor(() =>
    expect(
      few
        .received()
        .toString()
        .match(/SERVING/g),
    ).toHaveLength(9),
  );
  const many = http1(port);
  await many.send(post.repeat(500));
  await many.closed;
  await expectServed(url);
});

test('an HTTP/2 connection that asks for nothing ends by itself, also one that never ends its headers', async () => {
  const { port, url } = await serve({ health, listener: { limits: { firstStreamMs: 200 } } });
  const [silent, half, asking] = [http2(port), http2(port), http2(port)];
  await half.send(headersFrame(1, checkPath, {}, { more: true }), continuationFrame(1, Buffer.alloc(0)));
  await asking.send(...call(1));
  await Promise.all([silent.closed, half.closed]);
  expect(asking.isClosed()).toBe(false);
  await asking.send(...call(3));
  await vi.waitFor(() => expect(typesOn(asking, 3)).toContain('data'));
  await expectServed(url);
});
