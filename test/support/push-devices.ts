// Trusted devices that take pushes, and what is asked of a challenge beside them.

import { randomBytes } from 'node:crypto';
import type { AppClient } from '../../clients/app/client.ts';
import { type Challenge, type Channel, Delivery } from '../../gen/countersign/v1/challenge_pb.ts';
import { ApnsEnvironment } from '../../gen/countersign/v1/trusted_devices_pb.ts';
import { iphone, type TestAccount, type TestDevice, type TestServer } from './server.ts';

export const topic = 'com.example.router';

/** A token as each service gives them out; no two are the same. */
export const newApnsToken = () => randomBytes(32).toString('hex');
export const newFcmToken = () => `fcm-${randomBytes(16).toString('hex')}`;

export async function registerApns(client: AppClient, token = newApnsToken()): Promise<string> {
  const apns = { token, topic, environment: ApnsEnvironment.PRODUCTION };
  await client.trustedDevices.updateDevice({ pushRegistration: { service: { case: 'apns', value: apns } } });
  return token;
}

export async function registerFcm(client: AppClient, token = newFcmToken()): Promise<string> {
  await client.trustedDevices.updateDevice({ pushRegistration: { service: { case: 'fcm', value: { token } } } });
  return token;
}

export interface Asked {
  readonly client: AppClient;
  readonly challengeToken: string;
  readonly challenge: Challenge;
}

/** A new device that has entered the password. */
export async function askForCode(
  server: TestServer,
  account: TestAccount,
  headers: Record<string, string> = {},
): Promise<Asked> {
  const client = server.appClient();
  const { email, password } = account;
  const { result } = await client.twoStepAuth.signIn({ email, password, device: iphone }, { headers });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const { challengeToken, challenge } = result.value;
  if (challenge === undefined) throw new Error('a grant without its challenge');
  return { client, challengeToken, challenge };
}

export function deliveryOf(challenge: Challenge | undefined, channel: Channel): string {
  const option = challenge?.channels.find((each) => each.channel === channel);
  return Object.entries(Delivery).find(([, value]) => value === option?.delivery)?.[0] ?? '';
}

/** How far the code has come on a channel, as its requester is told now. */
export async function askedDelivery({ client, challengeToken }: Asked, channel: Channel): Promise<string> {
  const { challenge } = await client.twoStepAuth.getChallenge({ challengeToken });
  return deliveryOf(challenge, channel);
}

/** An account with one trusted device whose pushes go to FCM. */
export async function accountWithPush(
  server: TestServer,
): Promise<{ account: TestAccount; device: TestDevice; token: string }> {
  const account = await server.createAccount();
  const device = await server.signInNewDevice(account);
  return { account, device, token: await registerFcm(device.client) };
}
