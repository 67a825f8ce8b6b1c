// The tables as MikroORM knows them; migrations/ makes them, and a test holds the two together. Every key of ours begins
// with the account, so that a statement touches one account's rows; global are the e-mail index, the guesses and the audit records.

import { defineEntity, p } from '@mikro-orm/core';
import type { Channel, Purpose } from '../domain/challenge.ts';
import type { Attempt, DeliveryKind, DeliveryState, PushService } from '../domain/delivery.ts';
import type { DeviceDescription, Origin, Platform, SignedInFrom } from '../domain/device.ts';
import type { PasswordGuess } from '../domain/limits.ts';
import type { EventKind } from '../domain/login-event.ts';
import type { Place } from '../domain/place.ts';
import type { AuthenticationMethod, RevocationCause, SessionEndCause } from '../domain/session.ts';
import type { Unusual, UnusualFinding } from '../domain/unusual.ts';

export const AccountEntity = defineEntity({
  name: 'Account',
  tableName: 'account',
  properties: {
    accountId: p.text().primary(),
    createTime: p.datetime(),
    twoStepEnabled: p.boolean(),
    passwordChangeRequired: p.boolean(),
    passwordVersion: p.integer(),
    wrongCodes: p.integer(),
    lastWrongCodeTime: p.datetime().nullable(),
    countries: p.json<readonly string[]>().nullable(),
  },
});

export const DirectoryAccountEntity = defineEntity({
  name: 'DirectoryAccount',
  tableName: 'directory_account',
  properties: {
    accountId: p.text().primary(),
    email: p.text(),
    normalisedEmail: p.text().unique(),
    passwordHash: p.text(),
    passwordAsTyped: p.boolean(),
    locale: p.text(),
    createTime: p.datetime(),
    updateTime: p.datetime(),
  },
});

export const DeviceEntity = defineEntity({
  name: 'Device',
  tableName: 'device',
  properties: {
    accountId: p.text().primary(),
    deviceId: p.uuid().primary(),
    displayName: p.text(),
    model: p.text(),
    platform: p.text().$type<Platform>(),
    osVersion: p.text(),
    appVersion: p.text(),
    tokenHash: p.uint8array().nullable(),
    trustTime: p.datetime().nullable(),
    trustEndTime: p.datetime().nullable(),
    createTime: p.datetime(),
    lastUseTime: p.datetime(),
    lastIpAddress: p.text(),
    lastPlace: p.json<Place>().nullable(),
    signedInFrom: p.json<SignedInFrom>().nullable(),
  },
});

export const SessionEntity = defineEntity({
  name: 'Session',
  tableName: 'session',
  properties: {
    accountId: p.text().primary(),
    sessionId: p.uuid().primary(),
    deviceId: p.uuid(),
    amr: p.json<readonly AuthenticationMethod[]>(),
    createTime: p.datetime(),
    lastUseTime: p.datetime(),
    endTime: p.datetime().nullable(),
    endCause: p.text().$type<SessionEndCause>().nullable(),
    generation: p.integer(),
    oldestGeneration: p.integer(),
    familyHash: p.uint8array(),
    refreshHash: p.uint8array(),
    spentHash: p.uint8array().nullable(),
    spentTime: p.datetime().nullable(),
    firstUseTime: p.datetime().nullable(),
  },
});

export const ChallengeEntity = defineEntity({
  name: 'Challenge',
  tableName: 'challenge',
  properties: {
    accountId: p.text().primary(),
    challengeId: p.uuid().primary(),
    purpose: p.text().$type<Purpose>(),
    state: p.text().$type<'PENDING' | 'VERIFIED' | 'CLOSED'>(),
    tokenHash: p.uint8array(),
    requestId: p.uuid().nullable(),
    codeKeyId: p.text(),
    sessionId: p.uuid().nullable(),
    deviceId: p.uuid().nullable(),
    network: p.text(),
    defaultChannel: p.text().$type<Channel>(),
    locale: p.text(),
    device: p.json<DeviceDescription>(),
    origin: p.json<Origin>(),
    maskedEmail: p.text(),
    createTime: p.datetime(),
    expireTime: p.datetime(),
    settleTime: p.datetime().nullable(),
    denyTime: p.datetime().nullable(),
    wrongCodes: p.integer(),
    sends: p.json<Partial<Record<Channel, { readonly count: number; readonly lastTime: string }>>>(),
  },
});

export const DeliveryEntity = defineEntity({
  name: 'Delivery',
  tableName: 'delivery',
  properties: {
    accountId: p.text().primary(),
    deliveryId: p.uuid().primary(),
    kind: p.text().$type<DeliveryKind>(),
    channel: p.text().$type<Channel>(),
    pushService: p.text().$type<PushService>().nullable(),
    deviceId: p.uuid().nullable(),
    challengeId: p.uuid().nullable(),
    eventId: p.uuid().nullable(),
    address: p.text().nullable(),
    locale: p.text().nullable(),
    state: p.text().$type<DeliveryState>(),
    createTime: p.datetime(),
    handoverTime: p.datetime().nullable(),
    nextAttemptTime: p.datetime().nullable(),
    endTime: p.datetime().nullable(),
    answer: p.text().nullable(),
    attempts: p.json<readonly Attempt[]>(),
  },
});

export const LoginEventEntity = defineEntity({
  name: 'LoginEvent',
  tableName: 'login_event',
  properties: {
    accountId: p.text().primary(),
    eventId: p.uuid().primary(),
    kind: p.text().$type<EventKind>(),
    device: p.json<DeviceDescription>().nullable(),
    deviceId: p.uuid().nullable(),
    sessionId: p.uuid().nullable(),
    challengeId: p.uuid().nullable(),
    channel: p.text().$type<Channel>().nullable(),
    origin: p.json<Origin>(),
    unusual: p.json<readonly Unusual[]>(),
    unusualDetails: p.json<readonly UnusualFinding[]>().nullable(),
    reported: p.boolean(),
  },
});

export const PasswordGuessesEntity = defineEntity({
  name: 'PasswordGuesses',
  tableName: 'password_guesses',
  properties: {
    emailHash: p.uint8array().primary(),
    guesses: p.json<readonly PasswordGuess[]>(),
    updateTime: p.datetime(),
  },
});

export const PushRegistrationEntity = defineEntity({
  name: 'PushRegistration',
  tableName: 'push_registration',
  properties: {
    accountId: p.text().primary(),
    deviceId: p.uuid().primary(),
    service: p.text().$type<'APNS' | 'FCM'>(),
    token: p.text(),
    tokenHash: p.uint8array().unique(),
    topic: p.text().nullable(),
    environment: p.text().$type<'PRODUCTION' | 'SANDBOX'>().nullable(),
    updateTime: p.datetime(),
  },
});

export const ReplicaEntity = defineEntity({
  name: 'Replica',
  tableName: 'replica',
  properties: { replicaId: p.uuid().primary(), aliveUntil: p.datetime() },
});

export const OpenStreamEntity = defineEntity({
  name: 'OpenStream',
  tableName: 'open_stream',
  properties: {
    accountId: p.text().primary(),
    streamId: p.uuid().primary(),
    sessionId: p.uuid(),
    deviceId: p.uuid(),
    replicaId: p.uuid(),
  },
});

export const RevocationEntity = defineEntity({
  name: 'Revocation',
  tableName: 'revocation',
  properties: {
    accountId: p.text().primary(),
    sessionId: p.uuid().primary(),
    deviceId: p.uuid(),
    cause: p.text().$type<RevocationCause>(),
    revokeTime: p.datetime(),
    transactionId: p.text().columnType('xid8'),
  },
});

export const AuditRecordEntity = defineEntity({
  name: 'AuditRecord',
  tableName: 'audit_record',
  properties: {
    recordId: p.uuid().primary(),
    caller: p.text(),
    rpc: p.text(),
    accountId: p.text(),
    ipAddress: p.text(),
    outcome: p.text(),
    details: p.json<Readonly<Record<string, string>>>(),
    requestId: p.text(),
  },
});

/** Its statements are those of the library that counts. */
export const CallCountEntity = defineEntity({
  name: 'CallCount',
  tableName: 'call_count',
  properties: {
    key: p.text().primary(),
    points: p.integer(),
    expire: p.text().columnType('int8'),
  },
});

export const entities = [
  AccountEntity,
  DirectoryAccountEntity,
  DeviceEntity,
  SessionEntity,
  ChallengeEntity,
  DeliveryEntity,
  LoginEventEntity,
  PasswordGuessesEntity,
  PushRegistrationEntity,
  ReplicaEntity,
  OpenStreamEntity,
  RevocationEntity,
  AuditRecordEntity,
  CallCountEntity,
] as const;
