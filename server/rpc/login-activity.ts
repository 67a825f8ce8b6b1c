// countersign.v1.LoginActivity: message → flow → message.

import type { ServiceImpl } from '@connectrpc/connect';
import type { LoginActivity } from '../../gen/countersign/v1/login_activity_pb.ts';
import type { Deps } from '../flows/context.ts';
import { listLoginActivity } from '../flows/login-activity.ts';
import { signedInOf } from './call.ts';
import { eventToProto } from './convert.ts';
import { pageSize, pageTokens } from './pages.ts';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const positions = pageTokens<string>('events', uuid, { write: (eventId) => eventId, read: (text) => text });

export function loginActivity(deps: Deps): ServiceImpl<typeof LoginActivity> {
  return {
    async listLoginActivity(request, context) {
      const caller = signedInOf(context);
      const before = positions.read(request.pageToken) ?? null;
      const { events, next } = await listLoginActivity(deps, caller, before, pageSize(request.pageSize));
      return {
        events: events.map((event) => eventToProto(event, caller.device.deviceId)),
        nextPageToken: positions.write(next),
      };
    },
  };
}
