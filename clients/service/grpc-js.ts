// The session checker in front of handlers of @grpc/grpc-js: `@countersign/service/grpc-js`.

import { create, toBinary } from '@bufbuild/protobuf';
import { type Any, AnySchema, anyPack } from '@bufbuild/protobuf/wkt';
import { Metadata, ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.ts';
import { CountersignError } from '../errors.ts';
import { bearerToken } from './bearer.ts';
import type { SessionChecker } from './checker.ts';
import { unavailable } from './refusals.ts';
import type { CheckedSession } from './tokens.ts';

/** By the metadata of the call, which grpc-js hands on to the handler: a caller can't bring a session along. */
const sessions = new WeakMap<Metadata, CheckedSession>();

export interface RequireSessionOptions {
  /** The calls for which the server is asked in any case, by their path, such as `/shop.v1.Orders/Cancel`. */
  readonly fresh?: (path: string) => boolean;
  /** The calls that need no session, such as those of health and reflection; none by default. */
  readonly skip?: (path: string) => boolean;
}

/** Lets a call pass whose access token is good, with its session for `sessionOf`; refuses any other. */
export function requireSession(
  checker: SessionChecker,
  { fresh, skip }: RequireSessionOptions = {},
): ServerInterceptor {
  return ({ path }, call) => {
    if (skip?.(path)) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: async (metadata, proceed) => {
            try {
              const token = bearerToken(authorizationOf(metadata));
              sessions.set(metadata, await checker.check(token, { fresh: fresh?.(path) ?? false }));
            } catch (error) {
              call.sendStatus(statusOf(error));
              return;
            }
            proceed(metadata);
          },
        }),
    });
  };
}

/**
 * The session of a call.
 *
 * @throws Error where `requireSession` is not in front, or skipped it.
 */
export function sessionOf({ metadata }: { readonly metadata: Metadata }): CheckedSession {
  const session = sessions.get(metadata);
  if (session === undefined)
    throw new Error('requireSession is not among the interceptors of this server, or skips this call');
  return session;
}

function authorizationOf(metadata: Metadata): string | undefined {
  const [value, ...others] = metadata.get('authorization');
  return typeof value === 'string' && others.length === 0 ? value : undefined;
}

/** A refusal as gRPC's status, with its details (google.rpc.Status) in the trailer. */
function statusOf(thrown: unknown) {
  const refusal = CountersignError.is(thrown) ? thrown : unavailable('the session could not be checked', thrown);
  const { code, rawMessage, details } = refusal;
  const status = create(StatusSchema, { code, message: rawMessage, details: details.map(anyOf) });
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from(toBinary(StatusSchema, status)));
  return { code: Number(code), details: rawMessage, metadata };
}

function anyOf(detail: CountersignError['details'][number]): Any {
  if ('desc' in detail) return anyPack(detail.desc, create(detail.desc, detail.value));
  return create(AnySchema, { typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value });
}
