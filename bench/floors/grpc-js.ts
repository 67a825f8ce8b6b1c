// The floor of who takes gRPC's own library: @grpc/grpc-js with the contract's messages.

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type UntypedHandleCall } from '@grpc/grpc-js';
import {
  IntrospectSessionRequestSchema,
  IntrospectSessionResponseSchema,
} from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { answerParent } from '../support.ts';
import { openAnswers } from './answers.ts';

const answers = await openAnswers();
const definition = {
  introspectSession: {
    path: '/countersign.internal.v1.Sessions/IntrospectSession',
    requestStream: false,
    responseStream: false,
    requestSerialize: (message: object) =>
      Buffer.from(toBinary(IntrospectSessionRequestSchema, create(IntrospectSessionRequestSchema, message))),
    requestDeserialize: (bytes: Buffer) => fromBinary(IntrospectSessionRequestSchema, bytes),
    responseSerialize: (message: typeof answers.fixed) =>
      Buffer.from(toBinary(IntrospectSessionResponseSchema, message)),
    responseDeserialize: (bytes: Buffer) => fromBinary(IntrospectSessionResponseSchema, bytes),
  },
};

type Callback = (error: Error | null, message?: typeof answers.fixed) => void;

const serve = async (answer: (callback: Callback) => void): Promise<string> => {
  const server = new Server();
  const introspectSession = (_call: unknown, callback: Callback) => answer(callback);
  server.addService(definition, { introspectSession: introspectSession as UntypedHandleCall });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return `http://127.0.0.1:${port}`;
};

const publicUrl = await serve((callback) => callback(null, answers.fixed));
const internalUrl = await serve((callback) => {
  answers.selected().then((message) => callback(null, message), callback);
});
answerParent({ publicUrl, internalUrl }, async () => {});
