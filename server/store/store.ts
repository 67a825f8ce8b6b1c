// The store as the flows know it: one transaction an account, under the lock of its row.

import type { AccountTransaction, DirectoryWriter, Store } from '../flows/ports.ts';
import * as accounts from './accounts.ts';
import * as challenges from './challenges.ts';
import { type Database, type Db, isUniqueViolation } from './database.ts';
import * as deliveries from './deliveries.ts';
import * as devices from './devices.ts';
import * as events from './login-events.ts';
import * as guesses from './password-guesses.ts';
import * as sessions from './sessions.ts';

export function createStore(database: Database): Store {
  const read: Database['read'] = (work) => database.read(work);
  const transaction: Database['transaction'] = (work) => database.transaction(work);
  return {
    inAccount: async (accountId, work) => {
      const attempt = () => transaction(async (db) => work(await openAccount(db, accountId)));
      try {
        return await attempt();
      } catch (error) {
        // Two accounts reached for one address at the same moment: the second sees it taken when it looks again.
        if (isUniqueViolation(error)) return attempt();
        throw error;
      }
    },
    countPasswordGuess: (emailHash, decide, now) =>
      transaction((db) => guesses.countPasswordGuess(db, emailHash, decide, now)),
    findAccount: (accountId) => read((db) => accounts.findAccount(db, accountId)),
    findSession: (accountId, sessionId) => read((db) => sessions.findSessionRecord(db, accountId, sessionId)),
    markSessionUsed: (accountId, sessionId, generation, now) =>
      read((db) => sessions.markSessionUsed(db, accountId, sessionId, generation, now)),
    findDeviceByToken: (accountId, tokenHash) => read((db) => devices.findDeviceByToken(db, accountId, tokenHash)),
    findChallengeByToken: (accountId, tokenHash) =>
      read(async (db) => {
        const challenge = await challenges.findChallengeByToken(db, accountId, tokenHash);
        if (challenge === undefined) return undefined;
        return { challenge, deliveries: await deliveries.deliveriesOf(db, accountId, challenge.challengeId) };
      }),
    devicesWithTrust: (accountId) => read((db) => devices.devicesWithTrust(db, accountId)),
    appendEvent: (event) => read((db) => events.insertEventOfKnown(db, event)),
    listEvents: (accountId, before, notBefore, count) =>
      read((db) => events.listEvents(db, accountId, before, notBefore, count)),
  };
}

async function openAccount(db: Db, accountId: string): Promise<AccountTransaction> {
  return {
    account: await accounts.lockAccount(db, accountId),
    saveAccount: (account) => accounts.saveAccount(db, account),

    challengeByToken: (tokenHash) => challenges.findChallengeByToken(db, accountId, tokenHash),
    challengeByRequest: (requestId, since) => challenges.findChallengeByRequest(db, accountId, requestId, since),
    challengeTimes: (since) => challenges.challengeTimes(db, accountId, since),
    insertChallenge: (challenge) => challenges.insertChallenge(db, challenge),
    saveChallenge: (challenge) => challenges.saveChallenge(db, challenge),
    closeChallenges: (now) => challenges.closeChallenges(db, accountId, now),
    deliveriesOf: (challengeId) => deliveries.deliveriesOf(db, accountId, challengeId),

    session: (sessionId) => sessions.lockSession(db, accountId, sessionId),
    sessionByRefreshFamily: (familyHash) => sessions.lockSessionByFamily(db, accountId, familyHash),
    insertSession: (session) => sessions.insertSession(db, session),
    saveSession: (session) => sessions.saveSession(db, session),
    endSessions: (filter, cause, now) => sessions.endSessions(db, accountId, filter, cause, now),

    device: (deviceId) => devices.findDevice(db, accountId, deviceId),
    deviceByToken: (tokenHash) => devices.findDeviceByToken(db, accountId, tokenHash),
    devicesWithTrust: () => devices.devicesWithTrust(db, accountId),
    insertDevice: (device) => devices.insertDevice(db, device),
    saveDevice: (device) => devices.saveDevice(db, device),

    appendEvent: (event) => events.insertEvent(db, event),
    send: (delivery, now) => deliveries.insertDelivery(db, delivery, now),
    forgetPasswordGuess: (emailHash, guessId) => guesses.forgetPasswordGuess(db, emailHash, guessId),

    setPasswordHash: (passwordHash, now) => accounts.setPasswordHash(db, accountId, passwordHash, now),
    updateDirectoryAccount: (change, now) => accounts.updateDirectoryAccount(db, accountId, change, now),
  };
}

/** Creates accounts of the embedded directory. */
export function createDirectoryWriter(
  database: Database,
  hashPassword: (password: string) => Promise<string>,
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
  };
}
