// The lowest floor: Node's own HTTP/2 server that answers a gRPC frame. It reads no request and knows no service.

import { createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { toBinary } from '@bufbuild/protobuf';
import { IntrospectSessionResponseSchema } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { framed } from '../load.ts';
import { answerParent } from '../support.ts';
import { openAnswers } from './answers.ts';

const answers = await openAnswers();
const fixed = framed(toBinary(IntrospectSessionResponseSchema, answers.fixed));

const serve = (answer: (send: (frame: Buffer) => void) => void): Promise<Http2Server> => {
  const server = createServer();
  server.on('stream', (stream) => {
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.on('error', () => {});
    stream.resume();
    stream.on('end', () =>
      answer((frame) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
        stream.end(frame);
      }),
    );
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
};
const urlOf = (server: Http2Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const empty = await serve((send) => send(fixed));
const select = await serve((send) => {
  void answers.selected().then((message) => send(framed(toBinary(IntrospectSessionResponseSchema, message))));
});
answerParent({ publicUrl: urlOf(empty), internalUrl: urlOf(select) }, async () => {});
