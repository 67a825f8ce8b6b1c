// Senders of pushes to the servers of a test, and the pushes that they are given.

import { randomBytes, randomUUID } from 'node:crypto';
import type { ApnsRegistration, ApnsSettings } from '../../server/delivery/apns.ts';
import type { FcmSettings } from '../../server/delivery/fcm.ts';
import type { Push } from '../../server/delivery/push.ts';
import type { ApnsServer } from '../support/apns-server.ts';
import type { FcmServer } from '../support/fcm-server.ts';

export const requestTimeoutMs = 400;
export const now = () => new Date();
export const since = new Date('2026-01-02T03:04:05.678Z');
export const topic = 'com.example.app';

export const newToken = () => randomBytes(32).toString('hex');
export const push = (more: Partial<Push> = {}): Push => ({
  id: randomUUID(),
  collapseId: 'challenge-1',
  expireTime: new Date(Date.now() + 300_000),
  notification: { title: 'Sign-in to Example', body: 'Is it you who signs in from Osaka?' },
  urgent: true,
  data: { challenge_id: 'c1', kind: 'sign_in' },
  ...more,
});

export function apnsSettings(apns: ApnsServer, more: Partial<ApnsSettings> = {}): ApnsSettings {
  const { keyPem: key, keyId, teamId, host, port, caPem: ca } = apns;
  return {
    key,
    keyId,
    teamId,
    ca,
    production: { host, port },
    sandbox: { host, port },
    requestTimeoutMs,
    now,
    ...more,
  };
}
export const onProduction = (token: string): ApnsRegistration => ({
  service: 'APNS',
  token,
  topic,
  environment: 'PRODUCTION',
});

export function fcmSettings(server: FcmServer, more: Partial<FcmSettings> = {}): FcmSettings {
  const { project_id, client_email, private_key, private_key_id, token_uri } = server.serviceAccount;
  return {
    projectId: project_id,
    clientEmail: client_email,
    privateKey: private_key,
    privateKeyId: private_key_id,
    tokenUri: token_uri,
    rootUrl: server.rootUrl,
    requestTimeoutMs,
    now,
    ...more,
  };
}
