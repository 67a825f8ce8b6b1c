// Domain ↔ wire, value by value. Every map is exhaustive: a new value does not compile until it is mapped.

import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, type Timestamp, timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { AccountSchema } from '../../gen/countersign/internal/v1/account_pb.ts';
import {
  ImportOutcome as ImportOutcomeProto,
  type ImportResultSchema,
  LegacyRefusal as LegacyRefusalProto,
} from '../../gen/countersign/internal/v1/accounts_pb.ts';
import type { AccountSessionSchema } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { type AdviceNoteSchema, Advice as AdviceProto } from '../../gen/countersign/v1/advice_pb.ts';
import {
  type ChallengeGrantSchema,
  ChallengePurpose,
  type ChallengeSchema,
  ChallengeState as ChallengeStateProto,
  type ChannelOptionSchema,
  Channel as ChannelProto,
  Delivery as DeliveryProto,
} from '../../gen/countersign/v1/challenge_pb.ts';
import {
  type Device as DeviceProto,
  type DeviceSchema,
  Platform as PlatformProto,
  type TrustedDeviceSchema,
} from '../../gen/countersign/v1/device_pb.ts';
import { ConnectionType as ConnectionTypeProto, type LocationSchema } from '../../gen/countersign/v1/location_pb.ts';
import {
  AnonymousNetwork,
  EventKind as EventKindProto,
  type LoginEventSchema,
  type UnusualDetailSchema,
  Unusual as UnusualProto,
} from '../../gen/countersign/v1/login_event_pb.ts';
import type { SessionSchema } from '../../gen/countersign/v1/session_pb.ts';
import {
  ApnsEnvironment,
  type PushRegistration as PushRegistrationProto,
} from '../../gen/countersign/v1/trusted_devices_pb.ts';
import type { Advice } from '../domain/advice.ts';
import type { ChallengeState, ChallengeView, Channel, ChannelView, Delivery, Purpose } from '../domain/challenge.ts';
import type { Device, DeviceDescription, Platform, PushRegistration } from '../domain/device.ts';
import { DomainError } from '../domain/errors.ts';
import type { ImportOutcome, ImportResult } from '../domain/import.ts';
import type { LegacyRefusal } from '../domain/legacy-sign-in.ts';
import { type EventKind, type LoginEvent, timeOfUuid } from '../domain/login-event.ts';
import type { AnonymousKind, ConnectionType, Place } from '../domain/place.ts';
import type { Unusual, UnusualFinding } from '../domain/unusual.ts';
import type { AccountDetails, AccountName } from '../flows/accounts.ts';
import type { ChallengeGrant } from '../flows/codes.ts';
import type { DeviceChallengeView } from '../flows/codes-in-app.ts';
import type { Caller, Deps } from '../flows/context.ts';
import type { Places } from '../flows/ports.ts';
import type { SessionGrant, SessionPage } from '../flows/sessions.ts';
import { textsFor } from '../texts/texts.ts';
import { unusualInWords } from '../texts/unusual.ts';

const platforms: Readonly<Record<Platform, PlatformProto>> = {
  IOS: PlatformProto.IOS,
  ANDROID: PlatformProto.ANDROID,
  WEB: PlatformProto.WEB,
};

const channels: Readonly<Record<Channel, ChannelProto>> = { APP: ChannelProto.APP, EMAIL: ChannelProto.EMAIL };

const purposes: Readonly<Record<Purpose, ChallengePurpose>> = {
  SIGN_IN: ChallengePurpose.SIGN_IN,
  SWITCH_OFF: ChallengePurpose.SWITCH_OFF,
};

const challengeStates: Readonly<Record<ChallengeState, ChallengeStateProto>> = {
  PENDING: ChallengeStateProto.PENDING,
  VERIFIED: ChallengeStateProto.VERIFIED,
  CLOSED: ChallengeStateProto.CLOSED,
  EXPIRED: ChallengeStateProto.EXPIRED,
};

const deliveries: Readonly<Record<Delivery, DeliveryProto>> = {
  NOT_SENT: DeliveryProto.NOT_SENT,
  QUEUED: DeliveryProto.QUEUED,
  ACCEPTED: DeliveryProto.ACCEPTED,
  SHOWN: DeliveryProto.SHOWN,
  FAILED: DeliveryProto.FAILED,
};

const eventKinds: Readonly<Record<EventKind, EventKindProto>> = {
  SIGNED_IN_TRUSTED_DEVICE: EventKindProto.SIGNED_IN_TRUSTED_DEVICE,
  SIGNED_IN_WITH_CODE: EventKindProto.SIGNED_IN_WITH_CODE,
  SIGNED_IN_WITHOUT_TWO_STEP: EventKindProto.SIGNED_IN_WITHOUT_TWO_STEP,
  CODE_SENT: EventKindProto.CODE_SENT,
  CODE_WRONG: EventKindProto.CODE_WRONG,
  PASSWORD_WRONG: EventKindProto.PASSWORD_WRONG,
  CHALLENGE_DENIED: EventKindProto.CHALLENGE_DENIED,
  REFUSED_OLD_CLIENT: EventKindProto.REFUSED_OLD_CLIENT,
  SIGNED_OUT: EventKindProto.SIGNED_OUT,
  DEVICE_REMOVED: EventKindProto.DEVICE_REMOVED,
  SETTINGS_CHANGED: EventKindProto.SETTINGS_CHANGED,
  PASSWORD_CHANGED: EventKindProto.PASSWORD_CHANGED,
};

const unusuals: Readonly<Record<Unusual, UnusualProto>> = {
  NEW_DEVICE: UnusualProto.NEW_DEVICE,
  NEW_COUNTRY: UnusualProto.NEW_COUNTRY,
  IMPOSSIBLE_TRAVEL: UnusualProto.IMPOSSIBLE_TRAVEL,
  ANONYMOUS_NETWORK: UnusualProto.ANONYMOUS_NETWORK,
};

const anonymousNetworks: Readonly<Record<AnonymousKind, AnonymousNetwork>> = {
  VPN: AnonymousNetwork.VPN,
  HOSTING: AnonymousNetwork.HOSTING,
  PUBLIC_PROXY: AnonymousNetwork.PUBLIC_PROXY,
  RESIDENTIAL_PROXY: AnonymousNetwork.RESIDENTIAL_PROXY,
  TOR_EXIT: AnonymousNetwork.TOR_EXIT,
  OTHER: AnonymousNetwork.OTHER,
};

const connectionTypes: Readonly<Record<ConnectionType, ConnectionTypeProto>> = {
  CABLE_DSL: ConnectionTypeProto.CABLE_DSL,
  CELLULAR: ConnectionTypeProto.CELLULAR,
  CORPORATE: ConnectionTypeProto.CORPORATE,
  DIALUP: ConnectionTypeProto.DIALUP,
  SATELLITE: ConnectionTypeProto.SATELLITE,
};

const advices: Readonly<Record<Advice, AdviceProto>> = {
  CHANGE_PASSWORD: AdviceProto.CHANGE_PASSWORD,
  CHANGE_PASSWORD_ELSEWHERE: AdviceProto.CHANGE_PASSWORD_ELSEWHERE,
  REVIEW_TRUSTED_DEVICES: AdviceProto.REVIEW_TRUSTED_DEVICES,
  CHECK_MAILBOX: AdviceProto.CHECK_MAILBOX,
};

const importOutcomes: Readonly<Record<ImportOutcome, ImportOutcomeProto>> = {
  CREATED: ImportOutcomeProto.CREATED,
  EXISTS: ImportOutcomeProto.EXISTS,
  CONFLICT: ImportOutcomeProto.CONFLICT,
};

const legacyRefusals: Readonly<Record<LegacyRefusal, LegacyRefusalProto>> = {
  CLIENT_VERSION_UNSUPPORTED: LegacyRefusalProto.CLIENT_VERSION_UNSUPPORTED,
  TWO_STEP_REQUIRED: LegacyRefusalProto.TWO_STEP_REQUIRED,
};

export const deliveryToProto = (delivery: Delivery): DeliveryProto => deliveries[delivery];
export const purposeToProto = (purpose: Purpose): ChallengePurpose => purposes[purpose];
export const stateToProto = (state: ChallengeState): ChallengeStateProto => challengeStates[state];
export const platformToProto = (platform: Platform): PlatformProto => platforms[platform];

export const legacyRefusalToProto = (refusal: LegacyRefusal): LegacyRefusalProto => legacyRefusals[refusal];

export const channelToProto = (channel: Channel): ChannelProto => channels[channel];

/** Validation has refused what is not in the map. */
export const channelFromProto = (channel: ChannelProto): Channel => meaningOf(channels, channel);

/** The same. */
export const platformFromProto = (platform: PlatformProto): Platform => meaningOf(platforms, platform);

/** The same. */
export const eventKindFromProto = (kind: EventKindProto): EventKind => meaningOf(eventKinds, kind);

function meaningOf<V extends string, P>(map: Readonly<Record<V, P>>, sought: P): V {
  for (const value of Object.keys(map) as V[]) if (map[value] === sought) return value;
  throw new Error(`${sought} passed validation and means nothing here`);
}

/** Validation has refused a registration without a service, or with an environment that is none. */
export function pushRegistrationFromProto(registration: PushRegistrationProto): PushRegistration {
  const { service } = registration;
  if (service.case === 'fcm') return { service: 'FCM', token: service.value.token };
  const { token = '', topic = '', environment } = service.value ?? {};
  return {
    service: 'APNS',
    token: token.toLowerCase(),
    topic,
    environment: environment === ApnsEnvironment.SANDBOX ? 'SANDBOX' : 'PRODUCTION',
  };
}

/** Validation has refused a device without platform. */
export function deviceFromProto(device: DeviceProto | undefined, appVersion: string): DeviceDescription {
  if (device === undefined) throw new Error('a request without its device passed validation');
  return {
    displayName: device.displayName.trim(),
    model: device.model.trim(),
    platform: meaningOf(platforms, device.platform),
    osVersion: device.osVersion.trim(),
    appVersion,
  };
}

export function deviceToProto(device: DeviceDescription): MessageInitShape<typeof DeviceSchema> {
  return {
    displayName: device.displayName || device.model,
    model: device.model,
    platform: platforms[device.platform],
    osVersion: device.osVersion,
    appVersion: device.appVersion,
  };
}

export function placeToProto(place: Place): MessageInitShape<typeof LocationSchema> {
  return {
    city: place.city,
    region: place.region,
    country: place.country,
    countryCode: place.countryCode,
    ...(place.latitude === undefined ? {} : { latitude: place.latitude }),
    ...(place.longitude === undefined ? {} : { longitude: place.longitude }),
    ...(place.accuracyRadiusKm === undefined ? {} : { accuracyRadiusKm: Math.round(place.accuracyRadiusKm) }),
    source: place.source,
    approximate: true,
  };
}

/** Who reads: in which language, and what names places in it. */
export interface Reader {
  readonly locale: string;
  readonly places: Pick<Places, 'named'>;
}

export const readerOf = ({ places }: Pick<Deps, 'places'>, { locale }: Pick<Caller, 'locale'>): Reader => ({
  places,
  locale: locale ?? 'en',
});

/** Of an address; named in the reader's language as far as the databases have it. */
function locationOf(
  place: Place | null,
  ipAddress: string,
  { places, locale }: Reader,
): { readonly location?: MessageInitShape<typeof LocationSchema> } {
  const named = places.named(place, ipAddress, locale);
  return named === null ? {} : { location: placeToProto(named) };
}

export function channelToOption(view: ChannelView, locale: string): MessageInitShape<typeof ChannelOptionSchema> {
  return {
    channel: channels[view.channel],
    destination:
      view.destination.kind === 'email' ? view.destination.masked : textsFor(locale).devices(view.destination.count),
    available: view.available,
    ...(view.nextSendTime === undefined ? {} : { nextSendTime: timestampFromDate(view.nextSendTime) }),
    sendsRemaining: view.sendsRemaining,
    delivery: deliveries[view.delivery],
  };
}

export function challengeToProto(challenge: ChallengeView, locale: string) {
  return {
    challengeId: challenge.challengeId,
    purpose: purposes[challenge.purpose],
    state: challengeStates[challenge.state],
    channels: challenge.channels.map((channel) => channelToOption(channel, locale)),
    defaultChannel: channels[challenge.defaultChannel],
    createTime: timestampFromDate(challenge.createTime),
    expireTime: timestampFromDate(challenge.expireTime),
    attemptsRemaining: challenge.attemptsRemaining,
  } satisfies MessageInitShape<typeof ChallengeSchema>;
}

/** A challenge as a trusted device sees it. */
export function deviceChallengeToProto(
  view: DeviceChallengeView,
  reader: Reader,
): MessageInitShape<typeof ChallengeSchema> {
  const { device, origin } = view.requester;
  return {
    ...challengeToProto(view, reader.locale),
    requester: {
      device: deviceToProto(device),
      ...locationOf(origin.place, origin.ipAddress, reader),
      ipAddress: origin.ipAddress,
    },
  };
}

export function grantToProto(grant: ChallengeGrant, locale: string): MessageInitShape<typeof ChallengeGrantSchema> {
  return { challengeToken: grant.challengeToken, challenge: challengeToProto(grant.challenge, locale) };
}

export function adviceToProto(kinds: readonly Advice[], locale: string): MessageInitShape<typeof AdviceNoteSchema>[] {
  return kinds.map((kind) => ({ advice: advices[kind], text: textsFor(locale).advice[kind] }));
}

export function sessionToProto(session: SessionGrant, locale: string): MessageInitShape<typeof SessionSchema> {
  return {
    accessToken: session.accessToken,
    accessTokenExpireTime: timestampFromDate(session.accessTokenExpireTime),
    refreshToken: session.refreshToken,
    accountId: session.accountId,
    sessionId: session.sessionId,
    deviceId: session.deviceId,
    deviceToken: session.deviceToken,
    advice: adviceToProto(
      session.passwordChangeRequired ? ['CHANGE_PASSWORD', 'CHANGE_PASSWORD_ELSEWHERE'] : [],
      locale,
    ),
  };
}

export function accountSessionToProto(
  { session, device, trusted, expireTime }: SessionPage['sessions'][number],
  reader: Reader,
): MessageInitShape<typeof AccountSessionSchema> {
  const { location } = locationOf(device.lastPlace, device.lastIpAddress, reader);
  return {
    sessionId: session.sessionId,
    deviceId: session.deviceId,
    device: deviceToProto(device),
    trusted,
    amr: [...session.amr],
    createTime: timestampFromDate(session.createTime),
    lastUseTime: timestampFromDate(session.lastUseTime),
    expireTime: timestampFromDate(expireTime),
    ...(location === undefined ? {} : { lastLocation: location }),
  };
}

export function trustedDeviceToProto(
  device: Device,
  currentDeviceId: string,
  reader: Reader,
): MessageInitShape<typeof TrustedDeviceSchema> {
  const { location } = locationOf(device.lastPlace, device.lastIpAddress, reader);
  return {
    deviceId: device.deviceId,
    displayName: device.displayName || device.model,
    model: device.model,
    platform: platforms[device.platform],
    osVersion: device.osVersion,
    appVersion: device.appVersion,
    ...(device.trustTime === null ? {} : { trustTime: timestampFromDate(device.trustTime) }),
    lastUseTime: timestampFromDate(device.lastUseTime),
    ...(location === undefined ? {} : { lastLocation: location }),
    current: device.deviceId === currentDeviceId,
  };
}

function unusualToProto(finding: UnusualFinding, locale: string): MessageInitShape<typeof UnusualDetailSchema> {
  return {
    unusual: unusuals[finding.unusual],
    text: unusualInWords(finding, textsFor(locale)),
    ...(finding.unusual === 'IMPOSSIBLE_TRAVEL'
      ? { distanceKm: finding.distanceKm, elapsed: durationFromMs(finding.elapsedMs) }
      : {}),
  };
}

export function eventToProto(
  event: LoginEvent,
  currentDeviceId: string,
  reader: Reader,
): MessageInitShape<typeof LoginEventSchema> {
  const { connectionType, network, anonymous = [] } = event.origin;
  return {
    eventId: event.eventId,
    time: timestampFromDate(timeOfUuid(event.eventId)),
    kind: eventKinds[event.kind],
    ...(event.device === null ? {} : { device: deviceToProto(event.device) }),
    ipAddress: event.origin.ipAddress,
    ...locationOf(event.origin.place, event.origin.ipAddress, reader),
    ...(connectionType === null ? {} : { connectionType: connectionTypes[connectionType] }),
    unusual: event.unusual.map((unusual) => unusuals[unusual]),
    ...(event.channel === null ? {} : { channel: channels[event.channel] }),
    currentDevice: event.deviceId === currentDeviceId,
    reported: event.reported,
    unusualDetails: (event.unusualDetails ?? []).map((finding) => unusualToProto(finding, reader.locale)),
    anonymousNetworks: anonymous.map((kind) => anonymousNetworks[kind]),
    ...(network === undefined ? {} : { autonomousSystem: network }),
    deviceId: event.deviceId ?? '',
  };
}

export function importResultToProto({ outcome, accountId }: ImportResult): MessageInitShape<typeof ImportResultSchema> {
  return { outcome: importOutcomes[outcome], accountId };
}

export function accountToProto(details: AccountDetails): MessageInitShape<typeof AccountSchema> {
  return {
    accountId: details.accountId,
    email: details.email,
    locale: details.locale,
    twoStepEnabled: details.account.twoStepEnabled,
    passwordChangeRequired: details.account.passwordChangeRequired,
    verificationLocked: details.verificationLocked,
    createTime: timestampFromDate(details.account.createTime),
  };
}

/** From 0001-01-01T00:00:00Z, up to and without 10000-01-01T00:00:00Z (google/protobuf/timestamp.proto). */
const firstSecond = -62_135_596_800n;
const endSecond = 253_402_300_800n;

/** To the millisecond above, in which ids are told apart. In binary a time may be none that there is. */
export function timeFromProto(time: Timestamp | undefined, field: string): Date | null {
  if (time === undefined) return null;
  const { seconds, nanos } = time;
  if (seconds < firstSecond || seconds >= endSecond || nanos < 0 || nanos >= 1e9) {
    const violations = [{ field, description: 'must be a time between the years 1 and 9999' }];
    throw new DomainError({ reason: 'REQUEST_INVALID', violations });
  }
  return new Date(Number(seconds) * 1_000 + Math.ceil(nanos / 1e6));
}

/** Of which account a request speaks. */
export function accountNameFromProto(account: {
  readonly case: string | undefined;
  readonly value?: string | undefined;
}): AccountName {
  const value = account.value ?? '';
  return account.case === 'email' ? { email: value } : { accountId: value };
}
