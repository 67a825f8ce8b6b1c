// The files that settings name, opened and watched. What can't be opened is a ConfigError, which names its setting.

import { createPasswordPolicy, type OpenPasswordPolicy } from '../directory/password-policy.ts';
import { ConfigError } from '../environment.ts';
import type { Clock } from '../flows/ports.ts';
import { bundledCityFiles, openPlaces, type Places } from '../location/places.ts';
import { openKeyRing } from '../platform/key-ring.ts';
import type { Logger } from '../platform/log.ts';
import { parseServiceTokens, type ServiceGrants } from '../platform/service-tokens.ts';
import { type OpenTls, openTls, type TlsFiles } from '../platform/tls-files.ts';
import { openWatchedFile } from '../platform/watched-file.ts';
import type { AppConfig } from './app-config.ts';

export async function openPlacesOf(config: AppConfig, log: Logger): Promise<Places> {
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

export async function openPasswordPolicyOf(config: AppConfig, log: Logger): Promise<OpenPasswordPolicy> {
  try {
    return await createPasswordPolicy({ breachedFile: config.breachedPasswords, brandName: config.brandName, log });
  } catch (error) {
    throw new ConfigError(`COUNTERSIGN_BREACHED_PASSWORDS: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** What is in files that may be replaced while the server runs. */
export async function openFiles(config: AppConfig, clock: Clock, log: Logger) {
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
