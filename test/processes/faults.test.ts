// A steady load of complete sign-ins through the edge, while one part of the site after the other fails: what was acknowledged
// stands, nothing is done twice, and no removed device is let in. `FAULT_SECONDS=60 npm test -- faults` lets each take a minute.

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { startLoad } from '../support/load.ts';
import { programs } from '../support/processes.ts';
import { hasSite, type Site, startSite } from '../support/site.ts';

const seconds = Number(process.env['FAULT_SECONDS'] ?? 4);
const rate = Number(process.env['FAULT_RATE'] ?? 4);
const workers = 6;
const hasIt = await hasSite();
const running = programs();
const table: string[] = [];
let site: Site | undefined;

beforeAll(async () => {
  site = await startSite(running, {});
  if (site === undefined) return;
  // What was answered is to outlive a kill: a cluster of tests forgoes that.
  const db = new pg.Client({ connectionString: site.cluster.url() });
  await db.connect();
  await db.query('alter database countersign set synchronous_commit = on');
  await db.end();
}, 120_000);
afterAll(async () => {
  await site?.discard();
  process.stdout.write(`${table.join('\n')}\n`);
});

interface Fault {
  readonly name: string;
  /** Whether a mail may come twice: whoever handed it over could not note it. */
  readonly mailsMayDouble: boolean;
  /** Takes about so long. */
  readonly happen: (site: Site, ms: number) => Promise<void>;
}

const faults: readonly Fault[] = [
  {
    name: 'a replica killed, again and again',
    mailsMayDouble: true,
    happen: async ({ replicas }, ms) => {
      const everyMs = Math.min(5_000, ms / 2);
      const end = performance.now() + ms;
      for (let turn = 0; performance.now() < end; turn++) {
        const next = sleep(everyMs);
        const replica = replicas[turn % replicas.length];
        await replica?.kill();
        await replica?.start();
        await next;
      }
    },
  },
  {
    name: 'PostgreSQL restarted, and killed',
    mailsMayDouble: true,
    happen: async ({ restartPostgres }, ms) => {
      for (const how of ['stop', 'kill'] as const) {
        await sleep(ms / 4);
        await restartPostgres(how);
        await sleep(ms / 4);
      }
    },
  },
  {
    name: 'Redis killed for a while',
    mailsMayDouble: false,
    happen: async ({ redis }, ms) => {
      const awayMs = Math.min(10_000, ms / 2);
      await sleep((ms - awayMs) / 2);
      await redis.kill();
      await sleep(awayMs);
      await redis.start();
      await sleep((ms - awayMs) / 2);
    },
  },
  {
    name: 'the edge reloaded ten times',
    mailsMayDouble: false,
    happen: async ({ edge }, ms) => {
      for (let reload = 0; reload < 10; reload++) {
        const next = sleep(ms / 10);
        await edge.reload();
        await next;
      }
    },
  },
  {
    name: 'the mail server down for half of the time',
    mailsMayDouble: false,
    happen: async ({ mail }, ms) => {
      await sleep(ms / 4);
      await mail.pause();
      await sleep(ms / 2);
      await mail.resume();
      await sleep(ms / 4);
    },
  },
];

test.skipIf(!hasIt).each(faults)(
  '$name: what was acknowledged stands, once',
  { timeout: 180_000 + seconds * 3_000 },
  async (fault) => {
    if (site === undefined) throw new Error('no site');
    const load = await startLoad({
      baseUrls: [site.edge.url],
      ca: site.edge.ca,
      service: (site.replicas[0] as Site['replicas'][number]).server.service,
      mail: site.mail,
      signInsPerSecond: rate,
      workers,
      accountsPerWorker: 1 + Math.ceil((seconds * rate) / workers / 8),
    });
    await eventually(30_000, () => expect(load.counts.acknowledged).toBeGreaterThan(20));
    await fault.happen(site, seconds * 1_000);
    // It goes on by itself.
    const { acknowledged } = load.counts;
    await eventually(30_000, () => expect(load.counts.acknowledged).toBeGreaterThan(acknowledged + 20));
    const result = await load.finish(site.cluster.url());
    const { counts, lost, doubled, failed, mailsTwice, removedTries, removedLetIn } = result;
    const refused = Object.entries(counts.refused).map(([reason, count]) => `${reason} ${count}`);
    if (table.length === 0) {
      table.push(
        '| fault | sign-ins | calls | acknowledged | refused | retried | slowest ms | given up | lost | doubled | mails twice | removed: tries, let in |',
      );
      table.push('|---|---|---|---|---|---|---|---|---|---|---|---|');
    }
    const cells = [
      `${fault.name} (${seconds} s)`,
      result.signIns,
      counts.calls,
      counts.acknowledged,
      refused.join(', ') || 'none',
      counts.retried,
      Math.round(counts.slowestMs),
      failed.length,
      lost.length,
      doubled.length,
      mailsTwice,
      `${removedTries}, ${removedLetIn}`,
    ];
    table.push(`| ${cells.join(' | ')} |`);
    expect({ lost, doubled, failed, removedLetIn }).toEqual({ lost: [], doubled: [], failed: [], removedLetIn: 0 });
    if (!fault.mailsMayDouble) expect(mailsTwice).toBe(0);
  },
);
