// Limits of calls by address and by account, where the server counts: over several replicas, in Redis and in PostgreSQL, and
// while either is away.

import type { Interceptor } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AppClient } from '../../clients/app/client.ts';
import { createCallCountClient } from '../../server/store/call-counts.ts';
import { Database } from '../../server/store/database.ts';
import { outcomesAtOnce, times } from '../support/at-once.ts';
import { startPostgresProxy } from '../support/postgres-proxy.ts';
import { ensureRedis, type RedisServer, startRedis, urlOfUser } from '../support/redis.ts';
import { refusal } from '../support/refusal.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { healthClient, protocols, transportOf } from './serve.ts';

const perAddress = 20;
const strangersPerAddress = 10;
const perAccount = 15;
const env = {
  COUNTERSIGN_CALLS_COUNTED_BY: 'server',
  COUNTERSIGN_CALLS_PER_ADDRESS: String(perAddress),
  COUNTERSIGN_STRANGERS_CALLS_PER_ADDRESS: String(strangersPerAddress),
  COUNTERSIGN_CALLS_PER_ACCOUNT: String(perAccount),
};
const hasRedis = await ensureRedis();

let addresses = 0;
/** One that nobody has called from. */
const freshAddress = () => `203.0.113.${++addresses}`;

/** A client behind a proxy that says where it is. */
function clientFrom(server: TestServer, ipAddress: string, protocol = 'Connect over HTTP/2'): AppClient {
  const forwarded: Interceptor = (next) => (req) => {
    req.header.set('x-forwarded-for', ipAddress);
    return next(req);
  };
  return server.appClient({
    transport: ({ interceptors, ...needs }) => {
      const create = protocols[protocol];
      if (create === undefined) throw new Error(`no protocol ${protocol}`);
      return create(server.publicUrl, { ...needs, interceptors: [...interceptors, forwarded] });
    },
  });
}

/** A costly call that needs no session; this one asks PostgreSQL nothing. */
const challengeToken = 'YW5uYQ.bm9uZSBvZiBvdXJz';
const ask = (client: AppClient) => client.twoStepAuth.verifyCode({ challengeToken, code: '123456' });
/** What the handler itself says to it. */
const letIn = 'CHALLENGE_UNKNOWN';
const reasonsOf = async (clients: readonly AppClient[], count: number) => {
  const reasons: string[] = [];
  for (let index = 0; index < count; index++) {
    const client = clients[index % clients.length] as AppClient;
    reasons.push((await refusal(ask(client))).reason);
  }
  return reasons;
};
const upTo = (limit: number, count: number) => times(count, (index) => (index < limit ? letIn : 'RATE_LIMITED'));

/** The server that accounts sign in at: it counts nothing. */
let plain: TestServer;
let redis: RedisServer | undefined;
let replicas: Readonly<Record<'PostgreSQL' | 'Redis', readonly TestServer[]>>;

beforeAll(async () => {
  plain = await startTestServer();
  redis = hasRedis ? await startRedis() : undefined;
  const start = (more: Record<string, string> = {}) => startTestServer({ ...env, ...more }, plain);
  replicas = {
    PostgreSQL: [await start(), await start()],
    Redis:
      redis === undefined
        ? []
        : [await start({ REDIS_URL: await urlOfUser(redis, 'one') }), await start({ REDIS_URL: redis.url })],
  };
});
afterAll(async () => {
  for (const server of Object.values(replicas ?? {}).flat()) await server.stop();
  await plain?.stop();
  await redis?.discard();
});

describe.each(hasRedis ? (['PostgreSQL', 'Redis'] as const) : (['PostgreSQL'] as const))('counted in %s', (where) => {
  const clientsFrom = (ipAddress: string) => replicas[where].map((server) => clientFrom(server, ipAddress));

  test('strangers of one address have so many calls a minute over all replicas, and others have theirs', async () => {
    const [address, other] = [freshAddress(), freshAddress()];
    const reasons = await reasonsOf(clientsFrom(address), strangersPerAddress + 4);
    expect(reasons).toEqual(upTo(strangersPerAddress, strangersPerAddress + 4));
    expect(await reasonsOf(clientsFrom(other), 2)).toEqual([letIn, letIn]);
  });

  test('what costs nothing goes on when strangers have used up theirs: a session is refreshed', async () => {
    const client = clientsFrom(freshAddress())[0] as AppClient;
    expect(await reasonsOf([client], strangersPerAddress + 1)).toContain('RATE_LIMITED');
    expect((await refusal(client.twoStepAuth.getChallenge({ challengeToken }))).reason).toBe(letIn);
    expect((await refusal(client.twoStepAuth.refreshSession({ refreshToken: 'none' }))).reason).toBe('SESSION_INVALID');
  });

  test('a hundred at once on two replicas are let in no more often than one after the other', async () => {
    const clients = clientsFrom(freshAddress());
    const { counts } = await outcomesAtOnce(times(100, (index) => () => ask(clients[index % 2] as AppClient)));
    const { [letIn]: inTime = 0, RATE_LIMITED: limited } = counts;
    // Fewer where the first of strangers were not the first of all: both are counted at once.
    expect(inTime).toBeGreaterThan(0);
    expect(inTime).toBeLessThanOrEqual(strangersPerAddress);
    expect(limited).toBe(100 - inTime);
  });

  test.each(Object.keys(protocols))(
    'the refusal says by %s how long to wait, and whatever was sent',
    async (protocol) => {
      const address = freshAddress();
      const [server] = replicas[where] as [TestServer];
      await reasonsOf([clientFrom(server, address)], strangersPerAddress);
      const client = clientFrom(server, address, protocol);
      for (const call of [
        () => ask(client),
        // Against the rules of the contract, which are not looked at any more.
        () => client.twoStepAuth.signIn({ email: 'x'.repeat(10_000), password: '' }),
        () => client.account.requestPasswordReset({}),
      ]) {
        const { reason, retryAfter = 0, rawMessage } = await refusal(call());
        expect([reason, rawMessage]).toEqual(['RATE_LIMITED', expect.any(String)]);
        expect(retryAfter).toBeGreaterThan(0);
        expect(retryAfter).toBeLessThanOrEqual(60_000);
      }
    },
  );

  test('calls that the rules refuse are counted, and so are those of a session; of those an address has more', async () => {
    const address = freshAddress();
    const client = clientsFrom(address)[0] as AppClient;
    const bad = () => client.twoStepAuth.verifyCode({ challengeToken: '', code: 'none' });
    for (let call = 0; call < strangersPerAddress; call++) {
      expect((await refusal(bad())).reason).toBe('REQUEST_INVALID');
    }
    expect((await refusal(bad())).reason).toBe('RATE_LIMITED');
    const inSession = () => refusal(client.twoStepAuth.getSettings({}));
    // The one that was refused counts as well.
    for (let call = strangersPerAddress + 1; call < perAddress; call++) {
      expect((await inSession()).reason).toBe('SESSION_INVALID');
    }
    expect((await inSession()).reason).toBe('RATE_LIMITED');
  });

  test('the sessions of an account share its calls, wherever they come from', async () => {
    const account = await plain.createAccount();
    const devices = [await plain.signInNewDevice(account), await plain.signInNewDevice(account)];
    const other = await plain.signInNewDevice(await plain.createAccount());
    const callAs = (session: (typeof other)['session'], index: number) => {
      const client = clientFrom(replicas[where][index % 2] as TestServer, freshAddress());
      client.useSession(session);
      return client.twoStepAuth.getSettings({});
    };
    const { counts } = await outcomesAtOnce(
      times(perAccount + 5, (index) => () => callAs(devices[index % 2]?.session as (typeof other)['session'], index)),
    );
    expect(counts).toEqual({ OK: perAccount, RATE_LIMITED: 5 });
    // A stream is a call, and is refused as one.
    const watching = clientFrom(replicas[where][0] as TestServer, freshAddress());
    watching.useSession(devices[0]?.session as (typeof other)['session']);
    const stream = watching.trustedDevices.watchDevice({})[Symbol.asyncIterator]();
    expect((await refusal(stream.next())).reason).toBe('RATE_LIMITED');
    expect((await callAs(other.session, 0)).twoStepEnabled).toBe(true);
  });

  test('an IPv6 /64 is one address', async () => {
    const subnet = `2001:db8:${where === 'Redis' ? 1 : 2}`;
    const clients = times(4, (index) => clientsFrom(`${subnet}:0:${index}::1`)[0] as AppClient);
    const reasons = await reasonsOf(clients, strangersPerAddress + 2);
    expect(reasons).toEqual(upTo(strangersPerAddress, strangersPerAddress + 2));
    expect(await reasonsOf([clientsFrom(`${subnet}:1::1`)[0] as AppClient], 1)).toEqual([letIn]);
  });

  test('health is not counted', async () => {
    const [server] = replicas[where] as [TestServer];
    const health = healthClient(transportOf('Connect over HTTP/2', server.publicUrl));
    for (let call = 0; call < perAddress + 5; call++) expect((await health.check({})).status).toBe(1);
  });

  test('what is kept is who called how often, and for a minute', async () => {
    const address = freshAddress();
    await reasonsOf(clientsFrom(address), 2);
    if (where === 'PostgreSQL') {
      const rows = await plain.query('select * from call_count where key like $1', [`%${address}%`]);
      const expire = expect.toSatisfy((at) => Number(at) > Date.now() && Number(at) <= Date.now() + 60_000);
      const key = (kind: string) => `${kind}:${address}/32`;
      expect(rows).toEqual(expect.arrayContaining([{ key: key('address'), points: 2, expire }]));
      expect(rows).toEqual(expect.arrayContaining([{ key: key('strangers'), points: 2, expire }]));
      return;
    }
    const keys = (await redis?.command('keys', '*')) as string[];
    for (const key of keys) expect(key).toMatch(/^countersign:calls:(address|strangers|account):/);
    for (const kind of ['address', 'strangers']) {
      const key = `countersign:calls:${kind}:${address}/32`;
      expect(await redis?.command('get', key)).toBe('2');
      expect(await redis?.command('pttl', key)).toSatisfy((ms) => ms > 0 && ms <= 60_000);
    }
  });
});

describe.skipIf(!hasRedis)('while Redis is away', () => {
  const server = () => replicas.Redis[0] as TestServer;

  test.each([
    [
      'killed',
      () => redis?.kill(),
      async () => {
        await redis?.start();
        if (redis !== undefined) await urlOfUser(redis, 'one');
      },
    ],
    ['frozen', () => redis?.freeze(), () => redis?.thaw()],
  ])('(%s) PostgreSQL counts, and nobody is let in more often; then Redis does again', async (_, away, back) => {
    await away();
    try {
      const address = freshAddress();
      const clients = replicas.Redis.map((each) => clientFrom(each, address));
      const reasons = await reasonsOf(clients, strangersPerAddress + 2);
      expect(reasons).toEqual(upTo(strangersPerAddress, strangersPerAddress + 2));
    } finally {
      await back();
    }
    await expect
      .poll(async () => {
        const address = freshAddress();
        await reasonsOf([clientFrom(server(), address)], 1);
        return redis?.command('exists', `countersign:calls:strangers:${address}/32`);
      })
      .toBe(1);
  });

  test('and PostgreSQL too, every call is refused, since nobody counts it', async () => {
    const proxy = await startPostgresProxy(plain.databaseUrl);
    const alone = await startTestServer(
      { ...env, REDIS_URL: redis?.url ?? '', COUNTERSIGN_DATABASE_PATIENCE: '1500ms' },
      { ...plain, databaseUrl: proxy.url },
    );
    try {
      const client = clientFrom(alone, freshAddress());
      expect(await reasonsOf([client], 1)).toEqual([letIn]);
      await redis?.kill();
      await proxy.goDown();
      const { reason, retryAfter } = await refusal(ask(client));
      expect([reason, retryAfter]).toEqual(['DEPENDENCY_UNAVAILABLE', 1_000]);
      await redis?.start();
      await expect.poll(async () => (await refusal(ask(client))).reason, { timeout: 15_000 }).toBe(letIn);
      await proxy.comeBack(plain.databaseUrl);
    } finally {
      await alone.stop();
      await proxy.close();
    }
  });
});

test('what a server forgets every minute in PostgreSQL is what is over', async () => {
  const address = freshAddress();
  await reasonsOf([clientFrom(replicas.PostgreSQL[0] as TestServer, address)], 1);
  const kept = async () => (await plain.query('select key from call_count')).map(({ key }) => key);
  await plain.query(`insert into call_count values ('over', 1, $1)`, [Date.now() - 1]);
  expect(await kept()).toEqual(expect.arrayContaining(['over', `strangers:${address}/32`]));
  const database = new Database({ url: plain.databaseUrl, poolSize: 2, patienceMs: 20_000 });
  await createCallCountClient(database).forget(Date.now());
  await database.close();
  expect(await kept()).not.toContain('over');
  expect(await kept()).toContain(`strangers:${address}/32`);
});

test('where the edge counts, the server does not', async () => {
  const client = clientFrom(plain, freshAddress());
  const reasons = await reasonsOf([client], strangersPerAddress + perAddress);
  expect(reasons).toEqual(times(strangersPerAddress + perAddress, () => letIn));
});
