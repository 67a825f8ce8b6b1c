// The connections to Redis or Valkey, which nothing may wait for: whoever asks is answered, or refused, within half a second,
// and at once where it is known to be out of reach. It must not know what is kept or told there.

import type { Redis, RedisOptions } from 'ioredis';

export interface RedisConnections {
  /** For commands. Each fails at once while this is not connected. */
  readonly commands: Redis;
  /** For what is subscribed to, which a connection is used up by. */
  readonly subscriber: Redis;
  /** What every key and channel of this deployment begins with. */
  readonly prefix: string;
  close(): void;
}

/** From a command, or a part of the way to a connection, until it counts as failed. */
const patienceMs = 500;

const options: RedisOptions = {
  connectionName: 'countersign',
  disableClientInfo: true,
  connectTimeout: patienceMs,
  disconnectTimeout: 100,
  retryStrategy: (tries) => Math.min(100 * tries, 1_000),
  // A command that is not answered in time breaks the connection. The next is not used before Redis has answered on it, so a
  // Redis that hangs keeps nobody waiting but those of the first half second.
  socketTimeout: patienceMs,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  // Whoever subscribes does so on each new connection, and learns if it fails.
  autoResubscribe: false,
};

/** Connects in the background, and again whenever it has to. @param url `redis://` or `rediss://`. */
export async function openRedis(url: string, prefix: string): Promise<RedisConnections> {
  // Who has no Redis does not load it.
  const { Redis } = await import('ioredis');
  const connections = [new Redis(url, options), new Redis(url, options)] as const;
  const [commands, subscriber] = connections;
  // Else ioredis writes them to the terminal. The bus says what is the matter.
  for (const connection of connections) connection.on('error', () => {});
  return {
    commands,
    subscriber,
    prefix,
    close: () => {
      for (const connection of connections) connection.disconnect();
    },
  };
}
