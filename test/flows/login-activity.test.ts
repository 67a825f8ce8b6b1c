// The login activity: what happened, on which device, when and from where.

import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConnectionType } from '../../gen/countersign/v1/location_pb.ts';
import type { LoginActivityFilterSchema } from '../../gen/countersign/v1/login_activity_pb.ts';
import { EventKind, Unusual } from '../../gen/countersign/v1/login_event_pb.ts';
import { createRandom } from '../../server/platform/clock.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestDevice, type TestServer } from '../support/server.ts';

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

describe('a filter', () => {
  type Filter = MessageInitShape<typeof LoginActivityFilterSchema>;
  const random = createRandom();
  const ago = (ms: number) => server.clock.now().getTime() - ms;

  interface Written {
    readonly kind: string;
    /** In milliseconds. */
    readonly time: number;
    readonly deviceId?: string;
    readonly unusual?: readonly string[];
  }

  async function signedIn(): Promise<TestDevice & { readonly accountId: string }> {
    const account = await server.createAccount();
    return { ...(await server.signInNewDevice(account)), accountId: account.accountId };
  }

  /** Writes events past the server, and returns their ids in the same order. */
  async function write(accountId: string, events: readonly Written[]): Promise<readonly string[]> {
    const rows = events.map(({ time, ...event }) => ({ ...event, eventId: random.uuid(new Date(time)) }));
    await server.query(
      `insert into login_event (account_id, event_id, kind, device_id, origin, unusual, reported)
       select $1, "eventId", kind, "deviceId", '{"ipAddress": "", "place": null, "connectionType": null}',
         coalesce(unusual, '[]'), false
       from jsonb_to_recordset($2::jsonb) as r ("eventId" uuid, kind text, "deviceId" uuid, unusual jsonb)`,
      [accountId, JSON.stringify(rows)],
    );
    return rows.map(({ eventId }) => eventId);
  }

  /** All pages: their ids, and how many each held. */
  async function follow({ client }: TestDevice, filter: Filter, pageSize = 100, between = async () => {}) {
    const ids: string[] = [];
    const sizes: number[] = [];
    let pageToken = '';
    do {
      const page = await client.loginActivity.listLoginActivity({ filter, pageSize, pageToken });
      ids.push(...page.events.map(({ eventId }) => eventId));
      sizes.push(page.events.length);
      pageToken = page.nextPageToken;
      await between();
    } while (pageToken !== '');
    return { ids, sizes };
  }
  const idsOf = async (device: TestDevice, filter: Filter) => (await follow(device, filter)).ids;

  test('by kind, by device, by what was odd, and by all of it at once', async () => {
    const account = await server.createAccount();
    const one = await server.signInNewDevice(account);
    await refusal(one.client.twoStepAuth.signIn({ ...account, password: 'wrong', device: iphone }));
    const two = await server.signInNewDevice(account);
    await two.client.twoStepAuth.signOut({});
    const { events } = await one.client.loginActivity.listLoginActivity({});
    const idsWhere = (condition: (event: (typeof events)[number]) => boolean) =>
      events.filter(condition).map(({ eventId }) => eventId);
    expect(new Set(events.map(({ kind }) => kind)).size).toBe(4);

    const kinds = [EventKind.PASSWORD_WRONG, EventKind.SIGNED_OUT];
    expect(await idsOf(one, { kinds: [EventKind.PASSWORD_WRONG] })).toEqual(
      idsWhere(({ kind }) => kind === EventKind.PASSWORD_WRONG),
    );
    expect(await idsOf(one, { kinds })).toEqual(idsWhere(({ kind }) => kinds.some((wanted) => wanted === kind)));
    for (const { session } of [one, two]) {
      const ids = idsWhere(({ deviceId }) => deviceId === session.deviceId);
      expect(ids.length).toBeGreaterThan(0);
      expect(await idsOf(one, { deviceId: session.deviceId })).toEqual(ids);
      expect(await idsOf(one, { deviceId: session.deviceId.toUpperCase() })).toEqual(ids);
    }
    expect(await idsOf(one, { unusualOnly: true })).toEqual(idsWhere(({ unusual }) => unusual.length > 0));
    const all = { kinds: [EventKind.SIGNED_IN_WITH_CODE], deviceId: two.session.deviceId, unusualOnly: true };
    expect(await idsOf(one, all)).toEqual(
      idsWhere(({ kind, deviceId }) => kind === all.kinds[0] && deviceId === all.deviceId),
    );
    expect(await idsOf(one, { ...all, kinds: [EventKind.CODE_SENT] })).toEqual([]);
    expect(await idsOf(one, {})).toEqual(events.map(({ eventId }) => eventId));
  });

  test('by time takes the events from its start on, and those before its end', async () => {
    const device = await signedIn();
    const hour = ago(3_600_000);
    const events = [4, 3, 2, 1, 0].map((ms) => ({ kind: 'CODE_SENT', time: hour + ms }));
    const ids = await write(device.accountId, events);
    const time = (ms: number, nanos = 0) => {
      const whole = timestampFromDate(new Date(hour + ms));
      return { ...whole, nanos: whole.nanos + nanos };
    };
    expect(await idsOf(device, { startTime: time(1), endTime: time(4) })).toEqual(ids.slice(1, 4));
    expect(await idsOf(device, { startTime: time(5), endTime: time(1_000) })).toEqual([]);
    expect(await idsOf(device, { endTime: time(2) })).toEqual(ids.slice(3));
    // The list's own events came later.
    expect((await idsOf(device, { startTime: time(3) })).slice(2)).toEqual(ids.slice(0, 2));
    // An event has milliseconds: it is before what comes within its own.
    expect(await idsOf(device, { startTime: time(2, 1), endTime: time(1_000) })).toEqual(ids.slice(0, 2));
    expect(await idsOf(device, { endTime: time(2, 1) })).toEqual(ids.slice(2));
    const kinds = [EventKind.CODE_SENT, EventKind.CODE_WRONG];
    expect(await idsOf(device, { kinds, startTime: time(1), endTime: time(4) })).toEqual(ids.slice(1, 4));
  });

  test('takes every time that there is, and refuses what is none', async () => {
    const device = await signedIn();
    const list = (filter: Filter) => device.client.loginActivity.listLoginActivity({ filter });
    const time = (seconds: number, nanos = 0) => ({ seconds: BigInt(seconds), nanos });
    const first = time(-62_135_596_800);
    const last = time(253_402_300_799, 999_999_999);
    for (const filter of [
      { startTime: first, endTime: last },
      { endTime: last, kinds: [EventKind.CODE_SENT] },
    ]) {
      expect((await list(filter)).events.length).toBeGreaterThan(0);
    }
    for (const filter of [{ endTime: first }, { startTime: last }, { endTime: time(-1) }, { endTime: time(0) }]) {
      expect((await list(filter)).events).toEqual([]);
    }
    for (const none of [
      time(-62_135_596_801),
      time(253_402_300_800),
      { seconds: 2n ** 63n - 1n, nanos: 0 },
      { seconds: -(2n ** 63n), nanos: 0 },
      time(0, -1),
      time(0, 1_000_000_000),
    ]) {
      for (const [field, filter] of [
        ['filter.start_time', { startTime: none }],
        ['filter.end_time', { endTime: none }],
      ] as const) {
        const error = await refusal(list(filter));
        expect(error).toMatchObject({ reason: 'REQUEST_INVALID', violations: [{ field }] });
      }
    }
    for (const startTime of [time(1_000), time(1_000, 1), time(2_000)]) {
      const error = await refusal(list({ startTime, endTime: time(1_000) }));
      expect(error).toMatchObject({ reason: 'REQUEST_INVALID', violations: [{ field: 'filter.start_time' }] });
    }
  });

  test('finds the few that fit among thousands: pages may be short or empty, and say that there is more', async () => {
    const device = await signedIn();
    const events = Array.from({ length: 5_000 }, (_, index) => {
      const isRare = index === 10 || index === 2_500 || index === 4_999;
      return { kind: isRare ? 'PASSWORD_CHANGED' : 'PASSWORD_WRONG', time: ago(60_000 + index * 60_000) };
    });
    const written = await write(device.accountId, events);
    const { ids, sizes } = await follow(device, { kinds: [EventKind.PASSWORD_CHANGED] });
    expect(ids).toEqual([written[10], written[2_500], written[4_999]]);
    // 5,002 events, of which each page looks at 2,000.
    expect(sizes).toEqual([1, 1, 1]);
    const { ids: none, sizes: empty } = await follow(device, { kinds: [EventKind.SETTINGS_CHANGED] });
    expect([none, empty]).toEqual([[], [0, 0, 0]]);
    // A full page ends where its last one stands.
    const many = await follow(device, { kinds: [EventKind.PASSWORD_WRONG] }, 100);
    expect(many.ids).toHaveLength(4_997);
    expect(new Set(many.ids).size).toBe(4_997);
    expect(many.sizes.filter((size) => size < 100)).toHaveLength(1);
  });

  test('meets no event twice and misses none, while new ones come in between the pages', async () => {
    const device = await signedIn();
    const { accountId } = device;
    const events = Array.from({ length: 60 }, (_, index) => ({
      kind: index % 3 === 0 ? 'CODE_WRONG' : 'CODE_SENT',
      time: ago(1_000 + index * 1_000),
    }));
    const wrong = (await write(accountId, events)).filter((_, index) => index % 3 === 0);
    const { ids, sizes } = await follow(device, { kinds: [EventKind.CODE_WRONG] }, 7, async () => {
      await write(accountId, [
        { kind: 'CODE_WRONG', time: ago(0) },
        { kind: 'CODE_SENT', time: ago(0) },
      ]);
    });
    expect(ids).toEqual(wrong);
    expect(sizes).toEqual([7, 7, 6]);
  });

  test('keeps its page tokens for itself', async () => {
    const device = await signedIn();
    await write(
      device.accountId,
      Array.from({ length: 40 }, (_, index) => ({
        kind: 'CODE_WRONG',
        time: ago(1_000 + index),
        deviceId: device.session.deviceId,
        unusual: ['NEW_DEVICE'],
      })),
    );
    const { deviceId } = device.session;
    const startTime = timestampFromDate(new Date(server.clock.now().getTime() - 86_400_000));
    const list = (filter: Filter | undefined, pageToken = '') =>
      device.client.loginActivity.listLoginActivity({ pageToken, ...(filter && { filter }) });
    const [wrong, sent] = [EventKind.CODE_WRONG, EventKind.CODE_SENT];
    const filters: readonly (Filter | undefined)[] = [
      undefined,
      { kinds: [wrong] },
      { kinds: [wrong, sent] },
      { unusualOnly: true },
      { startTime },
      { endTime: timestampFromDate(new Date(server.clock.now().getTime() + 1_000)) },
      { kinds: [wrong], startTime },
      { deviceId },
    ];
    const tokens = await Promise.all(filters.map(async (filter) => (await list(filter)).nextPageToken));
    for (const [index, token] of tokens.entries()) {
      for (const [other, filter] of filters.entries()) {
        if (index === other) {
          expect((await list(filter, token)).events.length).toBeGreaterThan(0);
        } else {
          const error = await refusal(list(filter, token));
          expect(error).toMatchObject({ reason: 'REQUEST_INVALID', violations: [{ field: 'page_token' }] });
        }
      }
    }
    // The same said in another way; and a token of a release that knew no filters.
    expect((await list({ kinds: [sent, wrong, sent] }, tokens[2])).events.length).toBeGreaterThan(0);
    expect((await list({}, tokens[0])).events.length).toBeGreaterThan(0);
    expect((await list({ deviceId: deviceId.toUpperCase() }, tokens.at(-1))).events.length).toBeGreaterThan(0);
    const { events } = await list(undefined);
    const former = Buffer.from(`events:${events.at(-1)?.eventId}`).toString('base64url');
    expect(tokens[0]).toBe(former);
  });

  test('says what in it is wrong', async () => {
    const device = await signedIn();
    for (const [field, filter] of [
      ['filter.kinds[1]', { kinds: [EventKind.CODE_SENT, 0] }],
      ['filter.kinds[0]', { kinds: [99] }],
      ['filter.kinds', { kinds: Array.from({ length: 21 }, () => EventKind.CODE_SENT) }],
      ['filter.device_id', { deviceId: 'mine' }],
    ] as const) {
      const error = await refusal(device.client.loginActivity.listLoginActivity({ filter: filter as Filter }));
      expect(error).toMatchObject({ reason: 'REQUEST_INVALID', violations: [{ field }] });
    }
  });
});

test('an event of a month that nothing was made for makes its month, and nobody is refused', async () => {
  const account = await server.createAccount();
  // Beyond what is made ahead for the tests: as where the clock has jumped, or maintenance has failed for half a year.
  server.clock.advance(5 * 365 * 86_400_000);
  const client = server.appClient();
  const tries = Array.from({ length: 4 }, () =>
    refusal(client.twoStepAuth.signIn({ ...account, password: 'wrong', device: iphone })),
  );
  expect((await Promise.all(tries)).map(({ reason }) => reason)).toEqual(Array(4).fill('CREDENTIALS_INCORRECT'));
  server.clock.advance(365 * 86_400_000);
  const device = await server.signInNewDevice(account);
  const { events } = await device.client.loginActivity.listLoginActivity({});
  expect(events.map(({ kind }) => kind)).toEqual([
    EventKind.SIGNED_IN_WITH_CODE,
    EventKind.CODE_SENT,
    ...Array(4).fill(EventKind.PASSWORD_WRONG),
  ]);
  const told = server.log.filter((line) => line.includes('had no partition to go to'));
  expect(told.length).toBeGreaterThanOrEqual(2);
});
