// The only wiring: config in, running server out. Sees every room and holds no rule.

import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DescService } from '@bufbuild/protobuf';
import type { ConnectRouter } from '@connectrpc/connect';
import { Accounts } from '../gen/countersign/internal/v1/accounts_pb.ts';
import { Sessions } from '../gen/countersign/internal/v1/sessions_pb.ts';
import { LoginActivity } from '../gen/countersign/v1/login_activity_pb.ts';
import { TrustedDevices } from '../gen/countersign/v1/trusted_devices_pb.ts';
import { TwoStepAuth } from '../gen/countersign/v1/two_step_auth_pb.ts';
import { Health } from '../gen/health/v1/health_pb.ts';
import { type Address, type Config, ConfigError } from './config.ts';
import { createMailer } from './delivery/email.ts';
import { startLiveStreams } from './delivery/live.ts';
import { startOutbox } from './delivery/outbox.ts';
import { createEmbeddedDirectory } from './directory/embedded.ts';
import { createPasswords, type Passwords } from './directory/passwords.ts';
import type { Deps } from './flows/accounts.ts';
import type { Clock } from './flows/ports.ts';
import { authenticate } from './flows/sessions.ts';
import { createOrigins } from './location/origins.ts';
import { bundledCityFiles, openPlaces, type Places } from './location/places.ts';
import { startPostgresBus } from './platform/bus.ts';
import { createRandom } from './platform/clock.ts';
import { createAccessTokens, createCodes, type NamedKey } from './platform/keys.ts';
import type { Logger } from './platform/log.ts';
import { secrets } from './platform/secrets.ts';
import type { ServiceToken } from './platform/service-tokens.ts';
import { accounts } from './rpc/accounts.ts';
import { peerContext } from './rpc/call.ts';
import { createGate, minimumHeader } from './rpc/client-version.ts';
import { createCors } from './rpc/cors.ts';
import type { Handler } from './rpc/exchange.ts';
import { createRequestHandler, type RequestHandlerOptions } from './rpc/handler.ts';
import { createServingState, healthService } from './rpc/health.ts';
import { internalInterceptors, logEarlyRefusal, publicInterceptors, typeAndLog } from './rpc/interceptors.ts';
import { type Listener, listen } from './rpc/listener.ts';
import { loginActivity } from './rpc/login-activity.ts';
import { createPendingCount } from './rpc/pending-count.ts';
import { reflectionRoutes } from './rpc/reflection.ts';
import { ensureRequestId, requestIdHeader } from './rpc/request-id.ts';
import { jwks, sessions } from './rpc/sessions.ts';
import { trustedDevices } from './rpc/trusted-devices.ts';
import { twoStepAuth } from './rpc/two-step-auth.ts';
import { Database } from './store/database.ts';
import { isMisconfigured, isUnavailable } from './store/database-errors.ts';
import { createDeliveryLog } from './store/deliveries.ts';
import { maintain } from './store/maintenance.ts';
import { migrate } from './store/migrate.ts';
import { createDirectoryEntries, createDirectoryWriter, createStore } from './store/store.ts';
import { createLiveStore } from './store/streams.ts';

/** What development mode fills in, and production must be given. */
export interface AppConfig extends Config {
  readonly databaseUrl: string;
  readonly smtpUrl: string;
  readonly codeKeys: readonly NamedKey[];
  readonly signingKeys: readonly NamedKey[];
  readonly serviceTokens: readonly ServiceToken[];
}

export interface App {
  readonly publicAddress: string;
  readonly internalAddress: string;
  /** For what development mode does with the flows itself. */
  readonly deps: Deps;
  /** Says NOT_SERVING, lets open calls finish for at most 10 s, and closes what it opened. */
  stop(): Promise<void>;
}

/** A message is a few hundred bytes; what is larger is no request of ours. */
const readMaxBytes = 64 * 1024;
const graceMs = 10_000;
const healthEveryMs = 500;

/** @param hashing what compares passwords, where it is not argon2id: benches measure all the rest without it. */
export async function startApp(config: AppConfig, log: Logger, clock: Clock, hashing?: Passwords): Promise<App> {
  const random = createRandom();
  const [places] = await Promise.all([openPlacesOf(config, log), migrateWhenReachable(config.databaseUrl, clock, log)]);
  const database = new Database({
    url: config.databaseUrl,
    poolSize: config.databasePoolSize,
    patienceMs: config.databasePatienceMs,
  });
  const replicaId = random.uuid(clock.now());
  const bus = startPostgresBus(config.databaseUrl, log);
  const passwords = hashing ?? (await createPasswords(config.hashesAtOnce, 200));
  const directory = createEmbeddedDirectory(createDirectoryEntries(database), passwords);
  const codes = createCodes(config.codeKeys, config.limits.codeDigits);
  const live = await startLiveStreams({
    clock,
    codes,
    bus,
    log,
    replicaId,
    limits: config.limits,
    store: createLiveStore(database, config.limits),
  });
  const deps: Deps = {
    live,
    clock,
    random,
    secrets,
    codes,
    directory,
    limits: config.limits,
    tokens: createAccessTokens(config.signingKeys, config.tokenIssuer, config.tokenAudience),
    places: createOrigins(places),
    store: createStore(database, { limits: config.limits, replicaId }),
    directoryWriter: createDirectoryWriter(database, passwords.hash),
  };
  const mailer = createMailer({ smtpUrl: config.smtpUrl, from: config.mailFrom });
  const outbox = startOutbox(
    {
      clock,
      codes,
      directory,
      mailer,
      log,
      deliveries: createDeliveryLog(database),
      maintain: () => maintain(config.databaseUrl, config.limits, clock.now()),
    },
    { databaseUrl: config.databaseUrl, concurrency: 8, brandName: config.brandName },
  );

  const serving = createServingState(true);
  const shutdown = new AbortController();
  const health = setInterval(async () => {
    const answers = await database.answers();
    if (shutdown.signal.aborted || answers === serving.get()) return;
    log.warn({ serving: answers }, 'PostgreSQL answers or does not, and health says so');
    serving.set(answers);
  }, healthEveryMs);
  const pendingCount = createPendingCount(log);
  const common = { toConnectError: typeAndLog(log), readMaxBytes, log, shutdownSignal: shutdown.signal };
  const http = new Map([['/.well-known/jwks.json', jwks(deps)]]);

  const gate = createGate({ ...config, onRefusedSoon: pendingCount.add });
  const publicServices = [TwoStepAuth, TrustedDevices, LoginActivity];
  const publicOptions: RequestHandlerOptions = {
    ...common,
    http,
    routes: routesOf(config, serving, publicServices, (router) =>
      router
        .service(TwoStepAuth, twoStepAuth(deps))
        .service(TrustedDevices, trustedDevices(deps))
        .service(LoginActivity, loginActivity(deps)),
    ),
    interceptors: publicInterceptors({
      log,
      trustedProxies: config.trustedProxies,
      authenticate: (token, level) => authenticate(deps, token, level),
    }),
    admit: (method, header) => {
      const refused = isOurs(method.parent) ? gate.admit(header) : undefined;
      if (refused) logEarlyRefusal(log, { path: `/${method.parent.typeName}/${method.name}`, header }, refused);
      return refused;
    },
    answerHeaders: (_method, header) => [
      [requestIdHeader, ensureRequestId(header)],
      [minimumHeader, gate.minimumFor(header)],
    ],
    contextValues: (exchange) => peerContext({ address: exchange.peerAddress, cut: () => exchange.cut() }),
    ...(config.allowedOrigins.length > 0 ? { cors: createCors(config.allowedOrigins) } : {}),
  };
  const internalServices = [Accounts, Sessions];
  const internalOptions: RequestHandlerOptions = {
    ...common,
    http,
    routes: routesOf(config, serving, internalServices, (router) =>
      router.service(Accounts, accounts(deps)).service(Sessions, sessions(deps)),
    ),
    interceptors: internalInterceptors({ log, serviceTokens: () => config.serviceTokens }),
    answerHeaders: (_method, header) => [[requestIdHeader, ensureRequestId(header)]],
  };

  const listeners: Listener[] = [];
  const stop = async () => {
    clearInterval(health);
    serving.set(false);
    await live.stop();
    shutdown.abort();
    await Promise.all(listeners.map((listener) => listener.close(graceMs)));
    await outbox.stop();
    pendingCount.stop();
    mailer.close();
    places.close();
    await bus.stop();
    await database.close();
  };
  try {
    for (const [setting, address, options] of [
      ['COUNTERSIGN_PUBLIC_ADDRESS', config.publicAddress, publicOptions],
      ['COUNTERSIGN_INTERNAL_ADDRESS', config.internalAddress, internalOptions],
    ] as const) {
      listeners.push(await listenOn(setting, address, createRequestHandler(options), log));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const [publicAddress, internalAddress] = listeners.map(({ address }) => `http://${hostOf(address)}:${address.port}`);
  return { publicAddress: publicAddress ?? '', internalAddress: internalAddress ?? '', deps, stop };
}

async function openPlacesOf(config: AppConfig, log: Logger): Promise<Places> {
  try {
    return await openPlaces({
      cityFiles: config.geoipCity === undefined ? bundledCityFiles() : [config.geoipCity],
      ...(config.geoipConnectionType === undefined ? {} : { connectionTypeFile: config.geoipConnectionType }),
      log,
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`COUNTERSIGN_GEOIP_CITY or COUNTERSIGN_GEOIP_CONNECTION_TYPE: ${why}`);
  }
}

async function listenOn(setting: string, address: Address, handler: Handler, log: Logger): Promise<Listener> {
  try {
    return await listen({ ...address, handler, log });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const why = code === 'EADDRINUSE' ? 'is taken' : `can't be listened on (${code ?? error})`;
    throw new ConfigError(`${setting} takes a free address of this machine: ${address.host}:${address.port} ${why}`);
  }
}

function hostOf({ address, family }: AddressInfo): string {
  return family === 'IPv6' ? `[${address}]` : address;
}

/** A listener's services, with health and, unless it is switched off, reflection. */
function routesOf(
  config: AppConfig,
  state: ReturnType<typeof createServingState>,
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

/** At a start of many, or beside a database that starts too, PostgreSQL may not answer yet. */
async function migrateWhenReachable(url: string, clock: Clock, log: Logger): Promise<void> {
  for (;;) {
    try {
      return await migrate(url, clock.now());
    } catch (error) {
      if (isMisconfigured(error)) {
        const why = error instanceof Error ? error.message : String(error);
        throw new ConfigError(`DATABASE_URL takes a database that can be used as it says: ${why}`);
      }
      if (!isUnavailable(error)) throw error;
      log.warn(
        { why: error instanceof Error ? error.message : String(error) },
        'PostgreSQL is not reachable; trying again',
      );
      await sleep(500);
    }
  }
}
