// Accounts that live in the customer's own system. Knows no wire and no SQL; holds that each account which that system names has its
// row with us, so that no flow has to look.

import type { DirectoryAccount as Named } from '../../gen/countersign/directory/v1/directory_pb.ts';
import { Directory as Service } from '../../gen/countersign/directory/v1/directory_pb.ts';
import type { Directory, DirectoryAccount } from '../flows/ports.ts';
import { type DirectoryClient, unusable } from './directory-client.ts';

/** What is kept here of accounts that live elsewhere; the store has it. */
export interface MetAccounts {
  /**
   * Makes our row of an account where there is none, as CreateAccount does, and returns the version of its password. Without an
   * account it does the same work in vain: whoever waits must not learn by it whether there is one.
   */
  meet(accountId: string | undefined): Promise<number | undefined>;
}

export function createRemoteDirectory({ ask }: DirectoryClient, accounts: MetAccounts): Directory {
  const { lookUpAccount, verifyPassword, getAccount } = Service.method;
  return {
    // In this order: the password's version is older than the comparison, so one that was changed meanwhile is noticed.
    verifyPassword: async (email, password, ipAddress) => {
      const { account: known } = await ask(lookUpAccount, { email });
      const passwordVersion = await accounts.meet(known?.accountId);
      const { account: matching } = await ask(verifyPassword, { email, password, ipAddress });
      if (matching !== undefined && matching.accountId !== known?.accountId) {
        throw unusable('VerifyPassword named another account than LookUpAccount');
      }
      const account = matching ?? known;
      return { account: account && toAccount(account), matches: matching !== undefined, passwordVersion };
    },
    getAccount: async (accountId) => {
      const { account } = await ask(getAccount, { accountId });
      if (account === undefined) return undefined;
      if (account.accountId !== accountId) throw unusable('GetAccount named another account than it was asked for');
      await accounts.meet(accountId);
      return toAccount(account);
    },
    lookUpAccount: async (email) => {
      const { account } = await ask(lookUpAccount, { email });
      await accounts.meet(account?.accountId);
      return account && toAccount(account);
    },
  };
}

function toAccount({ accountId, email, locale }: Named): DirectoryAccount {
  return { accountId, email, locale: locale || 'en' };
}
