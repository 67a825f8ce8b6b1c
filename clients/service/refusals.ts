// The refusals that a checker makes itself, as the server makes them: canonical code, ErrorInfo, and when to try again.

import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { CountersignError } from '../errors.ts';

const domain = 'countersign';
const retryAfterMs = 1_000;

/** @param cause one of those of `SESSION_INVALID`. */
export function sessionInvalid(cause: string): CountersignError {
  const value = { reason: 'SESSION_INVALID', domain, metadata: { cause } };
  const details = [{ desc: ErrorInfoSchema, value }];
  return new CountersignError(
    new ConnectError(`the session is not valid: ${cause}`, Code.Unauthenticated, undefined, details),
  );
}

/** @param thrown what failed, for a log: it is not sent to anybody. */
export function unavailable(why: string, thrown?: unknown): CountersignError {
  const details = [
    { desc: ErrorInfoSchema, value: { reason: 'DEPENDENCY_UNAVAILABLE', domain } },
    { desc: RetryInfoSchema, value: { retryDelay: durationFromMs(retryAfterMs) } },
  ];
  return new CountersignError(new ConnectError(why, Code.Unavailable, undefined, details, thrown));
}
