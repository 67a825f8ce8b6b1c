// What the flows ask of the store: one transaction an account, and reads of its own. It has the words of the rules and no SQL.

import type { Account } from '../domain/account.ts';
import type { AuditRecord } from '../domain/audit-record.ts';
import type { AppDevice, Challenge, Channel, Surroundings } from '../domain/challenge.ts';
import type { Attempt, CodeSend, DeliveryKind, DeliveryState, PushService } from '../domain/delivery.ts';
import type { Device, LastSeen, PushRegistration } from '../domain/device.ts';
import type { NotedRefusal } from '../domain/legacy-sign-in.ts';
import type { PasswordGuess } from '../domain/limits.ts';
import type { EventKind, LoginEvent } from '../domain/login-event.ts';
import type { Session, SessionEndCause, SessionState } from '../domain/session.ts';
import type { Sighting } from '../domain/unusual.ts';
import type { DirectoryAccount, HashRenewal, OpenStream } from './ports.ts';
import type { Times } from './times.ts';

/** A message to be sent, written in the transaction that decided it; its job starts when that commits. */
export interface Delivery {
  readonly accountId: string;
  /** UUIDv7. */
  readonly deliveryId: string;
  readonly kind: DeliveryKind;
  readonly channel: Channel;
  /** Of a push; on the channel APP null for what open apps show. */
  readonly pushService: PushService | null;
  /** Of a push; of what an open app has shown, the first that did. */
  readonly deviceId: string | null;
  /** The challenge whose code it is. */
  readonly challengeId: string | null;
  /** What a notice is about. */
  readonly eventId: string | null;
  /** Where it goes, if not to the account's address; forgotten when it is sent. */
  readonly address: string | null;
  /** BCP 47; null for the account's own language. */
  readonly locale: string | null;
}

/** A delivery with what has become of it. */
export interface DeliveryRecord extends Delivery {
  readonly state: DeliveryState;
  readonly createTime: Date;
  /** When it was last handed to its provider, or was about to be. */
  readonly handoverTime: Date | null;
  readonly nextAttemptTime: Date | null;
  readonly endTime: Date | null;
  readonly attempts: readonly Attempt[];
}

/** A signed-in device with what every call needs to know of its account; read at every call. */
export interface SessionRecord {
  readonly session: Session;
  readonly device: Device;
  readonly account: Account;
}

/** What an internal caller asks of a session. */
export interface IntrospectedSession {
  readonly session: SessionState;
  readonly passwordChangeRequired: boolean;
}

export interface SessionFilter {
  readonly deviceId?: string | undefined;
  readonly sessionId?: string | undefined;
  /** All but this one. */
  readonly exceptSessionId?: string | undefined;
}

/**
 * One transaction that holds the lock on one account's row: everything of an account is decided one at a time. What is
 * asked for is sent at once, in the order of the calls, so what does not depend on one another travels together. What only
 * writes is not waited for: the commit waits for it, and fails if it did.
 */
export interface AccountTransaction {
  /** The account, locked; undefined where there is none. */
  readonly account: Promise<Account | undefined>;
  saveAccount(account: Account): void;

  challenge(challengeId: string): Promise<Challenge | undefined>;
  challengeByToken(tokenHash: Uint8Array): Promise<Challenge | undefined>;
  challengeByRequest(requestId: string, since: Date): Promise<Challenge | undefined>;
  /** Of the account's challenges that were opened since then: when, from which network, and when they were denied. */
  recentChallenges(since: Date): Promise<readonly Pick<Challenge, 'createTime' | 'network' | 'denyTime'>[]>;
  insertChallenge(challenge: Challenge): void;
  saveChallenge(challenge: Challenge): void;
  /** The pending challenges whose code went to the app, newest first. */
  challengesInApp(now: Date): Promise<readonly Challenge[]>;
  /** Whether two-step verification was ever switched off with a code that this device asked for. */
  hasSwitchedOff(deviceId: string): Promise<boolean>;
  /** Closes every pending challenge. */
  closeChallenges(now: Date): void;
  codeSendsOf(challengeId: string): Promise<readonly CodeSend[]>;
  /** Every delivery of a challenge, oldest first. */
  deliveriesOf(challengeId: string): Promise<readonly DeliveryRecord[]>;
  /** Notes that a device has shown the code of a challenge. */
  markShown(challengeId: string, deviceId: string, now: Date): void;

  session(sessionId: string): Promise<Session | undefined>;
  sessionByRefreshFamily(familyHash: Uint8Array): Promise<Session | undefined>;
  insertSession(session: Session): void;
  saveSession(session: Session): void;
  /** How many live sessions fit the filter. */
  countLiveSessions(filter: SessionFilter): Promise<number>;
  /** Ends the live sessions that fit the filter, with the challenges that they asked for. */
  endSessions(filter: SessionFilter, cause: SessionEndCause, now: Date): void;
  /** Ends the oldest live sessions of devices without trust, so that `most` are left. */
  endSurplusSessions(most: number, now: Date): void;

  device(deviceId: string): Promise<Device | undefined>;
  deviceByToken(tokenHash: Uint8Array): Promise<Device | undefined>;
  /** Devices whose trust was given and not ended; it may have lapsed. */
  devicesWithTrust(): Promise<readonly Device[]>;
  /** Where and when its devices last signed in, but for those that were put out. */
  sightings(): Promise<readonly Sighting[]>;
  /** The trusted, signed-in devices: those that can show a code. */
  appDevices(now: Date): Promise<readonly AppDevice[]>;
  /** Whether a code may go by e-mail. */
  emailOpen(): Promise<boolean>;
  /** As if no device had ever been trusted; for who has none left. Their sessions are for the caller to end. */
  forgetTrust(now: Date): void;
  insertDevice(device: Device): void;
  saveDevice(device: Device): void;
  /** Notes when and from where a device was used. */
  noteDeviceUse(use: Pick<Device, 'deviceId' | 'appVersion'> & LastSeen): void;
  /** Replaces the device's registration, and takes the token from whoever had it before. */
  savePushRegistration(deviceId: string, registration: PushRegistration, now: Date): Promise<void>;
  /** Forgets the registration of a device, or of every device of the account. */
  deletePushRegistrations(deviceId: string | undefined): void;

  /** Notes an open stream, oldest streams first in what it returns of the account's others on living replicas. */
  insertStream(stream: OpenStream): Promise<readonly OpenStream[]>;
  deleteStream(streamId: string): void;

  /** Takes one guess back: the password was right. */
  forgetPasswordGuess(emailHash: Uint8Array, guessId: string): void;
  appendEvent(event: LoginEvent): void;
  /** What the login activity has of older generations of the app that were refused, from then on; not more than matters. */
  legacyRefusals(since: Date): Promise<readonly NotedRefusal[]>;
  event(eventId: string): Promise<LoginEvent | undefined>;
  /** Notes that the account's owner has said of an event that it was not them. */
  markReported(eventId: string): void;
  /** Writes the rows of deliveries and the jobs of those that a provider has to bring. */
  send(deliveries: readonly Delivery[], now: Date): void;
  /** How many mails of this kind were decided since then. */
  countMails(kind: DeliveryKind, since: Date): Promise<number>;
  /** Notices that are still to be mailed go to this address, whatever the account's becomes. */
  addressNotices(address: string): void;
  /** Looks in so many ms whether the code has arrived by app; see flows/fallback.ts. */
  fallBackLater(challengeId: string, inMs: number): void;
  /** Takes the notifications of a challenge's code away in so many ms; whatever settles it before does so at once. */
  settleLater(challengeId: string, inMs: number): void;
  /** Erases everything that is kept of the account. Returns the embedded directory's entry as it was. */
  eraseAccount(): Promise<DirectoryAccount | undefined>;
  /** Forgets the guesses that are kept under these keys. */
  erasePasswordGuesses(emailHashes: readonly Uint8Array[]): void;
  /** Embedded directory only. */
  setPasswordHash(passwordHash: string, now: Date): void;
  /** Embedded directory only. Replaces the hash that was compared, if it is still there, by another of the same password. */
  renewPasswordHash(renewal: HashRenewal, now: Date): void;
  /** Embedded directory only. Returns the entry as it was, or that the address is another account's. */
  updateDirectoryAccount(
    change: { readonly email?: string; readonly locale?: string },
    now: Date,
  ): Promise<{ readonly before: DirectoryAccount } | 'taken'>;
}

/** A secret of the account's that its bearer must hold, as its hash. */
export type AccountKey = { readonly challengeToken: Uint8Array } | { readonly refreshFamily: Uint8Array };

/** What is kept of a challenge, for support. */
export interface FoundTrace {
  readonly challenge: Challenge;
  /** Oldest first. */
  readonly deliveries: readonly DeliveryRecord[];
  readonly wrongCodeTimes: readonly Date[];
  /** The account's devices, as far as they are known. */
  readonly devices: readonly Pick<Device, 'deviceId' | 'displayName' | 'model'>[];
}

/** A device with trust or a live session, for support. */
export interface SupportDevice {
  readonly device: Device;
  readonly signedIn: boolean;
  readonly appOpen: boolean;
  readonly pushService: PushService | null;
  readonly pushRegisterTime: Date | null;
}

/** Which events; what is empty or null lets every one through, and all of it must hold. */
export interface ActivityFilter extends Times {
  readonly kinds: readonly EventKind[];
  readonly deviceId: string | null;
  /** Only what was odd. */
  readonly unusualOnly: boolean;
}

export interface EventPage {
  readonly events: readonly LoginEvent[];
  /** The id to go on from; undefined where there is no more. */
  readonly next: string | undefined;
}

/** A live session, for internal callers. */
export type ListedSession = Pick<SessionRecord, 'session' | 'device'>;

/** PostgreSQL. Every method refuses with DEPENDENCY_UNAVAILABLE where it is out of reach or silent. */
export interface Store {
  /**
   * Runs `work` in one transaction under the account's lock; commits whatever it returns, rolls back if it throws. With
   * a `key`, whoever does not hold it gets no lock either: the account is undefined then.
   *
   * What was rolled back for a reason that may be gone, as when another transaction was first or the server went away, is run again: so
   * `work` must change nothing but by its `tx`, and what it makes up, such as ids and secrets, counts only where it returned.
   */
  inAccount<T>(accountId: string, work: (tx: AccountTransaction) => Promise<T>, key?: AccountKey): Promise<T>;
  /** The guesses of late at the password behind an address, known or not. */
  passwordGuesses(emailHash: Uint8Array): Promise<readonly PasswordGuess[]>;
  /** Puts `guesses` in their place; false where they are not `before` any more, and nothing was written. */
  replacePasswordGuesses(
    emailHash: Uint8Array,
    before: readonly PasswordGuess[],
    guesses: readonly PasswordGuess[],
    now: Date,
  ): Promise<boolean>;
  /** Takes one guess back: the password was never looked at, or nothing came of it. */
  forgetPasswordGuess(emailHash: Uint8Array, guessId: string): Promise<void>;
  findAccount(accountId: string): Promise<Account | undefined>;
  findSession(accountId: string, sessionId: string): Promise<SessionRecord | undefined>;
  findIntrospected(accountId: string, sessionId: string): Promise<IntrospectedSession | undefined>;
  /** The live sessions of an account that are older than `before` (a session id; null for the newest), newest first, `count` at most. */
  listSessions(
    accountId: string,
    before: string | null,
    now: Date,
    count: number,
  ): Promise<{ readonly sessions: readonly ListedSession[]; readonly next: string | undefined }>;
  /** Notes that a token of this generation was used; false where it has become void or the session has ended. */
  markSessionUsed(accountId: string, sessionId: string, generation: number, now: Date): Promise<boolean>;
  findDeviceByToken(accountId: string, tokenHash: Uint8Array): Promise<Device | undefined>;
  findChallengeByToken(
    accountId: string,
    tokenHash: Uint8Array,
    now: Date,
  ): Promise<{ readonly challenge: Challenge; readonly around: Surroundings } | undefined>;
  appDevices(accountId: string, now: Date): Promise<readonly AppDevice[]>;
  emailOpen(accountId: string): Promise<boolean>;
  devicesWithTrust(accountId: string): Promise<readonly Device[]>;
  /** Notes that a device has shown the code of a challenge. */
  markShown(accountId: string, challengeId: string, deviceId: string, now: Date): Promise<void>;
  findChallenge(accountId: string, challengeId: string): Promise<Challenge | undefined>;
  /** A challenge of the account, or its newest. */
  traceChallenge(accountId: string, challengeId: string | undefined): Promise<FoundTrace | undefined>;
  /** Its devices, newest use first, and its newest challenges, newest first. */
  accountSecurity(accountId: string): Promise<{
    readonly devices: readonly SupportDevice[];
    readonly challenges: readonly { readonly challenge: Challenge; readonly codeSends: readonly CodeSend[] }[];
  }>;
  deleteStream(accountId: string, streamId: string): Promise<void>;
  /** Writes an event that nothing else depends on. For an account that does not exist it does the same work in vain. */
  appendEvent(event: LoginEvent): Promise<void>;
  /**
   * Erases the oldest of what is kept of an account, in steps that commit one by one and take little each, until no more is left
   * than one transaction can erase; of most accounts nothing.
   */
  eraseOldest(accountId: string): Promise<void>;
  findEvent(accountId: string, eventId: string): Promise<LoginEvent | undefined>;
  /**
   * Writes the job that mails the link of a forgotten password, in the caller's language or the account's own. For an
   * account that does not exist it does the same work in vain.
   */
  promisePasswordReset(accountId: string, locale: string | null): Promise<void>;
  /**
   * Events that fit the filter, older than `before` (an event id; null for the newest) and not before `notBefore`, newest
   * first, `count` at most. With a filter of more than time there may be fewer of them while there is more to come.
   */
  listEvents(
    accountId: string,
    filter: ActivityFilter,
    before: string | null,
    notBefore: Date,
    count: number,
  ): Promise<EventPage>;
}

/** Which audit records; what is null lets every one through, and all of it must hold. */
export interface AuditFilter extends Times {
  readonly accountId: string | null;
  readonly caller: string | null;
  readonly rpc: string | null;
  /** All but this one. */
  readonly exceptRecordId: string;
}

export interface AuditPage {
  readonly records: readonly AuditRecord[];
  /** The id to go on from; undefined where there is no more. */
  readonly next: string | undefined;
}

/** What internal callers did. Every method refuses with DEPENDENCY_UNAVAILABLE where PostgreSQL is out of reach or silent. */
export interface AuditRecords {
  /** Resolves when the record can't be lost any more. */
  insert(record: AuditRecord): Promise<void>;
  /** Writes outcome, account and details of one that was inserted. Resolves when an account that is new to it can't be lost any more. */
  complete(record: AuditRecord): Promise<void>;
  /**
   * Records that fit the filter, older than `before` (a record id; null for the newest) and not before `notBefore`, newest first,
   * `count` at most. There may be fewer of them while there is more to come.
   */
  list(filter: AuditFilter, before: string | null, notBefore: Date, count: number): Promise<AuditPage>;
}
