// Measures the product beside floors and beside better-auth. `npm run bench` runs every scenario and writes RESULTS.md;
// `npm run bench -- NAME` runs those with NAME in their name, and only prints.

import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createContestants } from './contestants.ts';
import { printReport, type Report, toMarkdown } from './report.ts';
import type { Scenario, Stage } from './scenario.ts';
import { activity } from './scenarios/activity.ts';
import { fanOut } from './scenarios/fan-out.ts';
import { gate } from './scenarios/gate.ts';
import { hashing } from './scenarios/hashing.ts';
import { introspect } from './scenarios/introspect.ts';
import { newDevice } from './scenarios/new-device.ts';
import { push } from './scenarios/push.ts';
import { refresh } from './scenarios/refresh.ts';
import { start } from './scenarios/start.ts';
import { statements } from './scenarios/statements.ts';
import { streams } from './scenarios/streams.ts';
import { trusted } from './scenarios/trusted.ts';
import { verify } from './scenarios/verify.ts';
import { measure } from './support.ts';

const scenarios: readonly Scenario[] = [
  introspect,
  gate,
  verify,
  trusted,
  newDevice,
  refresh,
  activity,
  hashing,
  fanOut,
  push,
  streams,
  statements,
  start,
];
/** Many and short ones: what disturbs the machine comes and goes within seconds, and the median is over the rounds. */
const rounds = 9;
const sliceMs = 450;
/** For everything but what is loaded before. */
const withinMs = 360_000;
const loadingWithinMs = 120_000;

const [name = ''] = process.argv.slice(2);
const chosen = scenarios.filter((scenario) => scenario.name.includes(name));
if (chosen.length === 0) {
  process.stderr.write(
    `no scenario has ${name} in its name: ${scenarios.map((scenario) => scenario.name).join(', ')}\n`,
  );
  process.exit(1);
}

await measure(withinMs + loadingWithinMs, async (parts) => {
  const loadBefore = loadText();
  const database = new pg.Pool({ connectionString: parts.databaseUrl, max: 2 });
  database.on('error', () => {});
  const contestants = createContestants(parts, database);
  const stageUntil = (deadline: number): Stage => ({
    parts,
    database,
    contestants,
    options: { rounds, sliceMs, deadline, postgresCpuMs: parts.postgresCpuMs },
  });
  const reports: Report[] = [];
  const remarks: string[] = [];
  for (const scenario of chosen) {
    const began = performance.now();
    const loaded = await scenario.load?.(stageUntil(Number.POSITIVE_INFINITY));
    if (loaded !== undefined) remarks.push(`Loaded before, in ${secondsSince(began)} s: ${loaded}.`);
  }
  const begin = performance.now();
  const deadline = begin + withinMs;
  for (const scenario of chosen) {
    if (performance.now() > deadline) {
      remarks.push(`${scenario.name} is cut: the run has used up its ${withinMs / 1_000} s.`);
      continue;
    }
    const began = performance.now();
    try {
      const report = { scenario, findings: await scenario.run(stageUntil(deadline)) };
      reports.push(report);
      printReport(report);
    } catch (error) {
      remarks.push(`${scenario.name} failed: ${error instanceof Error ? error.message : error}`);
      process.stderr.write(`${scenario.name}: ${error instanceof Error ? error.stack : error}\n`);
    }
    if (performance.now() > deadline) remarks.push(`${scenario.name} is cut short: the run has used up its time.`);
    process.stderr.write(`${scenario.name} took ${secondsSince(began)} s\n`);
  }
  remarks.push(...contestants.missing);
  for (const remark of remarks) process.stdout.write(`${remark}\n`);
  const { rows } = await database.query<{ version: string }>("select current_setting('server_version') as version");
  await database.end();
  await contestants.close();
  if (name === '') {
    const facts = [
      ['Node', process.version],
      ['PostgreSQL', `${rows[0]?.version}, with fsync`],
      ['cores', `${availableParallelism()} (${cpus()[0]?.model ?? 'unknown'})`],
      ['load average at the begin', loadBefore],
      ['load average at the end', loadText()],
      ['took', `${secondsSince(begin)} s`],
    ] as const;
    const date = new Date().toISOString().slice(0, 10);
    await writeFile(join(import.meta.dirname, 'RESULTS.md'), toMarkdown(reports, { date, facts, remarks }));
  }
  return reports.length === chosen.length;
});

function secondsSince(begin: number): string {
  return ((performance.now() - begin) / 1_000).toFixed(0);
}

function loadText(): string {
  return loadavg()
    .map((load) => load.toFixed(2))
    .join(', ');
}
