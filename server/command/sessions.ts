// `countersign sessions`: who is signed in, and an end to it.

import { create } from '@bufbuild/protobuf';
import {
  type AccountSession,
  ListSessionsResponseSchema,
  RevocationReason,
  RevokeSessionsResponseSchema,
} from '../../gen/countersign/internal/v1/sessions_pb.ts';
import type { Environment } from '../environment.ts';
import { accountIdOf, type ConnectionOptions, connect } from './connection.ts';
import { deviceName, placeName } from './names.ts';
import { type Answer, messageJson, moment, table, yesOrNo } from './output.ts';
import { collect } from './pages.ts';

export async function listSessions(name: string, options: ConnectionOptions, env: Environment): Promise<Answer> {
  const client = await connect(options, env);
  const accountId = await accountIdOf(client, name);
  const sessions = await collect<AccountSession>(async (pageToken, pageSize) => {
    const page = await client.sessions.listSessions({ accountId, pageToken, pageSize });
    return [page.sessions, page.nextPageToken];
  });
  const text = table(
    ['session', 'device', 'trusted', 'by', 'since', 'last used', 'ends unused', 'place', 'name'],
    sessions.map((session) => [
      session.sessionId,
      session.deviceId,
      yesOrNo(session.trusted),
      session.amr.join('+'),
      moment(session.createTime),
      moment(session.lastUseTime),
      moment(session.expireTime),
      placeName(session.lastLocation),
      deviceName(session.device),
    ]),
  );
  return {
    json: messageJson(ListSessionsResponseSchema, create(ListSessionsResponseSchema, { sessions })),
    text: text === '' ? 'Nobody is signed in.' : text,
  };
}

export interface RevokeOptions extends ConnectionOptions {
  readonly device?: string;
  readonly session?: string;
  readonly reason: string;
}

export async function revokeSessions(name: string, options: RevokeOptions, env: Environment): Promise<Answer> {
  const client = await connect(options, env);
  const revoked = await client.sessions.revokeSessions({
    accountId: await accountIdOf(client, name),
    reason: options.reason === 'password-changed' ? RevocationReason.PASSWORD_CHANGED : RevocationReason.ADMINISTRATIVE,
    ...(options.device === undefined ? {} : { deviceId: options.device }),
    ...(options.session === undefined ? {} : { sessionId: options.session }),
  });
  const { revokedSessions: count } = revoked;
  return {
    json: messageJson(RevokeSessionsResponseSchema, revoked),
    text: `${count === 0 ? 'No session' : count === 1 ? '1 session' : `${count} sessions`} ended.`,
  };
}
