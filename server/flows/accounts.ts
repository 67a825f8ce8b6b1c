// The accounts, for the app's backend: only where the directory is embedded can they be created, changed or given a password.

import { type Account, admitVerification } from '../domain/account.ts';
import { DomainError } from '../domain/errors.ts';
import { appendAndAlert } from './alerts.ts';
import { type Deps as CommonDeps, decide, eventOf, refuse, unlessAway } from './context.ts';
import { guessKeys } from './password-guesses.ts';
import type { DirectoryAccount, DirectoryWriter, PasswordPolicy } from './ports.ts';
import { replacePassword } from './replace-password.ts';
import type { AccountTransaction } from './store-ports.ts';
import { endAllTrust } from './trusted-devices.ts';

export interface Deps extends CommonDeps {
  /** Undefined where accounts live in the customer's system. */
  readonly directoryWriter: DirectoryWriter | undefined;
  readonly passwordPolicy: PasswordPolicy;
}

/** Refuses with ACCOUNTS_ELSEWHERE where accounts and passwords are not ours to write. */
export function writerOf({ directoryWriter }: Pick<Deps, 'directoryWriter'>): DirectoryWriter {
  if (directoryWriter === undefined) throw new DomainError({ reason: 'ACCOUNTS_ELSEWHERE' });
  return directoryWriter;
}

/** A new account's entry, as it is asked for. */
export const newEntry = ({ email, locale }: Pick<DirectoryAccount, 'email' | 'locale'>) => ({
  email: email.trim(),
  locale: locale || 'en',
});

/** By which name an account is asked for. */
export type AccountName = { readonly accountId: string } | { readonly email: string };

export interface AccountDetails extends DirectoryAccount {
  readonly account: Account;
  readonly verificationLocked: boolean;
}

export async function createAccount(
  deps: Deps,
  request: { readonly email: string; readonly password: string; readonly locale: string },
): Promise<AccountDetails> {
  const writer = writerOf(deps);
  await refuseWeakPassword(deps, request.password, request.email);
  const now = deps.clock.now();
  const entry = {
    accountId: deps.random.uuid(now),
    ...newEntry(request),
    passwordHash: await writer.hashPassword(request.password),
    createTime: now,
  };
  if (!(await writer.createAccount(entry))) throw new DomainError({ reason: 'ACCOUNT_EXISTS' });
  return getAccount(deps, { accountId: entry.accountId });
}

export async function getAccount(deps: Deps, key: AccountName): Promise<AccountDetails> {
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
  writerOf(deps);
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
  const writer = writerOf(deps);
  const before = await getAccount(deps, { accountId });
  await refuseWeakPassword(deps, password, before.email);
  await noteNewPassword(deps, accountId, await writer.hashPassword(password));
  return getAccount(deps, { accountId });
}

/**
 * Whether there is such an account. One that has no row here yet has it from now on: the directory has named it. Where there is a row the
 * directory is not asked, so what is done by an account's id is done while that is away, too.
 */
export async function meetAccount(deps: CommonDeps, accountId: string): Promise<boolean> {
  const account = (await deps.store.findAccount(accountId)) ?? (await deps.directory.getAccount(accountId));
  return account !== undefined;
}

/**
 * Takes note that an account has a new password in the customer's system: it brings all that SetPassword brings. Returns how many
 * sessions it ended.
 */
export async function reportNewPassword(deps: Deps, accountId: string): Promise<number> {
  await meetAccount(deps, accountId);
  return noteNewPassword(deps, accountId, undefined);
}

function noteNewPassword(deps: Deps, accountId: string, passwordHash: string | undefined): Promise<number> {
  const now = deps.clock.now();
  return decide(deps, accountId, async (tx) => {
    // Only who reports it is told how many.
    const counted = passwordHash === undefined ? tx.countLiveSessions({}) : 0;
    const [account, devices, sessions] = await Promise.all([tx.account, tx.appDevices(now), counted]);
    if (account === undefined) return refuse({ reason: 'ACCOUNT_UNKNOWN' });
    replacePassword(tx, { ...account, wrongCodes: 0, lastWrongCodeTime: null }, passwordHash, {}, now);
    const event = eventOf(deps, accountId, 'PASSWORD_CHANGED', now);
    appendAndAlert(deps, tx, 'PASSWORD_CHANGED', event, devices, null, now);
    return { ok: sessions };
  });
}

/**
 * Forgets the wrong codes, and so lifts a wait or a lock. For who has no trusted device left, it forgets those too: whoever is in, or
 * has asked for a code, is put out, and the account is as if none had ever been trusted.
 */
export async function resetVerification(
  deps: Deps,
  accountId: string,
  forgetTrustedDevices: boolean,
): Promise<AccountDetails> {
  await meetAccount(deps, accountId);
  const now = deps.clock.now();
  await decide(deps, accountId, async (tx) => {
    const account = await tx.account;
    if (account === undefined) return refuse({ reason: 'ACCOUNT_UNKNOWN' });
    tx.saveAccount({ ...account, wrongCodes: 0, lastWrongCodeTime: null });
    if (forgetTrustedDevices) await forgetDevices(deps, tx, now);
    return { ok: undefined };
  });
  return getAccount(deps, { accountId });
}

/**
 * Puts everybody out. A code that somebody has read already must not make theirs the account's first device, and a session without
 * trust may be a thief's, too.
 */
async function forgetDevices(deps: Deps, tx: AccountTransaction, now: Date): Promise<void> {
  const [lastUsed, ...others] = await endAllTrust(deps, tx, null, undefined, now);
  tx.endSessions({}, 'REVOKED', now);
  tx.closeChallenges(now);
  tx.deletePushRegistrations(undefined);
  tx.forgetTrust(now);
  // One mail, however many they were.
  if (lastUsed !== undefined) appendAndAlert(deps, tx, 'DEVICE_REMOVED', lastUsed, [], null, now);
  others.forEach(tx.appendEvent);
}

/** Erases an account with everything that is kept of it, and signs its devices out. There is no way back. */
export async function deleteAccount(deps: Deps, accountId: string): Promise<void> {
  // All of it goes in one transaction, but for what would make that last longer than it may.
  await deps.store.eraseOldest(accountId);
  const elsewhere = await entryElsewhere(deps, accountId);
  await decide(deps, accountId, async (tx) => {
    if ((await tx.account) === undefined) return refuse({ reason: 'ACCOUNT_UNKNOWN' });
    const entry = (await tx.eraseAccount()) ?? elsewhere;
    if (entry !== undefined) tx.erasePasswordGuesses(guessKeys(deps, entry.email, accountId));
    return { ok: undefined };
  });
}

/**
 * What the customer's system says of an account that is erased here: guesses are counted by its address. Where it does not say, they
 * are forgotten within the hour, as all are.
 */
async function entryElsewhere(deps: Deps, accountId: string): Promise<DirectoryAccount | undefined> {
  if (deps.directoryWriter !== undefined || (await deps.store.findAccount(accountId)) === undefined) return undefined;
  return unlessAway(deps.directory.getAccount(accountId));
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
