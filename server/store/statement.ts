// A statement of PostgreSQL: written with Kysely over the entities, compiled once, prepared once a connection. It must not
// know connections: whoever has one runs it.

import { hash } from 'node:crypto';
import { type MikroKyselyPluginOptions, MikroORM } from '@mikro-orm/postgresql';
import type { Compilable, CompiledQuery, RawBuilder } from 'kysely';
import type { FieldDef } from 'pg';
import { entities } from './entities.ts';

/** What statements that only read run on. All that is sent is answered in the order of sending. */
export interface Reader {
  /** Sends the statement at once, without waiting for those before it, and returns its rows. */
  rows<V, R>(statement: Statement<V, R>, values: V): Promise<R[]>;
}

/** What statements run on, within a transaction or outside of one. */
export interface Db extends Reader {
  /**
   * A statement whose rows nobody needs. It is sent before whatever is sent next, joined with the writes beside it;
   * whoever owns the transaction waits for it, and fails if it does.
   */
  write<V, R>(statement: Statement<V, R>, values: V): void;
  /**
   * A statement that is run right behind the commit: it leaves with it in one piece, so it is run whatever becomes of this
   * process, and nobody waits for it.
   */
  afterCommit<V, R>(statement: Statement<V, R>, values: V): void;
  /** Called once PostgreSQL has answered the commit; also where it failed, or its answer was lost: nobody knows what that made. */
  whenCommitted(call: () => void): void;
}

export interface Statement<V, R> {
  /** How a connection remembers that it has prepared it. */
  readonly name: string;
  readonly text: string;
  /**
   * The table whose rows it inserts or updates, reading no other: writes of different tables may be joined into one
   * statement. A `select` calls a function, and may be the last of them. Undefined: it stands alone.
   */
  readonly writes: string | undefined;
  /** Its values in the order of the text's parameters. */
  bind(values: V): unknown[];
  /** A row from its columns, as PostgreSQL gave them. */
  toRow(columns: readonly unknown[], fields: readonly FieldDef[]): R;
}

/** The first row of a statement. */
export async function first<V, R>(db: Reader, statement: Statement<V, R>, values: V): Promise<R | undefined> {
  const [row] = await db.rows(statement, values);
  return row;
}

const options = { tableNamingStrategy: 'entity', columnNamingStrategy: 'property' } satisfies MikroKyselyPluginOptions;
/** Knows the tables, and writes statements. It never connects. */
const orm = new MikroORM({ entities, dbName: 'none', logger: () => {} });
const kysely = orm.em.getKysely(options);

type Tables = typeof kysely extends import('kysely').Kysely<infer T> ? T : never;
export type Builder = typeof kysely;

/** Stands for a value in a statement that is compiled before there is one. */
class Parameter {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

const properties = [...orm.getMetadata().getAll().values()].flatMap(({ className, props }) =>
  props.map((property) => ({ table: className, ...property })),
);
const propertyOfColumn = new Map(properties.map(({ name, fieldNames }) => [fieldNames[0], name]));
const jsonProperties = new Set(properties.filter(({ type }) => type === 'JsonType').map(({ name }) => name));

/** Of an insert or update that Kysely has written, and that nothing is read from. */
function tableOf(query: unknown): string | undefined {
  const node = query as {
    readonly kind: string;
    readonly into?: { readonly table: { readonly identifier: { readonly name: string } } };
    readonly table?: { readonly table: { readonly identifier: { readonly name: string } } };
    readonly returning?: unknown;
  };
  if (node.returning !== undefined) return undefined;
  if (node.kind === 'InsertQueryNode') return node.into?.table.identifier.name;
  return node.kind === 'UpdateQueryNode' ? node.table?.table.identifier.name : undefined;
}

/** Where a column's value stands in the row. */
interface Place {
  readonly group: string | undefined;
  readonly name: string;
}

function placeOf(column: string): Place {
  const [table, nested] = column.split('.');
  const own = nested ?? column;
  return { group: nested === undefined ? undefined : table, name: propertyOfColumn.get(own) ?? own };
}

/** A name by which connections know a statement of this text; PostgreSQL tells 63 bytes of it. */
export const nameOf = (text: string) => hash('sha256', text, 'base64url');

const made: Statement<never, unknown>[] = [];
/** All that there are: so that what has to hold for each of them can be held, whether or not it was ever run. */
export const statements: readonly Statement<never, unknown>[] = made;

const parameters = new Proxy({}, { get: (_, property) => new Parameter(String(property)) });

/**
 * `build` writes the statement once; each property of its second argument is a parameter of that name, whose value comes
 * with every run. One that is named as a JSON column is written as JSON. Only for the top of a module: it is never forgotten.
 */
export function statement<V extends object, R = unknown>(
  build: (db: Builder, values: V) => Compilable<R> | RawBuilder<R>,
  writes?: string,
): Statement<V, R> {
  let compiled: CompiledQuery<R> | undefined;
  // At its first run, so that a start compiles none.
  const compile = () => {
    compiled ??= build(kysely, parameters as V).compile(kysely);
    return compiled;
  };
  let places: readonly Place[] | undefined;
  let name: string | undefined;
  const one: Statement<V, R> = {
    get name() {
      // Of its text, so that a connection never knows two by one name.
      name ??= nameOf(compile().sql);
      return name;
    },
    get writes() {
      return writes ?? tableOf(compile().query);
    },
    get text() {
      return compile().sql;
    },
    bind: (values) =>
      compile().parameters.map((parameter) => {
        if (!(parameter instanceof Parameter)) return parameter;
        const value = values[parameter.name as keyof V];
        return jsonProperties.has(parameter.name) && value !== null ? JSON.stringify(value) : value;
      }),
    toRow: (columns, fields) => {
      places ??= fields.map((field) => placeOf(field.name));
      const row: Record<string, unknown> = {};
      for (let index = 0; index < places.length; index++) {
        const { group, name } = places[index] as Place;
        if (group === undefined) {
          row[name] = columns[index];
        } else {
          row[group] ??= {};
          (row[group] as Record<string, unknown>)[name] = columns[index];
        }
      }
      return row as R;
    },
  };
  made.push(one);
  return one;
}

/**
 * The columns of a table, by name: a prepared statement that selects whatever there is breaks when a migration adds one.
 */
export function columnsOf<T extends keyof Tables>(table: T): (keyof Tables[T] & string)[] {
  const own = properties.filter((property) => property.table === table).map(({ name }) => name);
  return own as (keyof Tables[T] & string)[];
}

/** Those of `values` that are columns of the table, without `except`: for an insert, or for what an update sets. */
export function columnValues<T extends keyof Tables, V extends object, K extends keyof V = never>(
  table: T,
  values: V,
  except: readonly K[] = [],
): Omit<V, K> {
  const names = columnsOf(table).filter((name) => !(except as readonly string[]).includes(name));
  return Object.fromEntries(names.map((name) => [name, values[name as unknown as keyof V]])) as Omit<V, K>;
}

/** Columns of a table that stands in a join under this alias, by default all; in the rows they are an object of that name. */
export function nested<A extends string, T extends keyof Tables>(
  alias: A,
  table: T,
  columns: readonly (keyof Tables[T] & string)[] = columnsOf(table),
) {
  const names = columns.map((name) => `${alias}.${name} as ${alias}.${name}`);
  return names as `${A}.${keyof Tables[T] & string} as ${A}.${keyof Tables[T] & string}`[];
}
