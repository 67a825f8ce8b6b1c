// What happens around every call, outermost first: log and type its errors, name the caller, validate, let in.

import type { DescMessage, Message } from '@bufbuild/protobuf';
import { isReflectList, isReflectMessage, pathToString, reflect } from '@bufbuild/protobuf/reflect';
import { createValidator, type Validator } from '@bufbuild/protovalidate';
import { Code, type ConnectError, type Interceptor } from '@connectrpc/connect';
import { DomainError } from '../domain/errors.ts';
import type { AuditDeps } from '../flows/audit.ts';
import type { CallLimiter } from '../flows/ports.ts';
import type { Level } from '../flows/sessions.ts';
import type { SessionRecord } from '../flows/store-ports.ts';
import { clientAddress, type TrustedProxies } from '../platform/client-address.ts';
import type { Logger } from '../platform/log.ts';
import type { ServiceGrants } from '../platform/service-tokens.ts';
import { isCostly, levelOf } from './access.ts';
import { auditCalls } from './audit.ts';
import { bearerOf, callerOf, logFieldsOf, peerAddressOf, setCaller, setSession, signedInOf } from './call.ts';
import { platformOf, versionHeader } from './client-version.ts';
import { reasonOf, toConnectError } from './errors.ts';
import { localeOf } from './locale.ts';
import { requestIdHeader } from './request-id.ts';
import { demandScope, nameService } from './services.ts';

export interface PublicCallDeps {
  readonly log: Logger;
  readonly trustedProxies: TrustedProxies;
  readonly authenticate: (accessToken: string, level: Level) => Promise<SessionRecord>;
  /** Undefined where the edge counts calls. */
  readonly callLimiter: CallLimiter | undefined;
}

export function publicInterceptors(deps: PublicCallDeps): Interceptor[] {
  return [
    logCalls(deps.log),
    nameCaller(deps.trustedProxies),
    ...(deps.callLimiter === undefined ? [] : [countByAddress(deps.callLimiter)]),
    letInSession(deps.authenticate),
    ...(deps.callLimiter === undefined ? [] : [countByAccount(deps.callLimiter)]),
    validate(createValidator()),
  ];
}

export function internalInterceptors(deps: {
  readonly log: Logger;
  readonly services: ServiceGrants;
  readonly audit: AuditDeps;
}): Interceptor[] {
  const { log, services, audit } = deps;
  // A call is noted as soon as its caller is known: what is refused after that, too.
  return [
    logCalls(log),
    nameService(services),
    auditCalls(audit, log),
    demandScope(services, log),
    validate(createValidator()),
  ];
}

/** One line a call, with its reason where it was refused; and the place where what was thrown becomes an error. */
function logCalls(log: Logger): Interceptor {
  return (next) => async (req) => {
    const begin = performance.now();
    const fields = () => ({
      rpc: `${req.service.typeName}/${req.method.name}`,
      requestId: req.header.get(requestIdHeader),
      ms: Math.round((performance.now() - begin) * 10) / 10,
      ...logFieldsOf(req.contextValues),
    });
    try {
      const response = await next(req);
      log.info(fields(), 'call');
      return response;
    } catch (thrown) {
      const error = toConnectError(thrown, localeOf(req.header));
      logRefused(log, fields(), error, thrown);
      throw error;
    }
  };
}

/** Types what was thrown where no interceptor ran, as for a body that can't be read; and logs that too. */
export function typeAndLog(log: Logger): (thrown: unknown, request: { path: string; header: Headers }) => ConnectError {
  return (thrown, { path, header }) => {
    const error = toConnectError(thrown, localeOf(header));
    // What an interceptor has typed, it has logged.
    if (error !== thrown) logEarlyRefusal(log, { path, header }, error, thrown);
    return error;
  };
}

/** Logs a refusal by the headers alone. */
export function logEarlyRefusal(
  log: Logger,
  { path, header }: { readonly path: string; readonly header: Headers },
  error: ConnectError,
  thrown: unknown = error,
): void {
  const fields = {
    rpc: path.slice(1, longestPath),
    requestId: header.get(requestIdHeader),
    platform: platformOf(header),
    clientVersion: header.get(versionHeader)?.slice(0, 64),
  };
  logRefused(log, fields, error, thrown);
}

const longestPath = 120;

function logRefused(log: Logger, fields: object, error: ConnectError, thrown: unknown): void {
  const refused = { ...fields, status: Code[error.code], reason: reasonOf(error) };
  if (error.code === Code.Internal) log.error({ ...refused, err: thrown }, 'call failed');
  else if (error.code === Code.Unavailable) log.warn({ ...refused, err: causeOf(thrown) }, 'call refused');
  else log.info(refused, 'call refused');
}

/** Of an unreachable dependency the log keeps the words, not the statement with its values. */
function causeOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  return cause instanceof Error ? cause.message : String(cause);
}

function nameCaller(trusted: TrustedProxies): Interceptor {
  return (next) => (req) => {
    const platform = platformOf(req.header);
    if (platform !== undefined) {
      setCaller(req.contextValues, {
        ipAddress: clientAddress(peerAddressOf(req.contextValues), req.header.get('x-forwarded-for'), trusted),
        locale: localeOf(req.header),
        appVersion: req.header.get(versionHeader) ?? '',
        platform,
      });
    }
    return next(req);
  };
}

/** Health and reflection, which ask nothing of PostgreSQL, are not counted. */
function countByAddress(limiter: CallLimiter): Interceptor {
  return (next) => async (req) => {
    if (levelOf(req.method) !== undefined)
      await limiter.ofAddress(callerOf({ values: req.contextValues }).ipAddress, isCostly(req.method));
    return next(req);
  };
}

function countByAccount(limiter: CallLimiter): Interceptor {
  return (next) => async (req) => {
    const level = levelOf(req.method);
    if (level !== undefined && level !== 'none') {
      await limiter.ofAccount(signedInOf({ values: req.contextValues }).session.accountId);
    }
    return next(req);
  };
}

function letInSession(authenticate: PublicCallDeps['authenticate']): Interceptor {
  return (next) => async (req) => {
    const level = levelOf(req.method);
    if (level !== undefined && level !== 'none') {
      const token = bearerOf(req.header);
      if (token === undefined) throw new DomainError({ reason: 'SESSION_INVALID', cause: 'UNKNOWN' });
      setSession(req.contextValues, await authenticate(token, level));
    }
    return next(req);
  };
}

/** Holds requests to the rules in the contract. */
function validate(validator: Validator): Interceptor {
  return (next) => (req) => {
    if (!req.stream) {
      check(validator, req.method.input, req.message);
      return next(req);
    }
    return next({ ...req, message: checkEach(validator, req.method.input, req.message) });
  };
}

async function* checkEach<M extends Message>(validator: Validator, schema: DescMessage, messages: AsyncIterable<M>) {
  for await (const message of messages) {
    check(validator, schema, message);
    yield message;
  }
}

function check(validator: Validator, schema: DescMessage, message: Message): void {
  const result = validator.validate(schema, message);
  if (result.kind === 'error') throw result.error;
  if (result.kind === 'valid' && !holdsNul(message)) return;
  const violations =
    result.kind === 'invalid'
      ? result.violations.map(({ field, message }) => ({ field: pathToString(field), description: message }))
      : [...stringsWithNul(reflect(schema, message), '')].map((field) => ({ field, description: 'must not hold NUL' }));
  throw new DomainError({ reason: 'REQUEST_INVALID', violations });
}

/** Whether a string with a U+0000 stands anywhere in it: asked of every message, so without reflection. */
function holdsNul(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('\0');
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
  for (const name in value) {
    if (holdsNul(value[name as keyof typeof value])) return true;
  }
  return false;
}

/** The paths of strings with a U+0000. PostgreSQL's text can't hold one, so none comes in, whatever a field's own rules. */
function* stringsWithNul(value: unknown, path: string): Generator<string> {
  if (typeof value === 'string' && value.includes('\0')) yield path;
  else if (isReflectMessage(value)) {
    for (const field of value.fields) {
      if (value.isSet(field))
        yield* stringsWithNul(value.get(field), path === '' ? field.name : `${path}.${field.name}`);
    }
  } else if (isReflectList(value)) {
    for (const [index, item] of [...value].entries()) yield* stringsWithNul(item, `${path}[${index}]`);
  }
}
