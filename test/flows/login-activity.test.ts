// The login activity: what happened, on which device, when and from where.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConnectionType } from '../../gen/countersign/v1/location_pb.ts';
import { EventKind, Unusual } from '../../gen/countersign/v1/login_event_pb.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

/** A public address of the bundled data, as a trusted proxy on loopback forwards it. */
const fromZurich = { headers: { 'x-forwarded-for': '129.132.19.216' } };

test('a sign-in leaves every step in it, newest first, with device and approximate place', async () => {
  const account = await server.createAccount();
  const client = server.appClient();
  await refusal(client.twoStepAuth.signIn({ ...account, password: 'wrong', device: iphone }, fromZurich));
  const { result } = await client.twoStepAuth.signIn({ ...account, device: iphone }, fromZurich);
  if (result.case !== 'challengeGrant') throw new Error('no challenge');
  const code = await server.mail.codeFor(account.email);
  const { challengeToken } = result.value;
  const wrong = code === '000000' ? '000001' : '000000';
  await refusal(client.twoStepAuth.verifyCode({ challengeToken, code: wrong }, fromZurich));
  const { session } = await client.twoStepAuth.verifyCode({ challengeToken, code }, fromZurich);
  if (session === undefined) throw new Error('no session');
  client.useSession(session);

  const { events } = await client.loginActivity.listLoginActivity({});
  expect(events.map(({ kind }) => kind)).toEqual([
    EventKind.SIGNED_IN_WITH_CODE,
    EventKind.CODE_WRONG,
    EventKind.CODE_SENT,
    EventKind.PASSWORD_WRONG,
  ]);
  const [signedIn, codeWrong] = events;
  expect(signedIn).toMatchObject({
    device: { displayName: "Anna's iPhone", model: 'iPhone 17', appVersion: '2.3' },
    ipAddress: '129.132.19.216',
    location: { countryCode: 'CH', approximate: true },
    connectionType: ConnectionType.UNSPECIFIED,
    unusual: [Unusual.NEW_DEVICE],
    currentDevice: true,
    reported: false,
  });
  expect(signedIn?.location?.source).toMatch(/^DBIP-City.* \d{4}-\d{2}-\d{2}$/);
  expect(codeWrong?.currentDevice).toBe(false);
});

test('pages follow each other without a gap, also while new events come in', async () => {
  const account = await server.createAccount();
  const { client, session } = await server.signInNewDevice(account);
  for (let count = 0; count < 6; count++) {
    await refusal(client.twoStepAuth.signIn({ ...account, password: 'wrong', device: iphone }));
  }
  const all = await client.loginActivity.listLoginActivity({ pageSize: 100 });
  const ids: string[] = [];
  let pageToken = '';
  do {
    const page = await client.loginActivity.listLoginActivity({ pageSize: 3, pageToken });
    ids.push(...page.events.map(({ eventId }) => eventId));
    pageToken = page.nextPageToken;
    const { deviceToken } = session;
    await refusal(client.twoStepAuth.signIn({ ...account, password: 'wrong', device: iphone, deviceToken }));
  } while (pageToken !== '');
  expect(ids).toEqual(all.events.map(({ eventId }) => eventId));
});

test('a page holds 20 unless more is asked for, and never more than 100', async () => {
  const account = await server.createAccount();
  const { client } = await server.signInNewDevice(account);
  await server.query(
    `insert into login_event (account_id, event_id, kind, origin, unusual, reported)
     select account_id, (substr(event_id::text, 1, 24) || lpad(to_hex(n), 12, '0'))::uuid, kind, origin, unusual, reported
     from login_event, generate_series(1, 120) n where account_id = $1 and kind = 'CODE_SENT'`,
    [account.accountId],
  );
  expect((await client.loginActivity.listLoginActivity({})).events).toHaveLength(20);
  expect((await client.loginActivity.listLoginActivity({ pageSize: 1_000 })).events).toHaveLength(100);
});

test('another account’s events are not in it', async () => {
  const one = await server.signInNewDevice(await server.createAccount());
  await server.signInNewDevice(await server.createAccount());
  const { events } = await one.client.loginActivity.listLoginActivity({});
  expect(events).toHaveLength(2);
});

test('events older than 400 days are not shown', async () => {
  const account = await server.createAccount();
  const { session } = await server.signInNewDevice(account);
  server.clock.advance(401 * 86_400_000);
  const client = server.appClient();
  const { result } = await client.twoStepAuth.signIn({ ...account, device: iphone, deviceToken: session.deviceToken });
  if (result.case !== 'challengeGrant') throw new Error('no challenge');
  const code = await server.mail.codeFor(account.email, 2);
  const verified = await client.twoStepAuth.verifyCode({ challengeToken: result.value.challengeToken, code });
  if (verified.session === undefined) throw new Error('no session');
  client.useSession(verified.session);
  const { events } = await client.loginActivity.listLoginActivity({});
  expect(events.map(({ kind }) => kind)).toEqual([EventKind.SIGNED_IN_WITH_CODE, EventKind.CODE_SENT]);
});
