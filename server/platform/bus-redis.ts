// The bus over Redis' publish and subscribe. A replica is sure to hear what is told as long as it hears itself: it publishes a
// beat, by the connection that it tells others by, and is cut where that does not come back.

import { Hearing, type RunningBus } from './bus.ts';
import type { Logger } from './log.ts';
import type { RedisConnections } from './redis.ts';

export interface RedisBus extends RunningBus {
  /** @throws Error within half a second where Redis did not take it, or may not have. */
  publish(accountId: string): Promise<void>;
}

const beatMs = 500;
/** In beats and not in time: who was too busy to hear has sent none either. */
const mostUnheard = 4;

export function startRedisBus(redis: RedisConnections, replicaId: string, log: Logger): RedisBus {
  const { commands, subscriber, prefix } = redis;
  const hearing = new Hearing('Redis', log);
  const accounts = `${prefix}:account`;
  const beat = `${prefix}:beat:${replicaId}`;
  let unheard = 0;
  let stopped = false;
  const cut = (why: unknown) => {
    if (!stopped) hearing.cut(why);
  };

  subscriber.on('ready', () => {
    subscriber.subscribe(accounts, beat).catch(cut);
  });
  subscriber.on('message', (channel, text) => {
    if (channel === accounts) return hearing.told(text);
    unheard = 0;
    hearing.whole();
  });
  subscriber.on('error', cut);
  subscriber.on('close', () => cut('the connection ended'));
  const timer = setInterval(() => {
    commands.publish(beat, '').catch(() => {});
    unheard += 1;
    if (unheard <= mostUnheard) return;
    unheard = 0;
    cut('Redis is silent');
    subscriber.disconnect(true);
  }, beatMs);

  return {
    subscribe: (listener) => hearing.subscribe(listener),
    isCut: () => hearing.isCut(),
    publish: async (accountId) => void (await commands.publish(accounts, accountId)),
    stop: async () => {
      stopped = true;
      clearInterval(timer);
      redis.close();
    },
  };
}
