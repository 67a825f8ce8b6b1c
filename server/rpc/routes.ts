// Which service stands on which listener, with what goes around its calls.

import type { DescMethod, DescService } from '@bufbuild/protobuf';
import type { ConnectRouter } from '@connectrpc/connect';
import { Accounts } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import { Sessions } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { Support } from '../../gen/countersign/internal/v1/support_pb.ts';
import { Account } from '../../gen/countersign/v1/account_pb.ts';
import { LoginActivity } from '../../gen/countersign/v1/login_activity_pb.ts';
import { TrustedDevices } from '../../gen/countersign/v1/trusted_devices_pb.ts';
import { TwoStepAuth } from '../../gen/countersign/v1/two_step_auth_pb.ts';
import { Health } from '../../gen/health/v1/health_pb.ts';
import type { Config } from '../config.ts';
import type { Deps } from '../flows/accounts.ts';
import type { CallLimiter } from '../flows/ports.ts';
import { authenticate } from '../flows/sessions.ts';
import type { Logger } from '../platform/log.ts';
import type { ServiceGrants } from '../platform/service-tokens.ts';
import type { Telemetry } from '../platform/telemetry.ts';
import type { Brand } from '../texts/look.ts';
import { account } from './account.ts';
import { accounts } from './accounts.ts';
import { peerContext } from './call.ts';
import { createGate, minimumHeader } from './client-version.ts';
import { createCors } from './cors.ts';
import { denyPage, denyPath } from './deny.ts';
import type { RequestHandlerOptions } from './handler.ts';
import { healthService, type ServingState } from './health.ts';
import { internalInterceptors, logEarlyRefusal, publicInterceptors, typeAndLog } from './interceptors.ts';
import { linkPageHandler } from './link-page.ts';
import { loginActivity } from './login-activity.ts';
import { measureCalls, measureEarlyRefusals, metrics } from './metrics.ts';
import type { PendingCount } from './pending-count.ts';
import { reflectionRoutes } from './reflection.ts';
import { ensureRequestId, requestIdHeader } from './request-id.ts';
import { resetPage, resetPath } from './reset.ts';
import { jwks, sessions } from './sessions.ts';
import { support } from './support.ts';
import { trustedDevices } from './trusted-devices.ts';
import { twoStepAuth } from './two-step-auth.ts';

/** What both listeners are made of. */
export interface RoutesOptions {
  readonly config: Config;
  /** The internal callers, as they are now. */
  readonly services: ServiceGrants;
  readonly deps: Deps;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  readonly serving: ServingState;
  readonly brand: Brand;
  readonly pendingCount: PendingCount;
  /** Undefined where the edge counts calls. */
  readonly callLimiter: CallLimiter | undefined;
  /** Ends open streams when the server stops. */
  readonly shutdownSignal: AbortSignal;
}

/** A message is a few hundred bytes; what is larger is no request of ours. */
export const readMaxBytes = 64 * 1024;
/** Of an import, a thousand accounts. */
const largerMessages = new Map([[Accounts.method.batchImportAccounts as DescMethod, 1024 * 1024]]);
export const jwksPath = '/.well-known/jwks.json';
export const publicServices = [TwoStepAuth, TrustedDevices, LoginActivity, Account];
const internalServices = [Accounts, Sessions, Support];

/** For apps, and for who opens a link of an e-mail. */
export function publicRoutes(options: RoutesOptions): RequestHandlerOptions {
  const { config, deps, log, telemetry, pendingCount, brand, callLimiter } = options;
  const gate = createGate({ ...config, onRefusedSoon: pendingCount.add });
  const { common, early } = commonOf(options, publicServices);
  return {
    ...common,
    http: new Map([
      [jwksPath, jwks(deps)],
      [denyPath, linkPageHandler(denyPage(deps, brand, log), config.trustedProxies, log)],
      [resetPath, linkPageHandler(resetPage(deps, brand, log), config.trustedProxies, log)],
    ]),
    routes: routesOf(options, publicServices, (router) =>
      router
        .service(TwoStepAuth, twoStepAuth(deps))
        .service(TrustedDevices, trustedDevices(deps))
        .service(LoginActivity, loginActivity(deps))
        .service(Account, account(deps)),
    ),
    interceptors: [
      measureCalls(telemetry, 'public'),
      ...publicInterceptors({
        log,
        trustedProxies: config.trustedProxies,
        authenticate: (token, level) => authenticate(deps, token, level),
        callLimiter,
      }),
    ],
    admit: (method, header) => {
      const refused = isOurs(method.parent) ? gate.admit(header) : undefined;
      if (refused) {
        logEarlyRefusal(log, { path: `/${method.parent.typeName}/${method.name}`, header }, refused);
        early.atGate(method, refused);
      }
      return refused;
    },
    answerHeaders: (_method, header) => [
      [requestIdHeader, ensureRequestId(header)],
      [minimumHeader, gate.minimumFor(header)],
    ],
    ...(config.allowedOrigins.length > 0 ? { cors: createCors(config.allowedOrigins) } : {}),
  };
}

/** For internal services, operators, and Prometheus. */
export function internalRoutes(options: RoutesOptions): RequestHandlerOptions {
  const { config, services, deps, log, telemetry } = options;
  const { common } = commonOf(options, internalServices);
  return {
    ...common,
    http: new Map([
      [jwksPath, jwks(deps)],
      ['/metrics', metrics(telemetry)],
    ]),
    routes: routesOf(options, internalServices, (router) =>
      router
        .service(Accounts, accounts(deps, config))
        .service(Sessions, sessions(deps))
        .service(Support, support(deps)),
    ),
    interceptors: [measureCalls(telemetry, 'internal'), ...internalInterceptors({ log, services, audit: deps })],
    answerHeaders: (_method, header) => [[requestIdHeader, ensureRequestId(header)]],
  };
}

function commonOf({ log, telemetry, shutdownSignal }: RoutesOptions, services: readonly DescService[]) {
  const early = measureEarlyRefusals(telemetry, [...services, Health]);
  const type = typeAndLog(log);
  const toConnectError: RequestHandlerOptions['toConnectError'] = (thrown, request) => {
    const error = type(thrown, request);
    // What an interceptor has typed, it has measured.
    if (error !== thrown) early.unread(request.path, error);
    return error;
  };
  const contextValues: RequestHandlerOptions['contextValues'] = (exchange) =>
    peerContext({
      address: exchange.peerAddress,
      certificateNames: exchange.certificateNames,
      cut: () => exchange.cut(),
    });
  return { early, common: { toConnectError, contextValues, readMaxBytes, largerMessages, log, shutdownSignal } };
}

/** A listener's services, with health and, unless it is switched off, reflection. */
function routesOf(
  { config, serving: state }: RoutesOptions,
  services: readonly DescService[],
  own: (router: ConnectRouter) => ConnectRouter,
): (router: ConnectRouter) => void {
  return (router) => {
    own(router).service(Health, healthService({ state, services: services.map((service) => service.typeName) }));
    if (config.reflection) reflectionRoutes([...services, Health])(router);
  };
}

function isOurs(service: DescService): boolean {
  return service.typeName.startsWith('countersign.v1.');
}
