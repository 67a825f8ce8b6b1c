// Redis or Valkey: whether it can be reached, and used for what a server uses it for. Nothing is kept there.

import { Redis } from 'ioredis';
import type { Config } from '../../config.ts';
import { isLoopback } from '../../environment.ts';
import { type Finding, fail, ok, patienceMs, skip, warn, wordsOf } from './finding.ts';

export async function checkRedis({ redis, callLimits }: Pick<Config, 'redis' | 'callLimits'>): Promise<Finding[]> {
  if (redis === undefined) return [skip('REDIS_URL is not set: PostgreSQL does what it would do')];
  const { url, prefix } = redis;
  const { protocol, hostname, host } = new URL(url);
  const options = {
    lazyConnect: true,
    connectTimeout: patienceMs,
    commandTimeout: patienceMs,
    disableClientInfo: true,
    retryStrategy: () => null,
  };
  const commands = new Redis(url, options);
  const subscriber = new Redis(url, options);
  // Connecting itself says no more than that it was closed.
  let why: unknown;
  const note = (error: unknown) => {
    why ??= error;
  };
  commands.on('error', note);
  subscriber.on('error', note);
  try {
    await Promise.all([commands.connect(), subscriber.connect()]);
  } catch (error) {
    commands.disconnect();
    subscriber.disconnect();
    const words = wordsOf(why ?? error);
    return [fail(`Redis can't be used at ${host}: ${words}`, mendOf(words))];
  }
  try {
    const findings = [await checkVersion(commands), await checkChannel(commands, subscriber, prefix)];
    if (callLimits.countedBy === 'server') findings.push(await checkCounting(commands, prefix));
    if (protocol === 'redis:' && !isLoopback(hostname)) {
      const words = 'account ids, addresses of callers and its password can be read on the way';
      findings.push(warn(`${host} is spoken to in cleartext: ${words}`, 'use rediss://'));
    }
    return findings;
  } catch (error) {
    return [fail(`Redis broke off: ${wordsOf(error)}`, 'servers go on without it, by PostgreSQL')];
  } finally {
    commands.disconnect();
    subscriber.disconnect();
  }
}

function mendOf(words: string): string {
  if (/WRONGPASS|NOAUTH|NOPERM/.test(words)) return 'REDIS_URL needs a user and a password that Redis lets in';
  if (/ENOTFOUND|EAI_AGAIN/.test(words)) return 'correct the host in REDIS_URL, or mend DNS here';
  if (/ssl|tls|certificate/i.test(words)) return 'has REDIS_URL the right scheme, and is the certificate there good?';
  return 'is it running, and does a firewall let this machine in? Servers go on without it, by PostgreSQL';
}

async function checkVersion(commands: Redis): Promise<Finding> {
  const info = await commands.info('server');
  // Valkey also says which Redis it is like.
  const valkey = /^valkey_version:(\S+)/m.exec(info)?.[1];
  const version = valkey ?? /^redis_version:(\S+)/m.exec(info)?.[1] ?? '';
  const words = `${valkey === undefined ? 'Redis' : 'Valkey'} ${version} lets us in`;
  return Number.parseInt(version, 10) < 7 ? warn(words, 'use Redis 7 or newer, or Valkey') : ok(words);
}

/** Whether what is published on a channel of ours is heard. */
async function checkChannel(commands: Redis, subscriber: Redis, prefix: string): Promise<Finding> {
  const channel = `${prefix}:doctor`;
  try {
    await subscriber.subscribe(channel);
    const { promise: heard, resolve } = Promise.withResolvers<boolean>();
    subscriber.once('message', () => resolve(true));
    const timer = setTimeout(() => resolve(false), patienceMs);
    await commands.publish(channel, '');
    const isHeard = await heard;
    clearTimeout(timer);
    if (isHeard) return ok('what replicas tell each other there is heard');
    return fail(
      'what is published there is not heard',
      'does REDIS_URL lead to several, which know nothing of each other?',
    );
  } catch (error) {
    const mend = `its user needs publish, subscribe and the channels ${prefix}:*; until then replicas use PostgreSQL`;
    return fail(`replicas can't tell each other: ${wordsOf(error)}`, mend);
  }
}

/** Whether a script may look at a key of ours. */
async function checkCounting(commands: Redis, prefix: string): Promise<Finding> {
  try {
    await commands.eval(`return redis.call('pttl', KEYS[1])`, 1, `${prefix}:calls:doctor`);
    return ok('calls can be counted there');
  } catch (error) {
    const mend = `its user needs eval, evalsha, set, incrby, pttl, expire and the keys ${prefix}:*; until then PostgreSQL counts`;
    return fail(`calls can't be counted there: ${wordsOf(error)}`, mend);
  }
}
