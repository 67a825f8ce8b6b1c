// The address of a call → where it came from, as the flows note it.

import type { Places as PlacesPort } from '../flows/ports.ts';
import type { Places } from './places.ts';

export function createOrigins(places: Places): PlacesPort {
  return {
    originOf: (ipAddress) => {
      const { place, connectionType } = places.locate(ipAddress);
      return { ipAddress, place: place ?? null, connectionType: connectionType ?? null };
    },
  };
}
