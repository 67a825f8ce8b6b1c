// Every message and every page with made-up contents, for looking at them and for testing how they hold up. Sends nothing.

import type { AlertMessage, CodeMessage, Message, PasswordResetMessage } from '../delivery/message.ts';
import { type AlertKind, alertKinds } from '../domain/alert.ts';
import type { Place } from '../domain/place.ts';
import type { UnusualFinding } from '../domain/unusual.ts';
import { type DenyPageView, renderDenyPage } from '../rpc/deny-page.ts';
import { type ResetPageView, renderResetPage } from '../rpc/reset-page.ts';
import type { DeviceFacts } from '../texts/facts.ts';
import type { Brand } from '../texts/look.ts';

/** What messages and pages are about. */
export interface Sample {
  readonly name: string;
  readonly device: DeviceFacts;
  readonly place: Place;
  /** Where the account was used before. */
  readonly from: Pick<Place, 'city' | 'countryCode'>;
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
  from: { city: 'Lisbon', countryCode: 'PT' },
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
    from: { city: 'Mönchengladbach-Rheindahlen-Hauptquartier-Wohnsiedlung', countryCode: 'BA' },
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
    from: { city: '', countryCode: 'GS' },
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
    from: { city: '鹿児島県熊毛郡南種子島町大字茎永', countryCode: 'HK' },
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
    from: { city: '<b>evil.example</b>/login', countryCode: '' },
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
    from: { city: '\u202eירושלים', countryCode: 'IL' },
    ipAddress: longestIp,
    brand: { name: 'ארנק', color: '#7a7a7a', logoCid: undefined, support: undefined },
  },
];

const time = new Date('2026-11-24T07:51:09Z');
const token = 'Zm9vYmFy'.repeat(8);
const denyUrl = `https://auth.countersign.example/deny?token=${token}`;
const resetUrl = `https://auth.countersign.example/reset?token=${token}`;

export function sampleCode(purpose: CodeMessage['purpose'], { device, place, ipAddress }: Sample): CodeMessage {
  return { kind: 'code', purpose, code: '048213', device, time, place, ipAddress, minutesValid: 10, denyUrl };
}

export function sampleAlerts({ device, place, from, ipAddress }: Sample): readonly AlertMessage[] {
  const newCountry: UnusualFinding = { unusual: 'NEW_COUNTRY', countryCode: place.countryCode };
  const findings: Readonly<Partial<Record<AlertKind, readonly UnusualFinding[]>>> = {
    NEW_SIGN_IN: [{ unusual: 'NEW_DEVICE' }],
    UNUSUAL_SIGN_IN: [
      newCountry,
      { unusual: 'IMPOSSIBLE_TRAVEL', distanceKm: 2_400, elapsedMs: 40 * 60_000, from },
      { unusual: 'ANONYMOUS_NETWORK', kinds: ['VPN', 'HOSTING', 'RESIDENTIAL_PROXY'] },
    ],
  };
  return alertKinds.map((alert): AlertMessage => {
    const common = { kind: 'alert', alert, time, findings: findings[alert] ?? [] } as const;
    if (alert === 'PASSWORD_CHANGED') {
      return { ...common, device: null, place: undefined, ipAddress: '', denyUrl: undefined };
    }
    const hasLink = alert === 'NEW_SIGN_IN' || alert === 'UNUSUAL_SIGN_IN' || alert === 'CODE_NOT_SENT';
    const link = hasLink ? denyUrl : undefined;
    return { ...common, device, place, ipAddress, denyUrl: link };
  });
}

export const samplePasswordReset: PasswordResetMessage = { kind: 'passwordReset', resetUrl, minutesValid: 30, time };

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
    'password reset': samplePasswordReset,
    'e-mail changed': { kind: 'emailChanged', newEmailMasked: 'j•••@a-new-and-rather-long-domain.example.com', time },
  };
}

/** Every view of the page behind "It wasn't me". */
export function sampleDenyViews({ device, place }: Sample): readonly DenyPageView[] {
  return [
    { kind: 'ask', about: 'challenge', token, device, time, place },
    { kind: 'ask', about: 'event', token, device, time, place },
    {
      kind: 'done',
      about: 'challenge',
      advice: ['CHANGE_PASSWORD', 'CHANGE_PASSWORD_ELSEWHERE', 'REVIEW_TRUSTED_DEVICES', 'CHECK_MAILBOX'],
    },
    { kind: 'done', about: 'event', advice: ['CHANGE_PASSWORD', 'REVIEW_TRUSTED_DEVICES'] },
    { kind: 'over' },
    { kind: 'invalid' },
    { kind: 'unavailable' },
  ];
}

/** Every view of the page that sets a new password. */
export const sampleResetViews: readonly ResetPageView[] = [
  { kind: 'ask', token, weaknesses: [] },
  {
    kind: 'ask',
    token,
    weaknesses: ['TOO_SHORT', 'IS_EMAIL', 'ONE_CHARACTER', 'GUESSABLE', 'BREACHED', 'UNCHANGED'],
    endTrustedDevices: true,
  },
  { kind: 'done' },
  { kind: 'invalid' },
  { kind: 'elsewhere' },
  { kind: 'unavailable' },
];

/** Every page as HTML, by a name for it. */
export function samplePages(sample: Sample, locale: string): Readonly<Record<string, string>> {
  const options = { locale, brand: sample.brand };
  const aspect = (view: DenyPageView | ResetPageView): string => {
    const refused = 'weaknesses' in view && view.weaknesses.length > 0 ? ['refused'] : [];
    return [view.kind, ...('about' in view ? [view.about] : []), ...refused].join(', ');
  };
  return {
    ...Object.fromEntries(
      sampleDenyViews(sample).map((view) => [`deny page: ${aspect(view)}`, renderDenyPage(view, options)]),
    ),
    ...Object.fromEntries(
      sampleResetViews.map((view) => [`reset page: ${aspect(view)}`, renderResetPage(view, options)]),
    ),
  };
}
