// A new password by who knows the old one, or by who reads the account's mailbox. The other sessions end; trust stays unless it is
// to end too. Only where the directory is embedded.

import type { Account } from '../domain/account.ts';
import { resetLinkLifetimeMs } from '../domain/delivery.ts';
import { normaliseEmail } from '../domain/email.ts';
import { DomainError } from '../domain/errors.ts';
import { isVerified } from '../domain/session.ts';
import { type Deps, refuseWeakPassword, writerOf } from './accounts.ts';
import { appendAndAlert } from './alerts.ts';
import {
  type Caller,
  decide,
  decideFor,
  directoryAccountOf,
  eventOf,
  eventOfDevice,
  refuse,
  type SignedInCaller,
} from './context.ts';
import { countGuess, countResetRequest, countResetTry, guessesAt } from './password-guesses.ts';
import type { DirectoryAccount } from './ports.ts';
import { replacePassword } from './replace-password.ts';
import { endAllTrust } from './trusted-devices.ts';

/** An account as its owner sees it. */
export interface Profile extends DirectoryAccount {
  readonly account: Account;
}

export async function getProfile(deps: Deps, caller: SignedInCaller): Promise<Profile> {
  return { ...(await directoryAccountOf(deps, caller)), account: caller.account };
}

export interface PasswordChange {
  readonly currentPassword: string;
  readonly newPassword: string;
  readonly endTrustedDevices: boolean;
}

/** By who is signed in and knows the password of now. This session stays. */
export async function changePassword(deps: Deps, change: PasswordChange, caller: SignedInCaller): Promise<Profile> {
  const writer = writerOf(deps);
  refuseUnverified(caller.account, change, caller);
  const directory = await directoryAccountOf(deps, caller);
  const { accountId, email } = directory;
  const { deviceId } = caller.device;
  const { sessionId } = caller.session;
  const now = deps.clock.now();
  // The budget of this device: who is signed in can't lock out those who sign in, nor be locked out by them.
  const guess = await countGuess(deps, await guessesAt(deps, email), caller.ipAddress, deviceId, now);
  const forgetGuess = () => deps.store.forgetPasswordGuess(guess.key, guess.id);
  const verdict = await deps.directory
    .verifyPassword(email, change.currentPassword, caller.ipAddress)
    .catch(async (error) => {
      // Nothing was compared.
      await forgetGuess().catch(() => {});
      throw error;
    });
  if (!verdict.matches || verdict.account?.accountId !== accountId) {
    await deps.store.appendEvent(eventOfDevice(deps, caller, 'PASSWORD_WRONG', now));
    throw new DomainError({ reason: 'CREDENTIALS_INCORRECT' });
  }
  // It was right, and so no guess.
  await forgetGuess();
  refuseUnchanged(change.newPassword.normalize('NFKC') === change.currentPassword.normalize('NFKC'));
  await refuseWeakPassword(deps, change.newPassword, email, 'new_password');
  const passwordHash = await writer.hashPassword(change.newPassword);
  const account = await decideFor(deps, caller, async (tx, before) => {
    const devices = await tx.appDevices(now);
    // Changed, or switched on, by somebody else while the old one was compared.
    if (before.passwordVersion !== verdict.passwordVersion) return refuse({ reason: 'CREDENTIALS_INCORRECT' });
    refuseUnverified(before, change, caller);
    const changed = replacePassword(tx, before, passwordHash, { exceptSessionId: sessionId }, now);
    const event = eventOfDevice(deps, caller, 'PASSWORD_CHANGED', now);
    const removals = change.endTrustedDevices ? await endAllTrust(deps, tx, deviceId, event, now) : [];
    removals.forEach(tx.appendEvent);
    appendAndAlert(deps, tx, 'PASSWORD_CHANGED', event, devices, deviceId, now);
    return { ok: changed };
  });
  return { ...directory, account };
}

/** Who got in by the password alone, before two-step verification was on, must not keep the owner out with it. */
function refuseUnverified(account: Account, { endTrustedDevices }: PasswordChange, { session }: SignedInCaller): void {
  if (isVerified(session) || !(account.twoStepEnabled || endTrustedDevices)) return;
  throw new DomainError({ reason: 'DEVICE_NOT_TRUSTED' });
}

/**
 * Promises a mail with a link that sets a new password, if there is such an account. An address that nobody has costs the same
 * statements, and gets the same answer.
 */
export async function requestPasswordReset(deps: Deps, email: string, caller: Caller): Promise<void> {
  writerOf(deps);
  await countResetRequest(deps, email, caller.ipAddress, deps.clock.now());
  const directory = await deps.directory.lookUpAccount(email);
  const accountId = directory?.accountId ?? deps.random.uuid(deps.clock.now());
  await deps.store.promisePasswordReset(accountId, caller.locale ?? null);
}

/** Called by its job: sends the mail. */
export async function sendPasswordReset(deps: Deps, accountId: string, locale: string | null): Promise<void> {
  // Promised before accounts moved to where no link of ours sets a password.
  if (deps.directoryWriter === undefined) return;
  const now = deps.clock.now();
  await decide(deps, accountId, async (tx) => {
    if ((await tx.account) === undefined) return { ok: undefined };
    const mail = {
      accountId,
      deliveryId: deps.random.uuid(now),
      kind: 'PASSWORD_RESET',
      channel: 'EMAIL',
      pushService: null,
      deviceId: null,
      challengeId: null,
      eventId: null,
      address: null,
      locale,
    } as const;
    tx.send([mail], now);
    return { ok: undefined };
  });
}

/**
 * The secret of the link in that mail; undefined where the account is gone, or its password is no longer ours to set. A new
 * password, or another address, voids those of before.
 */
export async function signResetLink(deps: Deps, accountId: string, sendTime: Date): Promise<string | undefined> {
  if (deps.directoryWriter === undefined) return undefined;
  const [account, directory] = await Promise.all([
    deps.store.findAccount(accountId),
    deps.directory.getAccount(accountId),
  ]);
  if (account === undefined || directory === undefined) return undefined;
  const may = { kind: 'reset', ...stampOf(deps, account, directory) } as const;
  const expireTime = new Date(sendTime.getTime() + resetLinkLifetimeMs);
  return deps.links.sign({ accountId, may, expireTime }, deps.clock.now());
}

/** What a link holds good for: this password, and this address. */
const stampOf = (deps: Deps, { passwordVersion }: Account, { email }: DirectoryAccount) => ({
  passwordVersion,
  emailHash: Buffer.from(deps.secrets.hashOf(normaliseEmail(email))).toString('base64url'),
});

/** Whose password the link would set now; undefined where it would not. Refuses where accounts live elsewhere. */
export async function lookAtResetLink(deps: Deps, token: string): Promise<DirectoryAccount | undefined> {
  writerOf(deps);
  const link = deps.links.read(token, deps.clock.now());
  if (link?.may.kind !== 'reset') return undefined;
  const { accountId, may } = link;
  const [account, directory] = await Promise.all([
    deps.store.findAccount(accountId),
    deps.directory.getAccount(accountId),
  ]);
  if (account === undefined || directory === undefined) return undefined;
  return isFor(may, stampOf(deps, account, directory)) ? directory : undefined;
}

type Stamp = ReturnType<typeof stampOf>;

const isFor = (held: Stamp, now: Stamp) =>
  held.passwordVersion === now.passwordVersion && held.emailHash === now.emailHash;

/** Sets a password by a link, once, and returns whose. Every session ends; a lock of verification stays. */
export async function resetPassword(
  deps: Deps,
  reset: { readonly token: string; readonly newPassword: string; readonly endTrustedDevices: boolean },
  ipAddress: string,
): Promise<DirectoryAccount> {
  const writer = writerOf(deps);
  const invalid = { reason: 'RESET_TOKEN_INVALID' } as const;
  const directory = await lookAtResetLink(deps, reset.token);
  const held = deps.links.read(reset.token, deps.clock.now())?.may;
  if (directory === undefined || held?.kind !== 'reset') throw new DomainError(invalid);
  const { accountId } = directory;
  const now = deps.clock.now();
  // Whoever reads the mailbox must not find out by it which password it was.
  await countResetTry(deps, accountId, ipAddress, now);
  await refuseWeakPassword(deps, reset.newPassword, directory.email, 'new_password');
  // What somebody else may know is no new password.
  const { matches } = await deps.directory.verifyPassword(directory.email, reset.newPassword, ipAddress);
  refuseUnchanged(matches);
  const passwordHash = await writer.hashPassword(reset.newPassword);
  await decide(deps, accountId, async (tx) => {
    const [account, devices] = await Promise.all([tx.account, tx.appDevices(now)]);
    // An address changes under this lock too.
    const current = await deps.directory.getAccount(accountId);
    const isGood = account && current && isFor(held, stampOf(deps, account, current));
    // Used, or overtaken, meanwhile.
    if (!isGood) return refuse(invalid);
    replacePassword(tx, account, passwordHash, {}, now);
    const event = eventOf(deps, accountId, 'PASSWORD_CHANGED', now, { origin: deps.places.originOf(ipAddress) });
    const removals = reset.endTrustedDevices ? await endAllTrust(deps, tx, null, event, now) : [];
    removals.forEach(tx.appendEvent);
    appendAndAlert(deps, tx, 'PASSWORD_CHANGED', event, devices, null, now);
    return { ok: undefined };
  });
  return directory;
}

function refuseUnchanged(isUnchanged: boolean): void {
  if (isUnchanged) {
    throw new DomainError({ reason: 'PASSWORD_WEAK', field: 'new_password', weaknesses: ['UNCHANGED'] });
  }
}
