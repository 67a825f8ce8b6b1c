// What an open WatchDevice stream takes of memory, beside a plain Connect stream. `bench:streams` is the same with more of
// them, and with what they cost at rest.

import { setTimeout as sleep } from 'node:timers/promises';
import { createAccounts } from '../accounts.ts';
import { openedBy } from '../open-streams.ts';
import type { Scenario } from '../scenario.ts';

const accounts = 50;
const devicesEach = 20;
const connections = 50;
const most = 0.6;
/** The plain server notices at its next keep-alive, every 20 s, that a stream has gone. */
const plainForgetsMs = 22_000;

export const streams: Scenario = {
  name: 'streams',
  title: `Memory of ${accounts * devicesEach} open streams on ${connections} connections`,
  async run({ parts, database }) {
    // Of its own, so that what others left in its heap is not part of it.
    const [server, plain] = await Promise.all([
      parts.start('server-process.ts'),
      parts.start('plain-streams-process.ts'),
    ]);
    const devices = await createAccounts(database, { prefix: 'streams-', accounts, devicesEach, hash: 'plain' });
    const tokens = devices.map(({ accessToken }) => accessToken);
    const open = async () => {
      const { rows } = await database.query<{ n: number }>(
        "select count(*)::int as n from open_stream where account_id like 'streams-%'",
      );
      return rows[0]?.n ?? 0;
    };
    const options = { tokens, accounts, connections, warmUp: tokens.length };
    const floor = await openedBy(plain, options, undefined);
    const closed = performance.now();
    const ours = await openedBy(server, options, open);
    await ours.openAll();
    await sleep(Math.max(0, closed + plainForgetsMs - performance.now()));
    await floor.openAll();
    const [our, their] = [await ours.memoryPerStream(), await floor.memoryPerStream()];
    ours.closeAll();
    floor.closeAll();
    await Promise.all([server.stop(), plain.stop()]);
    const kib = (bytes: number) => (bytes / 1_024).toFixed(1);
    const row = (what: string, of: 'rss' | 'heapUsed' | 'external') => [
      what,
      kib(our[of]),
      kib(their[of]),
      (our[of] / their[of]).toFixed(2),
    ];
    const target = (what: string, ratio: number) => ({
      what: `${what} a stream, Countersign / plain Connect`,
      wanted: `≤ ${most.toFixed(2)}`,
      measured: ratio.toFixed(2),
      reached: ratio <= most,
    });
    return {
      tables: [
        {
          title: streams.title,
          rows: [
            ['KiB a stream', 'Countersign', 'plain Connect', 'ratio'],
            row('RSS', 'rss'),
            row('heap', 'heapUsed'),
            row('external', 'external'),
          ],
        },
      ],
      targets: [
        target('RSS', our.rss / their.rss),
        target('heap and external', (our.heapUsed + our.external) / (their.heapUsed + their.external)),
      ],
      notes: [
        'What the later three quarters of the streams added, after a collection. Both opened and closed as many before: RSS is ' +
          'coarse, since it grows by what is not found free in the process, and differs from run to run by a third.',
      ],
    };
  },
};
