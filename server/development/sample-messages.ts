// Every message and every page with made-up contents, for looking at them and for testing how they hold up. Sends nothing.

import type { AlertMessage, CodeMessage, Message } from '../delivery/message.ts';
import { alertKinds } from '../domain/alert.ts';
import type { Place } from '../domain/place.ts';
import type { DenyPageView } from '../rpc/deny-page.ts';
import type { DeviceFacts } from '../texts/facts.ts';
import type { Brand } from '../texts/look.ts';

/** What messages and pages are about. */
export interface Sample {
  readonly name: string;
  readonly device: DeviceFacts;
  readonly place: Place;
  readonly ipAddress: string;
  readonly brand: Brand;
}

const berlin: Place = {
  city: 'Berlin',
  region: '',
  country: 'Germany',
  countryCode: 'DE',
  latitude: 52.5,
  longitude: 13.4,
  accuracyRadiusKm: 20,
  source: 'DBIP-City-Lite 2026-06-05',
};

const brand: Brand = { name: 'Countersign', color: '#2f5bd8', logoCid: undefined, support: 'help@countersign.example' };

export const usual: Sample = {
  name: 'usual',
  device: { displayName: 'Anna’s iPhone', model: 'iPhone 17', platform: 'IOS', appVersion: '2.3.1' },
  place: berlin,
  ipAddress: '85.214.132.117',
  brand,
};

const longestIp = '2001:0db8:85a3:0000:0000:8a2e:0370:7334';

/** Names that a layout breaks on: long compounds, no spaces, wide and right-to-left characters, and pale or dark brands. */
export const nasty: readonly Sample[] = [
  {
    name: 'German compounds',
    device: {
      displayName:
        'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaftsvorsitzendentelefon',
      model: 'Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetzgerät',
      platform: 'ANDROID',
      appVersion: '2.3.1-beta.20261124.075109+build.4815162342.aarch64-linux-android',
    },
    place: { ...berlin, city: 'Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch', countryCode: 'GB' },
    ipAddress: longestIp,
    brand: {
      name: 'Kraftfahrzeughaftpflichtversicherungsgesellschaftsportal',
      color: '#ffd400',
      logoCid: undefined,
      support: 'https://support.kraftfahrzeughaftpflichtversicherungsgesellschaft.example/hilfe/konto',
    },
  },
  {
    name: 'Russian',
    device: {
      displayName: 'Очень старый и очень любимый ноутбук превысокомногорассмотрительствующего бухгалтера Александры',
      model: 'Превысокомногорассмотрительствующий компьютер 16″ 2026',
      platform: 'WEB',
      appVersion: '',
    },
    place: { ...berlin, city: 'Петропавловск-Камчатский', countryCode: 'RU' },
    ipAddress: longestIp,
    brand: { name: 'Почта', color: '#0b0c10', logoCid: undefined, support: undefined },
  },
  {
    name: 'Japanese',
    device: {
      displayName:
        '山田花子さんの、とてもとてもとてもとても長い名前が付いている、新しいスマートフォン(会社用・予備・第二号機)',
      model: 'スーパーウルトラスマートフォン',
      platform: 'ANDROID',
      appVersion: '2.3.1',
    },
    place: { ...berlin, city: '東京都千代田区霞が関', countryCode: 'JP' },
    ipAddress: longestIp,
    brand: { name: '合言葉', color: '#f4f4f4', logoCid: undefined, support: 'help@aikotoba.example' },
  },
  {
    name: 'URL-like',
    device: {
      displayName:
        'https://evil.example/your-account-is-locked?click=here&token=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
      model: '<b>"bold"</b>&amp;',
      platform: 'WEB',
      appVersion: 'javascript:alert(1)',
    },
    place: { ...berlin, city: 'http://evil.example/', countryCode: 'US' },
    ipAddress: longestIp,
    brand: { name: 'A&B <Bank>', color: '#d7263d', logoCid: undefined, support: 'help@ab.example' },
  },
  {
    name: 'right to left',
    device: {
      displayName: '\u202eהטלפון החדש של אנה מהעבודה בירושלים עם שם ארוך מאוד מאוד مرحبا بالعالم',
      model: 'جهاز',
      platform: 'ANDROID',
      appVersion: '٢.٣.١',
    },
    place: { ...berlin, city: 'القاهرة', countryCode: 'EG' },
    ipAddress: longestIp,
    brand: { name: 'ארנק', color: '#7a7a7a', logoCid: undefined, support: undefined },
  },
];

const time = new Date('2026-11-24T07:51:09Z');
const denyUrl = `https://auth.countersign.example/deny?token=${'Zm9vYmFy'.repeat(8)}`;

export function sampleCode(purpose: CodeMessage['purpose'], { device, place, ipAddress }: Sample): CodeMessage {
  return { kind: 'code', purpose, code: '048213', device, time, place, ipAddress, minutesValid: 10, denyUrl };
}

export function sampleAlerts({ device, place, ipAddress }: Sample): readonly AlertMessage[] {
  return alertKinds.map((alert) => {
    if (alert === 'PASSWORD_CHANGED') {
      return { kind: 'alert', alert, device: null, time, place: undefined, ipAddress: '', denyUrl: undefined };
    }
    const link = alert === 'NEW_SIGN_IN' ? denyUrl : undefined;
    return { kind: 'alert', alert, device, time, place, ipAddress, denyUrl: link };
  });
}

/** Every mail, by a name for it. */
export function sampleMessages(sample: Sample): Readonly<Record<string, Message>> {
  return {
    'code for sign-in': sampleCode('SIGN_IN', sample),
    'code for sign-in, without link': {
      ...sampleCode('SIGN_IN', sample),
      denyUrl: undefined,
      place: null,
      ipAddress: '',
    },
    'code to switch off': sampleCode('SWITCH_OFF', sample),
    ...Object.fromEntries(sampleAlerts(sample).map((message) => [`alert: ${message.alert}`, message])),
    'e-mail changed': { kind: 'emailChanged', newEmailMasked: 'j•••@a-new-and-rather-long-domain.example.com', time },
  };
}

/** Every view of the page behind "It wasn't me". */
export function sampleViews({ device, place }: Sample): readonly DenyPageView[] {
  return [
    { kind: 'ask', token: 'Zm9vYmFy'.repeat(8), device, time, place },
    {
      kind: 'done',
      advice: ['CHANGE_PASSWORD', 'CHANGE_PASSWORD_ELSEWHERE', 'REVIEW_TRUSTED_DEVICES', 'CHECK_MAILBOX'],
    },
    { kind: 'over' },
    { kind: 'invalid' },
    { kind: 'unavailable' },
  ];
}
