// The browsers' transports of @connectrpc/connect-web, over Node's fetch, with generated messages.

import { type DescService, fromJson, toJson } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-web';
import { Sessions } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { ChallengeSchema } from '../../gen/countersign/v1/challenge_pb.ts';
import { LoginActivity } from '../../gen/countersign/v1/login_activity_pb.ts';
import { TrustedDevices } from '../../gen/countersign/v1/trusted_devices_pb.ts';
import { TwoStepAuth } from '../../gen/countersign/v1/two_step_auth_pb.ts';
import { Health } from '../../gen/health/v1/health_pb.ts';
import { type Answer, type Driver, type Json, refusalOf } from './driver.ts';

const services: readonly DescService[] = [TwoStepAuth, TrustedDevices, LoginActivity, Sessions, Health];

export const connectWeb = (useBinaryFormat: boolean) => () =>
  over((baseUrl) => createConnectTransport({ baseUrl, useBinaryFormat }));

export const grpcWeb = () => over((baseUrl) => createGrpcWebTransport({ baseUrl }));

function over(transport: (baseUrl: string) => Transport): Driver {
  return {
    call: async (url, call) => {
      const service = services.find(({ typeName }) => typeName === call.service);
      const method = service?.methods.find(({ name }) => name === call.method);
      if (service === undefined || method === undefined) throw new Error(`${call.service} has no ${call.method}`);
      const client: Json = createClient(service, transport(url));
      try {
        const request = fromJson(method.input, call.request);
        const answer = await client[method.localName](request, { headers: call.headers });
        return { ok: toJson(method.output, answer) };
      } catch (error) {
        return refused(error);
      }
    },
    close: () => {},
  };
}

function refused(thrown: unknown): Answer {
  // What fetch itself throws is no answer.
  if (!(thrown instanceof ConnectError) || thrown.cause !== undefined) throw thrown;
  const details = thrown.details.flatMap((detail) => ('type' in detail ? [detail] : []));
  // One the client decodes by itself too: by its registry, or by the schema it names.
  if (details.some(({ type }) => type === ChallengeSchema.typeName) && !thrown.findDetails(ChallengeSchema)[0]) {
    throw new Error('the Challenge can not be found in the details');
  }
  return refusalOf(
    Code[thrown.code].replace(/(?<=.)([A-Z])/g, '_$1').toLowerCase(),
    details,
    thrown.metadata.get('countersign-minimum-version') ?? undefined,
  );
}
