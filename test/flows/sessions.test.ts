// Sessions: what their tokens are worth, how long, and when they stop.

import { type Timestamp, timestampMs } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RevocationReason } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { Platform } from '../../gen/countersign/v1/device_pb.ts';
import type { Session } from '../../gen/countersign/v1/session_pb.ts';
import { refusal } from '../support/refusal.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
const minute = 60_000;
const day = 86_400_000;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const refresh = (refreshToken: string) => server.appClient().twoStepAuth.refreshSession({ refreshToken });
const settingsWith = (accessToken: string) =>
  server.appClient().twoStepAuth.getSettings({}, { headers: { authorization: `Bearer ${accessToken}` } });
const causeOf = async (call: Promise<unknown>) => {
  const error = await refusal(call);
  expect(error.reason).toBe('SESSION_INVALID');
  return error.reasonMetadata['cause'];
};

describe('a refresh token', () => {
  test('is good once, and its successor goes on with the same session', async () => {
    const { session } = await server.signInNewDevice(await server.createAccount());
    const { session: next } = await refresh(session.refreshToken);
    expect(next).toMatchObject({ sessionId: session.sessionId, deviceId: session.deviceId, deviceToken: '' });
    expect(next?.refreshToken).not.toBe(session.refreshToken);
    await refresh(next?.refreshToken ?? '');
  });

  test('repeated within 60 s after a lost answer gets a fresh pair, and the pair that was lost is void', async () => {
    const { session } = await server.signInNewDevice(await server.createAccount());
    const { session: lost } = await refresh(session.refreshToken);
    const { session: kept } = await refresh(session.refreshToken);
    await settingsWith(kept?.accessToken ?? '');
    expect(await causeOf(settingsWith(lost?.accessToken ?? ''))).toBe('EXPIRED');
    expect(await causeOf(refresh(lost?.refreshToken ?? ''))).toBe('TOKEN_REUSED');
    expect(await causeOf(refresh(kept?.refreshToken ?? ''))).toBe('TOKEN_REUSED');
  });

  test('repeated after 60 s, or after its successor was used, ends the session; trust stays', async () => {
    const account = await server.createAccount();
    const { session, client } = await server.signInNewDevice(account);
    await refresh(session.refreshToken);
    server.clock.advance(minute);
    expect(await causeOf(refresh(session.refreshToken))).toBe('TOKEN_REUSED');
    const { deviceToken } = session;
    const { result } = await client.twoStepAuth.signIn({ ...account, device: { platform: 1 }, deviceToken });
    expect(result.case).toBe('session');

    const two = await server.signInNewDevice(account);
    const { session: second } = await refresh(two.session.refreshToken);
    await refresh(second?.refreshToken ?? '');
    expect(await causeOf(refresh(two.session.refreshToken))).toBe('TOKEN_REUSED');
  });

  test('however old, is known as a spent one of its session', async () => {
    const { session } = await server.signInNewDevice(await server.createAccount());
    let newest = session.refreshToken;
    for (let rotations = 0; rotations < 4; rotations++) newest = (await refresh(newest)).session?.refreshToken ?? '';
    expect(await causeOf(refresh(session.refreshToken))).toBe('TOKEN_REUSED');
    expect(await causeOf(refresh(newest))).toBe('TOKEN_REUSED');
  });
});

describe('a session', () => {
  test('ends after 30 idle days, and its refresh token with it', async () => {
    const { session } = await server.signInNewDevice(await server.createAccount());
    server.clock.advance(30 * day);
    expect(await causeOf(refresh(session.refreshToken))).toBe('EXPIRED');
  });

  test('ends 180 days after sign-in however often it is refreshed', async () => {
    const { session } = await server.signInNewDevice(await server.createAccount());
    let newest = session.refreshToken;
    for (let days = 25; days < 180; days += 25) {
      server.clock.advance(25 * day);
      newest = (await refresh(newest)).session?.refreshToken ?? '';
    }
    server.clock.advance(5 * day);
    expect(await causeOf(refresh(newest))).toBe('EXPIRED');
  });

  test('its access token ends with it at the latest', async () => {
    const account = await server.createAccount();
    const { session } = await server.signInNewDevice(account);
    let newest: Session | undefined = session;
    for (let days = 25; days < 180; days += 25) {
      server.clock.advance(25 * day);
      newest = (await refresh(newest?.refreshToken ?? '')).session;
    }
    server.clock.advance(5 * day - 2 * minute);
    newest = (await refresh(newest?.refreshToken ?? '')).session;
    const { sessions } = await server.service.sessions.listSessions({ accountId: account.accountId });
    expect(newest?.accessTokenExpireTime).toEqual(sessions[0]?.expireTime);
  });

  test('its access token is good for five minutes', async () => {
    const { session } = await server.signInNewDevice(await server.createAccount());
    server.clock.advance(4 * minute);
    await settingsWith(session.accessToken);
    server.clock.advance(minute);
    expect(await causeOf(settingsWith(session.accessToken))).toBe('EXPIRED');
  });

  test('that was signed out says so, also when its token has expired since', async () => {
    const { session, client } = await server.signInNewDevice(await server.createAccount());
    await client.twoStepAuth.signOut({});
    expect(await causeOf(settingsWith(session.accessToken))).toBe('SIGNED_OUT');
    server.clock.advance(10 * minute);
    expect(await causeOf(settingsWith(session.accessToken))).toBe('SIGNED_OUT');
    expect(await causeOf(refresh(session.refreshToken))).toBe('SIGNED_OUT');
  });

  test('signed out everywhere ends with all the others of its account, and with no one else’s', async () => {
    const account = await server.createAccount();
    const stranger = await server.signInNewDevice(await server.createAccount());
    const one = await server.signInNewDevice(account);
    const two = await server.signInNewDevice(account);
    await one.client.twoStepAuth.signOut({ everywhere: true });
    expect(await causeOf(settingsWith(two.session.accessToken))).toBe('SIGNED_OUT');
    await settingsWith(stranger.session.accessToken);
  });
});

test('the app client refreshes by itself, once for many calls at a time', async () => {
  const { client, session } = await server.signInNewDevice(await server.createAccount());
  server.clock.advance(6 * minute);
  await Promise.all(Array.from({ length: 8 }, () => client.twoStepAuth.getSettings({})));
  expect(client.tokens?.refreshToken).not.toBe(session.refreshToken);
  const [row] = await server.query('select generation, end_cause from session where session_id = $1', [
    session.sessionId,
  ]);
  expect(row).toEqual({ generation: 2, end_cause: null });
});

describe('an internal caller', () => {
  test('sees a live session, and nothing of one that has ended', async () => {
    const account = await server.createAccount();
    const { session, client } = await server.signInNewDevice(account);
    const live = await server.service.sessions.introspectSession({ accessToken: session.accessToken });
    expect(live).toMatchObject({
      active: true,
      accountId: account.accountId,
      deviceId: session.deviceId,
      sessionId: session.sessionId,
      amr: ['pwd', 'otp'],
      passwordChangeRequired: false,
    });
    await client.twoStepAuth.signOut({});
    const ended = await server.service.sessions.introspectSession({ accessToken: session.accessToken });
    expect(ended).toMatchObject({ active: false, accountId: '', sessionId: '', amr: [] });
  });

  test('revokes one session, those of a device, or all, and can say that the password was changed', async () => {
    const account = await server.createAccount();
    const one = await server.signInNewDevice(account);
    const two = await server.signInNewDevice(account);
    const three = await server.signInNewDevice(account);
    const { accountId } = account;
    const reason = RevocationReason.ADMINISTRATIVE;
    const { sessions } = server.service;
    expect(
      (await sessions.revokeSessions({ accountId, sessionId: one.session.sessionId, reason })).revokedSessions,
    ).toBe(1);
    expect((await sessions.revokeSessions({ accountId, deviceId: two.session.deviceId, reason })).revokedSessions).toBe(
      1,
    );
    expect(await causeOf(settingsWith(one.session.accessToken))).toBe('REVOKED');
    expect(await causeOf(settingsWith(two.session.accessToken))).toBe('REVOKED');
    await settingsWith(three.session.accessToken);
    await sessions.revokeSessions({ accountId, reason: RevocationReason.PASSWORD_CHANGED });
    expect(await causeOf(settingsWith(three.session.accessToken))).toBe('PASSWORD_CHANGED');
    expect((await sessions.revokeSessions({ accountId, reason })).revokedSessions).toBe(0);
    const unknown = await refusal(sessions.revokeSessions({ accountId: 'nobody', reason }));
    expect(unknown.reason).toBe('ACCOUNT_UNKNOWN');
  });

  test('lists the live sessions of an account, newest first, page by page', async () => {
    const account = await server.createAccount();
    const { accountId } = account;
    const first = await server.signInNewDevice(account);
    const out = await server.signInNewDevice(account);
    const untrusted = await server.signInNewDevice(account, false);
    const newest = await server.signInNewDevice(account);
    await server.signInNewDevice(await server.createAccount());
    await out.client.twoStepAuth.signOut({});
    server.clock.advance(minute);
    const { session: refreshed } = await refresh(first.session.refreshToken);
    const { sessions } = server.service;
    const all = await sessions.listSessions({ accountId });
    expect(all.nextPageToken).toBe('');
    expect(all.sessions.map(({ sessionId, deviceId, trusted }) => ({ sessionId, deviceId, trusted }))).toEqual(
      [newest, untrusted, first].map((device) => ({
        sessionId: device.session.sessionId,
        deviceId: device.session.deviceId,
        trusted: device !== untrusted,
      })),
    );
    const oldest = all.sessions[2];
    expect(oldest).toMatchObject({
      sessionId: refreshed?.sessionId,
      amr: ['pwd', 'otp'],
      device: { model: 'iPhone 17', platform: Platform.IOS, appVersion: '2.3' },
    });
    const ms = (time?: Timestamp) => (time === undefined ? Number.NaN : timestampMs(time));
    expect(ms(oldest?.lastUseTime) - ms(oldest?.createTime)).toBeGreaterThanOrEqual(minute);
    expect(ms(oldest?.expireTime) - ms(oldest?.lastUseTime)).toBe(30 * day);

    const paged: string[] = [];
    for (let pageToken = ''; ; ) {
      const page = await sessions.listSessions({ accountId, pageSize: 1, pageToken });
      expect(page.sessions).toHaveLength(1);
      paged.push(...page.sessions.map(({ sessionId }) => sessionId));
      pageToken = page.nextPageToken;
      if (pageToken === '') break;
    }
    expect(paged).toEqual(all.sessions.map(({ sessionId }) => sessionId));

    expect((await refusal(sessions.listSessions({ accountId: 'nobody' }))).reason).toBe('ACCOUNT_UNKNOWN');
    // The others have not been used since before the last one's refresh.
    server.clock.advance(30 * day - minute);
    expect((await sessions.listSessions({ accountId })).sessions.map(({ sessionId }) => sessionId)).toEqual([
      first.session.sessionId,
    ]);
  });

  test('finds the same public key by RPC and as JWKS on both listeners', async () => {
    const { signingKeys } = await server.service.sessions.getSigningKeys({});
    const x = Buffer.from(signingKeys[0]?.publicKey ?? []).toString('base64url');
    for (const url of [server.publicUrl, server.internalUrl]) {
      const answer = await fetch(`${url}/.well-known/jwks.json`);
      expect(answer.headers.get('content-type')).toBe('application/jwk-set+json');
      expect(await answer.json()).toEqual({
        keys: [{ kty: 'OKP', crv: 'Ed25519', use: 'sig', alg: 'EdDSA', kid: 'test', x }],
      });
    }
  });
});
