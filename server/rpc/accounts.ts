// countersign.internal.v1.Accounts: message → flow → message.

import type { ServiceImpl } from '@connectrpc/connect';
import type { Accounts } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import { DomainError } from '../domain/errors.ts';
import type { LegacyRefusal } from '../domain/legacy-sign-in.ts';
import {
  createAccount,
  type Deps,
  deleteAccount,
  getAccount,
  resetVerification,
  setPassword,
  updateAccount,
} from '../flows/accounts.ts';
import { importAccounts } from '../flows/import.ts';
import { authorizeLegacySignIn } from '../flows/legacy-sign-in.ts';
import { parseAddress } from '../platform/client-address.ts';
import { textsFor } from '../texts/texts.ts';
import type { GateSettings } from './client-version.ts';
import {
  accountNameFromProto,
  accountToProto,
  importResultToProto,
  legacyRefusalToProto,
  platformFromProto,
} from './convert.ts';

/** What older generations of the app are held to, as the gate holds the others. */
export type LegacySettings = Pick<GateSettings, 'minimumVersions' | 'updateUrls'>;

export function accounts(deps: Deps, { minimumVersions, updateUrls }: LegacySettings): ServiceImpl<typeof Accounts> {
  return {
    async createAccount({ email, password, locale }) {
      return { account: accountToProto(await createAccount(deps, { email, password, locale })) };
    },
    async getAccount({ key }) {
      return { account: accountToProto(await getAccount(deps, accountNameFromProto(key))) };
    },
    async updateAccount({ accountId, email, locale }) {
      const change = { ...(email === undefined ? {} : { email }), ...(locale === undefined ? {} : { locale }) };
      return { account: accountToProto(await updateAccount(deps, accountId, change)) };
    },
    async setPassword({ accountId, password }) {
      return { account: accountToProto(await setPassword(deps, accountId, password)) };
    },
    async resetVerification({ accountId, forgetTrustedDevices }) {
      return { account: accountToProto(await resetVerification(deps, accountId, forgetTrustedDevices)) };
    },
    async deleteAccount({ accountId }) {
      await deleteAccount(deps, accountId);
      return {};
    },
    async batchImportAccounts({ accounts }) {
      return { results: (await importAccounts(deps, accounts)).map(importResultToProto) };
    },
    async authorizeLegacySignIn(request) {
      const { accountId, clientVersion } = request;
      const platform = platformFromProto(request.platform);
      const ipAddress = addressOf(request.ipAddress);
      const minimum = minimumVersions[platform];
      const asked = { accountId, clientVersion, platform, ipAddress };
      const { refusal, locale } = await authorizeLegacySignIn(deps, asked, minimum);
      return {
        allowed: refusal === undefined,
        minimumVersion: minimum.text,
        updateUrl: updateUrls[platform] ?? '',
        ...(refusal === undefined
          ? {}
          : { reason: legacyRefusalToProto(refusal), message: legacyMessage(refusal, locale) }),
      };
    },
  };
}

function legacyMessage(refusal: LegacyRefusal, locale: string): string {
  const { twoStepRequired, reasons } = textsFor(locale);
  return refusal === 'TWO_STEP_REQUIRED' ? twoStepRequired : reasons[refusal];
}

/** Refuses what is no address: an entry of the login activity would say nothing of where it came from, and nobody would notice. */
function addressOf(text: string): string {
  const address = text === '' ? undefined : parseAddress(text);
  if (text !== '' && address === undefined) {
    const description = 'takes an IPv4 or IPv6 address, or nothing where it is unknown';
    throw new DomainError({ reason: 'REQUEST_INVALID', violations: [{ field: 'ip_address', description }] });
  }
  return address?.toString() ?? '';
}
