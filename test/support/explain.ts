// How PostgreSQL runs what the store sends: the plan of a prepared statement, as a connection of the store has it, with what each
// step of it did. It must not know any statement.

import pg from 'pg';
import type { Db, Statement } from '../../server/store/statement.ts';

/** A step of a plan, as `explain (format json)` tells it. */
export interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Index Cond'?: string;
  /** Of an Append: those of its parts that the values of this run have ruled out. */
  readonly 'Subplans Removed'?: number;
  /** 0 where it was never begun. */
  readonly 'Actual Loops': number;
  readonly 'Actual Rows': number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly Plans?: readonly PlanNode[];
}

export interface Plan {
  readonly root: PlanNode;
  /** All of its steps. */
  readonly nodes: readonly PlanNode[];
  /** As PostgreSQL writes it for people. */
  readonly text: string;
}

/**
 * Explains every statement that `work` sends, on a connection that nobody else uses. They are run, and nothing that they do
 * stays; to `work` each of them finds nothing.
 */
export async function explain(client: pg.Client, work: (db: Db) => unknown): Promise<readonly Plan[]> {
  const sent: (readonly [Statement<unknown, unknown>, unknown])[] = [];
  const note = (statement: Statement<never, unknown>, values: unknown) =>
    void sent.push([statement as Statement<unknown, unknown>, values]);
  await work({
    rows: async (statement, values) => {
      note(statement as Statement<never, unknown>, values);
      return [];
    },
    write: (statement, values) => note(statement as Statement<never, unknown>, values),
    afterCommit: () => {},
    whenCommitted: () => {},
  });
  const plans: Plan[] = [];
  await client.query('begin');
  try {
    await client.query('set local plan_cache_mode = force_generic_plan');
    for (const [statement, values] of sent) plans.push(await planOf(client, statement, values));
  } finally {
    await client.query('rollback');
    await client.query('deallocate all');
  }
  return plans;
}

async function planOf(client: pg.Client, statement: Statement<unknown, unknown>, values: unknown): Promise<Plan> {
  await client.query(`prepare explained as ${statement.text}`);
  const bound = statement.bind(values).map(literal);
  const run = `execute explained${bound.length === 0 ? '' : `(${bound.join(', ')})`}`;
  await client.query('savepoint before');
  const json = await client.query<{ 'QUERY PLAN': readonly [{ readonly Plan: PlanNode }] }>(
    `explain (analyze, buffers, format json) ${run}`,
  );
  await client.query('rollback to before');
  const text = await client.query<{ 'QUERY PLAN': string }>(`explain (analyze, buffers, costs off) ${run}`);
  await client.query('deallocate explained');
  const root = json.rows[0]?.['QUERY PLAN'][0].Plan;
  if (root === undefined) throw new Error('PostgreSQL told no plan');
  return { root, nodes: nodesOf(root), text: text.rows.map((row) => row['QUERY PLAN']).join('\n') };
}

/** The steps that look at a table. */
export const scansOf = ({ nodes }: Plan) => nodes.filter((node) => node['Relation Name'] !== undefined);

/** Those that were begun. */
export const begunScansOf = (plan: Plan) => scansOf(plan).filter((node) => node['Actual Loops'] > 0);

/**
 * What a plan does beside walking along one account's range of the keys of login_event's partitions, in their order: nothing
 * where it is good.
 */
export function besideKeyRanges(plan: Plan): readonly string[] {
  const detours = plan.nodes.map((node) => node['Node Type']).filter((type) => /Sort|Seq Scan|Bitmap|Merge/.test(type));
  const scans = scansOf(plan);
  const others = scans.filter(
    (node) =>
      !/^Index (Only )?Scan$/.test(node['Node Type']) ||
      node['Index Name'] !== `${node['Relation Name']}_pkey` ||
      !/^login_event_\d{4}_\d\d$/.test(node['Relation Name'] ?? '') ||
      !/account_id = .*event_id < .*event_id >= /.test(node['Index Cond'] ?? ''),
  );
  const named = others.map((node) => `${node['Node Type']} ${node['Index Name']}: ${node['Index Cond']}`);
  return [...detours, ...named, ...(scans.length === 0 ? ['no scan at all'] : [])];
}

function nodesOf(root: PlanNode): readonly PlanNode[] {
  return [root, ...(root.Plans ?? []).flatMap(nodesOf)];
}

function literal(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return pg.escapeLiteral(`{${value.map((each) => JSON.stringify(String(each))).join(',')}}`);
  return pg.escapeLiteral(value instanceof Date ? value.toISOString() : String(value));
}
