// Devices and places in a few words. What a device says of itself is a stranger's text: who prints cleans it.

import { type Device, PlatformSchema } from '../../gen/countersign/v1/device_pb.ts';
import type { Location } from '../../gen/countersign/v1/location_pb.ts';
import { words } from './output.ts';

/** `Anna's iPhone (iPhone 17, ios 19.1)`. */
export function deviceName(device: Device | undefined): string {
  if (device === undefined) return '';
  const { displayName, model, platform, osVersion } = device;
  const system = [words(PlatformSchema, platform), osVersion].filter((part) => part !== '').join(' ');
  const what = [displayName === '' ? '' : model, system].filter((part) => part !== '').join(', ');
  return `${displayName || model}${what === '' ? '' : ` (${what})`}`;
}

/** `Boxford, GB`. */
export function placeName(location: Location | undefined): string {
  return [location?.city ?? '', location?.countryCode ?? ''].filter((part) => part !== '').join(', ');
}
