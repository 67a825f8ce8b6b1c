// countersign.v1.TrustedDevices: message → flow → message.

import type { ServiceImpl } from '@connectrpc/connect';
import type { TrustedDevices } from '../../gen/countersign/v1/trusted_devices_pb.ts';
import type { Deps } from '../flows/context.ts';
import { type DevicePosition, listTrustedDevices } from '../flows/trusted-devices.ts';
import { signedInOf } from './call.ts';
import { trustedDeviceToProto } from './convert.ts';
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
        trustedDevices: devices.map((device) => trustedDeviceToProto(device, caller.device.deviceId)),
        nextPageToken: positions.write(next),
      };
    },
  };
}
