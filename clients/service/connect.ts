// The session checker in front of Connect handlers: `@countersign/service/connect`.

import {
  type ContextValues,
  createContextKey,
  type Interceptor,
  type StreamRequest,
  type UnaryRequest,
} from '@connectrpc/connect';
import { bearerToken } from './bearer.ts';
import type { SessionChecker } from './checker.ts';
import type { CheckedSession } from './tokens.ts';

/** The session of the call, in its context values; undefined where `requireSession` is not in front, or skipped it. */
export const sessionKey = createContextKey<CheckedSession | undefined>(undefined, {
  description: 'countersign session',
});

export interface RequireSessionOptions {
  /** The calls for which the server is asked in any case. */
  readonly fresh?: (call: UnaryRequest | StreamRequest) => boolean;
  /** The calls that need no session, such as those of health and reflection; none by default. */
  readonly skip?: (call: UnaryRequest | StreamRequest) => boolean;
}

/** Lets a call pass whose access token is good, with its session under `sessionKey`; refuses any other. */
export function requireSession(checker: SessionChecker, { fresh, skip }: RequireSessionOptions = {}): Interceptor {
  return (next) => async (call) => {
    if (skip?.(call)) return next(call);
    const token = bearerToken(call.header.get('authorization'));
    call.contextValues.set(sessionKey, await checker.check(token, { fresh: fresh?.(call) ?? false }));
    return next(call);
  };
}

/**
 * The session of a call, by the context that its handler gets.
 *
 * @throws Error where `requireSession` is not in front, or skipped it.
 */
export function sessionOf({ values }: { readonly values: ContextValues }): CheckedSession {
  const session = values.get(sessionKey);
  if (session === undefined) throw new Error('requireSession is not among the interceptors of this call, or skips it');
  return session;
}
