// How long a second `npm start` takes until it serves, and what memory a server takes at rest and after the load.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Scenario } from '../scenario.ts';

const mostSeconds = 3;
const patienceMs = 60_000;
const root = join(import.meta.dirname, '../..');

export const start: Scenario = {
  name: 'start',
  title: 'The second npm start, and memory',
  async run({ contestants }) {
    const product = await contestants.product();
    const dataDir = await mkdtemp(join(tmpdir(), 'countersign-bench-start-'));
    const seconds: number[] = [];
    try {
      for (let count = 0; count < 3; count++) seconds.push(await secondsToServing(dataDir));
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
    const [first = Number.NaN, ...others] = seconds;
    const later = Math.max(...others);
    const atEnd = await product.process.usage(false);
    const collected = await product.process.usage(true);
    const mib = (bytes: number) => (bytes / 1_048_576).toFixed(0);
    const memory = (what: string, { rss, heapUsed, external }: typeof atEnd) => [
      what,
      mib(rss),
      mib(heapUsed),
      mib(external),
    ];
    return {
      tables: [
        {
          title: 'Seconds from npm start to serving',
          rows: [
            ['', 's'],
            ['first (makes its database)', first.toFixed(2)],
            ...others.map((each, index) => [index === 0 ? 'second' : 'third', each.toFixed(2)]),
          ],
        },
        {
          title: 'Memory of a server with production settings, MiB',
          rows: [
            ['', 'RSS', 'heap', 'external'],
            memory('at rest after its start', product.atStart),
            memory('after the load', atEnd),
            memory('after the load and a collection', collected),
          ],
        },
      ],
      targets: [
        {
          what: 'seconds to serving, the slower of two later starts',
          wanted: `≤ ${mostSeconds}`,
          measured: later.toFixed(2),
          reached: later <= mostSeconds,
        },
      ],
      notes: ['The bundled city data (134 MB) is part of the memory.'],
    };
  },
};

/** Runs `npm start` on this data folder until it says that it serves, and stops it. */
async function secondsToServing(dataDir: string): Promise<number> {
  const begin = performance.now();
  // A group of its own, which takes the signal as from a terminal.
  const child = spawn('npm', ['start'], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '',
      COUNTERSIGN_DATA_DIR: dataDir,
      COUNTERSIGN_PUBLIC_ADDRESS: '127.0.0.1:0',
      COUNTERSIGN_INTERNAL_ADDRESS: '127.0.0.1:0',
      COUNTERSIGN_MAILBOX_ADDRESS: '127.0.0.1:0',
      COUNTERSIGN_MAILBOX_SMTP_ADDRESS: '127.0.0.1:0',
    },
  });
  let words = '';
  const serving = Promise.withResolvers<number>();
  const hear = (chunk: Buffer) => {
    words += chunk;
    if (/is serving/.test(words)) serving.resolve((performance.now() - begin) / 1_000);
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  child.once('error', serving.reject);
  // When the last of them has let go of its output, not only npm.
  const ended = once(child, 'close').then(() => serving.reject(new Error(`npm start ended: ${words.slice(-500)}`)));
  const late = setTimeout(() => serving.reject(new Error('npm start does not serve')), patienceMs);
  try {
    return await serving.promise;
  } finally {
    clearTimeout(late);
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM');
    await ended;
  }
}
