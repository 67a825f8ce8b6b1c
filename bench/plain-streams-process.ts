// The floor under a stream: Connect's own handler on Node's own HTTP/2 server. The contract's messages at the contract's
// pace, and nothing of the product.

import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { TrustedDevices } from '../gen/countersign/v1/trusted_devices_pb.ts';
import { answerParent } from './support.ts';

const keepAliveMs = 20_000;
let turn = Promise.withResolvers<void>();
setInterval(() => {
  turn.resolve();
  turn = Promise.withResolvers();
}, keepAliveMs);

const server = createServer(
  connectNodeAdapter({
    routes: (router) =>
      router.service(TrustedDevices, {
        async *watchDevice() {
          for (;;) {
            yield { event: { case: 'keepAlive', value: {} } } as const;
            await turn.promise;
          }
        },
      }),
  }),
);
server.listen(0, '127.0.0.1', () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  answerParent({ publicUrl: url, internalUrl: url }, async () => {});
});
