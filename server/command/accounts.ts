// `countersign accounts`: one account at a time.

import { CountersignError } from '../../clients/errors.ts';
import { type Account, AccountSchema } from '../../gen/countersign/internal/v1/account_pb.ts';
import { type AccountSecurity, AccountSecuritySchema } from '../../gen/countersign/internal/v1/account_security_pb.ts';
import {
  CreateAccountResponseSchema,
  ResetVerificationResponseSchema,
} from '../../gen/countersign/internal/v1/accounts_pb.ts';
import { RouteSchema } from '../../gen/countersign/internal/v1/challenge_trace_pb.ts';
import {
  ChallengePurposeSchema,
  ChallengeStateSchema,
  ChannelSchema,
  DeliverySchema,
} from '../../gen/countersign/v1/challenge_pb.ts';
import type { Environment } from '../environment.ts';
import { accountIdOf, type ConnectionOptions, connect, nameOf } from './connection.ts';
import { deviceName, placeName } from './names.ts';
import { type Answer, fields, messageJson, moment, paragraphs, table, words, yesOrNo } from './output.ts';
import { readPassword } from './password.ts';

export interface CreateOptions extends ConnectionOptions {
  readonly email: string;
  readonly locale: string;
  readonly passwordStdin?: true;
}

export async function createAccount(options: CreateOptions, env: Environment): Promise<Answer> {
  const client = await connect(options, env);
  const password = await readPassword(options.passwordStdin === true);
  const created = await client.accounts.createAccount({ email: options.email, locale: options.locale, password });
  return { json: messageJson(CreateAccountResponseSchema, created), text: accountText(created.account) };
}

export async function showAccount(name: string, options: ConnectionOptions, env: Environment): Promise<Answer> {
  const client = await connect(options, env);
  const [{ account }, { accountSecurity }] = await Promise.all([
    client.accounts.getAccount({ key: nameOf(name) }).catch(nothingOutOfScope),
    client.support.getAccountSecurity({ account: nameOf(name) }),
  ]);
  return {
    json: {
      account: account === undefined ? null : messageJson(AccountSchema, account),
      accountSecurity: accountSecurity === undefined ? null : messageJson(AccountSecuritySchema, accountSecurity),
    },
    text: paragraphs(
      accountText(account ?? accountSecurity),
      accountSecurity === undefined ? '' : securityText(accountSecurity),
    ),
  };
}

/** The support desk has the scope `support` alone, which tells all but the address and the day. */
function nothingOutOfScope(error: unknown): { readonly account?: Account } {
  if (CountersignError.is(error, 'SCOPE_MISSING')) return {};
  throw error;
}

export interface UnlockOptions extends ConnectionOptions {
  readonly forgetDevices?: true;
}

export async function unlockAccount(name: string, options: UnlockOptions, env: Environment): Promise<Answer> {
  const client = await connect(options, env);
  const forgetTrustedDevices = options.forgetDevices === true;
  const accountId = await accountIdOf(client, name);
  const reset = await client.accounts.resetVerification({ accountId, forgetTrustedDevices });
  const devices = forgetTrustedDevices ? ' Its trusted devices are put out.' : '';
  return {
    json: messageJson(ResetVerificationResponseSchema, reset),
    text: paragraphs(`The wrong codes are forgotten; verification is open.${devices}`, accountText(reset.account)),
  };
}

export async function deleteAccount(accountId: string, options: ConnectionOptions, env: Environment): Promise<Answer> {
  const client = await connect(options, env);
  await client.accounts.deleteAccount({ accountId });
  return { json: {}, text: 'The account is erased, with everything that was kept of it.' };
}

function accountText(account: Account | AccountSecurity | undefined): string {
  if (account === undefined) return '';
  return fields({
    account: account.accountId,
    address: 'email' in account ? account.email : account.maskedEmail,
    language: account.locale,
    created: 'email' in account ? moment(account.createTime) : '',
    'two-step verification': account.twoStepEnabled ? 'on' : 'off',
    'new password needed': yesOrNo(account.passwordChangeRequired),
    'verification locked': account.verificationLocked ? 'yes: `countersign accounts unlock` opens it' : 'no',
  });
}

function securityText(security: AccountSecurity): string {
  const devices = table(
    ['device', 'app', 'trusted', 'signed in', 'open', 'push', 'last used', 'place', 'name'],
    security.devices.map(({ device, ...rest }) => [
      rest.deviceId,
      device?.appVersion ?? '',
      yesOrNo(rest.trusted),
      yesOrNo(rest.signedIn),
      yesOrNo(rest.appOpen),
      words(RouteSchema, rest.push),
      moment(rest.lastUseTime),
      placeName(rest.lastLocation),
      deviceName(device),
    ]),
  );
  const challenges = table(
    ['challenge', 'purpose', 'state', 'opened', 'by app', 'by e-mail', 'app', 'model'],
    security.recentChallenges.map((challenge) => [
      challenge.challengeId,
      words(ChallengePurposeSchema, challenge.purpose),
      words(ChallengeStateSchema, challenge.state),
      moment(challenge.createTime),
      words(DeliverySchema, challenge.byApp),
      words(DeliverySchema, challenge.byEmail),
      challenge.appVersion,
      challenge.model,
    ]),
  );
  return paragraphs(
    fields({
      'wrong codes since the last right one': String(security.wrongCodes),
      'a code would go first by': words(ChannelSchema, security.defaultChannel),
      'codes by e-mail': yesOrNo(security.emailOpen),
    }),
    devices === '' ? 'No devices.' : devices,
    challenges === '' ? 'No challenges within 30 days.' : challenges,
  );
}
