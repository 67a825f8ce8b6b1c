// The session checker before the server itself: what its users are told of it in clients/service/README.md.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createSessionChecker } from '../../../clients/service/index.ts';
import { RevocationReason } from '../../../gen/countersign/internal/v1/sessions_pb.ts';
import { Channel } from '../../../gen/countersign/v1/challenge_pb.ts';
import { createAuthority, thisMachine } from '../../support/certificate.ts';
import { eventually } from '../../support/eventually.ts';
import { refusal } from '../../support/refusal.ts';
import { iphone, serviceToken, startTestServer, type TestServer } from '../../support/server.ts';

const patience = 30_000;

async function start() {
  const server = await startTestServer();
  onTestFinished(() => server.stop());
  const checker = createSessionChecker({
    baseUrl: server.internalUrl,
    serviceToken,
    issuer: 'countersign',
    audience: 'countersign',
    timeoutMs: patience,
    maxStalenessMs: patience,
  });
  onTestFinished(() => checker.close());
  await checker.ready(patience);
  return { server, checker };
}

/** A sign-in that can be repeated: each call of it is one more VerifyCode with the same code. */
async function signIn(server: TestServer) {
  const account = await server.createAccount();
  const client = server.appClient();
  const { result } = await client.twoStepAuth.signIn({ ...account, device: iphone });
  if (result.case !== 'challengeGrant' || result.value.challenge?.defaultChannel !== Channel.EMAIL) {
    throw new Error('no challenge by e-mail');
  }
  const { challengeToken } = result.value;
  const code = await server.mail.codeFor(account.email);
  const verify = async () => {
    const { session } = await client.twoStepAuth.verifyCode({ challengeToken, code });
    if (session === undefined) throw new Error('no session');
    return session;
  };
  return { account, verify };
}

test('a token that was replaced after a lost answer is taken here, and not where freshness is asked for', async () => {
  const { server, checker } = await start();
  const { account, verify } = await signIn(server);
  const lost = await verify();
  await checker.check(lost.accessToken);
  // Nothing of that is known to the server: it gives tokens again.
  const given = await verify();
  expect((await checker.check(lost.accessToken)).sessionId).toBe(given.sessionId);
  expect((await refusal(checker.check(lost.accessToken, { fresh: true }))).reasonMetadata).toEqual({
    cause: 'EXPIRED',
  });
  // Asked of the server, a use is noted: from then on nothing is given again.
  await checker.check(given.accessToken, { fresh: true });
  expect((await refusal(verify())).reason).toBe('CHALLENGE_CLOSED');

  await server.service.sessions.revokeSessions({
    accountId: account.accountId,
    reason: RevocationReason.ADMINISTRATIVE,
  });
  for (const { accessToken } of [lost, given]) {
    await eventually(patience, async () => {
      expect((await refusal(checker.check(accessToken))).reasonMetadata).toEqual({ cause: 'REVOKED' });
    });
  }
});

test('whatever ends a session is told with its cause', async () => {
  const { server, checker } = await start();
  const account = await server.createAccount();
  const device = await server.signInNewDevice(account);
  const { accessToken, sessionId, deviceId } = device.session;
  const told: unknown[] = [];
  checker.onRevoked((session) => told.push(session));
  expect(await checker.check(accessToken)).toMatchObject({
    accountId: account.accountId,
    sessionId,
    deviceId,
    amr: ['pwd', 'otp'],
  });
  await device.client.twoStepAuth.signOut({});
  await eventually(patience, () =>
    expect(told).toEqual([
      { accountId: account.accountId, sessionId, deviceId, cause: 'SIGNED_OUT', revokeTime: expect.any(Date) },
    ]),
  );
  expect((await refusal(checker.check(accessToken))).reasonMetadata).toEqual({ cause: 'SIGNED_OUT' });
});

test('a service that its certificate names needs no token', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-checker-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = async (name: string, content: string) => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };
  const [servers, clients] = [createAuthority(), createAuthority()];
  const { cert, key } = servers.issue(thisMachine);
  const server = await startTestServer({
    COUNTERSIGN_SERVICE_TOKENS: 'shop.internal:sessions:certificate',
    COUNTERSIGN_INTERNAL_TLS_CERT: await file('cert', cert),
    COUNTERSIGN_INTERNAL_TLS_KEY: await file('key', key),
    COUNTERSIGN_INTERNAL_CLIENT_CA: await file('clients', clients.cert),
  });
  onTestFinished(() => server.stop());
  const checkerNamed = (name: string) => {
    const checker = createSessionChecker({
      baseUrl: server.internalUrl,
      issuer: 'countersign',
      audience: 'countersign',
      tls: { ca: servers.cert, ...clients.issue({ dns: [name] }) },
    });
    onTestFinished(() => checker.close());
    return checker;
  };
  await checkerNamed('shop.internal').ready(patience);
  expect((await refusal(checkerNamed('bank.internal').ready(patience))).reason).toBe('SERVICE_TOKEN_INVALID');
});
