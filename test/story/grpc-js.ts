// gRPC by @grpc/grpc-js, its messages read from the .proto files by @grpc/proto-loader: no generated code of ours.

import { fromBinary } from '@bufbuild/protobuf';
import { credentials, loadPackageDefinition, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { StatusSchema } from '../../gen/google/rpc/status_pb.ts';
import { type Answer, type Driver, type Json, refusalOf, type Trust } from './driver.ts';

export function grpcJs(trust?: Trust): Driver {
  const definition = loadSync(
    [
      'countersign/v1/two_step_auth.proto',
      'countersign/v1/trusted_devices.proto',
      'countersign/v1/login_activity.proto',
      'countersign/internal/v1/sessions.proto',
      'health/v1/health.proto',
    ],
    {
      includeDirs: ['proto', 'node_modules/google-proto-files', 'node_modules/grpc-health-check/proto'],
      enums: String,
    },
  );
  const root = loadPackageDefinition(definition);
  const clients = new Map<string, Json>();
  const clientOf = (url: string, service: string) => {
    const key = `${url} ${service}`;
    const Client = service.split('.').reduce((at: Json, name) => at[name], root);
    const { protocol, host } = new URL(url);
    const how =
      protocol === 'https:' ? credentials.createSsl(Buffer.from(trust?.pem ?? '')) : credentials.createInsecure();
    const client = clients.get(key) ?? new Client(host, how);
    clients.set(key, client);
    return client;
  };
  return {
    call: (url, { service, method, request, headers }) =>
      new Promise<Answer>((resolve) => {
        const metadata = new Metadata();
        for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
        clientOf(url, service)[method](request, metadata, (error: ServiceError | null, ok: Json) => {
          resolve(error === null ? { ok } : refused(error));
        });
      }),
    close: () => {
      for (const client of clients.values()) client.close();
    },
  };
}

function refused(error: ServiceError): Answer {
  const [bin] = error.metadata.get('grpc-status-details-bin');
  const details = bin === undefined ? [] : fromBinary(StatusSchema, bin as Buffer).details;
  return refusalOf(
    (status[error.code] ?? '').toLowerCase(),
    details.map(({ typeUrl, value }) => ({ type: typeUrl.slice(typeUrl.lastIndexOf('/') + 1), value })),
    error.metadata.get('countersign-minimum-version')[0]?.toString(),
  );
}
