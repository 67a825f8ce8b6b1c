// The bus between replicas, over real PostgreSQL and real Redis: what it tells, and that it notices when it could not hear.

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningBus } from '../../server/platform/bus.ts';
import { busChannel, startPostgresBus } from '../../server/platform/bus-postgres.ts';
import { type RedisBus, startRedisBus } from '../../server/platform/bus-redis.ts';
import { createLog } from '../../server/platform/log.ts';
import { openRedis } from '../../server/platform/redis.ts';
import { createDatabase } from '../support/postgres.ts';
import { ensureRedis, type RedisServer, startRedis } from '../support/redis.ts';

const hasRedis = await ensureRedis();
const within = { timeout: 15_000 };

/** A way for what is told to go, with a bus over it, and what a test does to it. */
interface Way {
  readonly bus: RunningBus;
  tell(accountId: string): Promise<unknown>;
  /** Ends the connection that hears. */
  sever(): Promise<unknown>;
  close(): Promise<void>;
}

const lines = (log: readonly string[], message: RegExp) => log.filter((line) => message.test(line)).length;

async function overPostgres(log: string[]): Promise<Way> {
  const database = await createDatabase();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const bus = startPostgresBus(database.url, createLog('info', { write: (line) => log.push(line) }));
  return {
    bus,
    tell: (accountId) => client.query('select pg_notify($1, $2)', [busChannel, accountId]),
    sever: () =>
      client.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'countersign-bus'
        and datname = current_database()`),
    close: async () => {
      await bus.stop();
      await client.end();
      await database.drop();
    },
  };
}

async function overRedis(log: string[]): Promise<Way> {
  const server = await startRedis();
  const [bus, other] = [await startBus(server, 'one', log), await startBus(server, 'other', [])];
  bus.expect(['other']);
  other.expect(['one']);
  return {
    bus,
    tell: (accountId) => other.publish(accountId).catch(() => {}),
    sever: () => server.command('client', 'kill', 'type', 'pubsub'),
    close: async () => {
      await Promise.all([bus.stop(), other.stop()]);
      await server.discard();
    },
  };
}

async function startBus(server: RedisServer, replica: string, log: string[], prefix = 'test'): Promise<RedisBus> {
  const logger = createLog('info', { write: (line) => log.push(line) });
  const bus = startRedisBus(await openRedis(server.url, prefix), replica, logger);
  bus.expect([]);
  return bus;
}

describe.each([['PostgreSQL', overPostgres], ...(hasRedis ? ([['Redis', overRedis]] as const) : [])] as const)(
  'over %s',
  (over, open) => {
    let way: Way;
    const heard: string[] = [];
    const log: string[] = [];
    beforeAll(async () => {
      way = await open(log);
      way.bus.subscribe({ onAccount: (accountId) => heard.push(accountId), onGap: () => heard.push('gap') });
    });
    afterAll(() => way?.close());

    /** Asks until an answer comes, and then for the last one that was on its way. */
    const untilHeard = async () => {
      await expect.poll(() => way.bus.isCut(), within).toBe(false);
      heard.length = 0;
      await expect
        .poll(async () => {
          await way.tell('there?');
          return heard.length;
        }, within)
        .toBeGreaterThan(0);
      await way.tell('last');
      await expect.poll(() => heard.at(-1), within).toBe('last');
      heard.length = 0;
    };

    test('what is told is heard, in its order', async () => {
      await untilHeard();
      for (const accountId of ['one', 'two', 'three']) await way.tell(accountId);
      await expect.poll(() => heard, within).toEqual(['one', 'two', 'three']);
    });

    test('a connection that was lost is made again, and whoever listens is told of the gap; the log says each once', async () => {
      log.length = 0;
      await untilHeard();
      const wasCut = expect.poll(() => way.bus.isCut(), { ...within, interval: 1 }).toBe(true);
      await way.sever();
      await wasCut;
      await way.tell('missed');
      await expect.poll(() => heard, within).toContain('gap');
      expect(way.bus.isCut()).toBe(false);
      await way.tell('heard again');
      await expect.poll(() => heard.at(-1), within).toBe('heard again');
      expect(heard.filter((word) => word === 'gap')).toHaveLength(1);
      expect([lines(log, /is cut/), lines(log, /heard again/)]).toEqual([1, 1]);
      expect(log.join('')).toContain(over);
    });
  },
);

test('over PostgreSQL a change is told with its commit, and not without one', async () => {
  const database = await createDatabase();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const bus = startPostgresBus(database.url, createLog('silent'));
  const heard: string[] = [];
  bus.subscribe({ onAccount: (accountId) => heard.push(accountId), onGap: () => {} });
  try {
    await expect.poll(() => bus.isCut(), within).toBe(false);
    const notify = (accountId: string) => client.query('select pg_notify($1, $2)', [busChannel, accountId]);
    await client.query('begin');
    await notify('rolled back');
    await client.query('rollback');
    await client.query('begin');
    await notify('committed');
    await client.query('commit');
    await expect.poll(() => heard, within).toEqual(['committed']);
  } finally {
    await bus.stop();
    await client.end();
    await database.drop();
  }
});

describe.skipIf(!hasRedis)('over Redis', () => {
  test('one that is killed, or hangs, is noticed by who listens and by who tells; and its return is', async () => {
    const server = await startRedis();
    const log: string[] = [];
    const bus = await startBus(server, 'one', log);
    try {
      const heard: string[] = [];
      bus.subscribe({ onAccount: (accountId) => heard.push(accountId), onGap: () => heard.push('gap') });
      for (const [away, back] of [
        [server.kill, server.start],
        [server.stop, server.start],
        [async () => server.freeze(), async () => server.thaw()],
      ] as const) {
        await expect.poll(() => bus.isCut(), within).toBe(false);
        heard.length = 0;
        await away();
        await expect.poll(() => bus.isCut(), within).toBe(true);
        await expect(bus.publish('lost')).rejects.toThrow();
        await back();
        await expect.poll(() => heard, within).toEqual(['gap']);
        await bus.publish('told');
        await expect.poll(() => heard, within).toEqual(['gap', 'told']);
      }
      expect([lines(log, /is cut/), lines(log, /heard again/)]).toEqual([3, 3]);
    } finally {
      await bus.stop();
      await server.discard();
    }
  });

  test('who can be told, but can not tell, does not take itself for heard', async () => {
    const server = await startRedis();
    const user = ['acl', 'setuser', 'replica', 'on', '>word', '+@all', '~*', '&*'] as const;
    await server.command(...user);
    const url = Object.assign(new URL(server.url), { username: 'replica', password: 'word' }).href;
    const bus = startRedisBus(await openRedis(url, 'test'), 'one', createLog('silent'));
    bus.expect([]);
    try {
      await expect.poll(() => bus.isCut(), within).toBe(false);
      await server.command('acl', 'setuser', 'replica', '-publish');
      await expect.poll(() => bus.isCut(), within).toBe(true);
      await expect(bus.publish('lost')).rejects.toThrow('NOPERM');
      await server.command('acl', 'setuser', 'replica', '+publish');
      await expect.poll(() => bus.isCut(), within).toBe(false);
    } finally {
      await bus.stop();
      await server.discard();
    }
  });

  test('replicas that each hear themselves, but at two Redis, take themselves for cut, and say so to who tells', async () => {
    const [old, next] = [await startRedis(), await startRedis()];
    const [one, other] = [await startBus(old, 'one', []), await startBus(old, 'other', [])];
    // As after a fail-over, where the one before lives on.
    const moved = await startBus(next, 'moved', []);
    const all = [one, other, moved];
    const areCut = () => all.map((bus) => bus.isCut());
    try {
      await expect.poll(areCut, within).toEqual([false, false, false]);
      one.expect(['other', 'moved']);
      other.expect(['one', 'moved']);
      moved.expect(['one', 'other']);
      await expect.poll(areCut, within).toEqual([true, true, true]);
      for (const bus of all) await expect(bus.publish('not to all')).rejects.toThrow('not every replica');
      await moved.stop();
      one.expect(['other']);
      other.expect(['one']);
      await expect.poll(() => one.isCut() || other.isCut(), within).toBe(false);
      await one.publish('to all');
      // Who says goodbye is not missed.
      await other.stop();
      for (let looks = 0; looks < 30; looks++) {
        await sleep(200);
        expect(one.isCut()).toBe(false);
      }
    } finally {
      await Promise.all(all.map((bus) => bus.stop()));
      await Promise.all([old.discard(), next.discard()]);
    }
  });

  test('one that is not known to hear the replicas that live is cut, and so is one of whom one is not heard', async () => {
    const server = await startRedis();
    const bus = startRedisBus(await openRedis(server.url, 'test'), 'one', createLog('silent'));
    try {
      await expect(bus.publish('too early')).rejects.toThrow();
      await sleep(1_500);
      expect(bus.isCut()).toBe(true);
      bus.expect(['without Redis']);
      await sleep(1_500);
      expect(bus.isCut()).toBe(true);
      bus.expect([]);
      await expect.poll(() => bus.isCut(), within).toBe(false);
      bus.expect(['without Redis']);
      await expect.poll(() => bus.isCut(), within).toBe(true);
    } finally {
      await bus.stop();
      await server.discard();
    }
  });

  test('the log says why it does not let us in, and nothing of the password', async () => {
    const server = await startRedis('another');
    const log: string[] = [];
    const url = Object.assign(new URL(server.url), { username: 'replica', password: 's3cret-word' }).href;
    const logger = createLog('debug', { write: (line) => log.push(line) });
    const bus = startRedisBus(await openRedis(url, 'test'), 'one', logger);
    try {
      await expect.poll(() => log.join(''), within).toContain('WRONGPASS');
      expect(bus.isCut()).toBe(true);
      await expect(bus.publish('account')).rejects.toThrow();
      expect(log.join('')).not.toContain('s3cret-word');
      expect(log).toHaveLength(1);
    } finally {
      await bus.stop();
      await server.discard();
    }
  });

  test('two deployments that share one hear nothing of each other', async () => {
    const server = await startRedis();
    const [ours, theirs] = [await startBus(server, 'one', [], 'ours'), await startBus(server, 'one', [], 'theirs')];
    const heard: string[] = [];
    ours.subscribe({ onAccount: (accountId) => heard.push(accountId), onGap: () => {} });
    try {
      await expect.poll(() => ours.isCut() || theirs.isCut(), within).toBe(false);
      await theirs.publish('their account');
      await ours.publish('our account');
      await expect.poll(() => heard, within).toEqual(['our account']);
    } finally {
      await Promise.all([ours.stop(), theirs.stop()]);
      await server.discard();
    }
  });
});
