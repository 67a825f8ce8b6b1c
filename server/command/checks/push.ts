// The push services: whether they are there and take our credentials. What is sent names a device that there is not, by the same way
// as every push: an answer about that device is one to credentials that are good.

import { randomUUID } from 'node:crypto';
import type { ApnsConfig, FcmConfig } from '../../config/outside.ts';
import { createApnsSender } from '../../delivery/apns.ts';
import { createFcmSender } from '../../delivery/fcm.ts';
import type { Handover } from '../../delivery/handover.ts';
import type { Push } from '../../delivery/push.ts';
import type { Clock } from '../../flows/ports.ts';
import { type Finding, fail, ok, patienceMs, skip, warn } from './finding.ts';

function testPush(now: Date): Push {
  return {
    id: randomUUID(),
    collapseId: 'countersign-doctor',
    expireTime: new Date(now.getTime() + 60_000),
    notification: undefined,
    urgent: false,
    data: { kind: 'doctor' },
  };
}

export async function checkApns(apns: ApnsConfig | undefined, clock: Clock): Promise<Finding[]> {
  if (apns === undefined) return [skip('COUNTERSIGN_APNS_KEY is not set: no pushes to iOS')];
  const sender = createApnsSender({ ...apns, now: clock.now, requestTimeoutMs: patienceMs });
  try {
    return await Promise.all(
      (['PRODUCTION', 'SANDBOX'] as const).map(async (environment) => {
        const registration = { service: 'APNS', token: 'doctor', topic: 'countersign.doctor', environment } as const;
        const handover = await sender.send(registration, testPush(clock.now()));
        const { host, port } = environment === 'PRODUCTION' ? apns.production : apns.sandbox;
        return apnsFinding(`APNs at ${host}:${port}`, handover);
      }),
    );
  } finally {
    sender.close().catch(() => {});
  }
}

function apnsFinding(where: string, { kind, answer }: Handover): Finding {
  if (kind === 'unreachable') {
    return fail(
      `${where} can't be reached: ${answer}`,
      'does a firewall let this machine out to it, and is COUNTERSIGN_APNS_CA right?',
    );
  }
  if (answer.startsWith('403')) {
    return fail(
      `${where} does not take our key: ${answer}`,
      'COUNTERSIGN_APNS_KEY, COUNTERSIGN_APNS_KEY_ID and COUNTERSIGN_APNS_TEAM_ID have to belong together; the clock has to be right',
    );
  }
  if (kind === 'retry') return warn(`${where} is not well: ${answer}`, 'try again later');
  return ok(`${where} takes our key`);
}

export async function checkFcm(fcm: FcmConfig | undefined, clock: Clock): Promise<Finding[]> {
  if (fcm === undefined) return [skip('COUNTERSIGN_FCM_CREDENTIALS is not set: no pushes to Android')];
  const sender = createFcmSender({ ...fcm, now: clock.now, requestTimeoutMs: patienceMs, validateOnly: true });
  try {
    const { kind, answer } = await sender.send({ service: 'FCM', token: 'countersign-doctor' }, testPush(clock.now()));
    const where = `FCM, project ${fcm.projectId}`;
    if (kind === 'unreachable') {
      return [fail(`${where}, can't be reached: ${answer}`, 'does a firewall let this machine out to Google?')];
    }
    if (/\b(401|403|404)\b|invalid_grant|^token endpoint: 4/.test(answer) && kind === 'retry') {
      return [
        fail(
          `${where}, does not take our credentials: ${answer}`,
          'COUNTERSIGN_FCM_CREDENTIALS has to be a key that still exists, of an account that may send (Firebase Cloud Messaging API)',
        ),
      ];
    }
    if (kind === 'retry') return [warn(`${where}, is not well: ${answer}`, 'try again later')];
    return [ok(`${where}, takes our credentials`)];
  } finally {
    sender.close().catch(() => {});
  }
}
