// What was found, for the terminal and as bench/RESULTS.md.

import type { Findings, Scenario, Table, Target } from './scenario.ts';
import { printTable } from './support.ts';

export interface Report {
  readonly scenario: Scenario;
  readonly findings: Findings;
}

export function printReport({ scenario, findings }: Report): void {
  process.stdout.write(`\n${scenario.name}: ${scenario.title}\n`);
  for (const { title, rows } of findings.tables) {
    if (title !== scenario.title) process.stdout.write(`${title}\n`);
    printTable(rows);
  }
  for (const target of findings.targets) process.stdout.write(`${wordsOf(target)}\n`);
  for (const note of findings.notes) process.stdout.write(`${note}\n`);
}

export function wordsOf({ what, wanted, measured, reached }: Target): string {
  return `${reached ? 'reached' : 'NOT reached'}: ${what}: ${measured}, wanted ${wanted}`;
}

export interface Circumstances {
  readonly date: string;
  readonly facts: readonly (readonly [string, string])[];
  /** What was cut, skipped or failed. */
  readonly remarks: readonly string[];
}

export function toMarkdown(reports: readonly Report[], { date, facts, remarks }: Circumstances): string {
  const targets = reports.flatMap(({ scenario, findings }) =>
    findings.targets.map((target) => [
      scenario.name,
      target.what,
      target.wanted,
      target.measured,
      target.reached ? 'reached' : '**not reached**',
    ]),
  );
  const sections = reports.flatMap(({ scenario, findings }) => [
    `## ${scenario.name}`,
    ...findings.tables.flatMap(({ title, rows }) => [`${title}:`, markdownTable(rows)]),
    ...(findings.notes.length === 0 ? [] : [findings.notes.map((note) => `- ${note}`).join('\n')]),
  ]);
  return `${[
    '# What the bench measured',
    `\`npm run bench\`, ${date}. It writes this file; every run is its own, and ratios hold within one.`,
    markdownTable([['', ''], ...facts]),
    ...(remarks.length === 0 ? [] : [remarks.map((remark) => `- ${remark}`).join('\n')]),
    '## Targets',
    markdownTable([['scenario', 'what', 'wanted', 'measured', ''], ...targets]),
    'Rates are medians over the rounds, in which every contestant has a short slice, in turned order; latencies are of all ' +
      'calls in the slices. The load is made by one more process of the same machine, whose CPU is told too.',
    ...sections,
  ].join('\n\n')}\n`;
}

export function markdownTable([head = [], ...rows]: Table['rows']): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map((_, index) => (index === 0 ? '---' : '---:')).join('|')}|`, ...rows.map(line)].join(
    '\n',
  );
}
