// How large a deployment has to be. `npm run sizing` writes docs/sizing.md; `npm run sizing -- --accounts 5000000 --opensADay 10`
// prints the same for other numbers, and writes nothing.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { tableOf } from './figures.ts';
import { markdownTable } from './report.ts';
import { type Assumption, type Assumptions, assumptions, type Measured, type Size, sizeOf } from './sizing-model.ts';

const page = join(import.meta.dirname, '../docs/sizing.md');
const defaultAccounts = [1e6, 1e7, 1e8];
const names = Object.keys(assumptions) as Assumption[];

try {
  const { accounts, given, print } = readArguments();
  const measured: Measured = {
    rows: tableOf('FOOTPRINT.md', 'Rows'),
    bytes: tableOf('FOOTPRINT.md', 'Bytes'),
    cpu: tableOf('FOOTPRINT.md', 'CPU'),
    introspect: tableOf('RESULTS.md', 'introspect'),
    streams: tableOf('RESULTS.md', 'streams'),
  };
  const text = pageOf(
    accounts.map((count) => sizeOf(count, given, measured)),
    given,
  );
  if (print) process.stdout.write(text);
  else {
    mkdirSync(join(page, '..'), { recursive: true });
    writeFileSync(page, text);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}

function readArguments(): { accounts: readonly number[]; given: Assumptions; print: boolean } {
  const text = { type: 'string' } as const;
  const options = { accounts: text, ...Object.fromEntries(names.map((name) => [name, text])) };
  const parsed = parseArgs({ options: { ...options, print: { type: 'boolean' } } });
  const values: Readonly<Record<string, unknown>> = parsed.values;
  const numberOf = (name: string, given: unknown) => {
    const value = Number(given);
    if (given === '' || !(value >= 0 && value <= 1e12)) throw new Error(`--${name} takes a number, 0 or more`);
    return value;
  };
  const overridden = names.filter((name) => values[name] !== undefined);
  const given = Object.fromEntries(
    names.map((name) => [name, values[name] === undefined ? assumptions[name][0] : numberOf(name, values[name])]),
  ) as Record<Assumption, number>;
  for (const name of [
    'busy',
    'coresAReplica',
    'streamsAReplica',
    'connectionsAnEdge',
    'coresADatabase',
    'terabytesADatabase',
  ] as const)
    if (given[name] === 0) throw new Error(`--${name} takes a number above 0`);
  const accounts =
    values['accounts'] === undefined
      ? defaultAccounts
      : String(values['accounts'])
          .split(',')
          .map((count) => numberOf('accounts', count));
  const print = values['print'] === true || overridden.length > 0 || values['accounts'] !== undefined;
  return { accounts, given, print };
}

function pageOf(sizes: readonly Size[], given: Assumptions): string {
  const row = (what: string, of: (size: Size) => string) => [what, ...sizes.map(of)];
  const [first] = sizes;
  const head = (what: string) => row(what, ({ accounts }) => rounded(accounts));
  const perKind = (title: string, of: (size: Size) => Readonly<Record<string, number>>, write = rounded) => [
    row(title, (size) => write(Object.values(of(size)).reduce((total, each) => total + each, 0))),
    ...Object.keys(first === undefined ? {} : of(first))
      .filter((kind) => sizes.some((size) => (of(size)[kind] ?? 0) > 0))
      .map((kind) => row(`– ${kind}`, (size) => write(of(size)[kind] ?? 0))),
  ];
  return `${[
    '# How large it has to be',
    '`npm run sizing` writes this page, from what stands in [FOOTPRINT.md](../bench/FOOTPRINT.md) (rows, bytes and CPU of each flow) and ' +
      '[RESULTS.md](../bench/RESULTS.md) (IntrospectSession, memory of streams) and [of the edge](../README.md#behind-the-edge), and from what it takes for granted of your users. ' +
      'Give it your own numbers: `npm run sizing -- --accounts 5000000 --opensADay 10` prints the page for them.',
    markdownTable([
      head('accounts'),
      row('**replicas**', ({ replicas }) => rounded(replicas)),
      row('cores for them', ({ serverCores }) => rounded(serverCores)),
      row('streams at the busiest minute', ({ streams }) => rounded(streams)),
      row('their memory in a replica', ({ streamMemory }) => bytesOf(streamMemory)),
      row('**edges**', ({ edges }) => rounded(edges)),
      row('connections of clients at them', ({ edgeConnections }) => rounded(edgeConnections)),
      row('cores for them', ({ edgeCores }) => rounded(edgeCores)),
      row('memory of the connections at each', ({ edgeMemory }) => bytesOf(edgeMemory)),
      row('file descriptors of each', ({ edgeFiles }) => rounded(edgeFiles)),
      row(
        '**PostgreSQL servers** (more than one: [shards](operating.md#more-than-one-postgresql-can-take))',
        ({ databases }) => rounded(databases),
      ),
      row('cores for them', ({ databaseCores }) => rounded(databaseCores)),
      row('connections', ({ connections }) => rounded(connections)),
      ...perKind('**storage**', ({ storage }) => storage, bytesOf),
      row('**jobs a day**', ({ jobsADay }) => rounded(jobsADay)),
    ]),
    '## Calls a second, in the busiest minute',
    markdownTable([head('accounts'), ...perKind('**together**', ({ calls }) => calls)]),
    '## Rows a day',
    markdownTable([head('accounts'), ...perKind('**together**', ({ rowsADay }) => rowsADay)]),
    '## What is taken for granted',
    markdownTable([
      ['parameter', 'value', 'what it is'],
      ...names.map((name) => [`\`--${name}\``, String(given[name]), assumptions[name][1]]),
    ]),
    [
      '- Rows are kept for as long as the defaults say: login activity and audit records 400 days, challenges and deliveries 30.',
      '- Cores are those of the machine that measured, which was busy with the load, too, and two of them: CPU time, not seconds, is what ' +
        'was counted. Most of a sign-in is the password hash, which takes what it takes by design.',
      '- An app holds one connection to the edge while it is open, and a minute longer if it does not end it itself. What HAProxy takes for the ' +
        'keep-alives of a stream was not measured. More than 8,000 connections at one edge were not tried: ' +
        '[the guide](operating.md#the-edge) says what goes with a larger number.',
      '- Not in it: attackers, what TLS takes where no edge ends it, WAL, back-ups, room for vacuum, and what a page that is no longer in memory costs: ' +
        'at 100 times the rows of what was measured, PostgreSQL reads from disk. Take the storage twice, and try with your own load ' +
        'before you rely on it.',
      '- A replica takes 0.3 GiB at rest and 0.7 GiB after a load, of which the bundled city data is 0.13, and the memory of its streams on top.',
    ].join('\n'),
  ].join('\n\n')}\n`;
}

/** Three digits, and a unit. */
function withUnit(value: number, units: readonly string[]): string {
  const step = Math.max(0, Math.min(units.length - 1, Math.floor(Math.log10(Math.max(value, 1)) / 3)));
  return `${Number((value / 1000 ** step).toPrecision(3))}${units[step]}`;
}

function rounded(value: number): string {
  return withUnit(value, ['', ' k', ' M', ' G']);
}

function bytesOf(value: number): string {
  return withUnit(value, [' B', ' kB', ' MB', ' GB', ' TB']);
}
