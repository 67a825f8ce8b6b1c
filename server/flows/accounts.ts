// The accounts, for the app's backend: only where the directory is embedded can they be created or given a password.

import { type Account, admitVerification } from '../domain/account.ts';
import { DomainError } from '../domain/errors.ts';
import { appendAndAlert } from './alerts.ts';
import { type Deps as CommonDeps, decide, eventOf, refuse } from './context.ts';
import { guessKeys } from './password-guesses.ts';
import type { DirectoryAccount, DirectoryWriter, PasswordPolicy } from './ports.ts';
import { replacePassword } from './replace-password.ts';

export interface Deps extends CommonDeps {
  readonly directoryWriter: DirectoryWriter;
  readonly passwordPolicy: PasswordPolicy;
}

export interface AccountDetails extends DirectoryAccount {
  readonly account: Account;
  readonly verificationLocked: boolean;
}

export async function createAccount(
  deps: Deps,
  request: { readonly email: string; readonly password: string; readonly locale: string },
): Promise<AccountDetails> {
  await refuseWeakPassword(deps, request.password, request.email);
  const now = deps.clock.now();
  const entry = {
    accountId: deps.random.uuid(now),
    email: request.email.trim(),
    locale: request.locale || 'en',
    passwordHash: await deps.directoryWriter.hashPassword(request.password),
    createTime: now,
  };
  if (!(await deps.directoryWriter.createAccount(entry))) throw new DomainError({ reason: 'ACCOUNT_EXISTS' });
  return getAccount(deps, { accountId: entry.accountId });
}

export async function getAccount(
  deps: Deps,
  key: { readonly accountId: string } | { readonly email: string },
): Promise<AccountDetails> {
  const directory = await ('email' in key
    ? deps.directory.lookUpAccount(key.email)
    : deps.directory.getAccount(key.accountId));
  const account = directory && (await deps.store.findAccount(directory.accountId));
  if (directory === undefined || account === undefined) throw new DomainError({ reason: 'ACCOUNT_UNKNOWN' });
  const locked = admitVerification(account, deps.limits, deps.clock.now()).kind === 'locked';
  return { ...directory, account, verificationLocked: locked };
}

/** Changes address or language. A new address closes the open challenges, and the old address is told. */
export async function updateAccount(
  deps: Deps,
  accountId: string,
  change: { readonly email?: string; readonly locale?: string },
): Promise<AccountDetails> {
  const now = deps.clock.now();
  const newEmail = change.email?.trim();
  await decide(deps, accountId, async (tx) => {
    if ((await tx.account) === undefined) return refuse({ reason: 'ACCOUNT_UNKNOWN' });
    const updated = await tx.updateDirectoryAccount(
      { ...change, ...(newEmail === undefined ? {} : { email: newEmail }) },
      now,
    );
    if (updated === 'taken') return refuse({ reason: 'ACCOUNT_EXISTS' });
    const { before } = updated;
    if (newEmail !== undefined && newEmail !== before.email) {
      tx.closeChallenges(now);
      tx.appendEvent(eventOf(deps, accountId, 'SETTINGS_CHANGED', now));
      tx.addressNotices(before.email);
      const toBefore = {
        accountId,
        deliveryId: deps.random.uuid(now),
        kind: 'EMAIL_CHANGED',
        channel: 'EMAIL',
        pushService: null,
        deviceId: null,
        challengeId: null,
        eventId: null,
        address: before.email,
        locale: before.locale,
      } as const;
      tx.send([toBefore], now);
    }
    return { ok: undefined };
  });
  return getAccount(deps, { accountId });
}

/** A new password: sessions and challenges end, the lock is lifted, trust stays. */
export async function setPassword(deps: Deps, accountId: string, password: string): Promise<AccountDetails> {
  const before = await getAccount(deps, { accountId });
  await refuseWeakPassword(deps, password, before.email);
  const passwordHash = await deps.directoryWriter.hashPassword(password);
  const now = deps.clock.now();
  await decide(deps, accountId, async (tx) => {
    const [account, devices] = await Promise.all([tx.account, tx.appDevices(now)]);
    if (account === undefined) return refuse({ reason: 'ACCOUNT_UNKNOWN' });
    replacePassword(tx, { ...account, wrongCodes: 0, lastWrongCodeTime: null }, passwordHash, {}, now);
    const event = eventOf(deps, accountId, 'PASSWORD_CHANGED', now);
    appendAndAlert(deps, tx, 'PASSWORD_CHANGED', event, devices, null, now);
    return { ok: undefined };
  });
  return getAccount(deps, { accountId });
}

/** Forgets the wrong codes, and so lifts a wait or a lock. */
export async function resetVerification(deps: Deps, accountId: string): Promise<AccountDetails> {
  await decide(deps, accountId, async (tx) => {
    const account = await tx.account;
    if (account === undefined) return refuse({ reason: 'ACCOUNT_UNKNOWN' });
    tx.saveAccount({ ...account, wrongCodes: 0, lastWrongCodeTime: null });
    return { ok: undefined };
  });
  return getAccount(deps, { accountId });
}

/** Erases an account with everything that is kept of it, and signs its devices out. There is no way back. */
export async function deleteAccount(deps: Deps, accountId: string): Promise<void> {
  // All of it goes in one transaction, but for what would make that last longer than it may.
  await deps.store.eraseOldest(accountId);
  await decide(deps, accountId, async (tx) => {
    if ((await tx.account) === undefined) return refuse({ reason: 'ACCOUNT_UNKNOWN' });
    const entry = await tx.eraseAccount();
    if (entry !== undefined) tx.erasePasswordGuesses(guessKeys(deps, entry.email, accountId));
    return { ok: undefined };
  });
}

/** Refuses a new password of the account with this address that lacks something. `field` is what the request calls it. */
export async function refuseWeakPassword(
  deps: Pick<Deps, 'passwordPolicy'>,
  password: string,
  email: string,
  field = 'password',
): Promise<void> {
  const weaknesses = await deps.passwordPolicy.weaknesses(password, { email });
  if (weaknesses.length > 0) throw new DomainError({ reason: 'PASSWORD_WEAK', field, weaknesses });
}
