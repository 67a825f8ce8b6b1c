// Sharding by account stays possible: each statement that the store has, run or not, touches the rows of one account, as PostgreSQL
// itself plans it, or stands on a short list with the reason why it may not; and no RPC has anything else asked of PostgreSQL.

import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Statement, statements } from '../../server/store/statement.ts';
import { rpcs } from '../support/contract.ts';
import { type Asked, accountTables, strays } from '../support/one-account.ts';
import { type PostgresProxy, startPostgresProxy } from '../support/postgres-proxy.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { tour } from '../support/tour.ts';

/** Tables that no account's key finds, and why a service over many shards can live with that. */
const globalTables: Readonly<Record<string, string>> = {
  password_guesses:
    'guesses at an address that may be nobody’s: its key is the SHA-256 of the address, by which they can be spread',
  call_count: 'calls of a minute, by address and by account: each by one key, by which they can be spread',
  audit_record:
    'what internal callers did, also to no account; a log by time, which may stand in a database of its own',
  replica: 'which replicas live: one row each, that every shard can hold',
  _private_jobs: 'the queue of jobs; each names one account, and is written where that account is',
  _private_tasks: 'the names of the queue’s tasks',
};

/** Statements on an account's tables that name no account, or several. */
const exceptions: readonly { readonly like: RegExp; readonly why: string }[] = [
  {
    like: /from "directory_account".* where (?:"\w+"\.)?"normalised_email" = \$1/,
    why: 'the e-mail index: an address leads to its account, so it is the one thing that stands before the shards',
  },
  {
    like: /tablesample/,
    why: 'a sample of the directory, for the time that an unknown address takes; each shard has one',
  },
  {
    like: /from directory_account where normalised_email = any \(.*\bfrom account where account_id = any \(/s,
    why: 'an import looks for all of its accounts at once, each shard for its own',
  },
  { like: /insert into (account|directory_account)\b.*\bunnest\(/s, why: 'and makes them, each shard its own' },
  {
    like: /delete from "push_registration" where \("token_hash" = /,
    why: 'a push token has one owner over all accounts: whose it is goes to the e-mail index, too',
  },
  {
    like: /insert into delivery\b.*\bjsonb_to_recordset\(/s,
    why: 'a list of what one transaction sends, which is its one account’s',
  },
  {
    like: /select distinct l\.account_id\s+from unnest\(/,
    why: 'a replica sweeps over the accounts that have streams with it, each shard for its own',
  },
  { like: /\bfrom revocation\b/, why: 'the feed of revocations reads by transaction, or by time: one reader a shard' },
];

/** Files with SQL of their own, on connections of their own names; each shard has what they do. */
const besides: Readonly<Record<string, string>> = {
  'delivery/rescue.ts': 'jobs of workers that died',
  'platform/bus-postgres.ts': 'listens',
  'store/connection.ts': 'begins, ends, and sends what statements say',
  'store/database.ts': 'asks whether PostgreSQL answers',
  'store/maintenance.ts': 'deletes what is old',
  'store/migrate.ts': 'the schema',
  'store/partitions.ts': 'the partitions of the login activity',
  'store/place.ts': 'which database a URL leads to',
};

/** What the store sends that is no statement of its own. */
const sentBesides = [/^(begin|commit|rollback)$/, /^INSERT INTO "call_count" /];

let server: TestServer;
let behind: TestServer;
let proxy: PostgresProxy;
let client: pg.Client;
let tables: ReadonlyMap<string, number>;
const sent = new Map<string, Set<string>>();
let toured: readonly string[];

beforeAll(async () => {
  let running = '';
  behind = await startTestServer();
  proxy = await startPostgresProxy(behind.databaseUrl);
  proxy.arm(
    ({ application, text }) => {
      // What looks after the queue, old rows, revocations for whoever follows them, and health has connections of its own names, which
      // each shard would have.
      if (application === 'countersign') sent.set(text, (sent.get(text) ?? new Set()).add(running));
      return 'pass';
    },
    () => {},
  );
  server = await startTestServer({ COUNTERSIGN_CALLS_COUNTED_BY: 'server' }, { ...behind, databaseUrl: proxy.url });
  client = new pg.Client({ connectionString: behind.databaseUrl });
  await client.connect();
  // In tables of a few rows PostgreSQL would read them all where it can also follow the keys.
  for (const way of ['seqscan', 'hashjoin', 'mergejoin']) await client.query(`set enable_${way} = off`);
  tables = await accountTables(client);
  toured = await tour(server, (name) => {
    running = name;
  });
}, 120_000);
afterAll(async () => {
  await client?.end();
  await server?.stop();
  await proxy?.close();
  await behind?.stop();
});

const touched = new Set<string>();
const straysOf = (asked: Asked) => strays(client, asked, tables, new Set(Object.keys(globalTables)), touched);

/** With the names of its parameters. */
function askedBy(statement: Statement<never, unknown>): Asked {
  const names = new Proxy({}, { get: (_, name) => `:${String(name)}` });
  return { text: statement.text, parameters: statement.bind(names as never).map(String) };
}

/** Without the numbers of its parameters, which are others where it is joined with what goes before. */
const bare = (text: string) => text.replace(/\$\d+/g, '$');

/** Whether it is one of them, or several of them in one; see server/store/joiner.ts. */
function isMadeOf(known: ReadonlySet<string>, text: string): boolean {
  let rest = bare(text);
  for (let index = 0; ; index++) {
    const opening = `${index === 0 ? 'with' : ','} w${index} as (`;
    const part = [...known].find((each) => rest.startsWith(`${opening}${each})`));
    if (part === undefined) return known.has(rest);
    rest = rest.slice(opening.length + part.length + 1);
    if (known.has(rest.slice(1))) return true;
  }
}

test('each statement is of one account, or is a known exception', async () => {
  const unused = new Set(exceptions);
  const found: string[] = [];
  for (const asked of statements.map(askedBy)) {
    const here = await straysOf(asked);
    const exception = here.length > 0 ? exceptions.find(({ like }) => like.test(asked.text)) : undefined;
    if (exception !== undefined) unused.delete(exception);
    else for (const stray of here) found.push(`${stray}: ${asked.text}`);
  }
  expect(found).toEqual([]);
  expect([...unused]).toEqual([]);
});

test('no RPC has anything asked of PostgreSQL but those statements', async () => {
  expect([...toured].sort()).toEqual(rpcs.map(({ method }) => `${method.parent.name}.${method.name}`).sort());
  const known = new Set(statements.map(({ text }) => bare(text)));
  const others = [...sent].filter(([text]) => !isMadeOf(known, text));
  const unknown = others.filter(([text]) => !sentBesides.some((like) => like.test(text.trim())));
  expect(unknown.map(([text, callers]) => `${[...callers].join(', ')}: ${text}`)).toEqual([]);
  expect(others.length).toBeGreaterThanOrEqual(sentBesides.length);
  // None of these is of an account's table.
  for (const [text] of others) if (!/^\w+$/.test(text)) expect(await straysOf({ text })).toEqual([]);
  expect([...touched].sort()).toEqual(Object.keys(globalTables).sort());
});

test('whatever else has SQL of its own is known', () => {
  const ours = readdirSync('server', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/^(command|development)\//.test(name))
    .filter((name) => /\.query(<.*>)?\(/.test(readFileSync(`server/${name}`, 'utf8')));
  expect(ours.sort()).toEqual(Object.keys(besides).sort());
});

describe('is found out:', () => {
  test.each([
    ['many accounts', 'select from unnest($1::text[]) l (account_id) join session s on s.account_id = l.account_id'],
    ['a change of many', 'update session s set end_time = now() from unnest($1::text[]) l where s.account_id = l'],
    ['an account or something else', 'select from session where account_id = $1 or family_hash = $2'],
    [
      'two accounts',
      'select from session s, challenge c where s.account_id = $1 and c.account_id = $2 and s.session_id = c.session_id',
    ],
    [
      'two accounts, one inside',
      'select from session where account_id = $1 and exists (select from device where account_id = $2)',
    ],
    [
      'a change of another',
      'with a as (update account set wrong_codes = 0 where account_id = $1) delete from session where account_id = $2',
    ],
    ['any account but one', 'select from session where account_id <> $1'],
    ['a list of accounts', 'select from session where account_id = any ($1)'],
    ['no account', 'select from session where end_time > $1'],
    [
      'an insert from a list',
      'insert into account (account_id, create_time) select a, now() from unnest($1::text[]) a',
    ],
    ['a table without accounts', 'select from countersign_migrations'],
  ])('%s', async (_, text) => {
    expect(await straysOf({ text })).not.toEqual([]);
  });
});
