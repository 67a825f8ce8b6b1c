// countersign.v1.LoginActivity: message → flow → message.

import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { LoginActivity, LoginActivityFilter } from '../../gen/countersign/v1/login_activity_pb.ts';
import { DomainError } from '../domain/errors.ts';
import type { Deps } from '../flows/context.ts';
import { listLoginActivity } from '../flows/login-activity.ts';
import type { ActivityFilter } from '../flows/ports.ts';
import { reportLoginActivity } from '../flows/report.ts';
import { signedInOf } from './call.ts';
import { adviceToProto, eventKindFromProto, eventToProto, readerOf } from './convert.ts';
import { pageSize, pageTokens } from './pages.ts';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function loginActivity(deps: Deps): ServiceImpl<typeof LoginActivity> {
  return {
    async listLoginActivity(request, context) {
      const caller = signedInOf(context);
      const filter = filterFromProto(request.filter);
      const positions = positionsIn(deps, filter);
      const before = positions.read(request.pageToken) ?? null;
      const { events, next } = await listLoginActivity(deps, caller, filter, before, pageSize(request.pageSize));
      const reader = readerOf(deps, caller);
      return {
        events: events.map((event) => eventToProto(event, caller.device.deviceId, reader)),
        nextPageToken: positions.write(next),
      };
    },
    async reportLoginActivity({ eventId }, context) {
      const caller = signedInOf(context);
      const advice = await reportLoginActivity(deps, eventId.toLowerCase(), caller);
      return { advice: adviceToProto(advice, caller.locale ?? 'en') };
    },
  };
}

/** The tokens of the list with this filter: each filter is a list of its own. Without one they are as they always were. */
function positionsIn(deps: Deps, { kinds, deviceId, unusualOnly, startTime, endTime }: ActivityFilter) {
  const isWhole = kinds.length === 0 && deviceId === null && !unusualOnly && startTime === null && endTime === null;
  const said = JSON.stringify([kinds, deviceId, unusualOnly, startTime, endTime]);
  const list = isWhole ? 'events' : `events ${Buffer.from(deps.secrets.hashOf(said)).toString('base64url')}`;
  return pageTokens<string>(list, uuid, { write: (eventId) => eventId, read: (text) => text });
}

/** In a form that says the same in the same way, whatever the order in which it was asked. */
function filterFromProto(filter: LoginActivityFilter | undefined): ActivityFilter {
  return {
    kinds: [...new Set(filter?.kinds)].sort((a, b) => a - b).map(eventKindFromProto),
    deviceId: filter?.deviceId ? filter.deviceId.toLowerCase() : null,
    unusualOnly: filter?.unusualOnly ?? false,
    startTime: timeFromProto(filter?.startTime, 'filter.start_time'),
    endTime: timeFromProto(filter?.endTime, 'filter.end_time'),
  };
}

/** From 0001-01-01T00:00:00Z, up to and without 10000-01-01T00:00:00Z (google/protobuf/timestamp.proto). */
const firstSecond = -62_135_596_800n;
const endSecond = 253_402_300_800n;

/** To the millisecond above, in which events are told apart. In binary a time may be none that there is. */
function timeFromProto(time: Timestamp | undefined, field: string): Date | null {
  if (time === undefined) return null;
  const { seconds, nanos } = time;
  if (seconds < firstSecond || seconds >= endSecond || nanos < 0 || nanos >= 1e9) {
    const violations = [{ field, description: 'must be a time between the years 1 and 9999' }];
    throw new DomainError({ reason: 'REQUEST_INVALID', violations });
  }
  return new Date(Number(seconds) * 1_000 + Math.ceil(nanos / 1e6));
}
