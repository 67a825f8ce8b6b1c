// The address of a call → where it came from, as the flows note it; and what is noted, in a reader's language.

import { countryName, type Place } from '../domain/place.ts';
import type { Places as PlacesPort } from '../flows/ports.ts';
import type { Places } from './places.ts';

export function createOrigins(places: Places): PlacesPort {
  return {
    originOf: (ipAddress) => {
      const { place, connectionType, network, anonymous } = places.locate(ipAddress);
      return {
        ipAddress,
        place: place ?? null,
        connectionType: connectionType ?? null,
        ...(network === undefined ? {} : { network }),
        ...(anonymous.length === 0 ? {} : { anonymous }),
      };
    },
    named: (place, ipAddress, locale) => {
      // Places are noted in English.
      if (place === null || /^en(-|$)/i.test(locale)) return place;
      const country = countryName(place.countryCode, locale) || place.country;
      // The file may have been replaced since, and may say another place of this address now.
      const now = places.locate(ipAddress).place;
      if (now === undefined || !isSame(now, place)) return { ...place, country };
      const { city, region } = places.locate(ipAddress, locale).place ?? place;
      return { ...place, city, region, country };
    },
  };
}

function isSame(a: Place, b: Place): boolean {
  return a.city === b.city && a.region === b.region && a.countryCode === b.countryCode;
}
