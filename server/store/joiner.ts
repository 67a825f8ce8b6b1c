// Writes of different tables that travel as one statement: data-modifying parts of a WITH, and the last of them below it.

import { nameOf, type Statement } from './statement.ts';

/** Writes in the order of their sending, those in a row that may be joined. */
export type Writes = readonly (readonly [Statement<never, unknown>, unknown])[];

/** Makes as few statements of writes as they can be, in their order. It remembers those that it has made. */
export class Joiner {
  readonly #known = new Map<string, Statement<readonly unknown[], unknown>>();

  /** One after the other for one and the same table. */
  *joined(writes: Writes): Generator<[Statement<never, unknown>, unknown]> {
    let run: [Statement<never, unknown>, unknown][] = [];
    const tables = new Set<string>();
    for (const [statement, values] of writes) {
      const { writes: table } = statement;
      const fits = table !== undefined && !tables.has(table) && !tables.has('select');
      if (!fits && run.length > 0) {
        yield this.#asOne(run);
        run = [];
        tables.clear();
      }
      run.push([statement, values]);
      tables.add(table ?? 'select');
    }
    if (run.length > 0) yield this.#asOne(run);
  }

  #asOne(run: [Statement<never, unknown>, unknown][]): [Statement<never, unknown>, unknown] {
    const [only] = run;
    if (run.length === 1 && only !== undefined) return only;
    const names = run.map(([statement]) => statement.name).join(' ');
    let statement = this.#known.get(names);
    if (statement === undefined) {
      statement = join(nameOf(names), run);
      this.#known.set(names, statement);
    }
    return [statement as Statement<never, unknown>, run.map(([, values]) => values)];
  }
}

function join(
  name: string,
  run: readonly [Statement<never, unknown>, unknown][],
): Statement<readonly unknown[], unknown> {
  const statements = run.map(([statement]) => statement as Statement<unknown, unknown>);
  let bound = 0;
  const texts = run.map(([statement, values]) => {
    const offset = bound;
    bound += (statement as Statement<unknown, unknown>).bind(values).length;
    return statement.text.replace(/\$(\d+)/g, (_, number) => `$${offset + Number(number)}`);
  });
  const last = texts.pop();
  return {
    name,
    writes: undefined,
    text: `with ${texts.map((text, index) => `w${index} as (${text})`).join(', ')} ${last}`,
    bind: (values) => statements.flatMap((statement, index) => statement.bind(values[index])),
    toRow: () => undefined,
  };
}
