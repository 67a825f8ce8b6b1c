// The list with an X: removal puts a device out at once, everywhere; renaming; where notifications go.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventKind } from '../../gen/countersign/v1/login_event_pb.ts';
import { ApnsEnvironment } from '../../gen/countersign/v1/trusted_devices_pb.ts';
import { maintain } from '../../server/store/maintenance.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestServer } from '../support/server.ts';
import { watch } from '../support/watch.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

describe('a removed device', () => {
  test('is out at once: its calls, its refresh, its stream; and it needs a code again', async () => {
    const account = await server.createAccount();
    const owner = await server.signInNewDevice(account);
    const lost = await server.signInNewDevice(account);
    const watcher = watch(lost.client);
    await watcher.opened(server, lost.session.deviceId);
    const tokens = lost.client.tokens;
    await owner.client.trustedDevices.removeTrustedDevice({ deviceId: lost.session.deviceId });

    const headers = { authorization: `Bearer ${tokens?.accessToken}` };
    const call = await refusal(server.appClient().twoStepAuth.getSettings({}, { headers }));
    expect(call).toMatchObject({ reason: 'SESSION_INVALID', reasonMetadata: { cause: 'DEVICE_REMOVED' } });
    const refresh = await refusal(
      server.appClient().twoStepAuth.refreshSession({ refreshToken: tokens?.refreshToken ?? '' }),
    );
    expect(refresh).toMatchObject({ reason: 'SESSION_INVALID', reasonMetadata: { cause: 'DEVICE_REMOVED' } });
    expect((await watcher.next('signedOut')).cause).toBe('DEVICE_REMOVED');
    await watcher.ended;
    const { deviceToken } = lost.session;
    const { result } = await server.appClient().twoStepAuth.signIn({ ...account, device: iphone, deviceToken });
    expect(result.case).toBe('challengeGrant');

    const { trustedDevices } = await owner.client.trustedDevices.listTrustedDevices({});
    expect(trustedDevices.map(({ deviceId }) => deviceId)).toEqual([owner.session.deviceId]);
    const { events } = await owner.client.loginActivity.listLoginActivity({});
    expect(events.filter(({ kind }) => kind === EventKind.DEVICE_REMOVED)).toHaveLength(1);
    // Twice is once.
    await owner.client.trustedDevices.removeTrustedDevice({ deviceId: lost.session.deviceId });
    expect(await server.query('select from open_stream where account_id = $1', [account.accountId])).toEqual([]);
  });

  test('may be the one that asks', async () => {
    const { client, session } = await server.signInNewDevice(await server.createAccount());
    await client.trustedDevices.removeTrustedDevice({ deviceId: session.deviceId });
    const error = await refusal(client.twoStepAuth.getSettings({}));
    expect(error.reasonMetadata['cause']).toBe('DEVICE_REMOVED');
  });

  test('is none of another account, and none that was never trusted', async () => {
    const account = await server.createAccount();
    const { client } = await server.signInNewDevice(account);
    const declined = await server.signInNewDevice(account, false);
    const stranger = await server.signInNewDevice(await server.createAccount());
    for (const { session } of [declined, stranger]) {
      const error = await refusal(client.trustedDevices.removeTrustedDevice({ deviceId: session.deviceId }));
      expect(error.reason).toBe('DEVICE_UNKNOWN');
    }
  });

  test('can only be removed by who came in with a code or on a trusted device', async () => {
    const account = await server.createAccount();
    const device = await server.signInNewDevice(account);
    const { result } = await device.client.twoStepAuth.updateSettings({ twoStepEnabled: false });
    if (result.case !== 'challengeGrant') throw new Error('no challenge');
    const code = await server.mail.codeFor(account.email, 2);
    const { challengeToken } = result.value;
    await device.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
    const client = server.appClient();
    const signedIn = await client.twoStepAuth.signIn({ ...account, device: iphone });
    if (signedIn.result.case !== 'session') throw new Error('no session');
    client.useSession(signedIn.result.value);
    const { deviceId } = device.session;
    const error = await refusal(client.trustedDevices.removeTrustedDevice({ deviceId }));
    expect(error.reason).toBe('DEVICE_NOT_TRUSTED');
  });
});

test('a device that is lost for 180 days is put off the list by the hourly maintenance', async () => {
  const account = await server.createAccount();
  const { session } = await server.signInNewDevice(account);
  server.clock.advance(180 * 86_400_000);
  await maintain(server.databaseUrl, server.app.deps.limits, server.clock.now());
  const [row] = await server.query('select trust_end_time from device where device_id = $1', [session.deviceId]);
  expect(row?.['trust_end_time']).not.toBeNull();
});

test('the newest used device comes first, page by page', async () => {
  const account = await server.createAccount();
  const first = await server.signInNewDevice(account);
  server.clock.advance(1_000);
  const second = await server.signInNewDevice(account);
  server.clock.advance(1_000);
  const third = await server.signInNewDevice(account);
  server.clock.advance(1_000);
  await first.client.twoStepAuth.refreshSession({ refreshToken: first.session.refreshToken });
  const ids: string[] = [];
  let pageToken = '';
  do {
    const page = await third.client.trustedDevices.listTrustedDevices({ pageSize: 2, pageToken });
    ids.push(...page.trustedDevices.map(({ deviceId }) => deviceId));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  expect(ids).toEqual([first, third, second].map(({ session }) => session.deviceId));
});

describe('a device', () => {
  test('renames itself, and keeps the name at its next sign-in', async () => {
    const account = await server.createAccount();
    const { client, session } = await server.signInNewDevice(account);
    const { device } = await client.trustedDevices.updateDevice({ displayName: 'Kitchen phone' });
    expect(device).toMatchObject({ deviceId: session.deviceId, displayName: 'Kitchen phone', current: true });
    const { deviceToken } = session;
    const { result } = await client.twoStepAuth.signIn({ ...account, device: iphone, deviceToken });
    if (result.case !== 'session') throw new Error('no session');
    client.useSession(result.value);
    const { trustedDevices } = await client.trustedDevices.listTrustedDevices({});
    expect(trustedDevices[0]?.displayName).toBe('Kitchen phone');
    for (const displayName of ['', '   ']) {
      expect((await refusal(client.trustedDevices.updateDevice({ displayName }))).reason).toBe('REQUEST_INVALID');
    }
  });

  test('registers a push token, and a token has one owner: it leaves the account that had it before', async () => {
    const one = await server.signInNewDevice(await server.createAccount());
    const two = await server.signInNewDevice(await server.createAccount());
    const token = 'ab'.repeat(32);
    const apns = {
      service: {
        case: 'apns',
        value: { token, topic: 'com.example.app', environment: ApnsEnvironment.SANDBOX },
      },
    } as const;
    await one.client.trustedDevices.updateDevice({ pushRegistration: apns });
    await two.client.trustedDevices.updateDevice({
      pushRegistration: { service: { case: 'fcm', value: { token: 'fcm-token:0123456789' } } },
    });
    await two.client.trustedDevices.updateDevice({
      pushRegistration: { service: { ...apns.service, value: { ...apns.service.value, token: token.toUpperCase() } } },
    });
    const rows = await server.query('select device_id, service, token from push_registration where token = $1', [
      token,
    ]);
    expect(rows).toEqual([{ device_id: two.session.deviceId, service: 'APNS', token }]);
    const count = await server.query('select from push_registration where account_id = $1', [two.session.accountId]);
    expect(count).toHaveLength(1);
  });

  test('that signs out is not notified any more, and stays trusted', async () => {
    const account = await server.createAccount();
    const { client, session } = await server.signInNewDevice(account);
    await client.trustedDevices.updateDevice({
      pushRegistration: { service: { case: 'fcm', value: { token: 'fcm-token:abcdefghij' } } },
    });
    await client.twoStepAuth.signOut({});
    expect(await server.query('select from push_registration where account_id = $1', [account.accountId])).toEqual([]);
    const { deviceToken } = session;
    const { result } = await client.twoStepAuth.signIn({ ...account, device: iphone, deviceToken });
    expect(result.case).toBe('session');
  });
});

describe('a stream', () => {
  test('ends with the session, whatever ended it', async () => {
    const account = await server.createAccount();
    const { client, session } = await server.signInNewDevice(account);
    const watcher = watch(client);
    await watcher.opened(server, session.deviceId);
    await server.setPassword(account, 'a new battery staple');
    expect((await watcher.next('signedOut')).cause).toBe('PASSWORD_CHANGED');
    await watcher.ended;
  });

  test('is the third of its device: the oldest makes room, and is told to wait', async () => {
    const { client, session } = await server.signInNewDevice(await server.createAccount());
    const count = async () =>
      (await server.query('select from open_stream where device_id = $1', [session.deviceId])).length;
    const stopped = new AbortController();
    /** The rest of a stream, once it has said that it is open. */
    const open = async () => {
      const stream = client.trustedDevices.watchDevice({}, { signal: stopped.signal })[Symbol.asyncIterator]();
      expect((await stream.next()).value?.event.case).toBe('keepAlive');
      expect(await count()).toBeGreaterThan(0);
      const next = stream.next();
      next.catch(() => {});
      return { next };
    };
    const oldest = await open();
    await open();
    expect(await count()).toBe(2);
    await open();
    expect((await refusal(oldest.next)).reason).toBe('RATE_LIMITED');
    expect(await count()).toBe(2);
    stopped.abort();
    await expect.poll(count).toBe(0);
  });
});
