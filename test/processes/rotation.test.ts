// Keys and certificates that rotate under load, over two servers that speak TLS on both listeners and ask internal callers for
// certificates: no call is refused, every token and code is good as long as it should be, and what is taken out works no more.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { createClient, type Interceptor, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { type AppClient, createAppClient } from '../../clients/app/client.ts';
import { Accounts } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import { Sessions } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import type { Session } from '../../gen/countersign/v1/session_pb.ts';
import { formatKeyEntries, type KeyEntry, rotate } from '../../server/platform/key-entries.ts';
import { type Certificate, createAuthority, thisMachine } from '../support/certificate.ts';
import { eventually } from '../support/eventually.ts';
import { startMailServer } from '../support/mail-server.ts';
import { createDatabase } from '../support/postgres.ts';
import { productionEnv, programs } from '../support/processes.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, serviceToken } from '../support/server.ts';

const { serve } = programs();

const rotations = 3;
/** Long enough for a busy machine to have read the new key: minutes in life. */
const useAfterMs = 12_000;
/** Between two calls of a caller: a machine that has nothing left is not what is tested. */
const pauseMs = 30;

const servers = createAuthority();
const [clientsBefore, clientsAfter] = [createAuthority(), createAuthority()];
const before = clientsBefore.issue({ dns: ['login.internal'] });
const after = clientsAfter.issue({ dns: ['login.internal'] });

type Opened<T> = T & { close(): void };

/** A connection of its own, over either version of HTTP. */
function transportTo(
  baseUrl: string,
  over: 'HTTP/1.1' | 'HTTP/2',
  options: Partial<Certificate> & { readonly interceptors: Interceptor[] },
): { transport: Transport; close(): void } {
  const { interceptors, ...certificate } = options;
  const tls = { ca: servers.cert, ...certificate };
  const common = { baseUrl, interceptors, defaultTimeoutMs: 60_000 };
  if (over === 'HTTP/1.1') {
    const agent = new Agent({ keepAlive: true, ...tls });
    const transport = createConnectTransport({ ...common, httpVersion: '1.1', nodeOptions: { agent } });
    return { transport, close: () => agent.destroy() };
  }
  const sessionManager = new Http2SessionManager(baseUrl, undefined, tls);
  return { transport: createGrpcTransport({ ...common, sessionManager }), close: () => sessionManager.abort() };
}

function appAt(baseUrl: string, over: 'HTTP/1.1' | 'HTTP/2'): Opened<AppClient> {
  let close = () => {};
  const client = createAppClient({
    clientVersion: '2.3',
    platform: 'ios',
    transport: ({ interceptors }) => {
      const opened = transportTo(baseUrl, over, { interceptors });
      close = opened.close;
      return opened.transport;
    },
  });
  return { ...client, useSession: client.useSession, close: () => close() };
}

function serviceAt(baseUrl: string, over: 'HTTP/1.1' | 'HTTP/2', certificate: Partial<Certificate>) {
  const authorize: Interceptor = (next) => (req) => {
    req.header.set('authorization', `Bearer ${serviceToken}`);
    return next(req);
  };
  const { transport, close } = transportTo(baseUrl, over, { interceptors: [authorize], ...certificate });
  return { accounts: createClient(Accounts, transport), sessions: createClient(Sessions, transport), close };
}

const keyIdOf = (accessToken: string): string =>
  JSON.parse(Buffer.from(accessToken.split('.')[0] ?? '', 'base64url').toString()).kid;

/** What a new connection is shown. */
async function servedAt(baseUrl: string, certificate: Partial<Certificate>): Promise<string> {
  const { port } = new URL(baseUrl);
  const socket = connectTls({ port: Number(port), host: '127.0.0.1', ca: servers.cert, ...certificate });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
    });
    return socket.getPeerX509Certificate()?.toString().trim() ?? '';
  } finally {
    socket.destroy();
  }
}

test('no call is refused while everything rotates, and what is taken out works no more', {
  timeout: 400_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-rotation-'));
  const [database, mail] = await Promise.all([createDatabase(), startMailServer()]);
  const pool = new pg.Pool({ connectionString: database.url, max: 2 });
  pool.on('error', () => {});
  const at = (name: string) => join(folder, name);
  const replace = async (name: string, text: string) => {
    await writeFile(at(`${name}.new`), text);
    await rename(at(`${name}.new`), at(name));
  };
  const keyFiles = { signing: [] as readonly KeyEntry[], code: [] as readonly KeyEntry[] };
  const rotateKeys = async (newId: string) => {
    for (const name of ['signing', 'code'] as const) {
      keyFiles[name] = rotate(keyFiles[name], { now: new Date(), useAfterMs, newKey: randomBytes(32), newId });
      await replace(name, formatKeyEntries(keyFiles[name]));
    }
  };
  const renewCertificate = async (name: 'public' | 'internal') => {
    const { cert, key } = servers.issue(thisMachine);
    await replace(`${name}-cert`, cert);
    await replace(`${name}-key`, key);
    return cert.trim();
  };
  await rotateKeys('k0');
  await renewCertificate('public');
  await renewCertificate('internal');
  await replace('client-ca', clientsBefore.cert);

  const {
    COUNTERSIGN_CODE_KEYS: _,
    COUNTERSIGN_SIGNING_KEYS: __,
    ...settings
  } = productionEnv({
    databaseUrl: database.url,
    smtpUrl: mail.url,
  });
  const env = {
    ...settings,
    COUNTERSIGN_CODE_KEYS_FILE: at('code'),
    COUNTERSIGN_SIGNING_KEYS_FILE: at('signing'),
    COUNTERSIGN_PUBLIC_TLS_CERT: at('public-cert'),
    COUNTERSIGN_PUBLIC_TLS_KEY: at('public-key'),
    COUNTERSIGN_INTERNAL_TLS_CERT: at('internal-cert'),
    COUNTERSIGN_INTERNAL_TLS_KEY: at('internal-key'),
    COUNTERSIGN_INTERNAL_CLIENT_CA: at('client-ca'),
    COUNTERSIGN_CHALLENGES_PER_HOUR: '1000',
    COUNTERSIGN_DATABASE_PATIENCE: '20s',
    // The oldest token has to live to the end.
    COUNTERSIGN_ACCESS_TOKEN_LIFETIME: '1h',
  };
  const replicas = await Promise.all([serve(env), serve(env)]);
  let ended = false;
  onTestFinished(async () => {
    ended = true;
    await Promise.all(replicas.map((replica) => replica.kill()));
    await pool.end();
    await mail.stop();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });
  let turn = 0;
  const next = () => {
    turn += 1;
    const over = turn % 4 < 2 ? 'HTTP/1.1' : ('HTTP/2' as const);
    const replica = replicas[turn % 2] ?? replicas[0];
    return { over, replica } as const;
  };
  /** The certificate that internal callers show. */
  let shown = before;
  const counts = { connections: 0, signIns: 0, refreshes: 0, introspections: 0, certificates: 0 };
  const onApp = async <T>(call: (client: AppClient) => Promise<T>): Promise<T> => {
    const { over, replica } = next();
    const client = appAt(replica.publicUrl, over);
    counts.connections += 1;
    return call(client).finally(client.close);
  };
  const onService = async <T>(call: (client: ReturnType<typeof serviceAt>) => Promise<T>): Promise<T> => {
    const { over, replica } = next();
    const client = serviceAt(replica.internalUrl, over, shown);
    counts.connections += 1;
    return call(client).finally(client.close);
  };
  const createAccount = async (name: string) => {
    const account = { email: `${name}@example.com`, password: `correct horse ${name}` };
    await onService(({ accounts }) => accounts.createAccount(account));
    return account;
  };

  /** A sign-in up to its code. Untrusted devices: the code always comes by mail. */
  const begin = async (account: { readonly email: string; readonly password: string }) => {
    const seen = mail.codeMailsTo(account.email).length;
    const { result } = await onApp((client) => client.twoStepAuth.signIn({ ...account, device: iphone }));
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const { challengeToken, challenge } = result.value;
    const code = await eventually(60_000, () => mail.codeFor(account.email, seen + 1));
    return { challengeToken, code, challengeId: challenge?.challengeId ?? '' };
  };
  const finish = async ({ challengeToken, code }: Awaited<ReturnType<typeof begin>>): Promise<Session> => {
    const { session } = await onApp((client) =>
      client.twoStepAuth.verifyCode({ challengeToken, code, trustDevice: false }),
    );
    if (session === undefined) throw new Error('no session');
    counts.signIns += 1;
    return session;
  };
  const introspect = async (accessToken: string) => {
    const { active } = await onService(({ sessions }) => sessions.introspectSession({ accessToken }));
    if (!active) throw new Error(`a token of ${keyIdOf(accessToken)} is not active`);
    counts.introspections += 1;
  };
  const refresh = async ({ refreshToken }: Session): Promise<Session> => {
    const { session } = await onApp((client) => client.twoStepAuth.refreshSession({ refreshToken }));
    if (session === undefined) throw new Error('no session');
    counts.refreshes += 1;
    return session;
  };
  const settingsOf = (session: Session) =>
    onApp((client) => {
      client.useSession(session);
      return client.twoStepAuth.getSettings({});
    });

  const [signingIn, refreshing, patient] = await Promise.all(
    ['signing-in', 'refreshing', 'patient'].map(createAccount),
  );
  if (!signingIn || !refreshing || !patient) throw new Error('no accounts');
  const oldest = await finish(await begin(patient));
  let session = await finish(await begin(refreshing));
  const seenKeys = new Set<string>();

  /** Calls until the end; what goes wrong is told then. */
  const failures: unknown[] = [];
  const keepOn = async (work: () => Promise<void>) => {
    while (!ended) {
      await work().catch((error) => failures.push(error));
      await sleep(pauseMs);
    }
  };
  const streams = replicas.map(({ publicUrl }, index) => {
    const client = appAt(publicUrl, 'HTTP/2');
    client.useSession(oldest);
    const abort = new AbortController();
    let open = 0;
    const heard = (async () => {
      // Opened before the first rotation, they go on through all of them.
      for await (const _ of client.trustedDevices.watchDevice({}, { signal: abort.signal, timeoutMs: 0 })) open += 1;
    })();
    heard.catch((error) => {
      if (!abort.signal.aborted) failures.push(new Error(`stream ${index}`, { cause: error }));
    });
    return { isOpen: () => open > 0, close: () => abort.abort(), done: heard.catch(() => {}).finally(client.close) };
  });
  await eventually(20_000, () => expect(streams.every((stream) => stream.isOpen())).toBe(true));

  const load = Promise.all([
    keepOn(async () => {
      const signedIn = await finish(await begin(signingIn));
      seenKeys.add(keyIdOf(signedIn.accessToken));
      await settingsOf(signedIn);
      await introspect(signedIn.accessToken);
      await introspect((await refresh(signedIn)).accessToken);
    }),
    keepOn(async () => {
      session = await refresh(session);
      seenKeys.add(keyIdOf(session.accessToken));
      await Promise.all([introspect(session.accessToken), settingsOf(session)]);
    }),
    keepOn(() => introspect(oldest.accessToken)),
    (async () => {
      while (!ended) {
        for (const name of ['public', 'internal'] as const) {
          const renewed = await renewCertificate(name);
          // Of no connection from here on is it the one before that is shown.
          await eventually(30_000, async () => {
            const urls = replicas.map((each) => (name === 'public' ? each.publicUrl : each.internalUrl));
            const served = await Promise.all(urls.map((url) => servedAt(url, shown)));
            expect(served).toEqual([renewed, renewed]);
          });
          counts.certificates += 1;
        }
      }
    })().catch((error) => failures.push(error)),
  ]);

  for (let rotation = 1; rotation <= rotations; rotation += 1) {
    const newId = `k${rotation}`;
    const oldId = `k${rotation - 1}`;
    await rotateKeys(newId);
    const useTime = keyFiles.code.at(-1)?.useTime?.getTime() ?? 0;
    const ofBefore = await begin(patient);
    // Published everywhere, and used nowhere yet.
    for (const { internalUrl } of replicas) {
      await eventually(useAfterMs, async () => {
        const client = serviceAt(internalUrl, 'HTTP/2', shown);
        const { signingKeys } = await client.sessions.getSigningKeys({}).finally(client.close);
        expect(signingKeys.map(({ keyId }) => keyId)).toContain(newId);
        expect(signingKeys[0]?.keyId).toBe(oldId);
      });
    }
    if (rotation === 2) {
      // The authority of clients: the next one beside it, all callers change, the old one goes.
      await replace('client-ca', clientsBefore.cert + clientsAfter.cert);
      for (const { internalUrl } of replicas) await eventually(30_000, () => servedFor(internalUrl, after));
      shown = after;
    }
    await sleep(useTime - Date.now());
    const ofAfter = await begin(patient);
    const challenges = await pool.query<{ code_key_id: string }>(
      'select code_key_id from challenge where challenge_id = any($1) order by create_time',
      [[ofBefore.challengeId, ofAfter.challengeId]],
    );
    expect(challenges.rows.map((row) => row.code_key_id)).toEqual([oldId, newId]);
    for (const challenge of [ofBefore, ofAfter]) {
      const { accessToken } = await finish(challenge);
      expect(keyIdOf(accessToken)).toBe(newId);
      await introspect(accessToken);
    }
    await introspect(oldest.accessToken);
  }
  ended = true;
  await load;
  for (const stream of streams) stream.close();
  await Promise.all(streams.map((stream) => stream.done));
  expect(failures).toEqual([]);
  expect([...seenKeys].sort()).toEqual(['k0', 'k1', 'k2', 'k3']);
  for (const [what, count] of Object.entries(counts)) expect(count, what).toBeGreaterThan(rotations);
  // Told, not held to a bound: other test files have the machine too.
  process.stdout.write(`through ${rotations} rotations: ${JSON.stringify(counts)}\n`);

  // The key of the oldest token goes: on either replica the token is nobody's.
  await settingsOf(oldest);
  keyFiles.signing = keyFiles.signing.filter(({ keyId }) => keyId !== 'k0');
  await replace('signing', formatKeyEntries(keyFiles.signing));
  for (const { publicUrl } of replicas) {
    const client = appAt(publicUrl, 'HTTP/1.1');
    client.useSession(oldest);
    await eventually(30_000, async () => {
      const { reason, reasonMetadata } = await refusal(client.twoStepAuth.getSettings({}));
      expect([reason, reasonMetadata['cause']]).toEqual(['SESSION_INVALID', 'UNKNOWN']);
    });
    client.close();
  }
  await introspect((await refresh(oldest)).accessToken);

  // So does the old authority of clients.
  for (const { internalUrl } of replicas) await servedFor(internalUrl, before);
  await replace('client-ca', clientsAfter.cert);
  for (const { internalUrl } of replicas) {
    await eventually(30_000, () => expect(servedFor(internalUrl, before)).rejects.toThrow());
    await servedFor(internalUrl, after);
    await expect(servedFor(internalUrl, {})).rejects.toThrow();
  }
  for (const replica of replicas) {
    const errors = replica
      .stdout()
      .split('\n')
      .filter((line) => line.includes('"level":"error"'));
    expect([errors, replica.stderr()]).toEqual([[], '']);
  }
});

/** Whether a new connection with this certificate gets an answer. */
async function servedFor(internalUrl: string, certificate: Partial<Certificate>): Promise<void> {
  const client = serviceAt(internalUrl, 'HTTP/1.1', certificate);
  await client.sessions.getSigningKeys({}).finally(client.close);
}
