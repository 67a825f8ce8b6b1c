// A device, a time, a place in words, for messages and pages alike. What it returns is clean, but not escaped.

import type { DeviceDescription } from '../domain/device.ts';
import { countryName, describePlace, type Place } from '../domain/place.ts';
import { scriptOf, type Texts } from './texts.ts';
import { untrusted } from './untrusted.ts';

/** What a device says of itself, as far as people are told. */
export type DeviceFacts = Pick<DeviceDescription, 'displayName' | 'model' | 'platform' | 'appVersion'>;

/** `Anna’s iPhone (iPhone 15, iOS)`. */
export function describeDevice({ displayName, model, platform }: DeviceFacts, texts: Texts): string {
  const name = untrusted(displayName);
  const kind = [untrusted(model), texts.platforms[platform]].filter((part) => part !== '' && part !== name).join(', ');
  return name === '' ? kind : texts.remark(name, kind);
}

/** `Berlin, Germany`; '' where nothing is known. */
export function placeInWords(place: Place | null | undefined, texts: Texts): string {
  return untrusted(describePlace(place ?? undefined, texts.locale), 120);
}

/** `Anna’s iPhone in Berlin, DE`, for where there is little room; '' where nothing is known. */
export function deviceAndPlace(device: DeviceFacts | null, place: Place | null | undefined, texts: Texts): string {
  const name =
    device === null ? '' : untrusted(device.displayName) || untrusted(device.model) || texts.platforms[device.platform];
  const town = untrusted(place?.city || place?.region || '');
  const country = place ? countryName(place.countryCode, texts.locale) || untrusted(place.country) : '';
  const where = town === '' ? country : [town, place?.countryCode ?? ''].filter((part) => part !== '').join(', ');
  if (name === '' || where === '') return name || where;
  // No preposition is right before every country's name.
  return town === '' ? texts.remark(name, where) : texts.push.deviceIn(name, where);
}

/**
 * In UTC, and said so: where the reader is, nobody knows. `en-GB` writes dates its own way; a language without texts gets
 * English words, and so English dates.
 */
export function dateAndTime(time: Date, locale: string, texts: Texts): string {
  const regional = scriptOf(locale) === scriptOf(texts.locale) ? new Intl.Locale(locale).baseName : texts.locale;
  return new Intl.DateTimeFormat(regional, {
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    timeZone: 'UTC',
    timeZoneName: 'short',
  }).format(time);
}

/** Whom the place data's licence has us name: DB-IP's is CC BY 4.0, and asks for a link where results are shown. */
export function attributionOf(
  place: Place | null | undefined,
): { readonly text: string; readonly url: string } | undefined {
  return place?.source.startsWith('DBIP') ? { text: 'IP Geolocation by DB-IP', url: 'https://db-ip.com' } : undefined;
}
