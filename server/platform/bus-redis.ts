// The bus over Redis' publish and subscribe. Each replica publishes a beat, by the connection that it tells others by. Who hears the beats
// of all that live, its own too, hears what they tell; who does not is cut. Its own alone says too little: after a fail-over of
// Redis each may have one of its own.

import { Hearing, type RunningBus } from './bus.ts';
import type { Logger } from './log.ts';
import type { RedisConnections } from './redis.ts';

export interface RedisBus extends RunningBus {
  /** @throws Error within half a second where Redis did not take it, or may not have, or where not all may have heard it. */
  publish(accountId: string): Promise<void>;
  /** Says which other replicas live. It is cut until it knows that. */
  expect(others: readonly string[]): void;
}

const beatMs = 500;
/** In beats and not in time: who was too busy to hear has sent none either. */
const mostUnheard = 4;
/** Of another's, which may be busier than this one. */
const mostUnheardOfOthers = 10;

export function startRedisBus(redis: RedisConnections, replicaId: string, log: Logger): RedisBus {
  const { commands, subscriber, prefix } = redis;
  const hearing = new Hearing('Redis', log);
  const accounts = `${prefix}:account`;
  /** Takes the id of who lives, and of who goes with `goodbye` before it. */
  const beats = `${prefix}:beats`;
  const goodbye = '-';
  let unheard = 0;
  /** Since when each of the others has not been heard, in our beats. */
  let others: Map<string, number> | undefined;
  let stopped = false;
  const cut = (why: unknown) => {
    if (!stopped) hearing.cut(why);
  };
  /** What was heard there says nothing of where the next connection leads. */
  const left = (why: string) => {
    for (const id of others?.keys() ?? []) others?.set(id, Number.POSITIVE_INFINITY);
    cut(why);
  };
  const hearsOthers = () => [...(others?.values() ?? [])].every((count) => count <= mostUnheardOfOthers);

  subscriber.on('ready', () => {
    subscriber.subscribe(accounts, beats).catch(cut);
  });
  subscriber.on('message', (channel, text) => {
    if (channel === accounts) return hearing.told(text);
    if (text === replicaId) unheard = 0;
    else if (text.startsWith(goodbye)) others?.delete(text.slice(goodbye.length));
    else if (others?.has(text)) others.set(text, 0);
    if (text === replicaId && others !== undefined && hearsOthers()) hearing.whole();
  });
  subscriber.on('error', cut);
  subscriber.on('close', () => left('the connection ended'));
  const timer = setInterval(() => {
    commands.publish(beats, replicaId).catch(() => {});
    for (const [id, count] of others ?? []) others?.set(id, count + 1);
    if (!hearsOthers()) cut('a replica that lives is not heard there');
    unheard += 1;
    if (unheard <= mostUnheard) return;
    unheard = 0;
    left('Redis is silent');
    subscriber.disconnect(true);
  }, beatMs);

  return {
    subscribe: (listener) => hearing.subscribe(listener),
    isCut: () => hearing.isCut(),
    publish: async (accountId) => {
      await commands.publish(accounts, accountId);
      if (hearing.isCut()) throw new Error('not every replica may be at this Redis');
    },
    expect: (ids) => {
      const heard = others;
      // A new one has a moment to be heard, where all the others are.
      const first = hearing.isCut() ? Number.POSITIVE_INFINITY : 0;
      others = new Map(ids.map((id) => [id, heard?.get(id) ?? first]));
    },
    stop: async () => {
      stopped = true;
      clearInterval(timer);
      await commands.publish(beats, goodbye + replicaId).catch(() => {});
      redis.close();
    },
  };
}
