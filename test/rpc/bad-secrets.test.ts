// What forged, broken, foreign and misplaced secrets and ids get, on the running server: nothing.

import { createHmac } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { RevocationReason } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { ChallengeState, Channel } from '../../gen/countersign/v1/challenge_pb.ts';
import { keyRingOf } from '../../server/platform/key-ring.ts';
import { createAccessTokens } from '../../server/platform/keys.ts';
import { byName, goodRequest, internalRpcs, nobody, sessionRpcs } from '../support/contract.ts';
import {
  account,
  call,
  challengeFor,
  changingNothing,
  device,
  expectTyped,
  other,
  otherDevice,
  server,
  useServer,
} from '../support/plain-calls.ts';
import { refusal } from '../support/refusal.ts';
import { iphone } from '../support/server.ts';

useServer();

describe('an access token', () => {
  const claims = () => ({
    accountId: account.accountId,
    sessionId: device.session.sessionId,
    deviceId: device.session.deviceId,
    amr: ['pwd', 'otp'],
    generation: 1,
    issueTime: new Date(),
    expireTime: new Date(Date.now() + 300_000),
  });
  const key = (seed: number, keyId = 'test') => ({ keyId, key: Buffer.alloc(32, seed) });
  const sign = (more: object = {}, keys = [key(2)], issuer = 'countersign', audience = 'countersign') =>
    createAccessTokens(
      keyRingOf(() => keys),
      { issuer, audience, lifetimeMs: 300_000 },
    ).sign({ ...claims(), ...more });
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

  async function badTokens(): Promise<Record<string, string>> {
    const good = device.session.accessToken;
    const [head = '', body = '', signature = ''] = good.split('.');
    const payload = JSON.parse(Buffer.from(body, 'base64url').toString());
    const jwks = await (await fetch(`${server.publicUrl}/.well-known/jwks.json`)).json();
    const publicKey = Buffer.from(jwks.keys[0].x, 'base64url');
    const hs256 = `${part({ alg: 'HS256', typ: 'at+jwt', kid: 'test' })}.${body}`;
    const elsewhere = otherDevice.session;
    return {
      'cut by one': good.slice(0, -1),
      'cut in half': good.slice(0, good.length / 2),
      'without signature': `${head}.${body}.`,
      'of two parts': `${head}.${body}`,
      'of four parts': `${good}.x`,
      'with another body': `${head}.${part({ ...payload, sub: other.accountId })}.${signature}`,
      'with a later end': `${head}.${part({ ...payload, exp: payload.exp + 86_400 })}.${signature}`,
      'with the signature of another': `${head}.${body}.${elsewhere.accessToken.split('.')[2]}`,
      'of alg none': `${part({ alg: 'none', typ: 'at+jwt' })}.${body}.`,
      'of alg None with the signature': `${part({ alg: 'None', typ: 'at+jwt', kid: 'test' })}.${body}.${signature}`,
      'of HS256 under the public key': `${hs256}.${createHmac('sha256', publicKey).update(hs256).digest('base64url')}`,
      'of another key': await sign({}, [key(3)]),
      'of another key with an id of its own': await sign({}, [key(3, 'mine')]),
      'with the key in its head': await new SignJWT(payload)
        .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', jwk: jwks.keys[0] })
        .sign(Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 3)]) as never)
        .catch(() => `${part({ alg: 'EdDSA', typ: 'at+jwt', jwk: jwks.keys[0] })}.${body}.${signature}`),
      'for another audience': await sign({}, [key(2)], 'countersign', 'somebody else'),
      'of another issuer': await sign({}, [key(2)], 'somebody else'),
      'of another account, with this session': await sign({ accountId: other.accountId }),
      'of another device, with this session': await sign({ deviceId: elsewhere.deviceId }),
      'of a session that is not': await sign({ sessionId: nobody }),
      'that is a refresh token': device.session.refreshToken,
      'that is a device token': device.session.deviceToken,
      'that is the service token': server.serviceToken,
      'that is nothing': 'x',
      'that is very long': 'a.'.repeat(2_000),
    };
  }

  test('that is forged is SESSION_INVALID everywhere, and inactive', async () => {
    const bad = await badTokens();
    await changingNothing(async () => {
      for (const [what, token] of Object.entries(bad)) {
        for (const rpc of sessionRpcs) {
          const answer = await call(rpc, goodRequest(rpc.method.input), {
            headers: { authorization: `Bearer ${token}` },
          });
          expectTyped(answer, what);
          expect([what, answer.status, answer.reason, answer.cause]).toEqual([what, 401, 'SESSION_INVALID', 'UNKNOWN']);
        }
        const introspected = await server.service.sessions.introspectSession({ accessToken: token });
        expect([what, introspected]).toMatchObject([what, { active: false, accountId: '', sessionId: '' }]);
      }
    });
  });

  test('that is good as it is, is let in by this very test', async () => {
    expect((await call(byName('GetSettings'), {})).status).toBe(200);
    const headers = { authorization: `bearer ${await sign()}` };
    expect((await call(byName('GetSettings'), {}, { headers })).status).toBe(200);
  });

  test('that has expired is SESSION_INVALID with that cause', async () => {
    const expired = await sign({ expireTime: new Date(server.clock.now().getTime() - 1_000) });
    await changingNothing(async () => {
      for (const rpc of sessionRpcs) {
        const answer = await call(rpc, goodRequest(rpc.method.input), {
          headers: { authorization: `Bearer ${expired}` },
        });
        expectTyped(answer);
        expect([rpc.path, answer.reason, answer.cause]).toEqual([rpc.path, 'SESSION_INVALID', 'EXPIRED']);
      }
    });
    expect((await server.service.sessions.introspectSession({ accessToken: expired })).active).toBe(false);
  });

  test('that is missing or not borne is SESSION_INVALID', async () => {
    const good = device.session.accessToken;
    await changingNothing(async () => {
      for (const authorization of [
        '',
        'Bearer',
        'Bearer ',
        good,
        `Basic ${good}`,
        `Bearer ${good} x`,
        `Bearer ${good}, Bearer ${good}`,
        `Bearer\t${good}`,
        `DPoP ${good}`,
        `Bearer "${good}"`,
      ]) {
        for (const rpc of sessionRpcs) {
          const answer = await call(rpc, goodRequest(rpc.method.input), { headers: { authorization } });
          expectTyped(answer, authorization);
          expect([authorization, answer.status, answer.reason]).toEqual([authorization, 401, 'SESSION_INVALID']);
        }
      }
    });
  });
});

/** Tokens that read like this one and are not. */
function respelled(token: string): string[] {
  const [name = '', secret = ''] = token.split('.');
  const bytes = Buffer.from(secret, 'base64url');
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const lastBits = alphabet[alphabet.indexOf(secret.at(-1) ?? '') ^ 1];
  return [
    token.slice(0, -1),
    token.slice(0, token.length / 2),
    token.slice(1),
    name,
    `${name}.`,
    `.${secret}`,
    '.',
    `${token}.`,
    `${token}=`,
    `${token}==`,
    `${token}A`,
    ` ${token}`,
    `${token}\n`,
    `${name}=.${secret}`,
    `${name}.\t${secret}`,
    // The other alphabet; without a character in which they differ, one is put where decoders skip it.
    `${name}.${bytes.toString('base64')}`,
    `${name}.${secret.replaceAll('-', '+').replaceAll('_', '/')}+`,
    // Decodes to the same bytes: the bits that are left over differ.
    ...(secret.length % 4 === 0 ? [] : [`${name}.${secret.slice(0, -1)}${lastBits}`]),
    `${name.toUpperCase()}.${secret}`,
    `${name}.${secret.toUpperCase()}`,
    `${Buffer.from('x\0').toString('base64url')}.${secret}`,
    `${Buffer.from([0xff]).toString('base64url')}.${secret}`,
    `${Buffer.from('a'.repeat(300)).toString('base64url')}.${secret}`,
    `${Buffer.from(nobody).toString('base64url')}.${secret}`,
    `${Buffer.from(other.accountId).toString('base64url')}.${secret}`,
    bytes.toString('hex'),
  ].filter((text) => text !== token);
}

/** Beyond what the contract lets a secret be. */
const tooLong = (token: string) => token.length > 512;

describe('secrets that are truncated, spelled another way, of another kind or of another account are worth nothing', () => {
  test('as a refresh token: the session lives on', async () => {
    const owner = await server.createAccount();
    const { session } = await server.signInNewDevice(owner);
    const client = server.appClient();
    const kinds = [session.deviceToken, session.accessToken, await challengeFor(owner)];
    await changingNothing(async () => {
      for (const refreshToken of [...respelled(session.refreshToken), ...kinds]) {
        const error = await refusal(client.twoStepAuth.refreshSession({ refreshToken }));
        const expected = tooLong(refreshToken) ? ['REQUEST_INVALID', undefined] : ['SESSION_INVALID', 'UNKNOWN'];
        expect([refreshToken, error.reason, error.reasonMetadata['cause']]).toEqual([refreshToken, ...expected]);
      }
    });
    const refreshed = await client.twoStepAuth.refreshSession({ refreshToken: session.refreshToken });
    expect(refreshed.session?.sessionId).toBe(session.sessionId);
  });

  test('as a challenge token: the challenge waits on, no try is taken', async () => {
    const owner = await server.createAccount();
    const challengeToken = await challengeFor(owner);
    const code = await server.mail.codeFor(owner.email);
    const { client, session } = device;
    const kinds = [session.refreshToken, session.deviceToken, session.accessToken];
    await changingNothing(async () => {
      for (const bad of [...respelled(challengeToken), ...kinds]) {
        const calls = {
          getChallenge: () => client.twoStepAuth.getChallenge({ challengeToken: bad }),
          sendCode: () => client.twoStepAuth.sendCode({ challengeToken: bad, channel: Channel.EMAIL }),
          verifyCode: () => client.twoStepAuth.verifyCode({ challengeToken: bad, code }),
          updateSettings: () => client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken: bad, code }),
        };
        for (const [name, attempt] of Object.entries(calls)) {
          const expected = tooLong(bad) ? 'REQUEST_INVALID' : 'CHALLENGE_UNKNOWN';
          expect([name, bad, (await refusal(attempt())).reason]).toEqual([name, bad, expected]);
        }
      }
      // Whole, but of another purpose and account.
      const update = client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code });
      expect((await refusal(update)).reason).toBe('CHALLENGE_UNKNOWN');
    });
    const { challenge } = await client.twoStepAuth.getChallenge({ challengeToken });
    expect(challenge).toMatchObject({ state: ChallengeState.PENDING, attemptsRemaining: 5 });
  });

  test('a switch-off challenge signs nobody in, and serves no other session', async () => {
    const owner = await server.createAccount();
    const first = await server.signInNewDevice(owner);
    const second = await server.signInNewDevice(owner);
    await second.client.twoStepAuth.getSettings({});
    const { result } = await first.client.twoStepAuth.updateSettings({ twoStepEnabled: false });
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const { challengeToken } = result.value;
    const code = await server.mail.codeFor(owner.email, 3);
    await changingNothing(async () => {
      const attempts = [
        () => first.client.twoStepAuth.verifyCode({ challengeToken, code }),
        () => second.client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken, code }),
      ];
      for (const attempt of attempts) expect((await refusal(attempt())).reason).toBe('CHALLENGE_UNKNOWN');
    });
  });

  test('a code that is left out is no guess', async () => {
    const owner = await server.createAccount();
    const { client } = await server.signInNewDevice(owner);
    const { result } = await client.twoStepAuth.updateSettings({ twoStepEnabled: false });
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const { challengeToken } = result.value;
    await changingNothing(async () => {
      for (const attempt of [
        () => client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken }),
        () => client.twoStepAuth.verifyCode({ challengeToken }),
      ]) {
        const error = await refusal(attempt());
        expect(error).toMatchObject({ reason: 'REQUEST_INVALID', violations: [{ field: 'code' }] });
      }
    });
  });

  test('a code of another length is no guess; one with spaces is; a closed challenge takes none', async () => {
    const owner = await server.createAccount();
    const { client } = await server.signInNewDevice(owner);
    const { result } = await client.twoStepAuth.updateSettings({ twoStepEnabled: false });
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const switchOff = result.value.challengeToken;
    await server.mail.codeFor(owner.email, 2);
    const challengeToken = await challengeFor(owner);
    const challengeNow = async () => (await client.twoStepAuth.getChallenge({ challengeToken })).challenge;
    const code = await server.mail.codeFor(owner.email, 3);
    await changingNothing(async () => {
      for (const bad of [
        ...['', ' ', '      ', '1', '1 2 3 4 5', '12345', '1234567', '123456789', '1234567890', '0'.repeat(30)],
        ...[code.slice(1), `${code}0`, `0${code}`, `${code} ${code}`, `${code} `.repeat(5), `${' '.repeat(25)}${code}`],
        ...[
          '12345a',
          '-12345',
          '+12345',
          '12345.',
          '1e4567',
          '0x1234',
          '١٢٣٤٥٦',
          '１２３４５６',
          `${code}\n`,
          `\t${code}`,
        ],
      ]) {
        for (const attempt of [
          () => client.twoStepAuth.verifyCode({ challengeToken, code: bad }),
          () => client.twoStepAuth.updateSettings({ twoStepEnabled: false, challengeToken: switchOff, code: bad }),
        ]) {
          const error = await refusal(attempt());
          expect([bad, error.reason, error.violations[0]?.field]).toEqual([bad, 'REQUEST_INVALID', 'code']);
        }
      }
    });
    const wrong = code === '000000' ? '000001' : '000000';
    for (let left = 4; left >= 0; left -= 1) {
      expect(await challengeNow()).toMatchObject({ state: ChallengeState.PENDING, attemptsRemaining: left + 1 });
      const spaced = ` ${wrong.slice(0, 3)}  ${wrong.slice(3)} `;
      expect((await refusal(client.twoStepAuth.verifyCode({ challengeToken, code: spaced }))).reason).toBe(
        'CODE_INCORRECT',
      );
    }
    const closed = { state: ChallengeState.CLOSED, attemptsRemaining: 0 };
    expect(await challengeNow()).toMatchObject(closed);
    await changingNothing(async () => {
      expect((await refusal(client.twoStepAuth.verifyCode({ challengeToken, code }))).reason).toBe('CHALLENGE_CLOSED');
    });
    expect(await challengeNow()).toMatchObject(closed);
  });

  test('as a device token: the device is a new one', async () => {
    const owner = await server.createAccount();
    const { session } = await server.signInNewDevice(owner);
    const others = [session.refreshToken, session.accessToken, otherDevice.session.deviceToken];
    for (const deviceToken of [...respelled(session.deviceToken), ...others]) {
      if (tooLong(deviceToken)) continue;
      // Else the eleventh would have to wait for an hour.
      await server.query('delete from challenge where account_id = $1', [owner.accountId]);
      const { result } = await server.appClient().twoStepAuth.signIn({ ...owner, device: iphone, deviceToken });
      expect([deviceToken, result.case]).toEqual([deviceToken, 'challengeGrant']);
    }
    const { deviceToken } = session;
    const { result } = await server.appClient().twoStepAuth.signIn({ ...owner, device: iphone, deviceToken });
    expect(result.case).toBe('session');
  });
});

test('ids of another account reach nothing of it', async () => {
  const ids = { deviceId: otherDevice.session.deviceId, sessionId: otherDevice.session.sessionId };
  const reason = RevocationReason.ADMINISTRATIVE;
  await changingNothing(async () => {
    for (const filter of [{ deviceId: ids.deviceId }, { sessionId: ids.sessionId }, ids]) {
      const { accountId } = account;
      const { revokedSessions } = await server.service.sessions.revokeSessions({ accountId, reason, ...filter });
      expect(revokedSessions).toBe(0);
    }
  });
  // Opened by the other account itself, for it to be denied.
  const challengeToken = await challengeFor(other);
  const { challenge } = await otherDevice.client.twoStepAuth.getChallenge({ challengeToken });
  await changingNothing(async () => {
    for (const spelt of [(id: string) => id, (id: string) => id.toUpperCase()]) {
      const { trustedDevices, twoStepAuth } = device.client;
      const remove = trustedDevices.removeTrustedDevice({ deviceId: spelt(ids.deviceId) });
      expect((await refusal(remove)).reason).toBe('DEVICE_UNKNOWN');
      const deny = twoStepAuth.denyChallenge({ challengeId: spelt(challenge?.challengeId ?? '') });
      expect((await refusal(deny)).reason).toBe('CHALLENGE_UNKNOWN');
    }
  });
  await otherDevice.client.twoStepAuth.getSettings({});
});

test('an account that is not known is ACCOUNT_UNKNOWN to every RPC that takes one', async () => {
  const takers = internalRpcs.filter(({ method }) => method.input.fields.some(({ name }) => name === 'account_id'));
  expect(takers.length).toBeGreaterThan(4);
  await changingNothing(async () => {
    for (const rpc of takers) {
      for (const accountId of [
        nobody,
        'x',
        '%',
        "' or true --",
        '🦊',
        account.accountId.toUpperCase(),
        ` ${account.accountId}`,
      ]) {
        const good = goodRequest(rpc.method.input, ['accountId']);
        const password = 'password' in good ? { password: 'a good password 1' } : {};
        const answer = await call(rpc, { ...good, ...password, accountId });
        expectTyped(answer);
        expect([rpc.path, answer.status, answer.reason]).toEqual([rpc.path, 404, 'ACCOUNT_UNKNOWN']);
      }
    }
  });
});
