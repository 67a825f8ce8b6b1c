// What older generations of the app are told when they ask whether they may let an account in, and what its owner sees of it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createServiceClient } from '../../clients/service/client.ts';
import { LegacyRefusal } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import { Platform } from '../../gen/countersign/v1/device_pb.ts';
import { EventKind, Unusual } from '../../gen/countersign/v1/login_event_pb.ts';
import { hashServiceToken } from '../../server/platform/service-tokens.ts';
import { supportedLocales } from '../../server/texts/texts.ts';
import { times } from '../support/at-once.ts';
import { eventually } from '../support/eventually.ts';
import { addresses, geoipEnv, geoipIsMissing } from '../support/geoip.ts';
import { refusal } from '../support/refusal.ts';
import { startTestServer, type TestAccount, type TestServer } from '../support/server.ts';

const legacyToken = 'the-token-of-the-legacy-login';
const accountsToken = 'a-token-of-the-scope-accounts';
const sha256 = (token: string) => Buffer.from(hashServiceToken(token)).toString('hex');

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({
    ...(geoipIsMissing ? {} : geoipEnv),
    COUNTERSIGN_SERVICE_TOKENS: `login:legacy:${sha256(legacyToken)},backend:accounts:${sha256(accountsToken)}`,
    COUNTERSIGN_MINIMUM_CLIENT_VERSION: 'ios=2.3,android=3.0,web=2.3',
    COUNTERSIGN_UPDATE_URL: 'ios=https://apps.apple.com/app/id1',
  });
});
afterAll(() => server?.stop());

const accountsBy = (serviceToken: string) =>
  createServiceClient({ baseUrl: server.internalUrl, serviceToken }).accounts;

interface Asked {
  readonly accountId: string;
  readonly clientVersion?: string;
  readonly platform?: Platform;
  readonly ipAddress?: string;
}
const authorize = (asked: Asked) =>
  accountsBy(legacyToken).authorizeLegacySignIn({ clientVersion: '2.4', platform: Platform.IOS, ...asked });

async function accountWith(twoStepEnabled: boolean): Promise<TestAccount> {
  const account = await server.createAccount();
  await server.query('update account set two_step_enabled = $2 where account_id = $1', [
    account.accountId,
    twoStepEnabled,
  ]);
  return account;
}

const entriesOf = ({ accountId }: TestAccount) =>
  server.query(
    `select kind, device ->> 'platform' as platform, device ->> 'appVersion' as version,
       origin ->> 'ipAddress' as address, device_id, session_id
     from login_event where account_id = $1 order by event_id`,
    [accountId],
  );

const { CLIENT_VERSION_UNSUPPORTED, TWO_STEP_REQUIRED, UNSPECIFIED } = LegacyRefusal;

test.each([
  ['IOS', '2.2.9', false, CLIENT_VERSION_UNSUPPORTED],
  ['IOS', '2.2.9', true, CLIENT_VERSION_UNSUPPORTED],
  ['IOS', '2.3', false, UNSPECIFIED],
  ['IOS', '2.3', true, TWO_STEP_REQUIRED],
  ['IOS', '', false, CLIENT_VERSION_UNSUPPORTED],
  ['IOS', 'latest', true, CLIENT_VERSION_UNSUPPORTED],
  ['ANDROID', '2.9', false, CLIENT_VERSION_UNSUPPORTED],
  ['ANDROID', '2.9', true, CLIENT_VERSION_UNSUPPORTED],
  ['ANDROID', '3.0.1', false, UNSPECIFIED],
  ['ANDROID', '3.0.1', true, TWO_STEP_REQUIRED],
  ['WEB', '2.3-rc.1', false, CLIENT_VERSION_UNSUPPORTED],
  ['WEB', '2.3+5', false, UNSPECIFIED],
  ['WEB', '100', true, TWO_STEP_REQUIRED],
] as const)('%s %j, two-step verification %s', async (platform, clientVersion, twoStep, reason) => {
  const account = await accountWith(twoStep);
  const { accountId } = account;
  const allowed = reason === UNSPECIFIED;
  const answer = await authorize({ accountId, clientVersion, platform: Platform[platform], ipAddress: '81.2.69.142' });
  expect(answer).toMatchObject({
    allowed,
    reason,
    minimumVersion: platform === 'ANDROID' ? '3.0' : '2.3',
    updateUrl: platform === 'IOS' ? 'https://apps.apple.com/app/id1' : '',
    message: allowed
      ? ''
      : expect.stringMatching(reason === TWO_STEP_REQUIRED ? /can not ask for the code/ : /too old/),
  });
  expect(await entriesOf(account)).toEqual([
    {
      kind: allowed ? 'SIGNED_IN_WITHOUT_TWO_STEP' : 'REFUSED_OLD_CLIENT',
      platform,
      version: /^\d/.test(clientVersion) ? clientVersion : '',
      address: '81.2.69.142',
      device_id: null,
      session_id: null,
    },
  ]);
});

test('the message is in the account’s language', async () => {
  const account = await accountWith(true);
  const messages = new Set<string>();
  for (const locale of supportedLocales) {
    await server.service.accounts.updateAccount({ accountId: account.accountId, locale });
    messages.add((await authorize(account)).message);
    messages.add((await authorize({ ...account, clientVersion: '1' })).message);
  }
  expect(messages.size).toBe(2 * supportedLocales.length);
});

test('the owner sees it in the list, with the app, and can say that it was not them', async () => {
  const account = await server.createAccount();
  const { client } = await server.signInNewDevice(account);
  await authorize({ ...account, clientVersion: '2.1', platform: Platform.ANDROID, ipAddress: '::ffff:81.2.69.142' });
  const { events } = await client.loginActivity.listLoginActivity({});
  const [entry] = events;
  expect(entry).toMatchObject({
    kind: EventKind.REFUSED_OLD_CLIENT,
    ipAddress: '81.2.69.142',
    device: { platform: Platform.ANDROID, appVersion: '2.1', displayName: '', model: '' },
    currentDevice: false,
    deviceId: '',
  });
  await client.loginActivity.reportLoginActivity({ eventId: entry?.eventId ?? '' });
  const after = await client.loginActivity.listLoginActivity({});
  expect(after.events.find(({ eventId }) => eventId === entry?.eventId)?.reported).toBe(true);
  await client.twoStepAuth.getSettings({});
});

describe.skipIf(geoipIsMissing)('where it is odd (skipped where ../shared/geoip is absent)', () => {
  test('the entry says so; that login knows no devices, so a new one is nothing odd', async () => {
    const account = await server.createAccount();
    const client = server.appClient();
    const from = { headers: { 'x-forwarded-for': addresses.boxford } };
    const { email, password } = account;
    const device = { displayName: 'Phone', model: 'iPhone', platform: Platform.IOS, osVersion: '19' };
    await server.query('update account set two_step_enabled = false where account_id = $1', [account.accountId]);
    const { result } = await client.twoStepAuth.signIn({ email, password, device }, from);
    if (result.case !== 'session') throw new Error('no session');
    client.useSession(result.value);
    const oddities = async (ipAddress: string) => {
      server.clock.advance(61 * 60_000);
      expect((await authorize({ ...account, ipAddress })).allowed).toBe(true);
      const { events } = await client.loginActivity.listLoginActivity({});
      return [events[0]?.location?.countryCode, events[0]?.unusual];
    };
    expect(await oddities(addresses.boxford)).toEqual(['GB', []]);
    expect(await oddities(addresses.changchun)).toEqual(['CN', [Unusual.NEW_COUNTRY, Unusual.IMPOSSIBLE_TRAVEL]]);
    expect((await oddities(addresses.tor))[1]).toContain(Unusual.ANONYMOUS_NETWORK);
    expect(await oddities('')).toEqual([undefined, []]);
    await eventually(10_000, async () => {
      const told = server.mail.mails.filter(({ to, subject }) => to === email && subject.startsWith('Unusual sign-in'));
      expect(told).toHaveLength(2);
    });
  });
});

test('a refusal of the same kind of app and network stands once an hour, whoever hammers; what was allowed always', async () => {
  const account = await accountWith(true);
  const ask = (more: Omit<Asked, 'accountId'> = {}) => authorize({ ...account, ipAddress: '81.2.69.142', ...more });
  const answers = await Promise.all(times(20, () => ask()));
  expect(answers.every(({ reason }) => reason === TWO_STEP_REQUIRED)).toBe(true);
  expect(await entriesOf(account)).toHaveLength(1);
  await ask({ ipAddress: '81.2.69.1' });
  await ask({ clientVersion: '1' });
  expect(await entriesOf(account)).toHaveLength(1);
  // Another network, another platform; and an answer that lets in, each time.
  await ask({ ipAddress: '81.2.70.1' });
  await ask({ ipAddress: '' });
  await ask({ platform: Platform.WEB });
  await server.query('update account set two_step_enabled = false where account_id = $1', [account.accountId]);
  expect((await ask()).allowed).toBe(true);
  expect((await ask()).allowed).toBe(true);
  expect(await entriesOf(account)).toHaveLength(6);
  server.clock.advance(3_600_001);
  await ask({ clientVersion: '1' });
  expect(await entriesOf(account)).toHaveLength(7);
});

test('from however many networks, a hundred stand for an hour, and the answer is right all the same', async () => {
  const account = await accountWith(true);
  for (let at = 0; at < 120; at++) {
    expect((await authorize({ ...account, ipAddress: `81.3.${at}.1` })).reason).toBe(TWO_STEP_REQUIRED);
  }
  expect(await entriesOf(account)).toHaveLength(100);
  await server.query('update account set two_step_enabled = false where account_id = $1', [account.accountId]);
  expect((await authorize({ ...account, ipAddress: '81.2.69.142' })).allowed).toBe(true);
  expect(await entriesOf(account)).toHaveLength(101);
});

test('switching two-step verification on counts from then on', async () => {
  const account = await accountWith(false);
  expect((await authorize(account)).allowed).toBe(true);
  await server.query('update account set two_step_enabled = true where account_id = $1', [account.accountId]);
  expect((await authorize(account)).reason).toBe(TWO_STEP_REQUIRED);
});

test('what is no address is refused, and stands nowhere', async () => {
  const account = await accountWith(false);
  for (const ipAddress of [
    'unknown',
    '81.2.69',
    '81.2.69.142:443',
    '81.2.69.142, 10.0.0.1',
    '1.2.3.4/24',
    ' ',
    '0x7f.1',
  ]) {
    const refused = await refusal(authorize({ ...account, ipAddress }));
    expect(refused).toMatchObject({ reason: 'REQUEST_INVALID', violations: [{ field: 'ip_address' }] });
  }
  expect(await entriesOf(account)).toEqual([]);
  for (const ipAddress of ['', '2001:db8::1', '81.2.69.142']) await authorize({ ...account, ipAddress });
  expect(await entriesOf(account)).toHaveLength(3);
});

test('it is for the scope legacy alone, which may do nothing else', async () => {
  const { accountId } = await accountWith(false);
  const asked = { accountId, clientVersion: '2.4', platform: Platform.IOS };
  const byBackend = accountsBy(accountsToken).authorizeLegacySignIn(asked);
  expect((await refusal(byBackend)).reason).toBe('SCOPE_MISSING');
  const get = accountsBy(legacyToken).getAccount({ key: { case: 'accountId', value: accountId } });
  expect((await refusal(get)).reason).toBe('SCOPE_MISSING');
  expect((await refusal(authorize({ accountId: 'nobody' }))).reason).toBe('ACCOUNT_UNKNOWN');
  const without = refusal(authorize({ accountId, platform: Platform.UNSPECIFIED }));
  expect((await without).violations).toMatchObject([{ field: 'platform' }]);
});
