// countersign.v1.TwoStepAuth: message → flow → message.

import type { ServiceImpl } from '@connectrpc/connect';
import type { TwoStepAuth } from '../../gen/countersign/v1/two_step_auth_pb.ts';
import { getChallenge, sendCode } from '../flows/codes.ts';
import { listPendingCodes } from '../flows/codes-in-app.ts';
import type { Deps } from '../flows/context.ts';
import { denyChallenge } from '../flows/denial.ts';
import { refreshSession, signOut } from '../flows/sessions.ts';
import { getSettings, type Settings, updateSettings } from '../flows/settings.ts';
import { signIn, verifyCode } from '../flows/sign-in.ts';
import { callerOf, signedInOf } from './call.ts';
import {
  adviceToProto,
  challengeToProto,
  channelFromProto,
  channelToOption,
  channelToProto,
  deviceChallengeToProto,
  deviceFromProto,
  grantToProto,
  readerOf,
  sessionToProto,
} from './convert.ts';

export function twoStepAuth(deps: Deps): ServiceImpl<typeof TwoStepAuth> {
  return {
    async signIn(request, context) {
      const caller = callerOf(context);
      const result = await signIn(
        deps,
        {
          email: request.email,
          password: request.password,
          device: deviceFromProto(request.device, caller.appVersion),
          deviceToken: request.deviceToken,
          requestId: request.requestId === '' ? null : request.requestId.toLowerCase(),
        },
        caller,
      );
      const locale = caller.locale ?? 'en';
      return 'session' in result
        ? { result: { case: 'session', value: sessionToProto(result.session, locale) } }
        : { result: { case: 'challengeGrant', value: grantToProto(result.challengeGrant, locale) } };
    },
    async sendCode(request, context) {
      const challenge = await sendCode(deps, request.challengeToken, channelFromProto(request.channel));
      return { challenge: challengeToProto(challenge, callerOf(context).locale ?? 'en') };
    },
    async verifyCode(request, context) {
      const caller = callerOf(context);
      const trustDevice = request.trustDevice ?? true;
      const session = await verifyCode(deps, request.challengeToken, digitsOf(request.code), trustDevice, caller);
      return { session: sessionToProto(session, caller.locale ?? 'en') };
    },
    async getChallenge(request, context) {
      const challenge = await getChallenge(deps, request.challengeToken);
      return { challenge: challengeToProto(challenge, callerOf(context).locale ?? 'en') };
    },
    async listPendingCodes(_request, context) {
      const caller = signedInOf(context);
      const codes = await listPendingCodes(deps, caller);
      return {
        pendingCodes: codes.map(({ challenge, code }) => ({
          challenge: deviceChallengeToProto(challenge, readerOf(deps, caller)),
          code,
        })),
      };
    },
    async denyChallenge({ challengeId }, context) {
      const caller = signedInOf(context);
      const advice = await denyChallenge(deps, challengeId.toLowerCase(), caller);
      return { advice: adviceToProto(advice, caller.locale ?? 'en') };
    },
    async refreshSession(request, context) {
      const caller = callerOf(context);
      const session = await refreshSession(deps, request.refreshToken, caller);
      return { session: sessionToProto(session, caller.locale ?? 'en') };
    },
    async signOut(request, context) {
      await signOut(deps, signedInOf(context), request.everywhere);
      return {};
    },
    async getSettings(_request, context) {
      const caller = signedInOf(context);
      return settingsToProto(await getSettings(deps, caller), caller.locale ?? 'en');
    },
    async updateSettings(request, context) {
      const caller = signedInOf(context);
      const locale = caller.locale ?? 'en';
      const { twoStepEnabled, challengeToken } = request;
      const code = digitsOf(request.code);
      const result = await updateSettings(deps, { twoStepEnabled, challengeToken, code }, caller);
      return 'settings' in result
        ? { result: { case: 'settings', value: settingsToProto(result.settings, locale) } }
        : { result: { case: 'challengeGrant', value: grantToProto(result.challengeGrant, locale) } };
    },
  };
}

/** People copy codes with spaces. */
const digitsOf = (code: string): string => code.replaceAll(' ', '');

function settingsToProto(settings: Settings, locale: string) {
  return {
    twoStepEnabled: settings.twoStepEnabled,
    defaultChannel: channelToProto(settings.defaultChannel),
    channels: settings.channels.map((channel) => channelToOption(channel, locale)),
    passwordChangeRequired: settings.passwordChangeRequired,
  };
}
