// Three replicas of development mode over one database and one mailbox, as processes of their own. It must not know the edge.

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join, relative } from 'node:path';
import type { Config } from '../server/config.ts';
import { type Development, startDevelopment } from '../server/development/development.ts';
import { type Address, ConfigError } from '../server/environment.ts';
import { createLog } from '../server/platform/log.ts';
import { spawnTied } from './haproxy.ts';
import { hostAndPort } from './render.ts';

export interface Replicas {
  /** Their public listeners. */
  readonly addresses: readonly Address[];
  readonly known: Development['known'];
  /** Name and value, for a person. */
  readonly rows: readonly (readonly [string, string])[];
  stop(): Promise<void>;
}

const count = 3;

/**
 * Their listeners are at the configured ports and the next ones; their logs in `folder`.
 *
 * @param publicUrl where clients reach them.
 */
export async function startReplicas(config: Config, publicUrl: string, folder: string): Promise<Replicas> {
  if (config.mode === 'production') {
    throw new ConfigError(
      'production starts its own replicas: set COUNTERSIGN_EDGE_REPLICAS, or render the configuration (npm run edge -- render FOLDER)',
      ['COUNTERSIGN_MODE', 'COUNTERSIGN_EDGE_REPLICAS'],
    );
  }
  const development = await startDevelopment({ ...config, devPush: false }, createLog('warn'));
  const { databaseUrl, smtpUrl } = development.config;
  const running: { readonly end: () => void; readonly exit: Promise<unknown> }[] = [];
  const stop = async () => {
    for (const { end } of running) end();
    await Promise.all(running.map(({ exit }) => exit));
    await development.stop();
  };
  const after = ({ host, port }: Address, steps: number): Address => ({ host, port: port + steps });
  const each = Array.from({ length: count }, (_, index) => ({
    publicAddress: after(config.publicAddress, index),
    internalAddress: after(config.internalAddress, index),
    logPath: join(folder, `replica-${index + 1}.log`),
  }));
  const start = async ({ publicAddress, internalAddress, logPath }: (typeof each)[number]) => {
    const child = spawnTied(process.execPath, ['server/main.ts'], {
      // The embedded database has 100 connections.
      COUNTERSIGN_DATABASE_POOL: '10',
      COUNTERSIGN_PUBLIC_URL: publicUrl,
      ...process.env,
      DATABASE_URL: databaseUrl,
      SMTP_URL: smtpUrl,
      COUNTERSIGN_PUBLIC_ADDRESS: hostAndPort(publicAddress),
      COUNTERSIGN_INTERNAL_ADDRESS: hostAndPort(internalAddress),
    });
    const log = createWriteStream(logPath);
    /** Until it serves. */
    let said = '';
    let isServing = false;
    const exit = once(child, 'close').then(() => {
      log.end();
      if (!stopping) process.stdout.write(`The replica at ${hostAndPort(publicAddress)} has ended: ${logPath}\n`);
    });
    running.push({ end: () => child.kill('SIGTERM'), exit });
    const serving = new Promise<void>((resolve) => {
      for (const stream of [child.stdout, child.stderr]) {
        stream?.on('data', (piece: Buffer) => {
          log.write(piece);
          if (isServing) return;
          said += piece;
          isServing = said.includes('Ctrl+C');
          if (isServing) resolve();
        });
      }
    });
    const failed = exit.then(() => Promise.reject(new ConfigError(`a replica did not start: ${said.trim()}`)));
    await Promise.race([serving, failed]);
  };
  let stopping = false;
  const stopAll = () => {
    stopping = true;
    return stop();
  };
  try {
    await Promise.all(each.map(start));
  } catch (error) {
    await stopAll();
    throw error;
  }
  return {
    addresses: each.map(({ publicAddress }) => publicAddress),
    known: development.known,
    rows: [
      ['internal API', each.map(({ internalAddress }) => `http://${hostAndPort(internalAddress)}`).join(', ')],
      ['mailbox', development.mailboxUrl ?? 'none: SMTP_URL is set'],
      ['service token', development.known.serviceToken],
      ['demo account', development.known.demoEmail],
      ['demo password', development.known.demoPassword],
      ['logs', relative('.', join(folder, 'replica-*.log'))],
    ],
    stop: stopAll,
  };
}
