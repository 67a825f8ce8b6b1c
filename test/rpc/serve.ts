// Starts a listener on loopback with the RPC layer behind it, for the tests of this folder. It must not know the product's
// services: Health and reflection give the shapes of methods.

import { create } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createClient,
  type ServiceImpl,
  type Transport,
} from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { createRequestHandler, type RequestHandlerOptions } from '../../server/rpc/handler.ts';
import { type ListenOptions, listen } from '../../server/rpc/listener.ts';

export const checkPath = '/grpc.health.v1.Health/Check';
export const watchPath = '/grpc.health.v1.Health/Watch';

/** A stand-in of rpc/errors.ts: keeps the framework's code, and says in ErrorInfo that it came by. */
export function toConnectError(reason: unknown): ConnectError {
  const error =
    reason instanceof ConnectError ? reason : new ConnectError('internal error', Code.Internal, undefined, [], reason);
  const info = create(ErrorInfoSchema, { domain: 'countersign', reason: Code[error.code] ?? '' });
  return new ConnectError(
    error.rawMessage,
    error.code,
    error.metadata,
    [{ desc: ErrorInfoSchema, value: info }],
    reason,
  );
}

export function isTyped(error: ConnectError): boolean {
  return error.findDetails(ErrorInfoSchema).some((info) => info.domain === 'countersign');
}

/** A server for the length of a test. `errors` are the log lines that it wrote at level error. */
export async function serve(
  options: Partial<RequestHandlerOptions> & {
    listener?: Partial<ListenOptions>;
    health?: Partial<ServiceImpl<typeof Health>>;
  } = {},
) {
  const errors: string[] = [];
  const log = pino({ level: 'error' }, { write: (line) => errors.push(line) });
  const { listener, health, ...handlerOptions } = options;
  const handler = createRequestHandler({
    routes: (router: ConnectRouter) => router.service(Health, health ?? {}),
    interceptors: [],
    toConnectError,
    readMaxBytes: 1024 * 1024,
    log,
    ...handlerOptions,
  });
  const listening = await listen({ host: '127.0.0.1', port: 0, handler, log, ...listener });
  onTestFinished(() => listening.close(0));
  const port = listening.address.port;
  return { ...listening, port, url: `http://127.0.0.1:${port}`, errors };
}

export const protocols: Record<string, (baseUrl: string, extra?: object) => Transport> = {
  'gRPC over HTTP/2': (baseUrl, extra) => createGrpcTransport({ baseUrl, ...extra }),
  'gRPC-Web over HTTP/2': (baseUrl, extra) => createGrpcWebTransport({ baseUrl, httpVersion: '2', ...extra }),
  'gRPC-Web over HTTP/1.1': (baseUrl, extra) => createGrpcWebTransport({ baseUrl, httpVersion: '1.1', ...extra }),
  'Connect over HTTP/2': (baseUrl, extra) => createConnectTransport({ baseUrl, httpVersion: '2', ...extra }),
  'Connect over HTTP/1.1': (baseUrl, extra) => createConnectTransport({ baseUrl, httpVersion: '1.1', ...extra }),
  'Connect with JSON': (baseUrl, extra) =>
    createConnectTransport({ baseUrl, httpVersion: '1.1', useBinaryFormat: false, ...extra }),
  'gRPC with JSON': (baseUrl, extra) => createGrpcTransport({ baseUrl, useBinaryFormat: false, ...extra }),
};

export function transportOf(protocol: string, baseUrl: string): Transport {
  const create = protocols[protocol];
  if (create === undefined) throw new Error(`no protocol ${protocol}`);
  return create(baseUrl);
}

export const healthClient = (transport: Transport) => createClient(Health, transport);

export const serving: Pick<ServiceImpl<typeof Health>, 'check'> = { check: () => ({ status: Status.SERVING }) };

export async function refusalOf(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ConnectError) return error;
    throw error;
  }
  throw new Error('the call was not refused');
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
