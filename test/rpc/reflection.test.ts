// Properties of server reflection, by buf curl and by a client of its own.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { create, createFileRegistry, fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Code, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { expect, test } from 'vitest';
import { ServerReflection, type ServerReflectionRequestSchema } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as V1Alpha } from '../../gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { reflectionRoutes } from '../../server/rpc/reflection.ts';
import { collect, serve } from './serve.ts';

const run = promisify(execFile);

async function start(services = [Health], version: 'both' | 'v1alpha' = 'both') {
  const reflection = reflectionRoutes(services);
  return serve({
    routes: (router) => {
      router.service(Health, { check: () => ({ status: Status.SERVING }) });
      reflection({
        ...router,
        service: (service, impl) => {
          if (version === 'both' || service.typeName === V1Alpha.typeName) router.service(service, impl as never);
          return router;
        },
      } as typeof router);
    },
  });
}

type Question = MessageInitShape<typeof ServerReflectionRequestSchema>['messageRequest'];

async function ask(url: string, ...questions: NonNullable<Question>[]) {
  const client = createClient(ServerReflection, createGrpcTransport({ baseUrl: url }));
  async function* requests() {
    for (const messageRequest of questions) yield { host: 'h', messageRequest };
  }
  return (await collect(client.serverReflectionInfo(requests()))).map((answer) => {
    expect(answer.validHost).toBe('h');
    expect(answer.originalRequest?.host).toBe('h');
    return answer.messageResponse;
  });
}

function filesOf(answer: Awaited<ReturnType<typeof ask>>[number] | undefined): FileDescriptorProto[] {
  if (answer?.case !== 'fileDescriptorResponse') throw new Error(`no files but ${JSON.stringify(answer)}`);
  return answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

test.each([['both'], ['v1alpha']] as const)('buf curl needs no schema, with %s', async (version) => {
  const server = await start([Health], version);
  const args = ['curl', '--http2-prior-knowledge', '--protocol', 'grpc', '-d', '{}'];
  const { stdout } = await run('node_modules/.bin/buf', [...args, `${server.url}/grpc.health.v1.Health/Check`]);
  expect(JSON.parse(stdout)).toEqual({ status: 'SERVING' });
  const listed = await run('node_modules/.bin/buf', ['curl', '--http2-prior-knowledge', '--list-methods', server.url]);
  expect(listed.stdout).toContain('grpc.health.v1.Health/Watch');
});

test('the services listed are the ones given, and reflection', async () => {
  const server = await start();
  const [answer] = await ask(server.url, { case: 'listServices', value: '' });
  expect(answer?.case === 'listServicesResponse' && answer.value.service.map(({ name }) => name)).toEqual([
    'grpc.health.v1.Health',
    'grpc.reflection.v1.ServerReflection',
    'grpc.reflection.v1alpha.ServerReflection',
  ]);
});

test('a symbol is found by any of its names, and its files build a registry', async () => {
  const server = await start();
  const names = [
    'grpc.health.v1.Health',
    'grpc.health.v1.Health.Check',
    'grpc.health.v1.HealthCheckRequest',
    'grpc.health.v1.HealthCheckRequest.service',
    'grpc.health.v1.HealthCheckResponse.ServingStatus',
    'grpc.health.v1.HealthCheckResponse.SERVING',
    'grpc.reflection.v1.ServerReflectionRequest.message_request',
  ];
  for (const value of names) {
    const [answer] = await ask(server.url, { case: 'fileContainingSymbol', value });
    const files = filesOf(answer);
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: files.toReversed() }));
    expect(registry.getFile(files[0]?.name ?? '')).toBeDefined();
  }
  const [byName] = await ask(server.url, { case: 'fileByFilename', value: 'health/v1/health.proto' });
  expect(filesOf(byName).map(({ name }) => name)).toEqual(['health/v1/health.proto']);
});

test('nothing of a service that was not given can be found', async () => {
  const server = await start([]);
  const answers = await ask(
    server.url,
    { case: 'fileContainingSymbol', value: 'grpc.health.v1.Health' },
    { case: 'fileContainingSymbol', value: 'grpc.health.v1.HealthCheckRequest' },
    { case: 'fileByFilename', value: 'health/v1/health.proto' },
    { case: 'fileContainingExtension', value: { containingType: 'a.B', extensionNumber: 1 } },
    { case: 'allExtensionNumbersOfType', value: 'a.B' },
  );
  for (const answer of answers) {
    expect(answer.case === 'errorResponse' && answer.value.errorCode).toBe(Code.NotFound);
  }
});

test('a question without content is an error, not the end', async () => {
  const server = await start();
  const [nothing, then] = await ask(server.url, { case: undefined }, { case: 'listServices', value: '' });
  expect(nothing?.case === 'errorResponse' && nothing.value.errorCode).toBe(Code.InvalidArgument);
  expect(then?.case).toBe('listServicesResponse');
});
