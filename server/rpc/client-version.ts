// The gate: every call of countersign.v1 says which app it is, and old ones are refused before anything of theirs is read.

import type { ConnectError } from '@connectrpc/connect';
import { type ClientVersion, decideGate, type GateDecision } from '../domain/client-version.ts';
import { type Platform, platforms } from '../domain/device.ts';
import { refusalToConnectError } from './errors.ts';
import { localeOf } from './locale.ts';

export const versionHeader = 'countersign-client-version';
export const platformHeader = 'countersign-client-platform';
export const minimumHeader = 'countersign-minimum-version';

const longestEcho = 100;

export interface GateSettings {
  readonly minimumVersions: Readonly<Record<Platform, ClientVersion>>;
  readonly pendingVersions: Readonly<Partial<Record<Platform, ClientVersion>>>;
  readonly updateUrls: Readonly<Partial<Record<Platform, string>>>;
  /** Told of each call that a minimum to come would refuse. */
  readonly onRefusedSoon: (platform: Platform, version: string) => void;
}

export interface Gate {
  /** The refusal of a call by its headers, or undefined where it is let in. */
  admit(header: Headers): ConnectError | undefined;
  /** The lowest version that is served to this caller's platform; the common one where it names none. */
  minimumFor(header: Headers): string;
}

export function createGate(settings: GateSettings): Gate {
  const minimumOf = (platform: Platform | undefined) => settings.minimumVersions[platform ?? 'WEB'];
  return {
    admit(header) {
      const platform = platformOf(header);
      const version = header.get(versionHeader);
      const pending = platform && settings.pendingVersions[platform];
      const claimed = { version, platform, platformMissing: !header.get(platformHeader) };
      const decision: GateDecision = decideGate(claimed, minimumOf(platform), pending);
      if (decision.admitted) {
        if (decision.refusedSoon && platform !== undefined) settings.onRefusedSoon(platform, decision.version.text);
        return undefined;
      }
      const requirement = {
        platform,
        clientVersion: (version ?? '').slice(0, longestEcho),
        minimumVersion: minimumOf(platform).text,
        updateUrl: (platform && settings.updateUrls[platform]) ?? '',
      };
      return refusalToConnectError({ reason: decision.reason, requirement }, localeOf(header) ?? 'en');
    },
    minimumFor: (header) => minimumOf(platformOf(header)).text,
  };
}

export function platformOf(header: Headers): Platform | undefined {
  const claimed = header.get(platformHeader);
  return platforms.find((platform) => platform.toLowerCase() === claimed);
}
