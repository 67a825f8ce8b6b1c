// What was odd about a sign-in, in words, for messages and answers alike. What it returns is clean, but not escaped.

import { countryName } from '../domain/place.ts';
import type { UnusualFinding } from '../domain/unusual.ts';
import type { Texts } from './texts.ts';
import { untrusted } from './untrusted.ts';

/** `2,400 km in 40 minutes (previous place: Lisbon, Portugal)`: a phrase without full stop. */
export function unusualInWords(finding: UnusualFinding, texts: Texts): string {
  const { unusual, anonymousKinds, previousPlace, colon, remark } = texts;
  switch (finding.unusual) {
    case 'NEW_DEVICE':
      return unusual.NEW_DEVICE;
    case 'NEW_COUNTRY':
      return unusual.NEW_COUNTRY(countryInWords(finding.countryCode, texts));
    case 'IMPOSSIBLE_TRAVEL': {
      const { distanceKm, elapsedMs, from } = finding;
      const travel = unusual.IMPOSSIBLE_TRAVEL(distanceInWords(distanceKm, texts), elapsedInWords(elapsedMs, texts));
      const place = [untrusted(from.city), countryInWords(from.countryCode, texts)].filter((part) => part !== '');
      return place.length === 0 ? travel : remark(travel, `${previousPlace}${colon}${place.join(', ')}`);
    }
    case 'ANONYMOUS_NETWORK': {
      const { kinds } = finding;
      return unusual.ANONYMOUS_NETWORK(
        (kinds.length === 0 ? ['OTHER' as const] : kinds).map((kind) => anonymousKinds[kind]),
      );
    }
  }
}

function countryInWords(countryCode: string, { locale }: Texts): string {
  return countryName(countryCode, locale) || untrusted(countryCode);
}

/** To the nearest 10 km, from 1,000 km on to the nearest 100: more would claim what addresses do not tell. */
function distanceInWords(km: number, { locale }: Texts): string {
  const step = km < 1_000 ? 10 : 100;
  return new Intl.NumberFormat(locale, { style: 'unit', unit: 'kilometer' }).format(Math.round(km / step) * step);
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** In minutes, from 2 hours on in hours, from 2 days on in days. */
function elapsedInWords(ms: number, { elapsed }: Texts): string {
  const whole = (unit: number): number => Math.max(1, Math.round(ms / unit));
  // Judged as shown, so that nobody reads "120 minutes".
  if (whole(minuteMs) < 120) return elapsed.minutes(whole(minuteMs));
  return whole(hourMs) < 48 ? elapsed.hours(whole(hourMs)) : elapsed.days(whole(dayMs));
}
