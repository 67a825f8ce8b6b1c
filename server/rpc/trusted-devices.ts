// countersign.v1.TrustedDevices: message → flow → message.

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';
import type { TrustedDevices, WatchDeviceResponseSchema } from '../../gen/countersign/v1/trusted_devices_pb.ts';
import { DomainError } from '../domain/errors.ts';
import { viewForDevice, watchDevice } from '../flows/codes-in-app.ts';
import type { Deps } from '../flows/context.ts';
import type { LiveEvent } from '../flows/ports.ts';
import {
  type DevicePosition,
  listTrustedDevices,
  removeTrustedDevice,
  updateDevice,
} from '../flows/trusted-devices.ts';
import { cutOf, signedInOf } from './call.ts';
import {
  deviceChallengeToProto,
  pushRegistrationFromProto,
  type Reader,
  readerOf,
  trustedDeviceToProto,
} from './convert.ts';
import { pageSize, pageTokens } from './pages.ts';

const positions = pageTokens<DevicePosition>('devices', /^\d{1,15}_[0-9a-f-]{36}$/, {
  write: ({ lastUseTime, deviceId }) => `${lastUseTime}_${deviceId}`,
  read: (text) => ({ lastUseTime: Number(text.split('_')[0]), deviceId: text.split('_')[1] ?? '' }),
});

export function trustedDevices(deps: Deps): ServiceImpl<typeof TrustedDevices> {
  return {
    async listTrustedDevices(request, context) {
      const caller = signedInOf(context);
      const after = positions.read(request.pageToken);
      const { devices, next } = await listTrustedDevices(deps, caller, after, pageSize(request.pageSize));
      return {
        trustedDevices: devices.map((device) =>
          trustedDeviceToProto(device, caller.device.deviceId, readerOf(deps, caller)),
        ),
        nextPageToken: positions.write(next),
      };
    },
    async removeTrustedDevice({ deviceId }, context) {
      await removeTrustedDevice(deps, deviceId.toLowerCase(), signedInOf(context));
      return {};
    },
    async updateDevice({ displayName, pushRegistration }, context) {
      const caller = signedInOf(context);
      const update = {
        displayName: displayName?.trim(),
        pushRegistration: pushRegistration && pushRegistrationFromProto(pushRegistration),
      };
      const device = await updateDevice(deps, update, caller);
      return { device: trustedDeviceToProto(device, caller.device.deviceId, readerOf(deps, caller)) };
    },
    async *watchDevice(_request, context) {
      const caller = signedInOf(context);
      const reader = readerOf(deps, caller);
      for await (const event of watchDevice(deps, caller, { signal: context.signal, cut: cutOf(context) })) {
        if (event.kind === 'ended') throw refusalOfEnd(event.why);
        yield eventToProto(deps, event, reader);
      }
    },
  };
}

function eventToProto(
  deps: Deps,
  event: Exclude<LiveEvent, { kind: 'ended' }>,
  reader: Reader,
): MessageInitShape<typeof WatchDeviceResponseSchema> {
  switch (event.kind) {
    case 'keepAlive':
      return { event: { case: 'keepAlive', value: {} } };
    case 'signedOut':
      return { event: { case: 'signedOut', value: { cause: event.cause } } };
    case 'codeArrived':
    case 'challengeResolved': {
      const view = viewForDevice(deps, event.challenge, event.around, deps.clock.now());
      const challenge = deviceChallengeToProto(view, reader);
      return event.kind === 'codeArrived'
        ? { event: { case: 'codeArrived', value: { challenge, code: event.code } } }
        : { event: { case: 'challengeResolved', value: { challenge } } };
    }
  }
}

function refusalOfEnd(why: Extract<LiveEvent, { kind: 'ended' }>['why']): DomainError {
  return new DomainError(
    why === 'displaced'
      ? { reason: 'RATE_LIMITED', retryAfterMs: 60_000 }
      : // The server stops: another one is there at once, but not for all streams in the same moment.
        { reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: 500 },
  );
}
