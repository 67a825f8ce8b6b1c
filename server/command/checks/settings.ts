// The settings themselves: what is wrong with them or missing, what nothing reads, and what does not fit together.

import type { Config } from '../../config.ts';
import type { ConfigError } from '../../environment.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

export function checkSettings(config: Config, faults: readonly ConfigError[]): Finding[] {
  const findings = faults.map(({ message, settings }) =>
    settings.includes('COUNTERSIGN_SERVICE_TOKEN') && config.developmentServiceToken !== undefined
      ? warn(message, 'unset it for the server, which does not start with it; the command may have it')
      : fail(message, 'the server does not start with this'),
  );
  if (config.unknownSettings.length > 0) {
    findings.push(
      warn(`nothing reads ${config.unknownSettings.join(', ')}`, 'typing errors? the README lists all settings'),
    );
  }
  if (config.mode === 'development') {
    findings.push(
      warn('COUNTERSIGN_MODE is development', 'COUNTERSIGN_MODE=production refuses to start without what it needs'),
    );
  }
  return findings.length === 0 ? [ok('production has what it needs, and nothing that it does not know')] : findings;
}

export function checkProxies({ proxyEndsTls, trustedProxies }: Config): Finding[] {
  const loopbackOnly = trustedProxies.every(([network]) => network.range() === 'loopback');
  if (trustedProxies.some(([, bits]) => bits === 0)) {
    return [
      fail(
        'COUNTERSIGN_TRUSTED_PROXIES trusts every address: anybody can claim any address by x-forwarded-for',
        'name only the networks of your own proxies',
      ),
    ];
  }
  if (proxyEndsTls && loopbackOnly) {
    return [
      warn(
        'COUNTERSIGN_TRUSTED_PROXIES is loopback only, and a proxy ends TLS',
        "if that proxy is on another machine, name its network: else every person has the proxy's address, and they share its limits",
      ),
    ];
  }
  return [ok(`${trustedProxies.length} networks of proxies are trusted for x-forwarded-for`)];
}
