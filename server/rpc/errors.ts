// The only maker of ConnectError: every refusal gets its canonical code, its ErrorInfo and what its reader needs to go on.
// What was not expected says "internal error" and no more; the log has its cause.

import { create } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { ChallengeSchema } from '../../gen/countersign/v1/challenge_pb.ts';
import { ClientVersionRequirementSchema } from '../../gen/countersign/v1/errors_pb.ts';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  LocalizedMessageSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.ts';
import { DomainError, type FieldViolation, type Reason, type Refusal } from '../domain/errors.ts';
import { describeWeakness } from '../domain/password.ts';
import { textsFor } from '../texts/texts.ts';
import { challengeToProto, platformToProto } from './convert.ts';

const domain = 'countersign';

/** Refusals of the wire itself, which no rule knows. */
type WireReason =
  | 'METHOD_UNKNOWN'
  | 'SERVICE_UNKNOWN'
  | 'ENCODING_UNSUPPORTED'
  | 'DEADLINE_EXCEEDED'
  | 'CANCELLED'
  | 'INTERNAL';

const codes: Readonly<Record<Reason | WireReason, Code>> = {
  CLIENT_VERSION_UNSUPPORTED: Code.FailedPrecondition,
  CLIENT_VERSION_MISSING: Code.FailedPrecondition,
  CLIENT_VERSION_INVALID: Code.InvalidArgument,
  CREDENTIALS_INCORRECT: Code.Unauthenticated,
  SESSION_INVALID: Code.Unauthenticated,
  SERVICE_TOKEN_INVALID: Code.Unauthenticated,
  SCOPE_MISSING: Code.PermissionDenied,
  DEVICE_NOT_TRUSTED: Code.PermissionDenied,
  CODE_INCORRECT: Code.InvalidArgument,
  CHALLENGE_UNKNOWN: Code.NotFound,
  CHALLENGE_EXPIRED: Code.FailedPrecondition,
  CHALLENGE_CLOSED: Code.FailedPrecondition,
  SEND_TOO_SOON: Code.ResourceExhausted,
  SENDS_EXHAUSTED: Code.ResourceExhausted,
  CHANNEL_UNAVAILABLE: Code.FailedPrecondition,
  RATE_LIMITED: Code.ResourceExhausted,
  VERIFICATION_LOCKED: Code.FailedPrecondition,
  DEVICE_UNKNOWN: Code.NotFound,
  EVENT_UNKNOWN: Code.NotFound,
  RESET_TOKEN_INVALID: Code.FailedPrecondition,
  ACCOUNT_UNKNOWN: Code.NotFound,
  ACCOUNT_EXISTS: Code.AlreadyExists,
  ACCOUNTS_ELSEWHERE: Code.Unimplemented,
  PASSWORD_WEAK: Code.InvalidArgument,
  REQUEST_INVALID: Code.InvalidArgument,
  DEPENDENCY_UNAVAILABLE: Code.Unavailable,
  METHOD_UNKNOWN: Code.Unimplemented,
  SERVICE_UNKNOWN: Code.NotFound,
  ENCODING_UNSUPPORTED: Code.Unimplemented,
  DEADLINE_EXCEEDED: Code.DeadlineExceeded,
  CANCELLED: Code.Canceled,
  INTERNAL: Code.Internal,
};

/**
 * Whatever was thrown, as the error that leaves. One that this function made passes as it is, so it may be called again.
 *
 * @param locale the caller's language, for the text that people read.
 */
export function toConnectError(thrown: unknown, locale = 'en'): ConnectError {
  if (thrown instanceof DomainError) return refusalToConnectError(thrown.refusal, locale, thrown);
  if (thrown instanceof ConnectError) return isTyped(thrown) ? thrown : typeWireError(thrown);
  return makeError('INTERNAL', 'internal error', {}, [], thrown);
}

export function refusalToConnectError(refusal: Refusal, locale: string, cause?: unknown): ConnectError {
  const { reason } = refusal;
  const details: Detail[] = [];
  if ('retryAfterMs' in refusal) {
    details.push({ desc: RetryInfoSchema, value: { retryDelay: durationFromMs(Math.ceil(refusal.retryAfterMs)) } });
  }
  const violations = violationsOf(refusal);
  if (violations.length > 0) {
    const fieldViolations = violations.map(({ field, description }) => ({ field, description }));
    details.push({ desc: BadRequestSchema, value: { fieldViolations } });
  }
  if ('challenge' in refusal && refusal.challenge !== undefined) {
    details.push({ desc: ChallengeSchema, value: challengeToProto(refusal.challenge, locale) });
  }
  if ('requirement' in refusal) {
    const { platform, clientVersion, minimumVersion, updateUrl } = refusal.requirement;
    const value = {
      ...(platform === undefined ? {} : { platform: platformToProto(platform) }),
      clientVersion,
      minimumVersion,
      updateUrl,
    };
    details.push({ desc: ClientVersionRequirementSchema, value });
  }
  const texts = textsFor(locale);
  const why = refusal.reason === 'PASSWORD_WEAK' ? refusal.weaknesses.map((each) => texts.weaknesses[each]) : [];
  const message = [texts.reasons[reason], ...why].join(' ');
  details.push({ desc: LocalizedMessageSchema, value: { locale: texts.locale, message } });
  const metadata: Record<string, string> = refusal.reason === 'SESSION_INVALID' ? { cause: refusal.cause } : {};
  return makeError(reason, developerMessage(refusal), metadata, details, cause);
}

/** Which fields of the request are at fault. */
function violationsOf(refusal: Refusal): readonly FieldViolation[] {
  if (refusal.reason === 'REQUEST_INVALID') return withinBounds(refusal.violations);
  if (refusal.reason !== 'PASSWORD_WEAK') return [];
  const { field, weaknesses } = refusal;
  return weaknesses.map((weakness) => ({ field, description: describeWeakness(weakness) }));
}

/** Bytes of violations: gRPC tells them in headers, in base64, and many clients take no more than 8 KiB of those. */
const mostViolationBytes = 3_000;

/** As many as there is room for, with how many more there are: an import may have a thousand. */
function withinBounds(violations: readonly FieldViolation[]): readonly FieldViolation[] {
  let room = mostViolationBytes;
  const told = violations.filter(({ field, description }) => {
    room -= Buffer.byteLength(field) + Buffer.byteLength(description) + 8;
    return room >= 0;
  });
  const more = violations.length - told.length;
  return more === 0 ? told : [...told, { field: '', description: `and ${more} more like these` }];
}

/** The message repeats no more of them. */
const mostInMessage = 10;

type Detail = NonNullable<ConstructorParameters<typeof ConnectError>[3]>[number];

/** In English, for whoever reads a log or a terminal: what is wrong, and what to do. */
function developerMessage(refusal: Refusal): string {
  const text = textsFor('en').reasons[refusal.reason];
  if ('requirement' in refusal) {
    const { platform, clientVersion, minimumVersion, updateUrl } = refusal.requirement;
    const app = `${platform === undefined ? 'the' : platform.toLowerCase()} app`;
    const where = updateUrl === '' ? '' : ` at ${updateUrl}`;
    if (refusal.reason === 'CLIENT_VERSION_UNSUPPORTED') {
      return `${app} is version ${clientVersion}, and ${minimumVersion} or newer is needed: update it${where}`;
    }
    return `send countersign-client-version (1 to 4 numbers, such as ${minimumVersion}) and countersign-client-platform (ios, android or web) with every call; ${minimumVersion} or newer is served`;
  }
  const violations = violationsOf(refusal);
  if (violations.length > 0) {
    const told = violations.map(({ field, description }) => (field === '' ? description : `${field}: ${description}`));
    return [...told.slice(0, mostInMessage), ...(told.length > mostInMessage ? ['…'] : [])].join('; ');
  }
  if (refusal.reason === 'SESSION_INVALID') return `the session is not valid: ${refusal.cause}`;
  if ('retryAfterMs' in refusal) return `${text} Try again in ${Math.ceil(refusal.retryAfterMs / 1000)} s.`;
  return text;
}

/** Of what the wire quotes, such as a path; gRPC puts it into headers, twice, and longer ones would break the stream. */
const longestQuote = 200;

/** Errors that Connect itself makes: a body that can't be read, an encoding or time-out that makes no sense. */
function typeWireError(error: ConnectError): ConnectError {
  const message = error.rawMessage.slice(0, longestQuote).toWellFormed();
  switch (error.code) {
    case Code.InvalidArgument:
    // Too large: the same fault of the same request, whatever Connect calls it.
    case Code.ResourceExhausted: {
      const value = { fieldViolations: [{ field: '', description: message }] };
      return makeError('REQUEST_INVALID', message, {}, [{ desc: BadRequestSchema, value }], error);
    }
    case Code.Unimplemented: {
      const reason = /compression|encoding/.test(error.rawMessage) ? 'ENCODING_UNSUPPORTED' : 'METHOD_UNKNOWN';
      return makeError(reason, message, {}, [], error);
    }
    // Health asks for services by name.
    case Code.NotFound:
      return makeError('SERVICE_UNKNOWN', message, {}, [], error);
    case Code.DeadlineExceeded:
      return makeError('DEADLINE_EXCEEDED', 'the deadline passed before the call was done', {}, [], error);
    // What ended a stream as the server stopped: another one is there at once, but not for all streams in the same moment.
    case Code.Unavailable: {
      const value = { retryDelay: durationFromMs(500) };
      return makeError('DEPENDENCY_UNAVAILABLE', message, {}, [{ desc: RetryInfoSchema, value }], error);
    }
    case Code.Canceled:
    case Code.Aborted:
      return makeError('CANCELLED', 'the call was cancelled', {}, [], error);
    default:
      return makeError('INTERNAL', 'internal error', {}, [], error);
  }
}

function makeError(
  reason: Reason | WireReason,
  message: string,
  metadata: Record<string, string>,
  details: readonly Detail[],
  cause: unknown,
): ConnectError {
  const info: Detail = { desc: ErrorInfoSchema, value: { reason, domain, metadata } };
  return new ConnectError(message, codes[reason], undefined, [info, ...details], cause);
}

function isTyped(error: ConnectError): boolean {
  return error.details.some((detail) => 'desc' in detail && detail.desc.typeName === ErrorInfoSchema.typeName);
}

/** The reason of an error that toConnectError made, for the log. */
export function reasonOf(error: ConnectError): string {
  for (const detail of error.details) {
    if ('desc' in detail && detail.desc.typeName === ErrorInfoSchema.typeName) {
      return create(ErrorInfoSchema, detail.value).reason;
    }
  }
  return '';
}
