// The whole story of an account, told through any client: what the wire promises holds for each. It must not know clients, nor
// how the servers were started.

import { expect } from 'vitest';
import type { MailServer } from '../support/mail-server.ts';
import type { TestAccount } from '../support/server.ts';
import type { Driver, Json, Refusal } from './driver.ts';

/** Servers of one database. */
export interface Scene {
  readonly publicUrl: string;
  readonly internalUrl: string;
  readonly serviceToken: string;
  readonly mail: Pick<MailServer, 'codeFor'>;
  createAccount(): Promise<TestAccount>;
}

const device = { displayName: "Anna's iPhone", model: 'iPhone 17', platform: 'PLATFORM_IOS', osVersion: '19.1' };

/** The calls of one app by this driver. */
function appOf(driver: Driver, scene: Scene) {
  let accessToken = '';
  const send = (service: string, method: string, request: Json, version: string) =>
    driver.call(scene.publicUrl, {
      service: `countersign.v1.${service}`,
      method,
      request,
      headers: {
        'countersign-client-version': version,
        'countersign-client-platform': 'ios',
        ...(accessToken === '' ? {} : { authorization: `Bearer ${accessToken}` }),
      },
    });
  return {
    async ok(service: string, method: string, request: Json): Promise<Json> {
      const answer = await send(service, method, request, '2.3');
      if ('refused' in answer) throw new Error(`${method} was refused: ${JSON.stringify(answer.refused)}`);
      return answer.ok;
    },
    async refused(service: string, method: string, request: Json, version = '2.3'): Promise<Refusal> {
      const answer = await send(service, method, request, version);
      if ('ok' in answer) throw new Error(`${method} was not refused`);
      expect(answer.refused.domain).toBe('countersign');
      return answer.refused;
    },
    use(session: Json) {
      expect(session.accessToken).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
      accessToken = session.accessToken;
    },
    get accessToken() {
      return accessToken;
    },
  };
}

/** An old app is refused, a new one signs in, is trusted, looks around, switches off and on, and signs out. */
export async function story(driver: Driver, scene: Scene): Promise<void> {
  const app = appOf(driver, scene);
  const { email, password, accountId } = await scene.createAccount();
  const credentials = { email, password, device };

  // An app that is too old.
  const old = await app.refused('TwoStepAuth', 'SignIn', credentials, '2.2');
  expect(old).toMatchObject({ code: 'failed_precondition', reason: 'CLIENT_VERSION_UNSUPPORTED' });
  expect(old.requirement).toMatchObject({ clientVersion: '2.2', minimumVersion: '2.3' });
  expect(old.minimumVersion).toBe('2.3');

  // Sign-in, with the code from the mail.
  const wrong = await app.refused('TwoStepAuth', 'SignIn', { ...credentials, password: 'wrong' });
  expect(wrong).toMatchObject({ code: 'unauthenticated', reason: 'CREDENTIALS_INCORRECT', minimumVersion: '2.3' });
  const { challengeGrant } = await app.ok('TwoStepAuth', 'SignIn', credentials);
  const { challengeToken, challenge } = challengeGrant;
  expect(challenge).toMatchObject({
    purpose: 'CHALLENGE_PURPOSE_SIGN_IN',
    state: 'CHALLENGE_STATE_PENDING',
    defaultChannel: 'CHANNEL_EMAIL',
    attemptsRemaining: 5,
  });
  expect(challenge.channels).toHaveLength(2);
  expect(challenge.channels[0]).toMatchObject({ destination: 'a•••@example.com', available: true, sendsRemaining: 4 });

  const code = await scene.mail.codeFor(email, 1);
  const mistaken = await app.refused('TwoStepAuth', 'VerifyCode', { challengeToken, code: otherThan(code) });
  expect(mistaken).toMatchObject({ code: 'invalid_argument', reason: 'CODE_INCORRECT' });
  expect(mistaken.challenge?.attemptsRemaining).toBe(4);
  const looked = await app.ok('TwoStepAuth', 'GetChallenge', { challengeToken });
  expect(looked.challenge).toMatchObject({ challengeId: challenge.challengeId, attemptsRemaining: 4 });
  const early = await app.refused('TwoStepAuth', 'SendCode', { challengeToken, channel: 'CHANNEL_EMAIL' });
  expect(early).toMatchObject({ code: 'resource_exhausted', reason: 'SEND_TOO_SOON' });
  expect(early.retrySeconds).toBeGreaterThan(0);
  expect(early.retrySeconds).toBeLessThanOrEqual(30);
  expect(early.challenge?.challengeId).toBe(challenge.challengeId);

  const { session } = await app.ok('TwoStepAuth', 'VerifyCode', { challengeToken, code });
  expect(session).toMatchObject({ accountId });
  expect(session.deviceToken).toBeTruthy();
  app.use(session);

  // What a signed-in device sees.
  const { trustedDevices } = await app.ok('TrustedDevices', 'ListTrustedDevices', {});
  expect(trustedDevices).toHaveLength(1);
  expect(trustedDevices[0]).toMatchObject({ ...device, deviceId: session.deviceId, appVersion: '2.3', current: true });
  const settings = await app.ok('TwoStepAuth', 'GetSettings', {});
  expect(settings).toMatchObject({ twoStepEnabled: true, defaultChannel: 'CHANNEL_EMAIL' });
  expect(await kindsOfActivity(app)).toEqual(['SIGNED_IN_WITH_CODE', 'CODE_WRONG', 'CODE_SENT', 'PASSWORD_WRONG']);

  const seen = await introspect(driver, scene, app.accessToken);
  expect(seen).toMatchObject({ active: true, accountId, sessionId: session.sessionId, amr: ['pwd', 'otp'] });

  // Fresh tokens.
  const { session: refreshed } = await app.ok('TwoStepAuth', 'RefreshSession', { refreshToken: session.refreshToken });
  expect(refreshed.sessionId).toBe(session.sessionId);
  expect(refreshed.refreshToken).not.toBe(session.refreshToken);
  app.use(refreshed);

  // A trusted device needs no code, and has one session.
  const again = await app.ok('TwoStepAuth', 'SignIn', { ...credentials, deviceToken: session.deviceToken });
  expect(again.session).toMatchObject({ deviceId: session.deviceId });
  const replaced = await app.refused('TwoStepAuth', 'GetSettings', {});
  expect(replaced).toMatchObject({
    code: 'unauthenticated',
    reason: 'SESSION_INVALID',
    metadata: { cause: 'REPLACED' },
  });
  app.use(again.session);

  // Switched off with a code, on without one.
  const asked = await app.ok('TwoStepAuth', 'UpdateSettings', { twoStepEnabled: false });
  expect(asked.challengeGrant.challenge.purpose).toBe('CHALLENGE_PURPOSE_SWITCH_OFF');
  const off = await app.ok('TwoStepAuth', 'UpdateSettings', {
    twoStepEnabled: false,
    challengeToken: asked.challengeGrant.challengeToken,
    code: await scene.mail.codeFor(email, 2),
  });
  expect(off.settings.twoStepEnabled ?? false).toBe(false);
  const stranger = await app.ok('TwoStepAuth', 'SignIn', { ...credentials, device: { ...device, model: 'iPad' } });
  expect(stranger.session).toMatchObject({ accountId });
  expect((await kindsOfActivity(app)).slice(0, 4)).toEqual([
    'SIGNED_IN_WITHOUT_TWO_STEP',
    'SETTINGS_CHANGED',
    'CODE_SENT',
    'SIGNED_IN_TRUSTED_DEVICE',
  ]);
  const on = await app.ok('TwoStepAuth', 'UpdateSettings', { twoStepEnabled: true });
  expect(on.settings.twoStepEnabled).toBe(true);
  expect((await app.ok('TwoStepAuth', 'SignIn', credentials)).challengeGrant.challengeToken).toBeTruthy();

  // Signed out for good.
  await app.ok('TwoStepAuth', 'SignOut', {});
  const over = await app.refused('TwoStepAuth', 'RefreshSession', { refreshToken: again.session.refreshToken });
  expect(over).toMatchObject({ code: 'unauthenticated', reason: 'SESSION_INVALID', metadata: { cause: 'SIGNED_OUT' } });
  expect((await introspect(driver, scene, app.accessToken)).active ?? false).toBe(false);
}

/** Every entry, read one a page: newest first, each once, as on one page. */
async function kindsOfActivity(app: ReturnType<typeof appOf>): Promise<string[]> {
  const events: Json[] = [];
  let pageToken = '';
  do {
    const page = await app.ok('LoginActivity', 'ListLoginActivity', { pageSize: 1, pageToken });
    expect(page.events).toHaveLength(1);
    events.push(...page.events);
    pageToken = page.nextPageToken ?? '';
  } while (pageToken !== '');
  const whole = await app.ok('LoginActivity', 'ListLoginActivity', { pageSize: 100 });
  expect(events.map(({ eventId }) => eventId)).toEqual(whole.events.map(({ eventId }: Json) => eventId));
  return events.map(({ kind }) => kind.replace('EVENT_KIND_', ''));
}

async function introspect(driver: Driver, scene: Scene, accessToken: string): Promise<Json> {
  const answer = await driver.call(scene.internalUrl, {
    service: 'countersign.internal.v1.Sessions',
    method: 'IntrospectSession',
    request: { accessToken },
    headers: { authorization: `Bearer ${scene.serviceToken}` },
  });
  if ('refused' in answer) throw new Error(`IntrospectSession was refused: ${JSON.stringify(answer.refused)}`);
  return answer.ok;
}

const otherThan = (code: string) => (code === '000000' ? '000001' : '000000');
