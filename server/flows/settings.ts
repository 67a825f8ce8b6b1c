// The account's settings: switching on never asks, switching off asks for a code.

import type { Account } from '../domain/account.ts';
import {
  type AppDevice,
  appAudience,
  type Channel,
  type ChannelView,
  chooseDefaultChannel,
  viewChannels,
} from '../domain/challenge.ts';
import type { LoginEvent } from '../domain/login-event.ts';
import { maskEmail } from '../domain/mask.ts';
import { isVerified } from '../domain/session.ts';
import { appendAndAlert } from './alerts.ts';
import { type ChallengeGrant, openChallenge, tryCode, viewIn } from './codes.ts';
import {
  type Deps,
  decideFor,
  describe,
  directoryAccountOf,
  eventOfDevice,
  type Outcome,
  refuse,
  type SignedInCaller,
} from './context.ts';
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
  const now = deps.clock.now();
  const { accountId } = caller.session;
  const [devices, emailOpen, directory] = await Promise.all([
    deps.store.appDevices(accountId, now),
    deps.store.emailOpen(accountId),
    directoryAccountOf(deps, caller),
  ]);
  return settingsOf(deps, caller, caller.account, directory, { devices, emailOpen }, now);
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
    const settings = async (as: Account, devices: readonly AppDevice[]): Promise<SettingsResult> => ({
      settings: settingsOf(deps, caller, as, directory, { devices, emailOpen: await tx.emailOpen() }, now),
    });
    const unchanged = update.twoStepEnabled === undefined || update.twoStepEnabled === account.twoStepEnabled;
    if (unchanged) return { ok: await settings(account, await tx.appDevices(now)) };

    const switchTo = async (changed: Account, more: Partial<LoginEvent>): Promise<Outcome<SettingsResult>> => {
      const devices = await tx.appDevices(now);
      tx.saveAccount(changed);
      const event = eventOfDevice(deps, caller, 'SETTINGS_CHANGED', now, more);
      const kind = changed.twoStepEnabled ? 'TWO_STEP_ON' : 'TWO_STEP_OFF';
      appendAndAlert(deps, tx, kind, event, devices, caller.device.deviceId, now);
      return { ok: await settings(changed, devices) };
    };
    if (update.twoStepEnabled === true) return switchTo({ ...account, twoStepEnabled: true }, {});

    if (!isVerified(caller.session)) return refuse({ reason: 'DEVICE_NOT_TRUSTED' });
    if (update.challengeToken === '') {
      const device = describe(caller.device, caller.appVersion);
      const opened = await openChallenge(
        deps,
        tx,
        { account, directory },
        caller,
        { purpose: 'SWITCH_OFF', requestId: null, sessionId, deviceId: caller.device.deviceId, device },
        [],
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
    tx.saveChallenge({ ...challenge, state: 'VERIFIED', settleTime: now });
    return switchTo({ ...tried.ok.account, twoStepEnabled: false }, { challengeId: challenge.challengeId });
  });
}

function settingsOf(
  deps: Deps,
  caller: SignedInCaller,
  account: Pick<Account, 'twoStepEnabled' | 'passwordChangeRequired'>,
  directory: DirectoryAccount,
  reached: { readonly devices: readonly AppDevice[]; readonly emailOpen: boolean },
  now: Date,
): Settings {
  // As for a code that this device asked for: its own screen does not count.
  const audience = appAudience(reached.devices, caller.device.deviceId);
  const around = { codeSends: [], audience, emailOpen: reached.emailOpen };
  const defaultChannel = chooseDefaultChannel(around);
  return {
    twoStepEnabled: account.twoStepEnabled,
    defaultChannel,
    channels: viewChannels(maskEmail(directory.email), defaultChannel, undefined, around, deps.limits, now),
    passwordChangeRequired: account.passwordChangeRequired,
  };
}
