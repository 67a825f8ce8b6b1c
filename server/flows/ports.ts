// What the flows need of the rest of the world: platform, directory, location and delivery implement these, and the flows import
// nothing of theirs. What a call reads and writes is in store-ports.ts; here is only what open streams read.

import type { AppDevice, Challenge, Channel, Surroundings } from '../domain/challenge.ts';
import type { CodeSend } from '../domain/delivery.ts';
import type { Origin } from '../domain/device.ts';
import type { ImportKey, ImportResult } from '../domain/import.ts';
import type { PasswordWeakness } from '../domain/password.ts';
import type { Place } from '../domain/place.ts';
import type { RevocationCause } from '../domain/session.ts';
import type { AccountSnapshot, StreamState } from '../domain/watch.ts';

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
    readonly emailOpen: boolean;
  }>;
  /** Which of these accounts have something to tell: for what a bus may have lost. */
  accountsToTell(
    streams: readonly (OpenStream & { readonly accountId: string })[],
    now: Date,
  ): Promise<readonly string[]>;
  deleteStream(accountId: string, streamId: string): Promise<void>;
  /** Says that this replica lives, for the next `forMs` milliseconds, and returns which others do. */
  renewReplica(replicaId: string, forMs: number): Promise<readonly string[]>;
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

/** Counts calls of a minute, over all replicas. Guesses are counted elsewhere, under the rows that they are for. */
export interface CallLimiter {
  /**
   * A call from this address; `costly` where a stranger can make it and it is. Returns once it is counted.
   * @throws DomainError RATE_LIMITED where that is too many, DEPENDENCY_UNAVAILABLE where nothing can count.
   */
  ofAddress(ipAddress: string, costly: boolean): Promise<void>;
  /** The same of a session of this account. */
  ofAccount(accountId: string): Promise<void>;
}

/** Tells every replica that something of an account has changed; carries names only. */
export interface Bus {
  /** `onAccount` is told of each change; `onGap` when some may have been missed. */
  subscribe(listener: { onAccount(accountId: string): void; onGap(): void }): void;
  /** Whether something may be told now that is not heard: until `onGap`, whoever listens has to look by itself. */
  isCut(): boolean;
}
