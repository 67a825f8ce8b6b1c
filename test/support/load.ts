// A steady load of complete sign-ins, as apps make them: a new device, the code of its mail, calls with the session, a refresh,
// now and then a removal or a sign-out; and whoever holds a removed device tries on. It must not know what is done to the servers
// meanwhile; at the end it is compared with what it was told.

import { setTimeout as sleep } from 'node:timers/promises';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import pLimit from 'p-limit';
import pg from 'pg';
import { type AppClient, type AppClientOptions, createAppClient } from '../../clients/app/client.ts';
import { Connection } from '../../clients/connection.ts';
import { CountersignError } from '../../clients/errors.ts';
import type { ServiceClient } from '../../clients/service/client.ts';
import type { Session } from '../../gen/countersign/v1/session_pb.ts';
import { keyRingOf } from '../../server/platform/key-ring.ts';
import { createCodes } from '../../server/platform/keys.ts';
import { times } from './at-once.ts';
import { eventually } from './eventually.ts';
import { type CallCounts, callOnce, insist, newCounts } from './load-calls.ts';
import { compareWithDatabase, type SignedIn, type SignIn, type Verdict } from './load-ledger.ts';
import { codeIn, type MailServer } from './mail-server.ts';
import { iphone, type TestAccount } from './server.ts';

export interface LoadOptions {
  /** Where calls go: the edge, or servers, which a call goes to in turn when it is not answered. */
  readonly baseUrls: readonly string[];
  /** The authority of an edge that speaks TLS, PEM. */
  readonly ca?: string;
  /** Makes the accounts. */
  readonly service: ServiceClient;
  readonly mail: MailServer;
  /** Begun each second by all workers together; fewer where the servers don't keep up. */
  readonly signInsPerSecond: number;
  readonly workers: number;
  /** Of each worker, which takes them in turn. Default 6. */
  readonly accountsPerWorker?: number;
  /** GetSettings and the like that each session makes besides. */
  readonly callsPerSession?: number;
  /** How long a call is repeated before its sign-in is given up. Default 60 s. */
  readonly patienceMs?: number;
}

export interface LoadResult extends Verdict {
  readonly counts: Readonly<CallCounts>;
  readonly signIns: number;
  /** Sign-ins that were given up, and why. */
  readonly failed: readonly string[];
  /** What removed devices tried, and how often they were served. */
  readonly removedTries: number;
  readonly removedLetIn: number;
  /** Tries that were neither served nor refused. */
  readonly removedUnanswered: number;
}

export interface Load {
  readonly counts: Readonly<CallCounts>;
  /**
   * Ends when the sign-ins under way have ended, and what was promised is mailed; compares.
   *
   * @param databaseUrl leads to PostgreSQL itself.
   * @param before is called in between.
   */
  finish(databaseUrl: string, before?: () => Promise<void>): Promise<LoadResult>;
}

/** With the key of `productionEnv`. */
const codes = createCodes(
  keyRingOf(() => [{ keyId: 'test', key: Buffer.alloc(32, 1) }]),
  6,
);
/** In a row; few enough that no trusted device is displaced. */
const signInsPerAccount = 12;
/** More trusted devices of one account are removed, the oldest first. */
const devicesKept = 2;
/** Whoever waits for a mail longer than this types the code all the same: the load goes on without a mail server. */
const mailWithinMs = 2_000;
const removedTryEveryMs = 100;

export async function startLoad(options: LoadOptions): Promise<Load> {
  const { mail, service, workers, accountsPerWorker = 6, callsPerSession = 2, patienceMs = 60_000 } = options;
  const counts = newCounts();
  const signIns: SignIn[] = [];
  const removed: SignedIn[] = [];
  const failed: string[] = [];
  const stopped = new AbortController();
  const { signal } = stopped;
  let removedTries = 0;
  let removedLetIn = 0;
  let removedUnanswered = 0;

  const name = crypto.randomUUID().slice(0, 8);
  const limit = pLimit(4);
  const accounts = await Promise.all(
    times(workers * accountsPerWorker, (at) =>
      limit(async (): Promise<TestAccount> => {
        const [email, password] = [`load-${name}-${at}@example.com`, `correct horse ${at}`];
        const { account } = await service.accounts.createAccount({ email, password });
        return { accountId: account?.accountId ?? '', email, password };
      }),
    ),
  );

  const typedCode = async (email: string, challengeId: string) => {
    const code = codeOfChallenge(challengeId, 'EMAIL');
    const hasCome = () => {
      if (!mail.codeMailsTo(email).some((each) => codeIn(each) === code)) throw new Error('no mail yet');
    };
    await eventually(mailWithinMs, hasCome).catch(() => {});
    return code;
  };

  /** One complete sign-in; `devices` are those of the account that are signed in, the oldest first. */
  const signInAndAll = async (clients: readonly AppClient[], account: TestAccount, devices: SignedIn[], at: number) => {
    const { accountId, email, password } = account;
    let turn = 0;
    const ask = <T>(make: (client: AppClient) => Promise<T>) =>
      insist(
        counts,
        (tries) => {
          if (tries > 0) turn += 1;
          return make(clients[turn % clients.length] as AppClient);
        },
        patienceMs,
      );
    const signIn: SignIn = { accountId, requestId: crypto.randomUUID() };
    signIns.push(signIn);
    const { requestId } = signIn;
    const { result } = await ask(({ twoStepAuth }) =>
      twoStepAuth.signIn({ email, password, device: iphone, requestId }),
    );
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const { challengeToken, challenge } = result.value;
    signIn.challengeId = challenge?.challengeId ?? '';
    const code = await typedCode(email, signIn.challengeId);
    signIn.verifying = true;
    const verified = await ask(({ twoStepAuth }) => twoStepAuth.verifyCode({ challengeToken, code }));
    const device = signedIn(accountId, verified.session);
    signIn.session = device;

    const { trustedDevices } = await ask(({ trustedDevices }) => trustedDevices.listTrustedDevices({}, bearer(device)));
    const listed = new Set(trustedDevices.map(({ deviceId }) => deviceId));
    const known = [...devices, device].filter(({ ended }) => ended !== 'removal');
    for (const { deviceId } of known) if (!listed.has(deviceId)) throw new Error(`${deviceId} is not listed`);
    for (let call = 0; call < callsPerSession; call++) {
      await ask<unknown>(({ twoStepAuth, loginActivity }) =>
        call % 3 === 2
          ? loginActivity.listLoginActivity({ pageSize: 5 }, bearer(device))
          : twoStepAuth.getSettings({}, bearer(device)),
      );
    }
    const { refreshToken } = device;
    const refreshed = await ask(({ twoStepAuth }) => twoStepAuth.refreshSession({ refreshToken }));
    Object.assign(device, tokensOf(refreshed.session));
    devices.push(device);

    if (devices.length > devicesKept) {
      const oldest = devices.shift() as SignedIn;
      oldest.ending = 'removal';
      const { deviceId } = oldest;
      await ask(({ trustedDevices }) => trustedDevices.removeTrustedDevice({ deviceId }, bearer(device)));
      oldest.ended = 'removal';
      removed.push(oldest);
    }
    if (at % 4 !== 3) return;
    devices.pop();
    device.ending = 'sign-out';
    // A repeat after a lost answer comes from who is signed out.
    await ask(({ twoStepAuth }) => twoStepAuth.signOut({}, bearer(device))).catch((error) => {
      if (!CountersignError.is(error) || error.reasonMetadata['cause'] !== 'SIGNED_OUT') throw error;
    });
    device.ended = 'sign-out';
  };

  const work = async (worker: number) => {
    const clients = options.baseUrls.map((baseUrl) => appClientAt(baseUrl, options.ca, worker));
    const own = accounts.slice(worker * accountsPerWorker, (worker + 1) * accountsPerWorker);
    const devices = own.map((): SignedIn[] => []);
    const everyMs = (1_000 * workers) / options.signInsPerSecond;
    let due = performance.now() + (everyMs * worker) / workers;
    for (let at = 0; ; at++) {
      await sleep(Math.max(0, due - performance.now()), undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      // What was missed is not made up for.
      due = Math.max(due + everyMs, performance.now());
      const turn = Math.floor(at / signInsPerAccount) % own.length;
      await signInAndAll(clients, own[turn] as TestAccount, devices[turn] as SignedIn[], at).catch((error: unknown) =>
        failed.push(String(error)),
      );
    }
  };

  /** Whoever holds a removed device: each try has to be refused, or left without an answer. */
  const tryAgain = async (clients: readonly AppClient[], device: SignedIn, tries: number) => {
    const { twoStepAuth } = clients[tries % clients.length] as AppClient;
    const { refreshToken } = device;
    removedTries += 1;
    try {
      await (tries % 2 === 0
        ? twoStepAuth.getSettings({}, bearer(device))
        : twoStepAuth.refreshSession({ refreshToken }));
      removedLetIn += 1;
    } catch (error) {
      if (!CountersignError.is(error)) throw error;
      const { cause } = error.reasonMetadata;
      if (error.reason !== 'SESSION_INVALID') removedUnanswered += 1;
      else if (cause !== 'DEVICE_REMOVED') failed.push(`a removed device was refused with ${cause}`);
    }
  };
  const tryRemoved = async () => {
    const clients = options.baseUrls.map((baseUrl) => appClientAt(baseUrl, options.ca, workers));
    for (let tries = 0; !signal.aborted; tries++) {
      await sleep(removedTryEveryMs, undefined, { signal }).catch(() => {});
      // The one of just now, and all the others in turn.
      const device = tries % 4 < 2 ? removed.at(-1) : removed[Math.floor(tries / 4) % removed.length];
      if (device !== undefined) await tryAgain(clients, device, tries);
    }
  };

  const running = [tryRemoved(), ...times(workers, work)];
  return {
    counts,
    finish: async (databaseUrl, before) => {
      stopped.abort();
      await Promise.all(running);
      const pool = new pg.Pool({ connectionString: databaseUrl, max: 4 });
      const clients = options.baseUrls.map((baseUrl) => appClientAt(baseUrl, options.ca, 0));
      try {
        await untilMailed(pool, signIns);
        await before?.();
        const verdict = await compareWithDatabase(signIns, pool, mail.mails);
        for (const [at, device] of removed.entries()) await tryAgain(clients, device, at);
        const lost = [...verdict.lost];
        for (const { session } of signIns) {
          if (session === undefined || session.ending !== undefined) continue;
          // With the tokens that were given last.
          const twoStepAuth = (clients[0] as AppClient).twoStepAuth;
          await callOnce(newCounts(), () => twoStepAuth.getSettings({}, bearer(session)))
            .then(() => twoStepAuth.refreshSession({ refreshToken: session.refreshToken }))
            .catch((error) => lost.push(`the tokens of ${session.sessionId}: ${error}`));
        }
        const tried = { removedTries, removedLetIn, removedUnanswered };
        return { ...verdict, lost, counts, signIns: signIns.length, failed, ...tried };
      } finally {
        await pool.end();
      }
    },
  };
}

/** What the mail, or an app, would say. */
export function codeOfChallenge(challengeId: string, channel: 'APP' | 'EMAIL'): string {
  return codes.derive({ challengeId, codeKeyId: 'test' }, channel);
}

/** Until every mail has left, or will not. */
async function untilMailed(pool: pg.Pool, signIns: readonly SignIn[]): Promise<void> {
  const accounts = [...new Set(signIns.map(({ accountId }) => accountId))];
  await eventually(90_000, async () => {
    const { rows } = await pool.query<{ open: number }>(
      `select count(*)::int as open from delivery where state = 'QUEUED' and account_id = any($1)`,
      [accounts],
    );
    if (rows[0]?.open !== 0) throw new Error(`${rows[0]?.open} deliveries are still on their way`);
  }).catch(() => {});
}

/** A client without a session, over connections of its own, in one of the protocols in turn. */
export function appClientAt(baseUrl: string, ca: string | undefined, turn = 0): AppClient {
  const nodeOptions = ca === undefined ? {} : { ca };
  const sessionManager = new Connection(baseUrl, undefined, nodeOptions);
  const transports: AppClientOptions['transport'][] = [
    (needs) => createGrpcTransport({ baseUrl, sessionManager, ...needs }),
    (needs) => createConnectTransport({ baseUrl, httpVersion: '2', sessionManager, ...needs }),
    (needs) => createGrpcWebTransport({ baseUrl, httpVersion: '2', sessionManager, ...needs }),
    (needs) => createConnectTransport({ baseUrl, httpVersion: '1.1', useBinaryFormat: false, nodeOptions, ...needs }),
  ];
  const transport = transports[turn % transports.length] as AppClientOptions['transport'];
  return createAppClient({ transport, clientVersion: '2.3', platform: 'ios', timeoutMs: 10_000 });
}

function bearer({ accessToken }: Pick<SignedIn, 'accessToken'>) {
  return { headers: { authorization: `Bearer ${accessToken}` } };
}

function signedIn(accountId: string, session: Session | undefined): SignedIn {
  if (session === undefined) throw new Error('no session');
  const { sessionId, deviceId, deviceToken } = session;
  return { accountId, sessionId, deviceId, deviceToken, ...tokensOf(session) };
}

function tokensOf(session: Session | undefined): Pick<SignedIn, 'accessToken' | 'refreshToken'> {
  if (session === undefined) throw new Error('no session');
  const { accessToken, refreshToken } = session;
  return { accessToken, refreshToken };
}
