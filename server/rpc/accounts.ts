// countersign.internal.v1.Accounts: message → flow → message.

import type { ServiceImpl } from '@connectrpc/connect';
import type { Accounts } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import {
  createAccount,
  type Deps,
  deleteAccount,
  getAccount,
  resetVerification,
  setPassword,
  updateAccount,
} from '../flows/accounts.ts';
import { accountToProto } from './convert.ts';

export function accounts(deps: Deps): Partial<ServiceImpl<typeof Accounts>> {
  return {
    async createAccount({ email, password, locale }) {
      return { account: accountToProto(await createAccount(deps, { email, password, locale })) };
    },
    async getAccount({ key }) {
      const by = key.case === 'email' ? { email: key.value } : { accountId: key.value ?? '' };
      return { account: accountToProto(await getAccount(deps, by)) };
    },
    async updateAccount({ accountId, email, locale }) {
      const change = { ...(email === undefined ? {} : { email }), ...(locale === undefined ? {} : { locale }) };
      return { account: accountToProto(await updateAccount(deps, accountId, change)) };
    },
    async setPassword({ accountId, password }) {
      return { account: accountToProto(await setPassword(deps, accountId, password)) };
    },
    async resetVerification({ accountId }) {
      return { account: accountToProto(await resetVerification(deps, accountId)) };
    },
    async deleteAccount({ accountId }) {
      await deleteAccount(deps, accountId);
      return {};
    },
  };
}
