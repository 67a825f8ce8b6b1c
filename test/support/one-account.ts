// What a statement of PostgreSQL touches beside the rows of one account, as PostgreSQL itself plans it. It must not know any statement.

import type pg from 'pg';

/** A step of a plan, as `explain (verbose, format json)` tells it: a column always has its table, or what it is called here, in front. */
interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Alias?: string;
  readonly Operation?: string;
  readonly 'CTE Name'?: string;
  readonly 'Subplan Name'?: string;
  readonly 'Parent Relationship'?: string;
  readonly Output?: readonly string[];
  readonly 'Index Cond'?: string;
  readonly 'Recheck Cond'?: string;
  readonly 'Join Filter'?: string;
  readonly Filter?: string;
  readonly Plans?: readonly PlanNode[];
}

/** What a step gets its rows from; other parts of the statement may be made before it. */
const rowsOf = ({ Plans: plans = [] }: PlanNode) =>
  plans.find((plan) => plan['Parent Relationship'] === 'Outer' || plan['Parent Relationship'] === 'Subquery');
const nodesOf = (root: PlanNode): readonly PlanNode[] => [root, ...(root.Plans ?? []).flatMap(nodesOf)];

/** Tables with an account in each row, and which of their columns that is. Partitions too. */
export async function accountTables(client: pg.Client): Promise<ReadonlyMap<string, number>> {
  const { rows } = await client.query<{ name: string; place: number }>(
    `select c.relname as name, a.attnum as place from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attname = 'account_id' and a.attnotnull`,
  );
  return new Map(rows.map(({ name, place }) => [name, place]));
}

export interface Asked {
  readonly text: string;
  /** What each parameter stands for, $1 first: two of one name have one value. Without names, each has its own. */
  readonly parameters?: readonly string[];
}

/**
 * Nothing where a statement is good. Tables that are in neither list are found to be strays, and those of `global` are noted in
 * `touched`. `client` should plan without scans of whole tables, which PostgreSQL prefers where they are small.
 */
export async function strays(
  client: pg.Client,
  { text, parameters = [] }: Asked,
  tables: ReadonlyMap<string, number>,
  global: ReadonlySet<string>,
  touched: Set<string>,
): Promise<readonly string[]> {
  const { rows } = await client.query<{ 'QUERY PLAN': readonly [{ readonly Plan: PlanNode }] }>(
    `explain (generic_plan, verbose, format json) ${text}`,
  );
  const root = rows[0]?.['QUERY PLAN'][0].Plan;
  if (root === undefined) throw new Error('PostgreSQL told no plan');
  const nodes = nodesOf(root);

  /** The accounts that the rows of each part of the plan are of, by what the part is called here. */
  const accounts = new Map<string, string>();
  /** The account that an expression is: of a parameter, or of a part of the plan whose rows are of one. */
  const accountOf = (expression: string): string | undefined => {
    const parameter = /^\(?\$(\d+)\)?(?:::text)?$/.exec(expression)?.[1];
    if (parameter !== undefined) return parameters[Number(parameter) - 1] ?? expression;
    const [, part, column] = /^(\w+)\.(\w+)$/.exec(expression) ?? [];
    return part !== undefined && column === 'account_id' ? accounts.get(part) : undefined;
  };
  const holdsFor = (alias: string, node: PlanNode): string | undefined => {
    const conditions = [node['Index Cond'], node['Recheck Cond'], node.Filter, node['Join Filter']];
    for (const condition of conditions.flatMap((each) => conjuncts(each ?? ''))) {
      const sides = condition.split(' = ');
      if (sides.length !== 2 || !sides.includes(`${alias}.account_id`)) continue;
      const account = accountOf(sides.find((side) => side !== `${alias}.account_id`) ?? '');
      if (account !== undefined) return account;
    }
    return undefined;
  };
  /** Of what has no table below it: another part of the plan. */
  const passedOn = (node: PlanNode): string | undefined => {
    const cte = node['CTE Name'];
    const from = cte === undefined ? rowsOf(node) : nodes.find((each) => each['Subplan Name'] === `CTE ${cte}`);
    const column = from?.Output?.find((each) => /^\w+\.account_id$/.test(each));
    return column === undefined ? undefined : accountOf(column);
  };
  // A part may get its account from one that stands below it.
  for (let before = -1; before !== accounts.size; ) {
    before = accounts.size;
    for (const node of nodes) {
      const { Alias: alias } = node;
      if (alias === undefined || accounts.has(alias)) continue;
      const isScan = node['Relation Name'] !== undefined && node['Node Type'] !== 'ModifyTable';
      const account = isScan ? holdsFor(alias, node) : passedOn(node);
      if (account !== undefined) accounts.set(alias, account);
    }
  }

  const used = new Set<string>();
  const found = nodes.flatMap((node) => {
    const { 'Relation Name': table, Alias: alias = '' } = node;
    if (table === undefined) return [];
    if (global.has(table)) {
      touched.add(table);
      return [];
    }
    const place = tables.get(table);
    if (place === undefined) return [`${table} has no account`];
    // What it changes was found below it; what it inserts is of the account that it is given.
    if (node['Node Type'] === 'ModifyTable' && node.Operation !== 'Insert') return [];
    const account =
      node['Node Type'] === 'ModifyTable' ? accountOf(rowsOf(node)?.Output?.[place - 1] ?? '') : accounts.get(alias);
    if (account !== undefined) {
      used.add(account);
      return [];
    }
    const conditions = [node['Index Cond'], node['Recheck Cond'], node.Filter].filter((each) => each !== undefined);
    return [`${table} by ${conditions.join(' ') || 'nothing'}`];
  });
  return used.size > 1 ? [...found, `several accounts: ${[...used].join(', ')}`] : found;
}

/** What must hold all together for a condition to hold, each as PostgreSQL writes it: what stands below an OR is none of it. */
function conjuncts(condition: string): readonly string[] {
  const parts: string[] = [];
  let [depth, start, isQuoted] = [0, 0, false];
  for (let at = 0; at < condition.length; at++) {
    const here = condition[at];
    if (here === "'") isQuoted = !isQuoted;
    if (isQuoted) continue;
    if (here === '(') depth += 1;
    if (here === ')') depth -= 1;
    if (depth === 0 && condition.startsWith(' AND ', at)) {
      parts.push(condition.slice(start, at));
      start = at + ' AND '.length;
    }
  }
  parts.push(condition.slice(start));
  if (parts.length > 1) return parts.flatMap(conjuncts);
  return isEnclosed(condition) ? conjuncts(condition.slice(1, -1)) : [condition];
}

/** Whether its first bracket ends with it. */
function isEnclosed(text: string): boolean {
  let [depth, isQuoted] = [0, false];
  for (const [at, here] of [...text].entries()) {
    if (here === "'") isQuoted = !isQuoted;
    if (isQuoted) continue;
    if (here === '(') depth += 1;
    if (here === ')') depth -= 1;
    if (depth === 0) return at > 0 && at === text.length - 1;
  }
  return false;
}
