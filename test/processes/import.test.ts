// A hundred thousand accounts that a client takes over in batches, while the server is killed in the middle: what was not answered is
// asked again, and in the end each account is there, once.

import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { CountersignError } from '../../clients/service/client.ts';
import { ImportOutcome } from '../../gen/countersign/internal/v1/accounts_pb.ts';
import { times } from '../support/at-once.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { productionEnv, programs, type ServerProgram } from '../support/processes.ts';

const { serve } = programs();
const total = 100_000;
const batchSize = 1_000;
const atOnce = 4;

let mail: MailServer;
let database: TestDatabase;
let pool: pg.Pool;
let server: Promise<ServerProgram>;
beforeAll(async () => {
  mail = await startMailServer();
});
// A second look begins with nothing, too.
beforeEach(async () => {
  database = await createDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 2 });
  return async () => {
    await (await server).kill();
    await pool.end();
    await database.drop();
  };
});
afterAll(async () => {
  await mail?.stop();
});

// Importing hashes nothing, so one will do for many.
const passwordHash = `$2b$10$${'.'.repeat(53)}`;
/** Every third comes with an id. */
const accountOf = (at: number) => ({
  accountId: at % 3 === 0 ? `usr_${at}` : '',
  email: `user${at}@example.com`,
  passwordHash,
});
const batches = times(total / batchSize, (batch) => times(batchSize, (at) => accountOf(batch * batchSize + at)));

type Outcomes = Map<number, readonly ImportOutcome[]>;

/** Takes all batches over, some at once, until each is answered. `onAnswer` is told how many are. */
async function importAll(current: () => Promise<ServerProgram>, onAnswer: (answered: number) => void) {
  const waiting = [...batches.keys()];
  const outcomes: Outcomes = new Map();
  let unanswered = 0;
  const work = async () => {
    for (;;) {
      const batch = waiting.shift();
      if (batch === undefined) return;
      const { service } = await current();
      try {
        const { results } = await service.accounts.batchImportAccounts({ accounts: batches[batch] ?? [] });
        outcomes.set(
          batch,
          results.map(({ outcome }) => outcome),
        );
        onAnswer(outcomes.size);
      } catch (error) {
        // Nobody is left who would say why; or whoever is there can't yet.
        if (!CountersignError.is(error, '', 'DEPENDENCY_UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED')) throw error;
        unanswered += 1;
        waiting.push(batch);
      }
    }
  };
  const started = performance.now();
  await Promise.all(times(atOnce, work));
  return { outcomes: [...outcomes.values()].flat(), unanswered, seconds: (performance.now() - started) / 1_000 };
}

test('a hundred thousand accounts through a kill -9: none is missing, none is there twice', {
  timeout: 240_000,
}, async () => {
  const env = {
    ...productionEnv({ databaseUrl: database.url, smtpUrl: mail.url }),
    // A test machine may be slow for reasons of its own.
    COUNTERSIGN_DATABASE_PATIENCE: '20s',
  };
  server = serve(env);
  let killed = false;
  const half = batches.length / 2;
  const through = await importAll(
    () => server,
    (answered) => {
      if (killed || answered < half) return;
      killed = true;
      const before = server;
      // The others of these calls are in the middle.
      server = before.then(async (program) => {
        await program.kill();
        return serve(env);
      });
    },
  );
  expect(killed).toBe(true);
  expect(through.unanswered).toBeGreaterThan(0);
  expect(through.outcomes).toHaveLength(total);
  // A batch that was committed, and whose answer was lost, is found there.
  const { CREATED, EXISTS } = ImportOutcome;
  expect(through.outcomes.filter((outcome) => outcome !== CREATED && outcome !== EXISTS)).toEqual([]);

  const again = await importAll(
    () => server,
    () => {},
  );
  expect(again.outcomes).toHaveLength(total);
  expect(again.outcomes.filter((outcome) => outcome !== EXISTS)).toEqual([]);
  const { rows } = await pool.query(
    `select count(*)::int as entries, count(distinct normalised_email)::int as addresses,
       (select count(*)::int from account) as accounts,
       count(*) filter (where account_id like 'usr\\_%')::int as kept,
       count(*) filter (where account_id like 'usr\\_%' and account_id <> replace(replace(email, 'user', 'usr_'), '@example.com', ''))::int as mixed
     from directory_account`,
  );
  const kept = Math.ceil(total / 3);
  expect(rows).toEqual([{ entries: total, addresses: total, accounts: total, kept, mixed: 0 }]);
  const rate = (seconds: number) => `${seconds.toFixed(1)} s, ${Math.round(total / seconds)} a second`;
  process.stdout.write(
    `100,000 accounts: ${rate(through.seconds)} with a kill and a restart; the same again: ${rate(again.seconds)}\n`,
  );
});
