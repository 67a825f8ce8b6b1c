// The only wiring: config in, running server out. Sees every room and holds no rule.

import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from './config.ts';
import { createApnsSender } from './delivery/apns.ts';
import type { Brand } from './delivery/compose.ts';
import { prepare as prepareMails } from './delivery/compose.ts';
import { createMailer } from './delivery/email.ts';
import { createFcmSender } from './delivery/fcm.ts';
import { startLiveStreams } from './delivery/live.ts';
import { startOutbox } from './delivery/outbox.ts';
import { startRevocations } from './delivery/revocations.ts';
import { createDecoys, type Draw } from './directory/decoys.ts';
import { createDirectoryClient } from './directory/directory-client.ts';
import { createEmbeddedDirectory } from './directory/embedded.ts';
import { createPasswordPolicy, type OpenPasswordPolicy } from './directory/password-policy.ts';
import { createPasswords, type Passwords } from './directory/passwords.ts';
import { createRemoteDirectory } from './directory/remote.ts';
import type { PushService } from './domain/delivery.ts';
import { type Address, ConfigError } from './environment.ts';
import type { Deps } from './flows/accounts.ts';
import { emailWhereAppFailed, withdrawNotifications } from './flows/fallback.ts';
import { signWasNotMe } from './flows/links.ts';
import { sendPasswordReset, signResetLink } from './flows/passwords.ts';
import type { Clock } from './flows/ports.ts';
import { createOrigins } from './location/origins.ts';
import { bundledCityFiles, openPlaces, type Places } from './location/places.ts';
import { joinBuses } from './platform/bus.ts';
import { startPostgresBus } from './platform/bus-postgres.ts';
import { startRedisBus } from './platform/bus-redis.ts';
import { startCallLimiter } from './platform/call-limits.ts';
import { createRandom } from './platform/clock.ts';
import { createDraw } from './platform/draws.ts';
import { type KeySource, openKeyRing } from './platform/key-ring.ts';
import { createAccessTokens, createCodes } from './platform/keys.ts';
import { createLinks } from './platform/links.ts';
import type { Logger } from './platform/log.ts';
import { openRedis } from './platform/redis.ts';
import { secrets } from './platform/secrets.ts';
import { parseServiceTokens, type ServiceGrants } from './platform/service-tokens.ts';
import { createTelemetry } from './platform/telemetry.ts';
import { type OpenTls, openTls, type TlsFiles } from './platform/tls-files.ts';
import { openWatchedFile } from './platform/watched-file.ts';
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
import { isMisconfigured, isPooler, isUnavailable } from './store/database-errors.ts';
import { createDeliveryLog } from './store/delivery-log.ts';
import { readJobStats } from './store/job-stats.ts';
import { maintain, makePartitions } from './store/maintenance.ts';
import { migrate } from './store/migrate.ts';
import { identityOf } from './store/place.ts';
import { openReadReplica, type ReadReplica, replicaPoolSize } from './store/read-replica.ts';
import { createRevocationLog } from './store/revocations.ts';
import {
  createDirectoryEntries,
  createDirectoryWriter,
  createMetAccounts,
  createStore,
  readHeldForms,
} from './store/store.ts';
import { createLiveStore } from './store/streams.ts';

/** What development mode fills in, and production must be given. */
export interface AppConfig extends Config {
  readonly databaseUrl: string;
  readonly smtpUrl: string;
  readonly codeKeys: KeySource;
  readonly signingKeys: KeySource;
}

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
/** The mix of the forms that hashes are kept in changes slowly. */
const decoysEveryMs = 600_000;
/** Where it could not be read. */
const decoysAgainMs = 5_000;

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
  // What needs a session of PostgreSQL's goes past a pooler.
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

/** Where accounts live: beside our own tables, or in the customer's system, where nothing of ours writes. */
async function openDirectory(
  config: AppConfig,
  database: Database,
  draw: Draw,
  clock: Clock,
  log: Logger,
  hashing: Passwords | undefined,
): Promise<Pick<Deps, 'directory' | 'directoryWriter'> & { readonly closeDirectory: () => void }> {
  if (config.directory !== undefined) {
    const client = createDirectoryClient(config.directory, log);
    const directory = createRemoteDirectory(client, createMetAccounts(database, clock.now));
    return { directory, directoryWriter: undefined, closeDirectory: client.close };
  }
  const passwords = hashing ?? createPasswords(config.hashesAtOnce, 200);
  const decoys = createDecoys(() => readHeldForms(database), draw, log);
  let closed = false;
  const mix = async () => {
    const read = await decoys.refresh();
    if (!closed) mixing = setTimeout(mix, read ? decoysEveryMs : decoysAgainMs);
  };
  let mixing: NodeJS.Timeout | undefined;
  await mix();
  return {
    directory: createEmbeddedDirectory(createDirectoryEntries(database), passwords, decoys),
    directoryWriter: createDirectoryWriter(database, passwords.hash, decoys.refresh),
    closeDirectory: () => {
      closed = true;
      clearTimeout(mixing);
    },
  };
}

/** The push services that are configured. */
function pushServicesOf({ apns, fcm }: AppConfig): readonly PushService[] {
  return [...(apns ? (['APNS'] as const) : []), ...(fcm ? (['FCM'] as const) : [])];
}

const logoContentId = 'logo';

function brandOf(config: AppConfig): Brand {
  return {
    name: config.brandName,
    color: config.brandColor,
    logoCid: config.brandLogo && logoContentId,
    support: config.supportContact,
  };
}

function openSenders(config: AppConfig, clock: Clock) {
  const { apns, fcm, brandLogo } = config;
  return {
    mailer: createMailer({
      routes: [config.smtpUrl, ...(config.smtpFallbackUrl === undefined ? [] : [config.smtpFallbackUrl])],
      from: config.mailFrom,
      dkim: config.dkim,
      logo: brandLogo && { ...brandLogo, contentId: logoContentId },
      elapsedMs: () => performance.now(),
    }),
    apns: apns && createApnsSender({ ...apns, now: clock.now }),
    fcm: fcm && createFcmSender({ ...fcm, now: clock.now }),
  };
}

async function openPlacesOf(config: AppConfig, log: Logger): Promise<Places> {
  try {
    return await openPlaces({
      cityFiles: config.geoipCity === undefined ? bundledCityFiles() : [config.geoipCity],
      connectionTypeFile: config.geoipConnectionType,
      asnFile: config.geoipAsn,
      anonymousIpFile: config.geoipAnonymousIp,
      log,
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const settings =
      'COUNTERSIGN_GEOIP_CITY, COUNTERSIGN_GEOIP_CONNECTION_TYPE, COUNTERSIGN_GEOIP_ASN or COUNTERSIGN_GEOIP_ANONYMOUS_IP';
    throw new ConfigError(`${settings}: ${why}`);
  }
}

async function openPasswordPolicyOf(config: AppConfig, log: Logger): Promise<OpenPasswordPolicy> {
  try {
    return await createPasswordPolicy({ breachedFile: config.breachedPasswords, brandName: config.brandName, log });
  } catch (error) {
    throw new ConfigError(`COUNTERSIGN_BREACHED_PASSWORDS: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** What is in files that may be replaced while the server runs. */
async function openFiles(config: AppConfig, clock: Clock, log: Logger) {
  const tls = async (named: TlsFiles | undefined): Promise<OpenTls | undefined> =>
    named && openTls(named, { log, now: clock.now });
  try {
    const [services, codeKeys, signingKeys, publicTls, internalTls] = await Promise.all([
      openServiceGrants(config, log),
      openKeyRing(config.codeKeys, log),
      openKeyRing(config.signingKeys, log),
      tls(config.publicTls),
      tls(config.internalTls),
    ]);
    const close = () => {
      for (const file of [services, codeKeys, signingKeys, publicTls, internalTls]) file?.close();
    };
    return { services, codeKeys, signingKeys, publicTls, internalTls, close };
  } catch (error) {
    // It names its setting.
    throw new ConfigError(error instanceof Error ? error.message : String(error));
  }
}

/** The callers that the settings name, and those of the file, as it is now. */
async function openServiceGrants(config: AppConfig, log: Logger): Promise<ServiceGrants & { close(): void }> {
  const { serviceTokens, serviceTokensFile: path } = config;
  if (path === undefined) return { current: () => serviceTokens, onChange: () => {}, close: () => {} };
  const file = await openWatchedFile({
    path,
    parse: (content) => [...serviceTokens, ...parseServiceTokens(content.toString())],
    log,
    name: 'COUNTERSIGN_SERVICE_TOKENS_FILE',
  });
  return { current: file.current, onChange: file.onChange, close: file.close };
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

const sessionUrlOf = ({ databaseUrl, databaseDirectUrl }: AppConfig) => databaseDirectUrl ?? databaseUrl;

function openReplicaOf(config: AppConfig, primary: Database, log: Logger): ReadReplica | undefined {
  if (config.databaseReplicaUrl === undefined) return undefined;
  const replica = new Database({
    url: config.databaseReplicaUrl,
    poolSize: replicaPoolSize(config.databasePoolSize),
    // Where it takes longer, there is time left to ask the primary.
    patienceMs: Math.floor(config.databasePatienceMs / 3),
    pooled: config.databaseDirectUrl !== undefined,
    standby: true,
  });
  return openReadReplica(replica, primary, () => performance.now(), log);
}

async function migrateWhenReachable(config: AppConfig, clock: Clock, log: Logger): Promise<void> {
  const { databaseUrl, databaseDirectUrl: directUrl } = config;
  const direct = 'COUNTERSIGN_DATABASE_DIRECT_URL';
  if (directUrl !== undefined) {
    const through = await whenReachable('DATABASE_URL', log, () => identityOf(databaseUrl));
    const past = await whenReachable(direct, log, () => identityOf(directUrl));
    // Else what calls write would be in the one, and jobs be looked for in the other.
    if (through !== undefined && past !== undefined && through !== past)
      throw new ConfigError(`DATABASE_URL and ${direct} have to lead to one database, and lead to two`);
  }
  const setting = directUrl === undefined ? 'DATABASE_URL' : direct;
  await whenReachable(setting, log, () => migrate(sessionUrlOf(config), clock.now()));
}

/** At a start of many, or beside a database that starts too, PostgreSQL may not answer yet. */
async function whenReachable<T>(setting: string, log: Logger, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (isMisconfigured(error)) {
        const why = error instanceof Error ? error.message : String(error);
        throw new ConfigError(`${setting} takes a database that can be used as it says: ${why}`);
      }
      if (isPooler(error)) {
        const direct = 'COUNTERSIGN_DATABASE_DIRECT_URL takes the one behind it';
        throw new ConfigError(`${setting} leads through a pooler, which has no sessions of PostgreSQL: ${direct}`);
      }
      if (!isUnavailable(error)) throw error;
      log.warn(
        { why: error instanceof Error ? error.message : String(error) },
        `PostgreSQL is not reachable by ${setting}; trying again`,
      );
      await sleep(500);
    }
  }
}
