// The only wiring: config in, running server out. Sees every room and holds no rule. What is opened by the settings is in app/.

import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppConfig } from './app/app-config.ts';
import { migrateWhenReachable, openReplicaOf, sessionUrlOf } from './app/databases.ts';
import { openDirectory } from './app/directory.ts';
import { openFiles, openPasswordPolicyOf, openPlacesOf } from './app/files.ts';
import { brandOf, openSenders, pushServicesOf } from './app/senders.ts';
import { prepare as prepareMails } from './delivery/compose.ts';
import { startLiveStreams } from './delivery/live.ts';
import { startOutbox } from './delivery/outbox.ts';
import { startRevocations } from './delivery/revocations.ts';
import type { Passwords } from './directory/passwords.ts';
import { type Address, ConfigError } from './environment.ts';
import type { Deps } from './flows/accounts.ts';
import { emailWhereAppFailed, withdrawNotifications } from './flows/fallback.ts';
import { signWasNotMe } from './flows/links.ts';
import { sendPasswordReset, signResetLink } from './flows/passwords.ts';
import type { Clock } from './flows/ports.ts';
import { createOrigins } from './location/origins.ts';
import { joinBuses } from './platform/bus.ts';
import { startPostgresBus } from './platform/bus-postgres.ts';
import { startRedisBus } from './platform/bus-redis.ts';
import { startCallLimiter } from './platform/call-limits.ts';
import { createRandom } from './platform/clock.ts';
import { createDraw } from './platform/draws.ts';
import { createAccessTokens, createCodes } from './platform/keys.ts';
import { createLinks } from './platform/links.ts';
import type { Logger } from './platform/log.ts';
import { openRedis } from './platform/redis.ts';
import { secrets } from './platform/secrets.ts';
import { createTelemetry } from './platform/telemetry.ts';
import type { OpenTls } from './platform/tls-files.ts';
import { wasNotMeUrl } from './rpc/deny.ts';
import type { Handler } from './rpc/exchange.ts';
import { createRequestHandler } from './rpc/handler.ts';
import { createServingState } from './rpc/health.ts';
import { type Listener, type ListenOptions, listen } from './rpc/listener.ts';
import { createPendingCount } from './rpc/pending-count.ts';
import { resetUrl } from './rpc/reset.ts';
import { internalRoutes, publicRoutes } from './rpc/routes.ts';
import { announceBy, announceByNotify } from './store/announce.ts';
import { createAuditRecords } from './store/audit-records.ts';
import { createCallCountClient } from './store/call-counts.ts';
import { Database } from './store/database.ts';
import { createDeliveryLog } from './store/delivery-log.ts';
import { readJobStats } from './store/job-stats.ts';
import { maintain, makePartitions } from './store/maintenance.ts';
import { createRevocationLog } from './store/revocations.ts';
import { createStore } from './store/store.ts';
import { createLiveStore } from './store/streams.ts';

export interface App {
  readonly publicAddress: string;
  readonly internalAddress: string;
  /** For what development mode does with the flows itself. */
  readonly deps: Deps;
  /**
   * Says NOT_SERVING and takes calls on for `drainDelayMs`; then asks streams to go elsewhere, lets open calls and jobs finish,
   * and closes what it opened.
   */
  stop(): Promise<void>;
}

/** From the begin of a stop to the end of the last call: it leaves some time to the jobs. */
const callsEndWithinMs = 7_000;
const healthEveryMs = 500;
/** @param hashing what compares passwords, where it is not argon2id: benches measure all the rest without it. */
export async function startApp(config: AppConfig, log: Logger, clock: Clock, hashing?: Passwords): Promise<App> {
  const random = createRandom();
  const files = await openFiles(config, clock, log);
  const [places, passwordPolicy, telemetry, redis] = await Promise.all([
    openPlacesOf(config, log),
    openPasswordPolicyOf(config, log),
    createTelemetry({ otlpUrl: config.otlpUrl, serviceName: 'countersign', log }),
    config.redis && openRedis(config.redis.url, config.redis.prefix),
    migrateWhenReachable(config, clock, log),
  ]);
  const { databasePatienceMs: patienceMs } = config;
  const sessionUrl = sessionUrlOf(config);
  const database = new Database({
    url: config.databaseUrl,
    poolSize: config.databasePoolSize,
    patienceMs,
    pooled: config.databaseDirectUrl !== undefined,
    fraction: random.fraction,
  });
  const replica = openReplicaOf(config, database, log);
  const replicaId = random.uuid(clock.now());
  telemetry.observeJobs(() => readJobStats(database));
  const postgresBus = startPostgresBus(sessionUrl, log);
  const redisBus = redis && startRedisBus(redis, replicaId, log);
  // What can't be told over Redis is told over PostgreSQL, so that one is listened to in any case.
  const bus = redisBus === undefined ? postgresBus : joinBuses([redisBus, postgresBus]);
  telemetry.observeBuses({ postgresql: postgresBus.isCut, ...(redisBus && { redis: redisBus.isCut }) });
  const { directory, directoryWriter, closeDirectory } = await openDirectory(
    config,
    database,
    createDraw(files.codeKeys, clock),
    clock,
    log,
    hashing,
  );
  const codes = createCodes(files.codeKeys, config.limits.codeDigits);
  // What decides how an account's devices are reached.
  const appSettings = { limits: config.limits, pushServices: pushServicesOf(config), emailCodes: config.emailCodes };
  const live = await startLiveStreams({
    clock,
    codes,
    bus,
    log,
    replicaId,
    limits: config.limits,
    store: createLiveStore(database, appSettings),
    onOthers: redisBus?.expect,
  });
  const revocations = startRevocations({
    bus,
    log,
    revocationLog: createRevocationLog({ url: sessionUrl, patienceMs }, config.limits.accessTokenLifetimeMs),
    elapsedMs: () => performance.now(),
  });
  const deps: Deps = {
    live,
    revocations,
    clock,
    stepUpOn: config.stepUpOn,
    random,
    secrets,
    codes,
    directory,
    links: createLinks(files.codeKeys),
    limits: config.limits,
    tokens: createAccessTokens(files.signingKeys, {
      issuer: config.tokenIssuer,
      audience: config.tokenAudience,
      lifetimeMs: config.limits.accessTokenLifetimeMs,
    }),
    places: createOrigins(places),
    store: createStore(database, {
      ...appSettings,
      replicaId,
      announce: redisBus === undefined ? announceByNotify : announceBy(redisBus.publish, database),
      traceparent: telemetry.traceparent,
      eventReader: replica,
      makePartitions: async () => {
        log.warn('an event had no partition to go to: a clock has jumped, or maintenance has not run for months');
        await makePartitions(sessionUrl, clock.now());
      },
    }),
    auditRecords: createAuditRecords(database),
    directoryWriter,
    passwordPolicy,
  };
  telemetry.observeOpenStreams({ devices: live.openStreams, revocations: revocations.openStreams });
  const callLimiter =
    config.callLimits.countedBy === 'server'
      ? await startCallLimiter(config.callLimits, createCallCountClient(database), redis)
      : undefined;
  const brand = brandOf(config);
  const senders = openSenders(config, clock);
  const outbox = startOutbox(
    {
      clock,
      codes,
      directory,
      accountsElsewhere: directoryWriter === undefined,
      log,
      telemetry,
      brand,
      ...senders,
      deliveries: createDeliveryLog(database),
      fraction: random.fraction,
      codeInNotification: config.codeInNotification,
      wasNotMeUrl: (accountId, may) => wasNotMeUrl(config.publicUrl, signWasNotMe(deps, accountId, may)),
      resetUrl: async (accountId, promiseTime) => {
        const token = await signResetLink(deps, accountId, promiseTime);
        return token && resetUrl(config.publicUrl, token);
      },
      onPushFailed: async ({ accountId, challengeId }) => {
        await emailWhereAppFailed(deps, accountId, challengeId);
      },
      emailWhereAppFailed: ({ accountId, challengeId }) => emailWhereAppFailed(deps, accountId, challengeId),
      withdrawNotifications: ({ accountId, challengeId }) => withdrawNotifications(deps, accountId, challengeId),
      sendPasswordReset: ({ accountId, locale }) => sendPasswordReset(deps, accountId, locale),
      maintain: () => maintain(sessionUrl, config.limits, clock.now()),
    },
    { databaseUrl: sessionUrl, concurrency: 8 },
  );

  const serving = createServingState(true);
  const shutdown = new AbortController();
  const health = setInterval(async () => {
    const why = await database.fault();
    const answers = why === undefined;
    if (shutdown.signal.aborted || answers === serving.get()) return;
    log.warn({ serving: answers, why }, 'PostgreSQL answers or does not, and health says so');
    serving.set(answers);
  }, healthEveryMs);
  const pendingCount = createPendingCount(log);
  const routes = {
    config,
    services: files.services,
    deps,
    log,
    telemetry,
    serving,
    brand,
    pendingCount,
    callLimiter,
    shutdownSignal: shutdown.signal,
  };

  const listeners: Listener[] = [];
  const stop = async (drainDelayMs: number) => {
    clearInterval(health);
    serving.set(false);
    for (const listener of listeners) listener.announceClose();
    await sleep(drainDelayMs);
    // First, so that streams which are asked to go elsewhere do not come back.
    const closed = listeners.map((listener) => listener.close(callsEndWithinMs - drainDelayMs));
    await Promise.all([live.stop(), revocations.stop()]);
    shutdown.abort();
    await Promise.all(closed);
    await outbox.stop();
    pendingCount.stop();
    senders.mailer.close();
    await Promise.all([senders.apns?.close(), senders.fcm?.close()]);
    places.close();
    files.close();
    closeDirectory();
    await passwordPolicy.close();
    callLimiter?.stop();
    await Promise.all([postgresBus.stop(), redisBus?.stop()]);
    await replica?.close();
    await database.close();
    await telemetry.close();
  };
  try {
    for (const [setting, address, tls, options] of [
      ['COUNTERSIGN_PUBLIC_ADDRESS', config.publicAddress, files.publicTls, publicRoutes(routes)],
      ['COUNTERSIGN_INTERNAL_ADDRESS', config.internalAddress, files.internalTls, internalRoutes(routes)],
    ] as const) {
      const limits = { connections: config.connections };
      listeners.push(await listenOn(setting, { ...address, limits }, tls, createRequestHandler(options), log));
    }
  } catch (error) {
    await stop(0);
    throw error;
  }
  // Whoever waits for the first code must not wait for this too.
  prepareMails().catch((error) => log.error({ err: error }, 'mails can not be written'));
  const [publicAddress, internalAddress] = listeners.map(
    ({ address, encrypted }) => `${encrypted ? 'https' : 'http'}://${hostOf(address)}:${address.port}`,
  );
  return {
    publicAddress: publicAddress ?? '',
    internalAddress: internalAddress ?? '',
    deps,
    stop: () => stop(config.drainDelayMs),
  };
}

async function listenOn(
  setting: string,
  address: Address & Pick<ListenOptions, 'limits'>,
  tls: OpenTls | undefined,
  handler: Handler,
  log: Logger,
): Promise<Listener> {
  try {
    return await listen({ ...address, handler, log, ...(tls && { tls }) });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const why = code === 'EADDRINUSE' ? 'is taken' : `can't be listened on (${code ?? error})`;
    throw new ConfigError(`${setting} takes a free address of this machine: ${address.host}:${address.port} ${why}`);
  }
}

function hostOf({ address, family }: AddressInfo): string {
  return family === 'IPv6' ? `[${address}]` : address;
}
