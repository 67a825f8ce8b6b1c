// The store as the flows know it: one transaction an account, under the lock of its row.

import type { HeldForm } from '../directory/decoys.ts';
import type { DirectoryEntries } from '../directory/embedded.ts';
import type { MetAccounts } from '../directory/remote.ts';
import { appAudience, appSends } from '../domain/challenge.ts';
import { DomainError } from '../domain/errors.ts';
import type { DirectoryWriter } from '../flows/ports.ts';
import type { AccountKey, AccountTransaction, Store } from '../flows/store-ports.ts';
import * as accounts from './accounts.ts';
import type { Announce } from './announce.ts';
import * as challenges from './challenges.ts';
import type { Database } from './database.ts';
import { isPartitionMissing, isUniqueViolation } from './database-errors.ts';
import * as deliveries from './deliveries.ts';
import * as devices from './devices.ts';
import { eraseAccount, eraseOldest } from './erasure.ts';
import { importAccounts } from './import.ts';
import * as jobs from './jobs.ts';
import * as events from './login-events.ts';
import * as guesses from './password-guesses.ts';
import * as registrations from './push-registrations.ts';
import { createEventReader, type EventReader } from './read-replica.ts';
import * as sessions from './sessions.ts';
import type { Db } from './statement.ts';
import * as streams from './streams.ts';
import * as support from './support.ts';

/** What the store must know of this server, beside its database. */
export interface StoreSettings extends streams.AppSettings {
  readonly replicaId: string;
  readonly announce: Announce;
  /** What the sends of a call are traced under. */
  readonly traceparent: () => string | undefined;
  /** Where pages of the login activity are read; undefined for where all is. */
  readonly eventReader?: EventReader | undefined;
  /** Makes the partitions that events of now need: clocks jump, and maintenance may have been kept from it. */
  readonly makePartitions: () => Promise<void>;
}

export function createStore(database: Database, settings: StoreSettings): Store {
  const read: Database['read'] = (work) => database.read(work);
  const autocommit: Database['autocommit'] = (work) => database.autocommit(work);
  const transaction: Database['transaction'] = (work) => database.transaction(work);
  const { eventReader = createEventReader(database) } = settings;
  let making: Promise<void> | undefined;
  /** Writes an event; where it has no partition to go to, makes that first, once for all who wait for it. */
  const withPartition = async <T>(write: () => Promise<T>): Promise<T> => {
    try {
      return await write();
    } catch (error) {
      if (!isPartitionMissing(error)) throw error;
      making ??= settings.makePartitions().finally(() => {
        making = undefined;
      });
      await making;
      return write();
    }
  };
  return {
    inAccount: async (accountId, work, key) => {
      const attempt = () => withPartition(() => transaction((db) => inAccount(db, accountId, settings, work, key)));
      try {
        return await attempt();
      } catch (error) {
        // Two accounts reached for one address at the same moment: the second sees it taken when it looks again.
        if (isUniqueViolation(error)) return attempt();
        throw error;
      }
    },
    passwordGuesses: (emailHash) => read((db) => guesses.passwordGuesses(db, emailHash)),
    replacePasswordGuesses: (emailHash, before, after, now) =>
      autocommit((db) => guesses.replacePasswordGuesses(db, emailHash, before, after, now)),
    forgetPasswordGuess: (emailHash, guessId) =>
      autocommit((db) => guesses.forgetPasswordGuess(db, emailHash, guessId)),
    findAccount: (accountId) => read((db) => accounts.findAccount(db, accountId)),
    findSession: (accountId, sessionId) => read((db) => sessions.findSessionRecord(db, accountId, sessionId)),
    findIntrospected: (accountId, sessionId) => read((db) => sessions.findIntrospected(db, accountId, sessionId)),
    // An account may have many that are over, which it looks past.
    listSessions: (accountId, before, now, count) =>
      autocommit((db) => sessions.listSessions(db, accountId, before, settings.limits, now, count)),
    markSessionUsed: (accountId, sessionId, generation, now) =>
      autocommit((db) => sessions.markSessionUsed(db, accountId, sessionId, generation, now)),
    findDeviceByToken: (accountId, tokenHash) => read((db) => devices.findDeviceByToken(db, accountId, tokenHash)),
    findChallengeByToken: (accountId, tokenHash, now) =>
      read(async (db) => {
        const challenge = await challenges.findChallengeByToken(db, accountId, tokenHash);
        if (challenge === undefined) return undefined;
        const [codeSends, showing, emailOpen] = await Promise.all([
          deliveries.codeSendsOf(db, accountId, challenge.challengeId),
          streams.appDevices(db, accountId, settings, now),
          streams.emailOpen(db, accountId, settings),
        ]);
        return { challenge, around: { codeSends, audience: appAudience(showing, challenge.deviceId), emailOpen } };
      }),
    findChallenge: (accountId, challengeId) => read((db) => challenges.findChallenge(db, accountId, challengeId)),
    traceChallenge: (accountId, challengeId) => autocommit((db) => support.traceChallenge(db, accountId, challengeId)),
    accountSecurity: (accountId) => autocommit((db) => support.accountSecurity(db, accountId)),
    appDevices: (accountId, now) => read((db) => streams.appDevices(db, accountId, settings, now)),
    emailOpen: (accountId) => read((db) => streams.emailOpen(db, accountId, settings)),
    devicesWithTrust: (accountId) => read((db) => devices.devicesWithTrust(db, accountId)),
    markShown: (accountId, challengeId, deviceId, now) =>
      autocommit((db) => deliveries.markShown(db, accountId, challengeId, deviceId, now)),
    deleteStream: (accountId, streamId) => autocommit((db) => streams.deleteStream(db, accountId, streamId)),
    appendEvent: (event) => withPartition(() => autocommit((db) => events.insertEventOfKnown(db, event))),
    eraseOldest: (accountId) => eraseOldest(autocommit, accountId),
    findEvent: (accountId, eventId) => read((db) => events.findEvent(db, accountId, eventId)),
    promisePasswordReset: (accountId, locale) =>
      autocommit((db) => jobs.addPasswordReset(db, accountId, locale, settings.traceparent())),
    listEvents: (accountId, filter, before, notBefore, count) => {
      const range = events.rangeOf(accountId, filter, before, notBefore);
      const { kinds, deviceId, unusualOnly } = filter;
      // One that looks at many rows may be slow, and is not for the connections that calls share.
      return kinds.length > 0 || deviceId !== null || unusualOnly
        ? eventReader.search((db) => events.searchEvents(db, range, filter, count))
        : eventReader.read((db) => events.listEvents(db, range, count));
    },
  };
}

/** Runs `work` under the account's lock, and has the replicas told of it if an open stream has to hear of it. */
async function inAccount<T>(
  db: Db,
  accountId: string,
  settings: StoreSettings,
  work: (tx: AccountTransaction) => Promise<T>,
  key: AccountKey | undefined,
): Promise<T> {
  const { limits, replicaId } = settings;
  let heard = false;
  const tell = (whether: boolean) => {
    heard ||= whether;
  };
  const account = accounts.lockAccount(db, accountId, key);
  // Whoever needs it waits for it; whoever does not learns of a failure by the commit.
  account.catch(() => {});
  const result = await work({
    account,
    saveAccount: (account) => accounts.saveAccount(db, account),

    challenge: (challengeId) => challenges.findChallenge(db, accountId, challengeId),
    challengeByToken: (tokenHash) => challenges.findChallengeByToken(db, accountId, tokenHash),
    challengeByRequest: (requestId, since) => challenges.findChallengeByRequest(db, accountId, requestId, since),
    recentChallenges: (since) => challenges.recentChallenges(db, accountId, since),
    challengesInApp: async (now) => {
      const opened = new Date(now.getTime() - limits.challengeLifetimeMs);
      return (await challenges.challengesInApp(db, accountId, opened)).reverse();
    },
    insertChallenge: (challenge) => challenges.insertChallenge(db, challenge),
    saveChallenge: (challenge) => {
      challenges.saveChallenge(db, challenge);
      if (challenge.state === 'PENDING' || appSends(challenge) === 0) return;
      tell(true);
      jobs.settleLater(db, accountId, challenge.challengeId, 0);
    },
    hasSwitchedOff: (deviceId) => challenges.hasSwitchedOff(db, accountId, deviceId),
    closeChallenges: (now) => {
      tell(true);
      challenges.closeChallenges(db, accountId, now);
    },
    codeSendsOf: (challengeId) => deliveries.codeSendsOf(db, accountId, challengeId),
    deliveriesOf: (challengeId) => deliveries.deliveriesOf(db, accountId, challengeId),
    markShown: (challengeId, deviceId, now) => deliveries.markShown(db, accountId, challengeId, deviceId, now),

    session: (sessionId) => sessions.lockSession(db, accountId, sessionId),
    sessionByRefreshFamily: (familyHash) => sessions.lockSessionByFamily(db, accountId, familyHash),
    insertSession: (session) => sessions.insertSession(db, session),
    saveSession: (session) => sessions.saveSession(db, session),
    countLiveSessions: (filter) => sessions.countLiveSessions(db, accountId, filter),
    endSessions: (filter, cause, now) => {
      tell(true);
      sessions.endSessions(db, accountId, filter, cause, now);
    },
    endSurplusSessions: (most, now) => {
      tell(true);
      sessions.endSurplusSessions(db, accountId, most, now);
    },

    device: (deviceId) => devices.findDevice(db, accountId, deviceId),
    deviceByToken: (tokenHash) => devices.findDeviceByToken(db, accountId, tokenHash),
    devicesWithTrust: () => devices.devicesWithTrust(db, accountId),
    sightings: () => devices.sightings(db, accountId),
    appDevices: (now) => streams.appDevices(db, accountId, settings, now),
    emailOpen: () => streams.emailOpen(db, accountId, settings),
    forgetTrust: (now) => devices.forgetTrust(db, accountId, now),
    insertDevice: (device) => devices.insertDevice(db, device),
    saveDevice: (device) => devices.saveDevice(db, device),
    noteDeviceUse: (use) => devices.noteDeviceUse(db, accountId, use),
    savePushRegistration: (deviceId, registration, now) =>
      registrations.savePushRegistration(db, accountId, deviceId, registration, now),
    deletePushRegistrations: (deviceId) => registrations.deletePushRegistrations(db, accountId, deviceId),

    insertStream: (stream) => streams.insertStream(db, accountId, stream, replicaId),
    deleteStream: (streamId) => {
      tell(true);
      streams.deleteStream(db, accountId, streamId);
    },

    forgetPasswordGuess: (emailHash, guessId) => guesses.forgetPasswordGuess(db, emailHash, guessId),
    appendEvent: (event) => events.insertEvent(db, event),
    legacyRefusals: (since) => events.legacyRefusals(db, accountId, since),
    event: (eventId) => events.findEvent(db, accountId, eventId),
    markReported: (eventId) => events.markReported(db, accountId, eventId),
    send: (sent, now) => {
      tell(sent.some(({ kind, channel }) => kind === 'CODE' && channel === 'APP'));
      deliveries.insertDeliveries(db, sent, settings.traceparent(), now);
    },
    countMails: (kind, since) => deliveries.countMails(db, accountId, kind, since),
    addressNotices: (address) => deliveries.addressNotices(db, accountId, address),
    fallBackLater: (challengeId, inMs) => jobs.fallBackLater(db, accountId, challengeId, inMs),
    settleLater: (challengeId, inMs) => jobs.settleLater(db, accountId, challengeId, inMs),
    eraseAccount: () => {
      tell(true);
      return eraseAccount(db, accountId);
    },
    erasePasswordGuesses: (emailHashes) => guesses.erasePasswordGuesses(db, emailHashes),
    setPasswordHash: (passwordHash, now) => accounts.setPasswordHash(db, accountId, passwordHash, now),
    renewPasswordHash: (renewal, now) => accounts.renewPasswordHash(db, accountId, renewal, now),
    updateDirectoryAccount: (change, now) => accounts.updateDirectoryAccount(db, accountId, change, now),
  });
  if (heard) settings.announce(db, accountId);
  return result;
}

/** The forms of hashes that the embedded directory holds, of a sample of it. It may take a moment. */
export const readHeldForms = (database: Database): Promise<readonly HeldForm[]> =>
  database.autocommit(accounts.heldForms);

/** The entries of the embedded directory. */
export function createDirectoryEntries(database: Database): DirectoryEntries {
  return {
    byId: (accountId) => database.read((db) => accounts.directoryAccount(db, accountId)),
    byEmail: (email) => database.read((db) => accounts.directoryAccountByEmail(db, email)),
    withPassword: (email) => database.read((db) => accounts.passwordByEmail(db, email)),
  };
}

/** The accounts that live elsewhere, as far as they are known here. */
export function createMetAccounts(database: Database, now: () => Date): MetAccounts {
  return { meet: (accountId) => database.autocommit((db) => accounts.meetAccount(db, accountId, now())) };
}

/** Each is lost to a transaction that has made some of the same accounts, and so leaves less to do. */
const mostLaps = 10;

/** Creates accounts of the embedded directory. */
/** @param onImported is waited for where an import has created accounts. */
export function createDirectoryWriter(
  database: Database,
  hashPassword: (password: string) => Promise<string>,
  onImported: () => Promise<unknown>,
): DirectoryWriter {
  return {
    hashPassword,
    createAccount: async (entry) => {
      const taken = new Error('address taken');
      try {
        await database.transaction(async (db) => {
          if (!(await accounts.insertAccount(db, entry))) throw taken;
        });
        return true;
      } catch (error) {
        if (error === taken) return false;
        throw error;
      }
    },
    importAccounts: async (entries) => {
      const overtaken = new Error('another transaction came in between');
      for (let lap = 0; lap < mostLaps; lap++) {
        try {
          const imported = await database.transaction(async (db) => {
            const results = await importAccounts(db, entries);
            if (results === undefined) throw overtaken;
            return results;
          });
          if (imported.some(({ outcome }) => outcome === 'CREATED')) await onImported();
          return imported;
        } catch (error) {
          if (error !== overtaken) throw error;
        }
      }
      throw new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 1_000 }, { cause: overtaken });
    },
  };
}
