// Who may call what, and which calls leave an audit record: one line an RPC. A new RPC does not compile until it is here.

import type { DescMethod, DescService } from '@bufbuild/protobuf';
import { Accounts } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import { Sessions } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { Support } from '../../gen/countersign/internal/v1/support_pb.ts';
import { Account } from '../../gen/countersign/v1/account_pb.ts';
import { LoginActivity } from '../../gen/countersign/v1/login_activity_pb.ts';
import { TrustedDevices } from '../../gen/countersign/v1/trusted_devices_pb.ts';
import { TwoStepAuth } from '../../gen/countersign/v1/two_step_auth_pb.ts';
import type { Level } from '../flows/sessions.ts';
import type { Scope } from '../platform/service-tokens.ts';

/**
 * `none`: the call holds its own secret. `costly`: so it does, and even one that a stranger makes up costs a password hash, may send
 * a mail, or guesses; they are counted apart.
 */
type Access = Level | 'none' | 'costly';
type LevelsOf<S extends DescService> = Readonly<Record<keyof S['method'], Access>>;
/** The scope that it needs; and whether it writes something or looks a person up, and so is audited. */
type RulesOf<S extends DescService> = Readonly<Record<keyof S['method'], readonly [Scope, 'audited' | 'not audited']>>;

const twoStepAuth: LevelsOf<typeof TwoStepAuth> = {
  signIn: 'costly',
  sendCode: 'costly',
  verifyCode: 'costly',
  getChallenge: 'none',
  listPendingCodes: 'trusted',
  denyChallenge: 'trusted',
  refreshSession: 'none',
  signOut: 'session',
  getSettings: 'session',
  updateSettings: 'session',
};
const trustedDevices: LevelsOf<typeof TrustedDevices> = {
  listTrustedDevices: 'session',
  removeTrustedDevice: 'verified',
  updateDevice: 'session',
  watchDevice: 'session',
};
const loginActivity: LevelsOf<typeof LoginActivity> = { listLoginActivity: 'session', reportLoginActivity: 'verified' };
const account: LevelsOf<typeof Account> = {
  getAccount: 'session',
  changePassword: 'session',
  requestPasswordReset: 'costly',
  resetPassword: 'costly',
};

export const accounts = {
  createAccount: ['accounts', 'audited'],
  getAccount: ['accounts', 'audited'],
  updateAccount: ['accounts', 'audited'],
  setPassword: ['accounts', 'audited'],
  resetVerification: ['accounts', 'audited'],
  deleteAccount: ['accounts', 'audited'],
  batchImportAccounts: ['accounts', 'audited'],
  authorizeLegacySignIn: ['legacy', 'audited'],
} as const satisfies RulesOf<typeof Accounts>;

export const sessions = {
  introspectSession: ['sessions', 'not audited'],
  listSessions: ['sessions', 'audited'],
  revokeSessions: ['sessions', 'audited'],
  watchRevocations: ['sessions', 'not audited'],
  getSigningKeys: ['sessions', 'not audited'],
} as const satisfies RulesOf<typeof Sessions>;

export const support = {
  traceChallenge: ['support', 'audited'],
  getAccountSecurity: ['support', 'audited'],
  listAuditRecords: ['support', 'audited'],
} as const satisfies RulesOf<typeof Support>;

const levels = new Map<DescMethod, Access>([
  ...entries(TwoStepAuth, twoStepAuth),
  ...entries(TrustedDevices, trustedDevices),
  ...entries(LoginActivity, loginActivity),
  ...entries(Account, account),
]);
const rules = new Map<DescMethod, readonly [Scope, 'audited' | 'not audited']>([
  ...entries(Accounts, accounts),
  ...entries(Sessions, sessions),
  ...entries(Support, support),
]);

function entries<T>(service: DescService, values: Readonly<Record<string, T>>): [DescMethod, T][] {
  return service.methods.map((method) => {
    const value = values[method.localName];
    if (value === undefined) throw new Error(`${service.typeName}.${method.name} has no access rule`);
    return [method, value];
  });
}

/** The level that a public RPC needs; undefined for what is not ours, such as health. */
export function levelOf(method: DescMethod): Level | 'none' | undefined {
  const access = levels.get(method);
  return access === 'costly' ? 'none' : access;
}

/** Whether a stranger's call costs more than looking something up. */
export const isCostly = (method: DescMethod): boolean => levels.get(method) === 'costly';

/** The scope that an internal RPC needs; undefined for what is not ours. */
export const scopeOf = (method: DescMethod): Scope | undefined => rules.get(method)?.[0];
