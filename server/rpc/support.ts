// countersign.internal.v1.Support: message → flow → message.

import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { AccountSecuritySchema } from '../../gen/countersign/internal/v1/account_security_pb.ts';
import type { AuditRecordSchema } from '../../gen/countersign/internal/v1/audit_record_pb.ts';
import {
  type ChallengeTraceSchema,
  MessageKind,
  Route as RouteProto,
  TraceEventKind as TraceEventKindProto,
} from '../../gen/countersign/internal/v1/challenge_trace_pb.ts';
import type { AuditRecordFilter, Support } from '../../gen/countersign/internal/v1/support_pb.ts';
import type { AuditRecord } from '../domain/audit-record.ts';
import type { Route } from '../domain/delivery.ts';
import { timeOfUuid } from '../domain/login-event.ts';
import type { TraceEventKind } from '../domain/trace.ts';
import { listAuditRecords } from '../flows/audit.ts';
import type { Deps } from '../flows/context.ts';
import type { AuditFilter } from '../flows/store-ports.ts';
import {
  type AccountSecurity,
  type ChallengeTrace,
  getAccountSecurity,
  type TracedMessage,
  traceChallenge,
} from '../flows/support.ts';
import { auditRecordOf } from './call.ts';
import {
  accountNameFromProto,
  channelToProto,
  deliveryToProto,
  deviceToProto,
  placeToProto,
  purposeToProto,
  stateToProto,
  timeFromProto,
} from './convert.ts';
import { idTokens, pageSize } from './pages.ts';

export function support(deps: Deps): ServiceImpl<typeof Support> {
  return {
    async traceChallenge({ account, challengeId }) {
      const trace = await traceChallenge(deps, accountNameFromProto(account), challengeId?.toLowerCase());
      return { trace: traceToProto(trace) };
    },
    async getAccountSecurity({ account }) {
      return { accountSecurity: securityToProto(await getAccountSecurity(deps, accountNameFromProto(account))) };
    },
    async listAuditRecords(request, context) {
      // Its own record is there by now, and says nothing yet.
      const filter = auditFilterFromProto(request.filter, auditRecordOf(context));
      const { accountId, caller, rpc, startTime, endTime } = filter;
      const said = JSON.stringify([accountId, caller, rpc, startTime, endTime]);
      const positions = idTokens('audit', deps.secrets.hashOf(said));
      const before = positions.read(request.pageToken) ?? null;
      const { records, next } = await listAuditRecords(deps, filter, before, pageSize(request.pageSize));
      return { auditRecords: records.map(recordToProto), nextPageToken: positions.write(next) };
    },
  };
}

function auditFilterFromProto(filter: AuditRecordFilter | undefined, exceptRecordId: string): AuditFilter {
  return {
    accountId: filter?.accountId || null,
    caller: filter?.caller || null,
    rpc: filter?.rpc || null,
    startTime: timeFromProto(filter?.startTime, 'filter.start_time'),
    endTime: timeFromProto(filter?.endTime, 'filter.end_time'),
    exceptRecordId,
  };
}

function recordToProto(record: AuditRecord): MessageInitShape<typeof AuditRecordSchema> {
  return { ...record, time: timestampFromDate(timeOfUuid(record.recordId)) };
}

const routes: Readonly<Record<Route, RouteProto>> = {
  IN_APP: RouteProto.IN_APP,
  APNS: RouteProto.APNS,
  FCM: RouteProto.FCM,
  SMTP: RouteProto.SMTP,
};

const messageKinds: Readonly<Record<TracedMessage['kind'], MessageKind>> = {
  CODE: MessageKind.CODE,
  CODE_SETTLED: MessageKind.CODE_SETTLED,
};

const eventKinds: Readonly<Record<TraceEventKind, TraceEventKindProto>> = {
  OPENED: TraceEventKindProto.OPENED,
  QUEUED: TraceEventKindProto.QUEUED,
  HANDED_OVER: TraceEventKindProto.HANDED_OVER,
  INTERRUPTED: TraceEventKindProto.INTERRUPTED,
  ACCEPTED: TraceEventKindProto.ACCEPTED,
  UNREGISTERED: TraceEventKindProto.UNREGISTERED,
  RETRY: TraceEventKindProto.RETRY,
  REFUSED: TraceEventKindProto.REFUSED,
  UNREACHABLE: TraceEventKindProto.UNREACHABLE,
  NOT_SENT: TraceEventKindProto.NOT_SENT,
  GAVE_UP: TraceEventKindProto.GAVE_UP,
  SHOWN: TraceEventKindProto.SHOWN,
  WRONG_CODE: TraceEventKindProto.WRONG_CODE,
  VERIFIED: TraceEventKindProto.VERIFIED,
  DENIED: TraceEventKindProto.DENIED,
  CLOSED: TraceEventKindProto.CLOSED,
  EXPIRED: TraceEventKindProto.EXPIRED,
};

/** Undefined stays unset. */
const timestamp = (time: Date | null) => (time === null ? undefined : timestampFromDate(time));

function traceToProto(trace: ChallengeTrace): MessageInitShape<typeof ChallengeTraceSchema> {
  const { challenge } = trace;
  const { place } = challenge.origin;
  return {
    accountId: trace.accountId,
    maskedEmail: trace.maskedEmail,
    challengeId: challenge.challengeId,
    purpose: purposeToProto(challenge.purpose),
    state: stateToProto(trace.state),
    requester: deviceToProto(challenge.device),
    ...(place === null ? {} : { location: placeToProto(place) }),
    network: challenge.network,
    defaultChannel: channelToProto(challenge.defaultChannel),
    createTime: timestampFromDate(challenge.createTime),
    expireTime: timestampFromDate(challenge.expireTime),
    messages: trace.messages.map((message) => ({
      deliveryId: message.deliveryId,
      kind: messageKinds[message.kind],
      channel: channelToProto(message.channel),
      route: routes[message.route],
      destination: message.destination,
      delivery: deliveryToProto(message.delivery),
      createTime: timestampFromDate(message.createTime),
      nextAttemptTime: timestamp(message.nextAttemptTime),
      attempts: message.attempts.filter(({ startTime }) => startTime !== null).length,
      explanation: message.explanation,
    })),
    events: trace.events.map(({ time, kind, deliveryId, answer }) => ({
      time: timestampFromDate(time),
      kind: eventKinds[kind],
      deliveryId,
      answer,
    })),
  };
}

function securityToProto(security: AccountSecurity): MessageInitShape<typeof AccountSecuritySchema> {
  return {
    accountId: security.accountId,
    maskedEmail: security.maskedEmail,
    locale: security.locale,
    twoStepEnabled: security.twoStepEnabled,
    passwordChangeRequired: security.passwordChangeRequired,
    verificationLocked: security.verificationLocked,
    wrongCodes: security.wrongCodes,
    defaultChannel: channelToProto(security.defaultChannel),
    emailOpen: security.emailOpen,
    devices: security.devices.map(({ device, trusted, signedIn, appOpen, pushService, pushRegisterTime }) => ({
      deviceId: device.deviceId,
      device: deviceToProto(device),
      trusted,
      signedIn,
      appOpen,
      push: pushService === null ? RouteProto.UNSPECIFIED : routes[pushService],
      pushRegisterTime: timestamp(pushRegisterTime),
      lastUseTime: timestampFromDate(device.lastUseTime),
      ...(device.lastPlace === null ? {} : { lastLocation: placeToProto(device.lastPlace) }),
    })),
    recentChallenges: security.recentChallenges.map(({ challenge, state, deliveries }) => ({
      challengeId: challenge.challengeId,
      purpose: purposeToProto(challenge.purpose),
      state: stateToProto(state),
      createTime: timestampFromDate(challenge.createTime),
      model: challenge.device.model,
      appVersion: challenge.device.appVersion,
      byApp: deliveryToProto(deliveries.APP),
      byEmail: deliveryToProto(deliveries.EMAIL),
    })),
  };
}
