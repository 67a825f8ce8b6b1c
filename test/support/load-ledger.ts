// What a load was told, and what must therefore be so: compared with the database at the end, statement by statement. It must
// not know how the calls were made.

import type pg from 'pg';
import type { Mail } from './mail-server.ts';

/** One sign-in on a new device, as far as it was acknowledged. */
export interface SignIn {
  readonly accountId: string;
  readonly requestId: string;
  challengeId?: string;
  /** From here on it may be verified, whatever was answered. */
  verifying?: true;
  session?: SignedIn;
}

/** A device that was let in, with its newest tokens. */
export interface SignedIn {
  readonly accountId: string;
  readonly sessionId: string;
  readonly deviceId: string;
  readonly deviceToken: string;
  accessToken: string;
  refreshToken: string;
  /** What was asked for; what was acknowledged. */
  ending?: 'removal' | 'sign-out';
  ended?: 'removal' | 'sign-out';
}

/** What is not as it was acknowledged, a line each. */
export interface Verdict {
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  /** Mails that came more than once under the same Message-ID: a server died, or lost its database, between the hand-over and its note. */
  readonly mailsTwice: number;
}

interface Row {
  readonly [column: string]: unknown;
}

export async function compareWithDatabase(
  signIns: readonly SignIn[],
  database: pg.Pool,
  mails: readonly Mail[],
): Promise<Verdict> {
  const lost: string[] = [];
  const doubled: string[] = [];
  const accounts = [...new Set(signIns.map(({ accountId }) => accountId))];
  const rows = async (sql: string) => (await database.query<Row>(sql, [accounts])).rows;
  const [challenges, sessions, devices, events, deliveries] = await Promise.all([
    rows('select challenge_id, request_id, state, session_id from challenge where account_id = any($1)'),
    rows('select session_id, device_id, end_time, end_cause from session where account_id = any($1)'),
    rows('select device_id, trust_time, trust_end_time from device where account_id = any($1)'),
    rows('select kind, device_id, session_id, challenge_id from login_event where account_id = any($1)'),
    rows('select delivery_id, challenge_id, kind, channel, state from delivery where account_id = any($1)'),
  ]);
  const eventsOf = (kind: string, column: 'device_id' | 'session_id' | 'challenge_id', value: string) =>
    events.filter((event) => event['kind'] === kind && event[column] === value).length;
  /** One event of what was acknowledged; at most one of what was only asked for. */
  const oneEvent = (acknowledged: boolean, ...of: Parameters<typeof eventsOf>) => {
    const count = eventsOf(...of);
    if (count > 1) doubled.push(`${count} events ${of.join(' ')}`);
    if (count < 1 && acknowledged) lost.push(`no event ${of.join(' ')}`);
  };

  for (const signIn of signIns) {
    const made = challenges.filter((challenge) => challenge['request_id'] === signIn.requestId);
    if (made.length > 1) doubled.push(`${made.length} challenges of the request ${signIn.requestId}`);
    const [challenge] = made;
    if (signIn.challengeId === undefined) continue;
    if (challenge?.['challenge_id'] !== signIn.challengeId) lost.push(`the challenge ${signIn.challengeId}`);
    oneEvent(true, 'CODE_SENT', 'challenge_id', signIn.challengeId);
    const codes = deliveries.filter(
      (each) => each['challenge_id'] === signIn.challengeId && each['kind'] === 'CODE' && each['channel'] === 'EMAIL',
    );
    if (codes.length > 1) doubled.push(`${codes.length} codes were sent for ${signIn.challengeId}`);
    if (codes.length < 1) lost.push(`no code was sent for ${signIn.challengeId}`);
    if (!signIn.verifying) continue;

    const { session } = signIn;
    oneEvent(session !== undefined, 'SIGNED_IN_WITH_CODE', 'challenge_id', signIn.challengeId);
    if (session === undefined) continue;
    const verified = challenge?.['state'] === 'VERIFIED' && challenge['session_id'] === session.sessionId;
    if (!verified) lost.push(`the verification of ${signIn.challengeId}`);
    const found = sessions.find((each) => each['session_id'] === session.sessionId);
    const device = devices.find((each) => each['device_id'] === session.deviceId);
    const isLive = found !== undefined && found['end_time'] === null;
    const isTrusted = device !== undefined && device['trust_time'] !== null && device['trust_end_time'] === null;
    if (found?.['device_id'] !== session.deviceId || device === undefined)
      lost.push(`the session ${session.sessionId}`);
    if (session.ending === undefined && !(isLive && isTrusted))
      lost.push(`the session ${session.sessionId}, which ended by ${found?.['end_cause']}`);
    if (session.ending === 'removal') {
      oneEvent(session.ended !== undefined, 'DEVICE_REMOVED', 'device_id', session.deviceId);
      if (session.ended && (isLive || isTrusted)) lost.push(`the removal of ${session.deviceId}`);
    }
    if (session.ending === 'sign-out') {
      oneEvent(session.ended !== undefined, 'SIGNED_OUT', 'session_id', session.sessionId);
      if (session.ended && isLive) lost.push(`the end of ${session.sessionId}`);
      if (!isTrusted) lost.push(`the trust of ${session.deviceId}`);
    }
  }

  // What nobody asked for: a request that was repeated opened no second session.
  const mostSessions = signIns.filter(({ verifying }) => verifying).length;
  if (sessions.length > mostSessions) doubled.push(`${sessions.length} sessions of ${mostSessions} verifications`);
  if (devices.length > mostSessions) doubled.push(`${devices.length} devices of ${mostSessions} verifications`);

  const byMessage = Map.groupBy(mails, ({ raw }) => /^message-id: <([^@]+)@/im.exec(raw)?.[1] ?? 'none');
  let mailsTwice = 0;
  for (const delivery of deliveries) {
    if (delivery['channel'] !== 'EMAIL') continue;
    const copies = byMessage.get(String(delivery['delivery_id']))?.length ?? 0;
    if (copies > 1) mailsTwice += 1;
    if (delivery['state'] === 'QUEUED') lost.push(`the mail ${delivery['delivery_id']}, which nobody sends`);
    // A code is not sent any more when it has been used; what is only told always is.
    const isSent = delivery['state'] === 'ACCEPTED' || delivery['kind'] !== 'CODE';
    if (isSent && copies === 0) lost.push(`the mail ${delivery['delivery_id']}`);
  }
  return { lost, doubled, mailsTwice };
}
