// The suites of what people do, once more, word for word, with PostgreSQL behind PgBouncer in transaction mode, and every third
// commit lost to another transaction: what is decided twice must do no harm.

import { describe } from 'vitest';
import { hasPgBouncer } from '../support/pgbouncer.ts';
import { goThroughPgBouncer, loseCommits } from '../support/server.ts';

const installed = await hasPgBouncer();
goThroughPgBouncer();
loseCommits();

describe.skipIf(!installed).each(['codes-in-app', 'report', 'sessions', 'settings', 'sign-in'])('%s', async (suite) => {
  await import(`../flows/${suite}.test.ts`);
});
