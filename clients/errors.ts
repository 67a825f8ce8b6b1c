// What a refusal says, read out of a ConnectError once, so that no caller digs in error details.

import { durationMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import { type Challenge, ChallengeSchema } from '../gen/countersign/v1/challenge_pb.ts';
import { type ClientVersionRequirement, ClientVersionRequirementSchema } from '../gen/countersign/v1/errors_pb.ts';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  LocalizedMessageSchema,
  RetryInfoSchema,
} from '../gen/google/rpc/error_details_pb.ts';

/** A refusal by Countersign, or a failure to reach it. It is a ConnectError too, with `code` and `rawMessage`. */
export class CountersignError extends ConnectError {
  /** The reason of the contract's table, such as `CODE_INCORRECT`; empty where none came, as when the network failed. */
  readonly reason: string;
  /** More about the reason, such as the `cause` of `SESSION_INVALID`. */
  readonly reasonMetadata: Readonly<Record<string, string>>;
  /** Milliseconds to wait before another try; undefined where waiting does not help or is not told. */
  readonly retryAfter: number | undefined;
  /** The challenge as it stands, where one is concerned. */
  readonly challenge: Challenge | undefined;
  /** What the version gate needs. */
  readonly requirement: ClientVersionRequirement | undefined;
  /** The fields at fault, path and fault. */
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  /** A text for the person, in their language; empty where none came. */
  readonly localizedMessage: string;
  /** The id that ties this answer to the server's log. */
  readonly requestId: string;

  constructor(error: ConnectError) {
    super(error.rawMessage, error.code, error.metadata, undefined, error.cause);
    this.details = error.details;
    const [info] = error.findDetails(ErrorInfoSchema);
    const [retry] = error.findDetails(RetryInfoSchema);
    this.reason = info?.reason ?? '';
    this.reasonMetadata = info?.metadata ?? {};
    this.retryAfter = retry?.retryDelay === undefined ? undefined : durationMs(retry.retryDelay);
    this.challenge = error.findDetails(ChallengeSchema)[0];
    this.requirement = error.findDetails(ClientVersionRequirementSchema)[0];
    this.violations = error.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations);
    this.localizedMessage = error.findDetails(LocalizedMessageSchema)[0]?.message ?? '';
    this.requestId = error.metadata.get('x-request-id') ?? '';
  }

  /** ConnectError recognises any error of its shape; this class only its own. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && Object.getPrototypeOf(value) === CountersignError.prototype;
  }

  /** Whether this is a refusal for one of these reasons. */
  static is(error: unknown, ...reasons: readonly string[]): error is CountersignError {
    return error instanceof CountersignError && (reasons.length === 0 || reasons.includes(error.reason));
  }
}

/** Turns every failure of a call into a CountersignError. */
export const typedErrors: Interceptor = (next) => async (req) => {
  try {
    const response = await next(req);
    return response.stream ? { ...response, message: typed(response.message) } : response;
  } catch (error) {
    throw new CountersignError(ConnectError.from(error, Code.Unknown));
  }
};

/** A stream fails while it is read. */
async function* typed<T>(messages: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    throw new CountersignError(ConnectError.from(error, Code.Unknown));
  }
}
