// The client of internal callers, over gRPC: the services with the caller's token, deadlines and typed errors.

import type { SecureClientSessionOptions } from 'node:http2';
import { type Client, createClient, type Interceptor, type Transport } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { Accounts } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import { Sessions } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { Support } from '../../gen/countersign/internal/v1/support_pb.ts';
import { Connection } from '../connection.ts';
import { typedErrors } from '../errors.ts';

export { CountersignError } from '../errors.ts';

export interface ServiceClientOptions {
  /** The internal listener, such as `http://127.0.0.1:9090`. */
  readonly baseUrl: string;
  /** The service token of this caller; left out where the certificate in `tls` says who it is. */
  readonly serviceToken?: string | undefined;
  /** Milliseconds that a call may take; 5 s by default. */
  readonly timeoutMs?: number;
  /**
   * For a `baseUrl` of https: the authority of the listener's certificate, where the system does not know it, and a certificate of
   * this service, where the listener asks for one. Read for each new connection: getters can bring what was replaced meanwhile.
   */
  readonly tls?: Pick<SecureClientSessionOptions, 'ca' | 'cert' | 'key'>;
}

export interface ServiceClient {
  readonly accounts: Client<typeof Accounts>;
  readonly sessions: Client<typeof Sessions>;
  readonly support: Client<typeof Support>;
}

export function createServiceClient(options: ServiceClientOptions): ServiceClient {
  const transport = createServiceTransport(options);
  return {
    accounts: createClient(Accounts, transport),
    sessions: createClient(Sessions, transport),
    support: createClient(Support, transport),
  };
}

/** @param connection where the caller wants to close it, or to look after it; else one that closes when it was idle long. */
export function createServiceTransport(
  { baseUrl, serviceToken, tls, timeoutMs = 5_000 }: ServiceClientOptions,
  connection = new Connection(baseUrl, undefined, tls),
): Transport {
  const authorize: Interceptor = (next) => (req) => {
    // A certificate is asked only where no such header came.
    if (serviceToken !== undefined) req.header.set('authorization', `Bearer ${serviceToken}`);
    return next(req);
  };
  return createGrpcTransport({
    baseUrl,
    interceptors: [typedErrors, authorize],
    defaultTimeoutMs: timeoutMs,
    sessionManager: connection,
  });
}
