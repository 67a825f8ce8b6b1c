// The floor of who takes Connect as it comes: its own handler on Node's own HTTP/2 server.

import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { ConnectRouter } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { Sessions } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { TwoStepAuth } from '../../gen/countersign/v1/two_step_auth_pb.ts';
import { Health, HealthCheckResponse_ServingStatus } from '../../gen/health/v1/health_pb.ts';
import { answerParent } from '../support.ts';
import { openAnswers } from './answers.ts';

const answers = await openAnswers();

const serve = async (routes: (router: ConnectRouter) => void): Promise<string> => {
  const server = createServer(connectNodeAdapter({ routes }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

const publicUrl = await serve((router) => {
  router.service(Sessions, { introspectSession: () => answers.fixed });
  router.service(Health, { check: () => ({ status: HealthCheckResponse_ServingStatus.SERVING }) });
});
const internalUrl = await serve((router) => {
  router.service(Sessions, { introspectSession: () => answers.selected() });
  router.service(TwoStepAuth, { verifyCode: () => answers.verified() });
});
answerParent({ publicUrl, internalUrl }, async () => {});
