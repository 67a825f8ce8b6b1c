// Keys that rotate, on two replicas and a clock that a test moves: who may still use what the old key has made, and until when.

import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatKeyEntries, type KeyEntry, rotate } from '../../server/platform/key-entries.ts';
import { eventually } from '../support/eventually.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestServer } from '../support/server.ts';

const minute = 60_000;
const tenMinutes = 10 * minute;

let folder: string;
let replicas: readonly [TestServer, TestServer];
let keys: Record<'code' | 'signing', readonly KeyEntry[]>;
let made = 0;

const fileOf = (name: string) => join(folder, name);
const writeKeys = async () => {
  for (const [name, entries] of Object.entries(keys)) {
    await writeFile(`${fileOf(name)}.new`, formatKeyEntries(entries));
    await rename(`${fileOf(name)}.new`, fileOf(name));
  }
};
const idsAt = async (url: string) => {
  const { keys } = (await (await fetch(`${url}/.well-known/jwks.json`)).json()) as { keys: { kid: string }[] };
  return keys.map(({ kid }) => kid);
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-keys-'));
  const first = { keyId: 'k0', key: Buffer.alloc(32, 100) };
  keys = { code: [first], signing: [first] };
  await writeKeys();
  const env = {
    COUNTERSIGN_CODE_KEYS: '',
    COUNTERSIGN_SIGNING_KEYS: '',
    COUNTERSIGN_CODE_KEYS_FILE: fileOf('code'),
    COUNTERSIGN_SIGNING_KEYS_FILE: fileOf('signing'),
  };
  const one = await startTestServer(env);
  replicas = [one, await startTestServer(env, one)];
});
afterAll(async () => {
  await replicas[1].stop();
  await replicas[0].stop();
  await rm(folder, { recursive: true, force: true });
});

/** One act of an operator; settles when every replica has read it. */
async function rotateKeys(): Promise<{ readonly oldId: string; readonly newId: string }> {
  made += 1;
  const newId = `k${made}`;
  const rotation = {
    now: replicas[0].clock.now(),
    useAfterMs: tenMinutes,
    newKey: Buffer.alloc(32, 100 + made),
    newId,
  };
  keys = { code: rotate(keys.code, rotation), signing: rotate(keys.signing, rotation) };
  const read = () =>
    replicas.map(({ log }) => log.filter((line) => line.includes('a watched file has changed')).length);
  const before = read();
  await writeKeys();
  await eventually(20_000, () => expect(read()).toEqual(before.map((count) => count + 2)));
  return { oldId: `k${made - 1}`, newId };
}

const keyIdOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;

test('the next key is published before it is used, and all replicas change at the same moment', async () => {
  const [one, other] = replicas;
  const { session } = await one.signInNewDevice(await one.createAccount());
  const { oldId, newId } = await rotateKeys();
  for (const { publicUrl, internalUrl, service } of replicas) {
    expect((await idsAt(publicUrl)).slice(0, 1)).toEqual([oldId]);
    expect(await idsAt(internalUrl)).toEqual(await idsAt(publicUrl));
    expect(await idsAt(publicUrl)).toContain(newId);
    const { signingKeys } = await service.sessions.getSigningKeys({});
    expect(signingKeys.map(({ keyId }) => keyId)).toEqual(await idsAt(publicUrl));
  }
  const refresh = (refreshToken: string, at: TestServer) => at.appClient().twoStepAuth.refreshSession({ refreshToken });
  const early = (await refresh(session.refreshToken, one)).session;
  expect(keyIdOf(early?.accessToken ?? '')).toBe(oldId);
  one.clock.advance(tenMinutes + 1_000);
  let refreshToken = early?.refreshToken ?? '';
  for (const replica of [other, one]) {
    expect((await idsAt(replica.publicUrl)).slice(0, 2)).toEqual([newId, oldId]);
    const { session: late } = await refresh(refreshToken, replica);
    expect(keyIdOf(late?.accessToken ?? '')).toBe(newId);
    refreshToken = late?.refreshToken ?? '';
    // As a service checks it, with a JWKS from the other replica.
    const jwks = createRemoteJWKSet(new URL(`${(replica === one ? other : one).publicUrl}/.well-known/jwks.json`));
    await jwtVerify(late?.accessToken ?? '', jwks, { currentDate: one.clock.now() });
  }
});

test('a token of the old key is good to its end, and its holder is told to refresh, not signed out', async () => {
  const [one, other] = replicas;
  const account = await one.createAccount();
  const { oldId } = await rotateKeys();
  one.clock.advance(tenMinutes - minute);
  const { session } = await one.signInNewDevice(account);
  expect(keyIdOf(session.accessToken)).toBe(oldId);
  const isActive = async () =>
    (await other.service.sessions.introspectSession({ accessToken: session.accessToken })).active;
  const client = other.appClient({ tokens: { ...session, accessTokenExpireTime: Number.POSITIVE_INFINITY } });
  one.clock.advance(4 * minute);
  expect(await isActive()).toBe(true);
  await client.twoStepAuth.getSettings({});
  // 5 minutes and a bit after it was given, 9 after the new key is used.
  one.clock.advance(6 * minute);
  expect(await isActive()).toBe(false);
  expect(await idsAt(other.publicUrl)).not.toContain(oldId);
  const direct = other.appClient();
  const { reason, reasonMetadata } = await refusal(
    direct.loginActivity.listLoginActivity({}, { headers: { authorization: `Bearer ${session.accessToken}` } }),
  );
  expect([reason, reasonMetadata['cause']]).toEqual(['SESSION_INVALID', 'EXPIRED']);
  // So the app that slept goes on by itself.
  await client.twoStepAuth.getSettings({});
});

test('a code of before is right after, on the other replica, and so is a link as long as its key stands in the list', async () => {
  const [one, other] = replicas;
  const account = await one.createAccount();
  const { newId } = await rotateKeys();
  one.clock.advance(tenMinutes - minute);
  const { result } = await one.appClient().twoStepAuth.signIn({ ...account, device: iphone });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const code = await one.mail.codeFor(account.email);
  const link = one.mail.codeMailsTo(account.email)[0]?.text.match(/http\S+\/deny\S+/)?.[0];
  one.clock.advance(2 * minute);
  const { challengeToken } = result.value;
  const { session } = await other.appClient().twoStepAuth.verifyCode({ challengeToken, code });
  expect(keyIdOf(session?.accessToken ?? '')).toBe(newId);

  const pageAt = async (server: TestServer) => {
    const { pathname, search } = new URL(link ?? '');
    return (await fetch(`${server.publicUrl}${pathname}${search}`)).status;
  };
  expect([await pageAt(one), await pageAt(other)]).toEqual([200, 200]);
  keys = { ...keys, code: keys.code.slice(-1) };
  await writeKeys();
  for (const replica of replicas) await eventually(20_000, async () => expect(await pageAt(replica)).not.toBe(200));
});

test('a file that can’t be used changes nothing, and is told once without its content', async () => {
  const [one] = replicas;
  const ids = await idsAt(one.publicUrl);
  const secret = Buffer.alloc(32, 250).toString('base64');
  await writeFile(fileOf('signing'), `${formatKeyEntries(keys.signing)}next:${secret}:tomorrow\n`);
  const told = () => one.log.filter((line) => line.includes('a watched file is refused'));
  await eventually(20_000, () => expect(told()).toHaveLength(1));
  expect(told()[0]).toContain('COUNTERSIGN_SIGNING_KEYS_FILE');
  expect(one.log.join('')).not.toContain(secret.slice(0, 20));
  expect(await idsAt(one.publicUrl)).toEqual(ids);
});
