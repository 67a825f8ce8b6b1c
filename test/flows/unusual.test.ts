// What is odd about a sign-in: found by where it comes from, explained in the entry, told to the owner, and, where a setting
// says so, answered with a code even on a trusted device.

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { AppClient } from '../../clients/app/client.ts';
import { Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { AnonymousNetwork, EventKind, type LoginEvent, Unusual } from '../../gen/countersign/v1/login_event_pb.ts';
import { addresses, callsFrom, geoipEnv, geoipIsMissing } from '../support/geoip.ts';
import { codeIn } from '../support/mail-server.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestAccount, type TestServer } from '../support/server.ts';

interface Signed {
  readonly client: AppClient;
  readonly deviceToken: string;
  readonly deviceId: string;
}

const notices = (server: TestServer, email: string) =>
  server.mail.mails.filter((mail) => mail.to === email && codeIn(mail) === undefined);

/** A new device from an address, with the code from its mail. */
async function signInFrom(server: TestServer, account: TestAccount, address: string): Promise<Signed> {
  const client = server.appClient();
  const { email, password } = account;
  const codes = server.mail.codeMailsTo(email).length;
  const { result } = await client.twoStepAuth.signIn({ email, password, device: iphone }, callsFrom(address));
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const { challengeToken, challenge } = result.value;
  if (challenge?.defaultChannel !== Channel.EMAIL) {
    await client.twoStepAuth.sendCode({ challengeToken, channel: Channel.EMAIL });
  }
  const code = await server.mail.codeFor(email, codes + 1);
  const { session } = await client.twoStepAuth.verifyCode({ challengeToken, code }, callsFrom(address));
  if (session === undefined) throw new Error('no session');
  client.useSession(session);
  return { client, deviceToken: session.deviceToken, deviceId: session.deviceId };
}

/** The same device again. */
function signInAgain({ email, password }: TestAccount, { client, deviceToken }: Signed, address: string) {
  return client.twoStepAuth.signIn({ email, password, device: iphone, deviceToken }, callsFrom(address));
}

/** A new session of the same device, which its client goes on with. */
async function comesBack(account: TestAccount, device: Signed, address: string): Promise<void> {
  const { result } = await signInAgain(account, device, address);
  if (result.case !== 'session') throw new Error(`no session but ${result.case}`);
  device.client.useSession(result.value);
}

async function newestOf(client: AppClient, kind: EventKind, language = 'en'): Promise<LoginEvent> {
  const { events } = await client.loginActivity.listLoginActivity({}, { headers: { 'accept-language': language } });
  const found = events.find((event) => event.kind === kind);
  if (found === undefined) throw new Error(`no ${kind} among ${events.length}`);
  return found;
}

describe.skipIf(geoipIsMissing)('a sign-in (skipped where ../shared/geoip is absent)', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer(geoipEnv);
  });
  afterAll(() => server?.stop());

  test('of the first device is new, and nothing else', async () => {
    const account = await server.createAccount();
    const { client } = await signInFrom(server, account, addresses.boxford);
    const event = await newestOf(client, EventKind.SIGNED_IN_WITH_CODE);
    expect(event.unusual).toEqual([Unusual.NEW_DEVICE]);
    expect(event.unusualDetails).toMatchObject([{ unusual: Unusual.NEW_DEVICE, text: expect.stringMatching(/\w/) }]);
  });

  test('of a new device from the other side of the world says why it is odd, in the reader’s language', async () => {
    const account = await server.createAccount();
    const { client } = await signInFrom(server, account, addresses.boxford);
    await signInFrom(server, account, addresses.changchun);
    const event = await newestOf(client, EventKind.SIGNED_IN_WITH_CODE);
    expect(event.unusual).toEqual([Unusual.NEW_DEVICE, Unusual.NEW_COUNTRY, Unusual.IMPOSSIBLE_TRAVEL]);
    const [, country, travel] = event.unusualDetails;
    expect(country?.text).toContain('China');
    expect(travel?.text).toMatch(/8,\d00 km.*minute/);
    expect(travel?.distanceKm).toBeGreaterThanOrEqual(8_000);
    expect(travel?.elapsed).toBeDefined();
    const german = await newestOf(client, EventKind.SIGNED_IN_WITH_CODE, 'de');
    expect(german.unusualDetails[2]?.text).toMatch(/8\.\d00\s?km.*Minute/);
    // The owner was told before: the code was on its way.
    expect((await newestOf(client, EventKind.CODE_SENT)).unusual).toEqual(event.unusual);
    await vi.waitFor(() => {
      const mails = notices(server, account.email);
      expect(mails).toHaveLength(2);
      expect(mails[1]?.text).toMatch(/8,\d00 km/);
    });
  });

  test('of a trusted device is told where it is odd, with a way to say that it was somebody else', async () => {
    const account = await server.createAccount();
    const device = await signInFrom(server, account, addresses.boxford);
    await comesBack(account, device, addresses.boxford);
    const usual = await newestOf(device.client, EventKind.SIGNED_IN_TRUSTED_DEVICE);
    expect(usual.unusual).toEqual([]);

    await comesBack(account, device, addresses.milton);
    const odd = await newestOf(device.client, EventKind.SIGNED_IN_TRUSTED_DEVICE);
    expect(odd.unusual).toEqual([Unusual.NEW_COUNTRY, Unusual.IMPOSSIBLE_TRAVEL]);
    // That of the new device, and this one.
    await vi.waitFor(() => expect(notices(server, account.email)).toHaveLength(2));
    const [, mail] = notices(server, account.email);
    expect(mail?.text).toContain('United States');
    expect(mail?.text).toMatch(/\/deny\?token=/);

    // The country is known from now on, and nobody is told of it again.
    await comesBack(account, device, addresses.milton);
    expect((await newestOf(device.client, EventKind.SIGNED_IN_TRUSTED_DEVICE)).unusual).toEqual([]);
    server.clock.advance(24 * 3_600_000);
    await comesBack(account, device, addresses.boxford);
    expect((await newestOf(device.client, EventKind.SIGNED_IN_TRUSTED_DEVICE)).unusual).toEqual([]);
    expect(notices(server, account.email)).toHaveLength(2);
  });

  test('from Tor says so, once for a device that always comes from there', async () => {
    const account = await server.createAccount();
    const device = await signInFrom(server, account, addresses.boxford);
    await comesBack(account, device, addresses.tor);
    const event = await newestOf(device.client, EventKind.SIGNED_IN_TRUSTED_DEVICE);
    expect(event.unusual).toEqual([Unusual.ANONYMOUS_NETWORK]);
    expect(event.anonymousNetworks).toEqual([AnonymousNetwork.TOR_EXIT]);
    expect(event.unusualDetails[0]?.text).toContain('Tor');
    await comesBack(account, device, addresses.tor);
    expect((await newestOf(device.client, EventKind.SIGNED_IN_TRUSTED_DEVICE)).unusual).toEqual([]);
  });

  test('without two-step verification, too, with the same link', async () => {
    const account = await server.createAccount();
    const device = await signInFrom(server, account, addresses.boxford);
    await server.query('update account set two_step_enabled = false where account_id = $1', [account.accountId]);
    const other = server.appClient();
    const { email, password } = account;
    await other.twoStepAuth.signIn({ email, password, device: iphone }, callsFrom(addresses.changchun));
    const event = await newestOf(device.client, EventKind.SIGNED_IN_WITHOUT_TWO_STEP);
    expect(event.unusual).toEqual([Unusual.NEW_DEVICE, Unusual.NEW_COUNTRY, Unusual.IMPOSSIBLE_TRAVEL]);
    await vi.waitFor(() => expect(notices(server, email).at(-1)?.text).toMatch(/\/deny\?token=/));
  });

  test('teaches no country before it has succeeded', async () => {
    const account = await server.createAccount();
    const { client } = await signInFrom(server, account, addresses.boxford);
    const { email, password } = account;
    for (let time = 0; time < 2; time++) {
      await server.appClient().twoStepAuth.signIn({ email, password, device: iphone }, callsFrom(addresses.linkoping));
      expect((await newestOf(client, EventKind.CODE_SENT)).unusual).toContain(Unusual.NEW_COUNTRY);
    }
  });

  test('teaches no country for longer than it is believed', async () => {
    const account = await server.createAccount();
    const { client } = await signInFrom(server, account, addresses.boxford);
    await signInFrom(server, account, addresses.changchun);
    const { eventId } = await newestOf(client, EventKind.SIGNED_IN_WITH_CODE);
    await client.loginActivity.reportLoginActivity({ eventId });
    server.clock.advance(2 * 3_600_000);
    const { email, password } = account;
    await server.appClient().twoStepAuth.signIn({ email, password, device: iphone }, callsFrom(addresses.changchun));
    expect((await newestOf(client, EventKind.CODE_SENT)).unusual).toContain(Unusual.NEW_COUNTRY);
  });

  test('has its place in the language of who reads, as far as the file has it', async () => {
    const account = await server.createAccount();
    const { client } = await signInFrom(server, account, addresses.changchun);
    const placeIn = async (language: string) => {
      const { location } = await newestOf(client, EventKind.SIGNED_IN_WITH_CODE, language);
      return [location?.city, location?.region, location?.country, location?.countryCode];
    };
    expect(await placeIn('en')).toEqual(['Changchun', 'Jilin Sheng', 'China', 'CN']);
    expect(await placeIn('zh-CN')).toEqual(['长春', '吉林', '中国', 'CN']);
    expect(await placeIn('pl')).toEqual(['Changchun', 'Jilin Sheng', 'Chiny', 'CN']);
    const { trustedDevices } = await client.trustedDevices.listTrustedDevices(
      {},
      { headers: { 'accept-language': 'zh' } },
    );
    expect(trustedDevices[0]?.lastLocation?.city).toBe('长春');
  });

  test('on a database whose rows were written before any of this was known', async () => {
    const account = await server.createAccount();
    const device = await signInFrom(server, account, addresses.boxford);
    await server.query('update account set countries = null where account_id = $1', [account.accountId]);
    await server.query(`update device set signed_in_from = null where account_id = $1`, [account.accountId]);
    await server.query('update login_event set unusual_details = null where account_id = $1', [account.accountId]);
    const event = await newestOf(device.client, EventKind.SIGNED_IN_WITH_CODE);
    expect([event.unusual, event.unusualDetails]).toEqual([[Unusual.NEW_DEVICE], []]);
    await comesBack(account, device, addresses.boxford);
    expect((await newestOf(device.client, EventKind.SIGNED_IN_TRUSTED_DEVICE)).unusual).toEqual([]);
  });
});

describe.skipIf(geoipIsMissing)('COUNTERSIGN_STEP_UP_ON (skipped where ../shared/geoip is absent)', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ ...geoipEnv, COUNTERSIGN_STEP_UP_ON: 'impossible_travel, anonymous_network' });
  });
  afterAll(() => server?.stop());

  test('asks a trusted device for a code where it says so, and leaves it its trust and its token', async () => {
    const account = await server.createAccount();
    const device = await signInFrom(server, account, addresses.boxford);
    const { result } = await signInAgain(account, device, addresses.changchun);
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const { challengeToken } = result.value;
    // Its session of before lives until the code is right: whoever asks may be somebody else.
    await device.client.twoStepAuth.getSettings({});
    const code = await server.mail.codeFor(account.email, 2);
    const { session } = await device.client.twoStepAuth.verifyCode(
      { challengeToken, code },
      callsFrom(addresses.changchun),
    );
    expect(session).toMatchObject({ deviceId: device.deviceId, deviceToken: '' });
    expect((await refusal(device.client.twoStepAuth.getSettings({}))).reasonMetadata['cause']).toBe('REPLACED');
    if (session !== undefined) device.client.useSession(session);
    const event = await newestOf(device.client, EventKind.SIGNED_IN_WITH_CODE);
    expect(event.unusual).toEqual([Unusual.NEW_COUNTRY, Unusual.IMPOSSIBLE_TRAVEL]);
    const { trustedDevices } = await device.client.trustedDevices.listTrustedDevices({});
    expect(trustedDevices.map(({ deviceId }) => deviceId)).toEqual([device.deviceId]);
    // From there it is no journey any more.
    await comesBack(account, device, addresses.changchun);
  });

  test('does not show the code to the device that asks', async () => {
    const account = await server.createAccount();
    const device = await signInFrom(server, account, addresses.boxford);
    const other = await signInFrom(server, account, addresses.boxford);
    const { result } = await signInAgain(account, device, addresses.tor);
    if (result.case !== 'challengeGrant') throw new Error('no challenge');
    const { challengeToken } = result.value;
    await device.client.twoStepAuth.sendCode({ challengeToken, channel: Channel.APP });
    expect((await device.client.twoStepAuth.listPendingCodes({})).pendingCodes).toEqual([]);
    const [pending] = (await other.client.twoStepAuth.listPendingCodes({})).pendingCodes;
    expect(pending?.code).toMatch(/^\d{6}$/);
    await device.client.twoStepAuth.verifyCode({ challengeToken, code: pending?.code ?? '' });
  });

  test.each(['denied', 'reported'] as const)(
    'puts the device out whose challenge is %s: somebody has its token',
    async (how) => {
      const account = await server.createAccount();
      const stolen = await signInFrom(server, account, addresses.boxford);
      const owner = await signInFrom(server, account, addresses.boxford);
      const { result } = await signInAgain(account, stolen, addresses.changchun);
      if (result.case !== 'challengeGrant') throw new Error('no challenge');
      const challengeId = result.value.challenge?.challengeId ?? '';
      if (how === 'denied') await owner.client.twoStepAuth.denyChallenge({ challengeId });
      else {
        const { eventId, deviceId } = await newestOf(owner.client, EventKind.CODE_SENT);
        expect(deviceId).toBe(stolen.deviceId);
        await owner.client.loginActivity.reportLoginActivity({ eventId });
      }
      const again = await signInAgain(account, stolen, addresses.boxford);
      expect(again.result.case).toBe('challengeGrant');
      expect((await owner.client.twoStepAuth.getSettings({})).passwordChangeRequired).toBe(true);
    },
  );

  test('asks who has the token however often it was refreshed from there', async () => {
    const account = await server.createAccount();
    const device = await signInFrom(server, account, addresses.boxford);
    const { refreshToken = '' } = device.client.tokens ?? {};
    await device.client.twoStepAuth.refreshSession({ refreshToken }, callsFrom(addresses.changchun));
    const { result } = await signInAgain(account, device, addresses.changchun);
    expect(result.case).toBe('challengeGrant');
  });

  test('does not ask for what it does not name', async () => {
    const account = await server.createAccount();
    const device = await signInFrom(server, account, addresses.boxford);
    server.clock.advance(24 * 3_600_000);
    await comesBack(account, device, addresses.linkoping);
    expect((await newestOf(device.client, EventKind.SIGNED_IN_TRUSTED_DEVICE)).unusual).toEqual([Unusual.NEW_COUNTRY]);
  });

  test('lets a device in as a new one that was removed while it was asked', async () => {
    const account = await server.createAccount();
    const device = await signInFrom(server, account, addresses.boxford);
    const other = await signInFrom(server, account, addresses.boxford);
    const { result } = await signInAgain(account, device, addresses.changchun);
    if (result.case !== 'challengeGrant') throw new Error('no challenge');
    const { challengeToken } = result.value;
    await device.client.twoStepAuth.sendCode({ challengeToken, channel: Channel.APP });
    const [pending] = (await other.client.twoStepAuth.listPendingCodes({})).pendingCodes;
    await other.client.trustedDevices.removeTrustedDevice({ deviceId: device.deviceId });
    const { session } = await server
      .appClient()
      .twoStepAuth.verifyCode({ challengeToken, code: pending?.code ?? '' }, callsFrom(addresses.changchun));
    expect(session?.deviceId).not.toBe(device.deviceId);
    expect(session?.deviceToken).not.toBe('');
  });
});
