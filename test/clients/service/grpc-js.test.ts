// The session checker in front of a server of @grpc/grpc-js, called by its own client.

import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import * as grpc from '@grpc/grpc-js';
import { expect, onTestFinished, test } from 'vitest';
import type { SessionChecker } from '../../../clients/service/checker.ts';
import { requireSession, sessionOf } from '../../../clients/service/grpc-js.ts';
import { ErrorInfoSchema, RetryInfoSchema } from '../../../gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../../../gen/google/rpc/status_pb.ts';
import { checkerOf, newSession, startServer, tokenOf } from './support.ts';

const textMethod = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/shop.v1.Shop/${name}`,
  requestStream,
  responseStream,
  requestSerialize: (text: string) => Buffer.from(text),
  requestDeserialize: (bytes: Buffer) => bytes.toString(),
  responseSerialize: (text: string) => Buffer.from(text),
  responseDeserialize: (bytes: Buffer) => bytes.toString(),
});
const shopMethods = {
  buy: textMethod('Buy', false, false),
  cancel: textMethod('Cancel', false, false),
  open: textMethod('Open', false, false),
  chat: textMethod('Chat', true, true),
};

interface Shop {
  buy(text: string, headers?: Readonly<Record<string, string | readonly string[]>>): Promise<string>;
  cancel(text: string, headers?: Readonly<Record<string, string>>): Promise<string>;
  /** Needs no session. */
  open(text: string): Promise<string>;
  /** All that is answered to these texts. */
  chat(texts: readonly string[], headers?: Readonly<Record<string, string>>): Promise<readonly string[]>;
}

/** A service that says who said what. */
async function startShop(checker: SessionChecker): Promise<Shop> {
  const fresh = (path: string) => path === '/shop.v1.Shop/Cancel';
  const skip = (path: string) => path === '/shop.v1.Shop/Open';
  const server = new grpc.Server({ interceptors: [requireSession(checker, { fresh, skip })] });
  const unary: grpc.handleUnaryCall<string, string> = (call, callback) => {
    callback(null, `${sessionOf(call).sessionId}: ${call.request}`);
  };
  const open: grpc.handleUnaryCall<string, string> = ({ request }, callback) => callback(null, request);
  const chat: grpc.handleBidiStreamingCall<string, string> = (call) => {
    call.on('data', (text) => call.write(`${sessionOf(call).sessionId}: ${text}`));
    call.on('end', () => call.end());
  };
  server.addService(shopMethods, { buy: unary, cancel: unary, open, chat });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  onTestFinished(() => {
    client.close();
    server.forceShutdown();
  });
  const metadataOf = (headers: Readonly<Record<string, string | readonly string[]>> = {}) => {
    const metadata = new grpc.Metadata();
    for (const [name, values] of Object.entries(headers)) {
      for (const value of [values].flat()) metadata.add(name, value);
    }
    return metadata;
  };
  const call =
    ({ path, requestSerialize, responseDeserialize }: typeof shopMethods.buy): Shop['buy'] =>
    (text, headers) =>
      new Promise((resolve, reject) =>
        client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          text,
          metadataOf(headers),
          (error, answer) => (error ? reject(error) : resolve(answer ?? '')),
        ),
      );
  return {
    buy: call(shopMethods.buy),
    cancel: call(shopMethods.cancel),
    open: call(shopMethods.open),
    chat: async (texts, headers) => {
      const { path, requestSerialize, responseDeserialize } = shopMethods.chat;
      const metadata = metadataOf(headers);
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
      for (const text of texts) stream.write(text);
      stream.end();
      return stream.toArray();
    },
  };
}

/** The status that a call ends with, and the details in its trailer. */
async function statusOf(call: Promise<unknown>) {
  const error: grpc.ServiceError = await call.then(
    () => {
      throw new Error('the call was not refused');
    },
    (thrown) => thrown,
  );
  const [packed] = error.metadata.get('grpc-status-details-bin');
  const status = fromBinary(StatusSchema, packed as Buffer);
  const details = status.details;
  return {
    code: error.code,
    statusCode: status.code,
    info: details.map((each) => anyUnpack(each, ErrorInfoSchema)).find((each) => each !== undefined),
    retry: details.map((each) => anyUnpack(each, RetryInfoSchema)).find((each) => each !== undefined),
  };
}

test('a call with a good token reaches its handler with its session, a stream with all its messages', async () => {
  const shop = await startShop(checkerOf(await startServer()));
  const sessionId = newSession();
  const headers = { authorization: `Bearer ${tokenOf(sessionId)}` };
  // The keys are not there yet: what the call sends meanwhile waits.
  expect(await shop.buy('a chair', headers)).toBe(`${sessionId}: a chair`);
  const texts = ['one', 'two', 'three'];
  expect(await shop.chat(texts, headers)).toEqual(texts.map((text) => `${sessionId}: ${text}`));
});

test('any other is refused with the status and the details of the contract', async () => {
  const server = await startServer();
  const checker = checkerOf(server);
  await checker.ready(20_000);
  const shop = await startShop(checker);
  const good = `Bearer ${tokenOf(newSession())}`;
  const invalid = {
    code: grpc.status.UNAUTHENTICATED,
    statusCode: grpc.status.UNAUTHENTICATED,
    info: { reason: 'SESSION_INVALID', domain: 'countersign', metadata: { cause: 'UNKNOWN' } },
  };
  for (const authorization of [[], ['Bearer garbage'], [good.slice(7)]]) {
    expect(await statusOf(shop.buy('a chair', { authorization }))).toMatchObject(invalid);
  }
  expect(await statusOf(shop.chat(['one'], { authorization: 'Bearer garbage' }))).toMatchObject(invalid);

  server.does.introspect = 'fail';
  expect(await statusOf(shop.cancel('a chair', { authorization: good }))).toMatchObject({
    code: grpc.status.UNAVAILABLE,
    info: { reason: 'DEPENDENCY_UNAVAILABLE' },
    retry: { retryDelay: { seconds: 1n } },
  });
  await shop.buy('a chair', { authorization: good });
});

test('what must not lag asks the server each time, and nothing else does', async () => {
  const server = await startServer();
  const checker = checkerOf(server);
  await checker.ready(20_000);
  const shop = await startShop(checker);
  const headers = { authorization: `Bearer ${tokenOf(newSession())}` };
  await shop.buy('a chair', headers);
  expect(server.calls.introspections).toBe(0);
  await shop.cancel('a chair', headers);
  await shop.cancel('a chair', headers);
  expect(server.calls.introspections).toBe(2);
});

test('a call that is skipped needs no session; all others do', async () => {
  const shop = await startShop(checkerOf(await startServer()));
  expect(await shop.open('from nine to five')).toBe('from nine to five');
  expect(await statusOf(shop.buy('a chair'))).toMatchObject({ info: { reason: 'SESSION_INVALID' } });
});
