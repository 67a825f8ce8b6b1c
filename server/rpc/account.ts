// countersign.v1.Account: message → flow → message.

import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Account } from '../../gen/countersign/v1/account_pb.ts';
import type { Deps } from '../flows/accounts.ts';
import { changePassword, getProfile, type Profile, requestPasswordReset, resetPassword } from '../flows/passwords.ts';
import { callerOf, signedInOf } from './call.ts';

export function account(deps: Deps): ServiceImpl<typeof Account> {
  return {
    async getAccount(_request, context) {
      return { account: profileToProto(await getProfile(deps, signedInOf(context))) };
    },
    async changePassword({ currentPassword, newPassword, endTrustedDevices }, context) {
      const change = { currentPassword, newPassword, endTrustedDevices };
      return { account: profileToProto(await changePassword(deps, change, signedInOf(context))) };
    },
    async requestPasswordReset({ email }, context) {
      await requestPasswordReset(deps, email, callerOf(context));
      return {};
    },
    async resetPassword({ resetToken: token, newPassword, endTrustedDevices }, context) {
      await resetPassword(deps, { token, newPassword, endTrustedDevices }, callerOf(context).ipAddress);
      return {};
    },
  };
}

function profileToProto({ accountId, email, locale, account: ours }: Profile) {
  return {
    accountId,
    email,
    locale,
    twoStepEnabled: ours.twoStepEnabled,
    passwordChangeRequired: ours.passwordChangeRequired,
    createTime: timestampFromDate(ours.createTime),
  };
}
