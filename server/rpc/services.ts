// Who an internal caller is and what it may do: asked of every call, and again of open streams when that changes.

import type { Interceptor, StreamRequest, StreamResponse, UnaryRequest } from '@connectrpc/connect';
import { DomainError } from '../domain/errors.ts';
import type { Logger } from '../platform/log.ts';
import {
  findByCertificate,
  findByToken,
  type Scope,
  type Service,
  type ServiceGrants,
} from '../platform/service-tokens.ts';
import { scopeOf } from './access.ts';
import { bearerOf, certificateNamesOf, cutOf, logFieldsOf, serviceOf, setService } from './call.ts';
import { reasonOf, toConnectError } from './errors.ts';
import { localeOf } from './locale.ts';
import { requestIdHeader } from './request-id.ts';

type Request = UnaryRequest | StreamRequest;

/** Names the caller of an internal RPC. */
export function nameService(grants: ServiceGrants): Interceptor {
  return (next) => (req) => {
    if (scopeOf(req.method) !== undefined) setService(req.contextValues, identify(grants, req));
    return next(req);
  };
}

/** By its token or, where it sent none, by its certificate: a wrong token is no caller, whatever the certificate says. */
function identify(grants: ServiceGrants, { header, contextValues }: Request): Service {
  const token = bearerOf(header);
  const service =
    token !== undefined
      ? findByToken(grants.current(), token)
      : header.has('authorization')
        ? undefined
        : findByCertificate(grants.current(), certificateNamesOf(contextValues));
  if (service === undefined) throw new DomainError({ reason: 'SERVICE_TOKEN_INVALID' });
  return service;
}

function demand(service: Service, scope: Scope): void {
  if (!service.scopes.includes(scope)) throw new DomainError({ reason: 'SCOPE_MISSING' });
}

/** ms that a client has to take the last word of a stream before it is cut. */
const lastWordMs = 1_000;

/** Lets in whoever has the scope; a stream that is open ends when its caller would not be let in any more. */
export function demandScope(grants: ServiceGrants, log: Logger): Interceptor {
  const open = new Set<() => void>();
  grants.onChange(() => {
    for (const look of [...open]) look();
  });
  return (next) => async (req) => {
    const scope = scopeOf(req.method);
    if (scope === undefined) return next(req);
    demand(serviceOf(req.contextValues), scope);
    const response = await next(req);
    if (!response.stream) return response;

    const { message, end } = endable(response.message);
    let cutting: NodeJS.Timeout | undefined;
    const look = () => {
      try {
        demand(identify(grants, req), scope);
      } catch (thrown) {
        open.delete(look);
        const error = toConnectError(thrown, localeOf(req.header));
        const fields = {
          rpc: `${req.service.typeName}/${req.method.name}`,
          requestId: req.header.get(requestIdHeader),
        };
        log.info({ ...fields, ...logFieldsOf(req.contextValues), reason: reasonOf(error) }, 'an open stream is ended');
        end(error);
        cutting = setTimeout(cutOf({ values: req.contextValues }), lastWordMs);
      }
    };
    if (req.signal.aborted) return response;
    open.add(look);
    req.signal.addEventListener('abort', () => {
      open.delete(look);
      clearTimeout(cutting);
    });
    // It may have changed while the stream was opened.
    look();
    return { ...response, message };
  };
}

/** The same messages, until they end with an error from outside. Without a generator: an open stream holds on to each. */
function endable(messages: StreamResponse['message']) {
  let ended: { readonly reason: unknown } | undefined;
  let refuse: (reason: unknown) => void = () => {};
  return {
    end: (reason: unknown) => {
      ended = { reason };
      refuse(reason);
    },
    message: {
      [Symbol.asyncIterator]: () => {
        const items = messages[Symbol.asyncIterator]();
        return {
          next: async () => {
            if (ended !== undefined) throw ended.reason;
            // One a message: a promise that outlives them would hold on to each that it raced with.
            const { promise, reject } = Promise.withResolvers<never>();
            refuse = reject;
            return Promise.race([items.next(), promise]);
          },
          return: async () => (await items.return?.()) ?? { done: true as const, value: undefined },
        };
      },
    },
  };
}
