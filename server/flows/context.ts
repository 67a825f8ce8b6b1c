// What every flow shares: its dependencies, who calls, and how a decision leaves a transaction.

import type { Account } from '../domain/account.ts';
import type { DeviceDescription, Platform } from '../domain/device.ts';
import { DomainError, isAway, type Refusal } from '../domain/errors.ts';
import type { Limits } from '../domain/limits.ts';
import type { EventKind, LoginEvent } from '../domain/login-event.ts';
import { sessionEnd } from '../domain/session.ts';
import type { StepUp, UnusualFinding } from '../domain/unusual.ts';
import type {
  AccessTokens,
  Clock,
  Codes,
  Directory,
  DirectoryAccount,
  Links,
  LiveStreams,
  Places,
  Random,
  Revocations,
  Secrets,
} from './ports.ts';
import type { AccountKey, AccountTransaction, AuditRecords, SessionRecord, Store } from './store-ports.ts';

export interface Deps {
  readonly clock: Clock;
  readonly random: Random;
  readonly secrets: Secrets;
  readonly tokens: AccessTokens;
  readonly codes: Codes;
  readonly links: Links;
  readonly places: Places;
  readonly directory: Directory;
  readonly store: Store;
  readonly auditRecords: AuditRecords;
  readonly live: LiveStreams;
  readonly revocations: Revocations;
  readonly limits: Limits;
  /** What asks even a trusted device for a code. */
  readonly stepUpOn: readonly StepUp[];
}

/** Where a call comes from, as the wire knows it. */
export interface Caller {
  readonly ipAddress: string;
  /** The languages that the caller asked for, matched to one that there is; undefined where it asked for none of them. */
  readonly locale: string | undefined;
  readonly appVersion: string;
  readonly platform: Platform;
}

/** A call of a signed-in device. */
export interface SignedInCaller extends Caller, SessionRecord {}

/** What a transaction decided. A refusal is a value until the counts that belong to it are committed. */
export type Outcome<T> = { readonly ok: T } | { readonly refused: Refusal };

export const refuse = (refusal: Refusal): { readonly refused: Refusal } => ({ refused: refusal });

/** Decides under the account's lock, commits, and only then throws what was refused. A stranger's token is no `key`. */
export async function decide<T>(
  deps: Deps,
  accountId: string,
  work: (tx: AccountTransaction) => Promise<Outcome<T>>,
  key?: AccountKey,
): Promise<T> {
  const outcome = await deps.store.inAccount(accountId, work, key);
  if ('refused' in outcome) throw new DomainError(outcome.refused);
  return outcome.ok;
}

/** The same for a signed-in device: its session may have ended since the call was let in, so it is looked at again. */
export function decideFor<T>(
  deps: Deps,
  caller: SignedInCaller,
  work: (tx: AccountTransaction, account: Account) => Promise<Outcome<T>>,
): Promise<T> {
  return decide(deps, caller.session.accountId, async (tx) => {
    const [account, session] = await Promise.all([tx.account, tx.session(caller.session.sessionId)]);
    if (account === undefined || session === undefined) return refuse({ reason: 'SESSION_INVALID', cause: 'UNKNOWN' });
    const end = sessionEnd(session, deps.limits, deps.clock.now());
    return end === undefined ? work(tx, account) : refuse({ reason: 'SESSION_INVALID', cause: end });
  });
}

/**
 * The caller's account as the directory knows it. Where it is gone there alone, that may be a directory that has lost its memory: the
 * app must not forget its session for it, so that is an outage.
 */
export async function directoryAccountOf(deps: Deps, caller: SignedInCaller): Promise<DirectoryAccount> {
  const { accountId } = caller.session;
  const directory = await deps.directory.getAccount(accountId);
  if (directory !== undefined) return directory;
  const isGone = (await deps.store.findAccount(accountId)) === undefined;
  throw new DomainError(
    isGone
      ? { reason: 'SESSION_INVALID', cause: 'UNKNOWN' }
      : { reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: forgottenMs },
  );
}

/** A directory that has lost an account finds it again within minutes, or not at all. */
const forgottenMs = 30_000;

/** What is out of reach is as if it were not there; any other failure stays one. */
export async function unlessAway<T>(asked: Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isAway(error)) return undefined;
    throw error;
  }
}

/** An event of this moment, with what is usual for it; `more` says the rest. */
export function eventOf(
  deps: Deps,
  accountId: string,
  kind: EventKind,
  now: Date,
  more: Partial<LoginEvent> = {},
): LoginEvent {
  return {
    accountId,
    eventId: deps.random.uuid(now),
    kind,
    device: null,
    deviceId: null,
    sessionId: null,
    challengeId: null,
    channel: null,
    origin: { ipAddress: '', place: null, connectionType: null },
    unusual: [],
    unusualDetails: null,
    reported: false,
    ...more,
  };
}

/** What an event says of what was odd about it. */
export function oddities(findings: readonly UnusualFinding[]): Pick<LoginEvent, 'unusual' | 'unusualDetails'> {
  return { unusual: findings.map(({ unusual }) => unusual), unusualDetails: findings };
}

/** The event of a signed-in device. */
export function eventOfDevice(
  deps: Deps,
  caller: SignedInCaller,
  kind: EventKind,
  now: Date,
  more: Partial<LoginEvent> = {},
): LoginEvent {
  return eventOf(deps, caller.session.accountId, kind, now, {
    device: describe(caller.device, caller.appVersion),
    deviceId: caller.device.deviceId,
    sessionId: caller.session.sessionId,
    origin: deps.places.originOf(caller.ipAddress),
    ...more,
  });
}

/** A device row as it describes itself. */
export function describe(device: DeviceDescription, appVersion: string): DeviceDescription {
  const { displayName, model, platform, osVersion } = device;
  return { displayName, model, platform, osVersion, appVersion };
}
