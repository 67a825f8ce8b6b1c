// What the flows need of the rest of the world. store, directory, platform and location implement these; the flows import
// nothing of theirs.

import type { Account } from '../domain/account.ts';
import type { AuditRecord } from '../domain/audit-record.ts';
import type { AppDevice, Challenge, Channel, Surroundings } from '../domain/challenge.ts';
import type { Attempt, CodeSend, DeliveryKind, DeliveryState, PushService } from '../domain/delivery.ts';
import type { Device, LastSeen, Origin, PushRegistration } from '../domain/device.ts';
import type { ImportKey, ImportResult } from '../domain/import.ts';
import type { NotedRefusal } from '../domain/legacy-sign-in.ts';
import type { PasswordGuess } from '../domain/limits.ts';
import type { EventKind, LoginEvent } from '../domain/login-event.ts';
import type { PasswordWeakness } from '../domain/password.ts';
import type { Place } from '../domain/place.ts';
import type { RevocationCause, Session, SessionEndCause, SessionState } from '../domain/session.ts';
import type { Sighting } from '../domain/unusual.ts';
import type { AccountSnapshot, StreamState } from '../domain/watch.ts';
import type { Times } from './times.ts';

export interface Clock {
  now(): Date;
}

export interface Random {
  /** A UUIDv7 of this time: later ones sort later, also within a millisecond. */
  uuid(now: Date): string;
  /** Evenly distributed in [0, 1). No secret may be made of it. */
  fraction(): number;
}

/** Bearer secrets. Only their SHA-256 is ever kept. */
export interface Secrets {
  /** A new secret of 256 random bits that names its account: `<account>.<secret>`, both base64url. */
  issue(accountId: string): { readonly token: string; readonly hash: Uint8Array };
  /** What a presented token says; undefined where it is none of ours by its form. */
  read(token: string): { readonly accountId: string; readonly hash: Uint8Array } | undefined;
  /** A refresh token: a part that stays with the session (of 128 bits; made where none is given) and one that changes. */
  issueRefresh(
    accountId: string,
    family?: Uint8Array,
  ): { readonly token: string; readonly familyHash: Uint8Array; readonly refreshHash: Uint8Array };
  readRefresh(token: string):
    | {
        readonly accountId: string;
        readonly family: Uint8Array;
        readonly familyHash: Uint8Array;
        readonly refreshHash: Uint8Array;
      }
    | undefined;
  /** SHA-256 of a text in UTF-8. */
  hashOf(text: string): Uint8Array;
  /** Compares two hashes in constant time. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
}

/** What an access token says. */
export interface AccessClaims {
  readonly accountId: string;
  readonly sessionId: string;
  readonly deviceId: string;
  readonly amr: readonly string[];
  readonly generation: number;
  readonly issueTime: Date;
  readonly expireTime: Date;
}

export interface PublicSigningKey {
  readonly keyId: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
}

export interface AccessTokens {
  /** Signs with the key that is used at the claims' `issueTime`. */
  sign(claims: AccessClaims): string;
  /**
   * The claims of a token with a good signature, issuer and audience, expired or not; undefined for any other. Its end is
   * no later than that of its key, whatever it says.
   */
  read(token: string): Promise<AccessClaims | undefined>;
  /** What others check tokens with: the key in use first, those to come, and those before whose tokens may still live. */
  publicKeys(now: Date): readonly PublicSigningKey[];
}

/** Codes, derived under keys that are outside the database. */
export interface Codes {
  /** The key that new challenges use. */
  currentKeyId(now: Date): string;
  /** The code of a challenge on a channel. Throws where its key is gone. */
  derive(challenge: Pick<Challenge, 'challengeId' | 'codeKeyId'>, channel: Channel): string;
  /** Whether a presented code is that of one of the channels; in constant time. */
  matches(
    challenge: Pick<Challenge, 'challengeId' | 'codeKeyId'>,
    channels: readonly Channel[],
    presented: string,
  ): boolean;
}

/** Where an address is. */
export interface Places {
  /** Where a call came from, named in English. */
  originOf(ipAddress: string): Origin;
  /**
   * A noted place with its names in a reader's language (BCP 47), the rest as it was noted. City and region stay English
   * where the database lacks the language, or says another place of this address by now; the country never does. Costs
   * nothing for English, else two look-ups.
   */
  named(place: Place | null, ipAddress: string, locale: string): Place | null;
}

/** An account as the directory knows it. */
export interface DirectoryAccount {
  readonly accountId: string;
  readonly email: string;
  /** BCP 47. */
  readonly locale: string;
}

/**
 * Where accounts live: embedded beside our own tables, or the customer's system. Refuses with DEPENDENCY_UNAVAILABLE where that is
 * out of reach, or answers what makes no sense. An account that it names has its row in the store.
 */
export interface Directory {
  /**
   * Compares a password. Takes the same time for an unknown address. `account` is set where the address is known, and then
   * `passwordVersion` is one that was good no later than the password that was compared. `renewHash` is there where the
   * right password is kept in a form that is not ours: it makes one that is.
   */
  verifyPassword(
    email: string,
    password: string,
    ipAddress: string,
  ): Promise<{
    readonly account: DirectoryAccount | undefined;
    readonly matches: boolean;
    readonly passwordVersion: number | undefined;
    readonly renewHash?: () => Promise<HashRenewal>;
  }>;
  getAccount(accountId: string): Promise<DirectoryAccount | undefined>;
  lookUpAccount(email: string): Promise<DirectoryAccount | undefined>;
}

/** A hash of the same password, in our form. */
export interface HashRenewal {
  /** The one that was compared. */
  readonly before: string;
  readonly passwordHash: string;
}

/** An account of another system that is to be taken over. */
export interface ImportEntry extends DirectoryAccount, ImportKey {
  readonly createTime: Date;
}

/** The embedded directory's own writes, for the internal Accounts service. */
export interface DirectoryWriter {
  hashPassword(password: string): Promise<string>;
  /** Creates the directory's entry and our account in one transaction; false where the address is taken. */
  createAccount(
    entry: DirectoryAccount & { readonly passwordHash: string; readonly createTime: Date },
  ): Promise<boolean>;
  /** Takes accounts over, each or none in one transaction, and says what became of each, in their order. */
  importAccounts(entries: readonly ImportEntry[]): Promise<readonly ImportResult[]>;
}

/** What a new password of the embedded directory has to be. */
export interface PasswordPolicy {
  /**
   * What a new password lacks; empty where it will do. `words` are the account's own, which count for nothing in it. Refuses with
   * DEPENDENCY_UNAVAILABLE where that can't be told now: a new password can wait, and no sign-in asks this.
   */
  weaknesses(password: string, words: { readonly email: string }): Promise<readonly PasswordWeakness[]>;
}

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

/** Signed links in e-mails. Nothing is stored of them. */
export interface Links {
  /** A token that says what its bearer may do, good until `expireTime`. */
  sign(link: Link, now: Date): string;
  /** What a token says; undefined where it was not signed by us, or is over. */
  read(token: string, now: Date): Link | undefined;
}

export interface Link {
  readonly accountId: string;
  readonly may: LinkPower;
  readonly expireTime: Date;
}

/** What the bearer of a link may do: say "it wasn't me", or set a password in place of this one, of this address. */
export type LinkPower =
  | WasNotMe
  | { readonly kind: 'reset'; readonly passwordVersion: number; readonly emailHash: string };

/** To a challenge, or to an entry of the login activity. */
export type WasNotMe =
  | { readonly kind: 'deny'; readonly challengeId: string }
  | { readonly kind: 'report'; readonly eventId: string };

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

/** A WatchDevice stream, wherever it is open. */
export type OpenStream = Pick<StreamState, 'streamId' | 'sessionId' | 'deviceId'>;

/** What a stream is told, with what a device may see of a challenge. */
export type LiveEvent =
  | {
      readonly kind: 'codeArrived';
      readonly challenge: Challenge;
      readonly around: Surroundings;
      readonly code: string;
    }
  | { readonly kind: 'challengeResolved'; readonly challenge: Challenge; readonly around: Surroundings }
  | { readonly kind: 'signedOut'; readonly cause: string }
  | { readonly kind: 'keepAlive' }
  /** The last one of a stream that ends for another reason than its session. */
  | { readonly kind: 'ended'; readonly why: 'displaced' | 'stopping' };

/** The events of one stream; nothing more after `signedOut` or `ended`. */
export interface LiveFeed {
  /** Reads what is pending now; until then only what happens later is told. */
  open(): void;
  /** The next event; undefined once the feed is closed. */
  next(): Promise<LiveEvent | undefined>;
  /** May be called at any time, also while an event is waited for. */
  close(): void;
}

/** The open streams of this replica. */
export interface LiveStreams {
  readonly replicaId: string;
  /** `cut` breaks the connection of a stream that does not read. */
  attach(accountId: string, stream: OpenStream, cut: () => void): LiveFeed;
  /** Deletes what is noted of a closed stream as soon as the database takes it. */
  forget(accountId: string, streamId: string): void;
}

/** What the streams of this replica read of the database. */
export interface LiveStore {
  snapshot(
    accountId: string,
    streams: readonly OpenStream[],
    now: Date,
  ): Promise<{
    readonly snapshot: AccountSnapshot;
    readonly devices: readonly AppDevice[];
    readonly codeSends: ReadonlyMap<string, readonly CodeSend[]>;
  }>;
  /** Which of these accounts have something to tell: for what a bus may have lost. */
  accountsToTell(
    streams: readonly (OpenStream & { readonly accountId: string })[],
    now: Date,
  ): Promise<readonly string[]>;
  deleteStream(accountId: string, streamId: string): Promise<void>;
  /** Says that this replica lives, for the next `forMs` milliseconds. */
  renewReplica(replicaId: string, forMs: number): Promise<void>;
  forgetReplica(replicaId: string): Promise<void>;
}

/** A session that ended before its time. */
export interface Revocation {
  readonly accountId: string;
  readonly sessionId: string;
  readonly deviceId: string;
  readonly cause: RevocationCause;
  readonly revokeTime: Date;
}

/** `stalenessMs`: what ended longer ago than this has been told. */
export type RevocationEvent =
  | { readonly kind: 'revoked'; readonly revocation: Revocation }
  | { readonly kind: 'caughtUp' | 'keepAlive'; readonly stalenessMs: number };

/** The events of one stream: what ended of late, `caughtUp` once, then whatever ends, and `keepAlive` every second. */
export interface RevocationFeed {
  /** The next event; undefined once the feed is closed, or could not be caught up since PostgreSQL is out of reach. */
  next(): Promise<RevocationEvent | undefined>;
  /** May be called at any time, also while an event is waited for. */
  close(): void;
}

/** The revocations that this replica tells. */
export interface Revocations {
  /**
   * Undefined where as many streams are open here as there may be, of this caller or of all. `cut` breaks the connection of one
   * that does not read.
   */
  attach(caller: string, cut: () => void): RevocationFeed | undefined;
  /** How many streams are open here. */
  openStreams(): number;
}

/** What PostgreSQL keeps of revocations, read by one reader; no reading may begin before the last one has ended. */
export interface RevocationLog {
  /**
   * What was committed since the reading before; undefined where that can't be told, which is so at the first, and after a failure:
   * then `readAll` has it.
   * @throws Error where PostgreSQL is out of reach or silent, or a standby.
   */
  readNew(): Promise<readonly Revocation[] | undefined>;
  /**
   * All that ended within the last access token's life, and all since the newest reading that knew everything; page by page, each as
   * soon as PostgreSQL has answered. Read after `readNew`, the next of which goes on from there.
   * @throws Error where PostgreSQL is out of reach or silent.
   */
  readAll(): AsyncIterable<readonly Revocation[]>;
  /** Lets go of its connection; the next reading opens another. */
  close(): Promise<void>;
}

/** Tells every replica that something of an account has changed; carries names only. */
export interface Bus {
  /** `onAccount` is told of each change; `onGap` when some may have been missed. */
  subscribe(listener: { onAccount(accountId: string): void; onGap(): void }): void;
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
