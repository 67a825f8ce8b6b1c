// countersign.v1.LoginActivity: message → flow → message.

import type { ServiceImpl } from '@connectrpc/connect';
import type { LoginActivity, LoginActivityFilter } from '../../gen/countersign/v1/login_activity_pb.ts';
import type { Deps } from '../flows/context.ts';
import { listLoginActivity } from '../flows/login-activity.ts';
import { reportLoginActivity } from '../flows/report.ts';
import type { ActivityFilter } from '../flows/store-ports.ts';
import { signedInOf } from './call.ts';
import { adviceToProto, eventKindFromProto, eventToProto, readerOf, timeFromProto } from './convert.ts';
import { idTokens, pageSize } from './pages.ts';

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

/** Without a filter they are as they always were. */
function positionsIn({ secrets }: Deps, { kinds, deviceId, unusualOnly, startTime, endTime }: ActivityFilter) {
  const isWhole = kinds.length === 0 && deviceId === null && !unusualOnly && startTime === null && endTime === null;
  const said = JSON.stringify([kinds, deviceId, unusualOnly, startTime, endTime]);
  return idTokens('events', isWhole ? undefined : secrets.hashOf(said));
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
