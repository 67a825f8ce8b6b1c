// The account's settings: switching on never asks, switching off asks for a code.

import { type Channel, type ChannelView, viewEmail } from '../domain/challenge.ts';
import { DomainError } from '../domain/errors.ts';
import { maskEmail } from '../domain/mask.ts';
import { isVerified } from '../domain/session.ts';
import { type ChallengeGrant, openChallenge, tryCode, viewIn } from './codes.ts';
import { type Deps, decideFor, eventOfDevice, refuse, type SignedInCaller } from './context.ts';
import type { DirectoryAccount } from './ports.ts';

export interface Settings {
  readonly twoStepEnabled: boolean;
  readonly defaultChannel: Channel;
  /** The default one first. */
  readonly channels: readonly ChannelView[];
  readonly passwordChangeRequired: boolean;
}

export type SettingsResult = { readonly settings: Settings } | { readonly challengeGrant: ChallengeGrant };

export interface SettingsUpdate {
  readonly twoStepEnabled: boolean | undefined;
  /** The switch-off challenge's secret and code, or empty. */
  readonly challengeToken: string;
  readonly code: string;
}

export async function getSettings(deps: Deps, caller: SignedInCaller): Promise<Settings> {
  return settingsOf(deps, caller.account, await directoryAccountOf(deps, caller));
}

export async function updateSettings(
  deps: Deps,
  update: SettingsUpdate,
  caller: SignedInCaller,
): Promise<SettingsResult> {
  const directory = await directoryAccountOf(deps, caller);
  const now = deps.clock.now();
  const { accountId, sessionId } = caller.session;
  return decideFor<SettingsResult>(deps, caller, async (tx, account) => {
    const unchanged = update.twoStepEnabled === undefined || update.twoStepEnabled === account.twoStepEnabled;
    if (unchanged) return { ok: { settings: settingsOf(deps, account, directory) } };

    if (update.twoStepEnabled === true) {
      const switchedOn = { ...account, twoStepEnabled: true };
      await tx.saveAccount(switchedOn);
      await tx.appendEvent(eventOfDevice(deps, caller, 'SETTINGS_CHANGED', now));
      return { ok: { settings: settingsOf(deps, switchedOn, directory) } };
    }

    if (!isVerified(caller.session)) return refuse({ reason: 'DEVICE_NOT_TRUSTED' });
    if (update.challengeToken === '') {
      const { displayName, model, platform, osVersion } = caller.device;
      const device = { displayName, model, platform, osVersion, appVersion: caller.appVersion };
      const opened = await openChallenge(
        deps,
        tx,
        { account, directory },
        caller,
        { purpose: 'SWITCH_OFF', requestId: null, sessionId, device },
        now,
      );
      return 'refused' in opened ? opened : { ok: { challengeGrant: opened.ok } };
    }

    // Unset is no guess, and is not counted as one.
    if (update.code === '') {
      const violations = [{ field: 'code', description: 'must come with challenge_token' }];
      return refuse({ reason: 'REQUEST_INVALID', violations });
    }
    const held = deps.secrets.read(update.challengeToken);
    const challenge = held?.accountId === accountId ? await tx.challengeByToken(held.hash) : undefined;
    if (challenge?.purpose !== 'SWITCH_OFF' || challenge.sessionId !== sessionId) {
      return refuse({ reason: 'CHALLENGE_UNKNOWN' });
    }
    const tried = await tryCode(deps, tx, account, challenge, update.code, caller, now);
    if ('refused' in tried) return tried;
    // A code switches off once: who switched on again since then is asked again.
    if (tried.ok.again)
      return refuse({ reason: 'CHALLENGE_CLOSED', challenge: await viewIn(deps, tx, challenge, now) });
    const switchedOff = { ...tried.ok.account, twoStepEnabled: false };
    await tx.saveAccount(switchedOff);
    await tx.saveChallenge({ ...challenge, state: 'VERIFIED', settleTime: now });
    await tx.appendEvent(eventOfDevice(deps, caller, 'SETTINGS_CHANGED', now, { challengeId: challenge.challengeId }));
    return { ok: { settings: settingsOf(deps, switchedOff, directory) } };
  });
}

function settingsOf(
  deps: Deps,
  account: { readonly twoStepEnabled: boolean; readonly passwordChangeRequired: boolean },
  directory: DirectoryAccount,
): Settings {
  return {
    twoStepEnabled: account.twoStepEnabled,
    defaultChannel: 'EMAIL',
    channels: [viewEmail(maskEmail(directory.email), undefined, {}, deps.limits, deps.clock.now())],
    passwordChangeRequired: account.passwordChangeRequired,
  };
}

async function directoryAccountOf(deps: Deps, caller: SignedInCaller): Promise<DirectoryAccount> {
  const account = await deps.directory.getAccount(caller.session.accountId);
  if (account === undefined) throw new DomainError({ reason: 'SESSION_INVALID', cause: 'UNKNOWN' });
  return account;
}
