// What the login activity costs when it is large: the same account among 100,000 events and among 10 million, in two databases of
// one cluster, call by call in turns; and what PostgreSQL reads for it. `npm run bench:history` writes HISTORY.md; with
// HISTORY_EVENTS=1000000 the large one is smaller, and the run only prints.

import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import type { ActivityFilter } from '../server/flows/store-ports.ts';
import { insertEvent, listEvents, mostScanned, rangeOf, searchEvents } from '../server/store/login-events.ts';
import type { Db } from '../server/store/statement.ts';
import { begunScansOf, besideKeyRanges, explain, type Plan } from '../test/support/explain.ts';
import { median } from './contest.ts';
import {
  accountIdOf,
  big,
  bigEvents,
  eventOf,
  load,
  notBefore,
  now,
  openSite,
  random,
  type Site,
  sizeOf,
  thousands,
} from './history-site.ts';
import { markdownTable, wordsOf } from './report.ts';
import type { Target } from './scenario.ts';
import { measure, printTable } from './support.ts';

const smallEvents = 100_000;
const fullEvents = 10_000_000;
const largeEvents = Number(process.env['HISTORY_EVENTS'] ?? fullEvents);
const pageSize = 20;
const deepPage = 500;
/** Each begins with new connections: which core a connection's process is on makes more of a difference than most else. */
const laps = 12;
/** Of each kind, in a lap. */
const readsALap = 80;
const writesALap = 125;
/** Of each kind in each lap, which are not counted. */
const firstOnes = 15;
/** So many writes touch nearly every page that a write can touch. */
const writesToWarmUp = 15_000;
/** Accounts with as many events as most, whose pages are read in turns. */
const readers = 200;
const mostRatio = 1.2;

const everything: ActivityFilter = { kinds: [], deviceId: null, unusualOnly: false, startTime: null, endTime: null };
/** More than half of the events are. */
const signIns: ActivityFilter = {
  ...everything,
  kinds: ['SIGNED_IN_TRUSTED_DEVICE', 'SIGNED_IN_WITH_CODE', 'SIGNED_IN_WITHOUT_TWO_STEP'],
};
/** One event in ten is of this kind. */
const oneInTen: ActivityFilter = { ...everything, kinds: ['CODE_WRONG'] };
/** None is. */
const none: ActivityFilter = { ...everything, kinds: ['SETTINGS_CHANGED'] };

const firstPage = 'first page, an account of 100';
const bigFirstPage = `first page, an account of ${thousands(bigEvents)}`;
const bigDeepPage = `page ${deepPage} of it`;
const filteredPage = 'a page of its sign-ins only';
const rarePage = 'a page of what one in ten of its events is';
const coldWrite = 'writing an event, committed, right after a checkpoint';
const warmWrite = 'writing an event, committed';
const emptyPage = `the same where none of ${thousands(mostScanned)} fits`;

await measure(60 * 60_000, async (parts) => {
  const begin = performance.now();
  const control = await openSite(parts, 'countersign', smallEvents, 'again');
  const small = await openSite(parts, 'countersign', smallEvents, '');
  const large = await openSite(parts, 'history_large', largeEvents, '');
  const sites = [small, large, control];
  for (const site of [small, large]) {
    await load(site);
    process.stderr.write(`${site.name}: loaded in ${site.loadSeconds.toFixed(0)} s\n`);
  }
  const sizes = await Promise.all([sizeOf(small), sizeOf(large)]);
  for (const site of sites) site.deep = await walkTo(site, deepPage);

  const times = await readAll(sites);
  const plans = await Promise.all([small, large].map(plansOf));
  await small.client.query('checkpoint');
  times.set(coldWrite, await writeAll(sites));
  for (const site of [small, large]) await warmUpWrites(site);
  times.set(warmWrite, await writeAll(sites));
  times.set(`erasing the account of ${thousands(bigEvents)}`, await eraseBig([small, large]));
  const targets = judge(times, plans);

  const table = [
    ['median ms', small.name, large.name, 'ratio', 'noise'],
    ...[...times].map(([what, of]) => {
      const [ofSmall = Number.NaN, ofLarge = Number.NaN, ofControl = Number.NaN] = of.map(median);
      const noise = Number.isNaN(ofControl) ? '-' : (ofControl / ofSmall).toFixed(2);
      return [what, ofSmall.toFixed(3), ofLarge.toFixed(3), (ofLarge / ofSmall).toFixed(2), noise];
    }),
  ];
  printTable(table);
  for (const target of targets) process.stdout.write(`${wordsOf(target)}\n`);
  for (const plan of plans[1] ?? []) process.stdout.write(`\n${plan.what}\n${shortened(plan.plan.text)}\n`);
  const minutes = ((performance.now() - begin) / 60_000).toFixed(0);
  const facts = await factsOf(small, [
    ...[small, large].map((site, index) => [site.name, `${sizes[index]}, loaded in ${site.loadSeconds.toFixed(0)} s`]),
    ['took', `${minutes} minutes`],
  ]);
  if (largeEvents === fullEvents) {
    const markdown = toMarkdown(facts, targets, table, plans[1] ?? []);
    await writeFile(join(import.meta.dirname, 'HISTORY.md'), markdown);
  }
  for (const site of sites) await site.close();
  return plans.every((of) => of.length === 4);
});

/** The id that the page begins behind. */
async function walkTo({ store }: Site, page: number): Promise<string> {
  let before: string | null = null;
  for (let at = 1; at < page; at++) {
    const { next } = await store.listEvents(big, everything, before, notBefore, pageSize);
    if (next === undefined) throw new Error(`there are only ${at} pages`);
    before = next;
  }
  return before ?? '';
}

type Times = Map<string, number[][]>;
/** Every kind of page at every site, in turns. */
async function readAll(sites: readonly Site[]): Promise<Times> {
  const list = (site: Site, accountId: string, filter: ActivityFilter, before: string | null) =>
    site.store.listEvents(accountId, filter, before, notBefore, pageSize);
  const kinds: readonly (readonly [string, number, (site: Site, turn: number) => ReturnType<typeof list>])[] = [
    [firstPage, pageSize, (site, turn) => list(site, accountIdOf(1 + (turn % readers)), everything, null)],
    [bigFirstPage, pageSize, (site) => list(site, big, everything, null)],
    [bigDeepPage, pageSize, (site) => list(site, big, everything, site.deep)],
    [filteredPage, pageSize, (site) => list(site, big, signIns, null)],
    [rarePage, pageSize, (site) => list(site, big, oneInTen, null)],
    [emptyPage, 0, (site) => list(site, big, none, null)],
  ];
  // Else the first that asks for an account's page would read it from the disk.
  for (const site of sites) {
    for (let number = 1; number <= readers; number++) await list(site, accountIdOf(number), everything, null);
  }
  const times: Times = new Map(kinds.map(([what]) => [what, sites.map((): number[] => [])]));
  for (let lap = 0; lap < laps; lap++) {
    for (const site of sites) await site.connect();
    for (const [what, wanted, call] of kinds) {
      await inTurns(sites, readsALap, times.get(what) ?? [], async (site, turn) => {
        const { events } = await call(site, lap * readsALap + turn);
        if (events.length !== wanted) throw new Error(`${what}: ${events.length} events at ${site.name}`);
      });
    }
  }
  return times;
}

/** Makes `count` calls at each site, another one first in each turn, and adds what each took to `times`. */
async function inTurns(
  sites: readonly Site[],
  count: number,
  times: readonly number[][],
  call: (site: Site, turn: number) => Promise<unknown>,
): Promise<void> {
  for (let turn = -firstOnes; turn < count; turn++) {
    for (let at = 0; at < sites.length; at++) {
      const index = (turn + firstOnes + at) % sites.length;
      const began = performance.now();
      await call(sites[index] as Site, turn + firstOnes);
      if (turn >= 0) times[index]?.push(performance.now() - began);
    }
  }
}

/** An event of any account, in a transaction under the account's lock, as every sign-in writes it. */
function write({ store, accounts }: Site): Promise<void> {
  const accountId = accountIdOf(1 + Math.floor(random.fraction() * (accounts - 1)));
  return store.inAccount(accountId, async (tx) => tx.appendEvent(eventOf(accountId)));
}

async function warmUpWrites(site: Site): Promise<void> {
  let left = writesToWarmUp;
  const work = async () => {
    while (left > 0) {
      left -= 1;
      await write(site);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
}

async function writeAll(sites: readonly Site[]): Promise<number[][]> {
  const times = sites.map((): number[] => []);
  for (let lap = 0; lap < laps; lap++) {
    for (const site of sites) await site.connect();
    await inTurns(sites, writesALap, times, write);
  }
  return times;
}

async function eraseBig(sites: readonly Site[]): Promise<number[][]> {
  const of: number[][] = [];
  for (const { store, client } of sites) {
    const began = performance.now();
    await store.eraseOldest(big);
    await store.inAccount(big, (tx) => tx.eraseAccount());
    of.push([performance.now() - began]);
    const { rowCount } = await client.query('select from login_event where account_id = $1', [big]);
    if (rowCount !== 0) throw new Error(`${rowCount} events are left`);
  }
  return of;
}

interface NamedPlan {
  readonly what: string;
  readonly plan: Plan;
}

/** Of the statements as the store's connections have them prepared. */
async function plansOf(site: Site): Promise<readonly NamedPlan[]> {
  const range = (before: string | null) => rangeOf(big, everything, before, notBefore);
  const works: readonly (readonly [string, (db: Db) => unknown])[] = [
    [bigFirstPage, (db) => listEvents(db, range(null), pageSize)],
    [bigDeepPage, (db) => listEvents(db, range(site.deep), pageSize)],
    [filteredPage, (db) => searchEvents(db, range(null), signIns, pageSize)],
    ['writing an event', (db) => insertEvent(db, eventOf(big))],
  ];
  const plans: NamedPlan[] = [];
  for (const [what, work] of works) {
    const [plan] = await explain(site.client, work);
    if (plan !== undefined) plans.push({ what, plan });
  }
  return plans;
}

function judge(times: Times, plans: readonly (readonly NamedPlan[])[]): readonly Target[] {
  // What is done once, or between a checkpoint and its first writes, is told and not judged.
  const judged = [...times].filter(([what, [ofSmall = []]]) => ofSmall.length > 1 && what !== coldWrite);
  const ratios = judged.map(([what, [ofSmall = [], ofLarge = []]]): Target => {
    const ratio = median(ofLarge) / median(ofSmall);
    const wanted = `≤ ${mostRatio.toFixed(2)}`;
    return { what: `${what}: large / small`, wanted, measured: ratio.toFixed(2), reached: ratio <= mostRatio };
  });
  const medianOf = (what: string) => median(times.get(what)?.[1] ?? []);
  const depth = medianOf(bigDeepPage) / medianOf(bigFirstPage);
  const pages = plans.flatMap((of) => of.filter(({ what }) => what !== 'writing an event'));
  const beside = pages.flatMap(({ what, plan }) => besideKeyRanges(plan).map((detour) => `${what}: ${detour}`));
  // Of months that are still to come there is nothing to read.
  const read = (wanted: string) =>
    Math.max(
      ...pages
        .filter(({ what }) => what === wanted)
        .map(({ plan }) => begunScansOf(plan).filter((node) => node['Actual Rows'] > 0).length),
    );
  const blocks = (wanted: string) =>
    Math.max(
      ...pages
        .filter(({ what }) => what === wanted)
        .map(({ plan }) => plan.root['Shared Hit Blocks'] + plan.root['Shared Read Blocks']),
    );
  const atMost = (what: string, most: number, measured: number): Target => ({
    what,
    wanted: `≤ ${most}`,
    measured: String(measured),
    reached: measured <= most,
  });
  return [
    ...ratios,
    {
      what: `page ${deepPage} / page 1`,
      wanted: `≤ ${mostRatio.toFixed(2)}`,
      measured: depth.toFixed(2),
      reached: depth <= mostRatio,
    },
    {
      what: 'what pages read beside key ranges of one account',
      wanted: 'nothing',
      measured: beside.join('; ') || 'nothing',
      reached: beside.length === 0,
    },
    atMost('months with rows that page 1 reads', 2, read(bigFirstPage)),
    atMost(`months with rows that page ${deepPage} reads`, 2, read(bigDeepPage)),
    atMost('blocks that page 1 reads', 80, blocks(bigFirstPage)),
    atMost(`blocks that page ${deepPage} reads`, 80, blocks(bigDeepPage)),
  ];
}

/** A plan with the scans that were not begun in one line. */
function shortened(text: string): string {
  const lines: string[] = [];
  let skipped = 0;
  let inSkipped = false;
  const flush = () => {
    if (skipped > 0) lines.push(`${' '.repeat(8)}… ${skipped} more months (never executed)`);
    skipped = 0;
  };
  for (const line of text.split('\n')) {
    const isStep = line.trimStart().startsWith('->');
    if (isStep && line.includes('(never executed)') && line.includes('Index Scan')) {
      skipped += 1;
      inSkipped = true;
      continue;
    }
    if (inSkipped && !isStep && line.startsWith(' ')) continue;
    inSkipped = false;
    flush();
    lines.push(line);
  }
  flush();
  return lines.join('\n');
}

async function factsOf(site: Site, more: readonly (readonly string[])[]): Promise<readonly (readonly string[])[]> {
  const { rows } = await site.client.query<{ version: string; buffers: string }>(
    `select current_setting('server_version') as version, current_setting('shared_buffers') as buffers`,
  );
  return [
    ['Node', process.version],
    ['PostgreSQL', `${rows[0]?.version}, with fsync, shared_buffers ${rows[0]?.buffers}`],
    ['cores', `${availableParallelism()} (${cpus()[0]?.model ?? 'unknown'})`],
    ...more,
  ];
}

function toMarkdown(
  facts: readonly (readonly string[])[],
  targets: readonly Target[],
  table: readonly (readonly string[])[],
  plans: readonly NamedPlan[],
): string {
  return `${[
    '# What the login activity costs when it is large',
    `\`npm run bench:history\`, ${now.toISOString().slice(0, 10)}. It writes this file; every run is its own, and ratios hold within one.`,
    markdownTable([['', ''], ...facts]),
    '## Targets',
    markdownTable([
      ['what', 'wanted', 'measured', ''],
      ...targets.map(({ what, wanted, measured, reached }) => [
        what,
        wanted,
        measured,
        reached ? 'reached' : '**not reached**',
      ]),
    ]),
    '## Times',
    markdownTable(table),
    [
      `- Through the store, over loopback, at ${pageSize} events a page, one call after the other, sizes in turns: medians of ` +
        `${laps * readsALap} reads and ${laps * writesALap} writes. Noise is the small database again, through other connections.`,
      '- Both databases are of one cluster. Events lie as time went, over 14 months; all but one account have 100 each, so that at ' +
        'both sizes a first page reaches as far back.',
      `- A filter is looked for in ${thousands(mostScanned)} events at a time, whatever it is; what comes behind is for the next page. ` +
        `Each of the ${thousands(mostScanned)} lies in a block of its own where there are many; at ${thousands(smallEvents)} events one ` +
        'in five is of this account, and two lie in a block, which the processor reads faster.',
      `- The first write to a page after a checkpoint copies the page to the log (full_page_writes), and where there are many pages ` +
        `there are many first writes. Writing is measured again after ${thousands(writesToWarmUp)} writes at each size.`,
      '- Erasing is done once, so it is told and not judged. It goes in steps of at most 1,000 rows and a last transaction.',
    ].join('\n'),
    '## Plans',
    'Of the statements as connections have them prepared (generic), at the large size, with the account of 20,000. Months that are still ' +
      'to come are looked into, and are empty. `Subplans Removed` are the months that the values rule out before anything begins.',
    ...plans.map(
      ({ what, plan }) => `${what[0]?.toUpperCase()}${what.slice(1)}:\n\n\`\`\`\n${shortened(plan.text)}\n\`\`\``,
    ),
  ].join('\n\n')}\n`;
}
