// The requests of the load, encoded, and what is read of their answers.

import { fromBinary } from '@bufbuild/protobuf';
import { IntrospectSessionRequestSchema } from '../gen/countersign/internal/v1/sessions_pb.ts';
import { Channel } from '../gen/countersign/v1/challenge_pb.ts';
import { Platform } from '../gen/countersign/v1/device_pb.ts';
import {
  ListLoginActivityRequestSchema,
  ListLoginActivityResponseSchema,
} from '../gen/countersign/v1/login_activity_pb.ts';
import { WatchDeviceRequestSchema } from '../gen/countersign/v1/trusted_devices_pb.ts';
import {
  RefreshSessionRequestSchema,
  RefreshSessionResponseSchema,
  SignInRequestSchema,
  SignInResponseSchema,
  VerifyCodeRequestSchema,
} from '../gen/countersign/v1/two_step_auth_pb.ts';
import { HealthCheckRequestSchema } from '../gen/health/v1/health_pb.ts';
import { keyRingOf } from '../server/platform/key-ring.ts';
import { createCodes } from '../server/platform/keys.ts';
import { password, type SignedInDevice } from './accounts.ts';
import { type CallHeaders, frameOf } from './load.ts';
import { benchConfig, benchKeys, serviceToken } from './support.ts';

export const paths = {
  introspect: '/countersign.internal.v1.Sessions/IntrospectSession',
  signIn: '/countersign.v1.TwoStepAuth/SignIn',
  verifyCode: '/countersign.v1.TwoStepAuth/VerifyCode',
  refresh: '/countersign.v1.TwoStepAuth/RefreshSession',
  watch: '/countersign.v1.TrustedDevices/WatchDevice',
  activity: '/countersign.v1.LoginActivity/ListLoginActivity',
  health: '/grpc.health.v1.Health/Check',
} as const;

/** What every app sends. */
export const appHeaders: CallHeaders = { 'countersign-client-version': '2.3', 'countersign-client-platform': 'ios' };
export const serviceHeaders: CallHeaders = { authorization: `Bearer ${serviceToken}` };

/** The headers of a call from the device's address. */
export function from({ ipAddress }: Pick<SignedInDevice, 'ipAddress'>): CallHeaders {
  return { ...appHeaders, 'x-forwarded-for': ipAddress };
}

/** The headers of a signed-in device. */
export function signedIn(device: Pick<SignedInDevice, 'ipAddress' | 'accessToken'>): CallHeaders {
  return { ...from(device), authorization: `Bearer ${device.accessToken}` };
}

export const healthFrame = frameOf(HealthCheckRequestSchema, {});
export const watchFrame = frameOf(WatchDeviceRequestSchema, {});

export function introspectFrame(accessToken: string): Buffer {
  return frameOf(IntrospectSessionRequestSchema, { accessToken });
}

/** Of a new device, unless it holds a device token. */
export function signInFrame(email: string, deviceToken = ''): Buffer {
  const device = { displayName: 'Bench', model: 'iPhone 17', platform: Platform.IOS, osVersion: '19.1' };
  return frameOf(SignInRequestSchema, { email, password, device, deviceToken });
}

export function verifyFrame(challengeToken: string, code: string): Buffer {
  return frameOf(VerifyCodeRequestSchema, { challengeToken, code });
}

export function refreshFrame(refreshToken: string): Buffer {
  return frameOf(RefreshSessionRequestSchema, { refreshToken });
}

export function activityFrame(pageSize: number): Buffer {
  return frameOf(ListLoginActivityRequestSchema, { pageSize });
}

/** What a new device got for its password. */
export function challengeOf(answer: Buffer) {
  const { result } = fromBinary(SignInResponseSchema, answer);
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const { challengeToken, challenge } = result.value;
  if (challenge === undefined) throw new Error('no challenge');
  return { challengeToken, challengeId: challenge.challengeId, inApp: challenge.defaultChannel === Channel.APP };
}

const { limits } = benchConfig({ databaseUrl: '', smtpUrl: '' });
const codes = createCodes(
  keyRingOf(() => [benchKeys.code]),
  limits.codeDigits,
);

/** The code that the account's owner would read. */
export function codeOf({ challengeId, inApp }: Pick<ReturnType<typeof challengeOf>, 'challengeId' | 'inApp'>): string {
  return codes.derive({ challengeId, codeKeyId: benchKeys.code.keyId }, inApp ? 'APP' : 'EMAIL');
}

/** Fails unless the first field of the answer is the one that says that it went well. */
export function requireFirstField(number: number, wireType: 0 | 2): (answer: Buffer) => void {
  const tag = (number << 3) | wireType;
  return (answer) => {
    if (answer[0] !== tag) throw new Error(`the answer begins with ${answer[0]} instead of ${tag}`);
  };
}

export function refreshTokenOf(answer: Buffer): string {
  const { session } = fromBinary(RefreshSessionResponseSchema, answer);
  if (session === undefined) throw new Error('no session');
  return session.refreshToken;
}

export function eventsOf(answer: Buffer): number {
  return fromBinary(ListLoginActivityResponseSchema, answer).events.length;
}
