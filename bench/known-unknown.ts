// Whether a stranger can tell a known address from an unknown one by how long an answer takes, of a wrong password and of asking
// for a new one, in a directory whose hashes are all of one form and in one of two: measures against a real server, PostgreSQL (with fsync) and SMTP server of its own.
// `npm run bench:known-unknown [calls]`.

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { createServiceClient } from '../clients/service/client.ts';
import { measure, printTable, quantile, type ServerProcess, serviceToken } from './support.ts';

type Kind = 'known' | 'unknown';

const calls = Number(process.argv[2] ?? 400);
const warmUp = 40;

function signIn(email: string) {
  return {
    email,
    password: 'not the password',
    device: { displayName: 'Bench', model: 'iPhone 17', platform: 'PLATFORM_IOS', osVersion: '19.1' },
  };
}

/** What a stranger may call, and how often an hour for an address. */
const questions = [
  {
    name: 'SignIn',
    path: 'TwoStepAuth/SignIn',
    callsPerAddress: 20,
    pauseMs: 0,
    requestFor: signIn,
  },
  {
    name: 'RequestPasswordReset',
    path: 'Account/RequestPasswordReset',
    callsPerAddress: 5,
    // Until the mail of the one before is sent: what it takes must not be counted to the next.
    pauseMs: 100,
    requestFor: (email: string) => ({ email }),
  },
] as const;

/** Half of the accounts were taken over: their refusals take several times as long, and so have to those of half of nobody's. */
const mixed = {
  ...questions[0],
  name: 'SignIn, half of the hashes bcrypt of cost 10',
  // Many addresses, since each has one form for good.
  callsPerAddress: 2,
  importedHash: `$2b$10$${'.'.repeat(53)}`,
} as const;
type Question = (typeof questions)[number] | typeof mixed;

await measure(600_000, async (parts) => {
  let same = true;
  for (const asked of [questions, [mixed]]) {
    const before = await parts.start('server-process.ts');
    await emptyDirectory(parts.databaseUrl);
    const addresses = new Map<Question, Addresses>();
    for (const question of asked) addresses.set(question, await makeAccounts(before, question));
    await before.stop();
    // One that starts looks at what the directory holds.
    const server = await parts.start('server-process.ts');
    for (const [question, of] of addresses) same = (await run(server, question, of)) && same;
    await server.stop();
  }
  return same;
});

type Addresses = Readonly<Record<Kind, readonly string[]>>;

async function emptyDirectory(databaseUrl: string): Promise<void> {
  const database = new pg.Client({ connectionString: databaseUrl });
  await database.connect();
  await database.query('delete from account');
  await database.end();
}

async function makeAccounts({ internalUrl }: ServerProcess, question: Question): Promise<Addresses> {
  const { accounts } = createServiceClient({ baseUrl: internalUrl, serviceToken, timeoutMs: 60_000 });
  const addressCount = Math.ceil((calls + warmUp) / question.callsPerAddress);
  const known: string[] = [];
  for (let index = 0; index < addressCount; index++) {
    // Of one length, so that nothing but the account differs.
    const email = `known-${question.path.toLowerCase().replace('/', '-')}-${String(index).padStart(4, '0')}@example.com`;
    if ('importedHash' in question && index % 2 === 0) {
      await accounts.batchImportAccounts({ accounts: [{ email, passwordHash: question.importedHash }] });
    } else await accounts.createAccount({ email, password: `Zwölf Boxkämpfer jagen ${index}` });
    known.push(email);
  }
  return { known, unknown: known.map((email) => email.replace('known', 'other')) };
}

/** False where the answers differ in a byte. */
async function run({ publicUrl }: ServerProcess, question: Question, addresses: Addresses): Promise<boolean> {
  const addressCount = addresses.known.length;
  const times: Record<Kind, number[]> = { known: [], unknown: [] };
  const answers: Record<Kind, Set<string>> = { known: new Set(), unknown: new Set() };
  for (let index = 0; index < warmUp + calls; index++) {
    // In turns, and each of them first in every other turn.
    const turn: readonly Kind[] = index % 2 === 0 ? ['known', 'unknown'] : ['unknown', 'known'];
    for (const kind of turn) {
      const email = addresses[kind][index % addressCount] ?? '';
      const network = `10.${kind === 'known' ? 1 : 2}.${Math.floor(index / addressCount)}`;
      const { ms, answer } = await ask(publicUrl, question, email, `${network}.${index % 100}`);
      if (index >= warmUp) times[kind].push(ms);
      answers[kind].add(answer);
      await sleep(question.pauseMs);
    }
  }

  const quantiles = [0.25, 0.5, 0.75, 0.9];
  const [known = [], unknown = []] = [times.known, times.unknown].map((values) =>
    quantiles.map((q) => quantile(values, q)),
  );
  const ms = (values: readonly number[]) => values.map((value) => value.toFixed(2));
  printTable([
    [question.name, 'calls', 'p25 ms', 'median ms', 'p75 ms', 'p90 ms'],
    ['known', String(calls), ...ms(known)],
    ['unknown', String(calls), ...ms(unknown)],
    ['known / unknown', '', ...known.map((value, at) => (value / (unknown[at] ?? Number.NaN)).toFixed(3))],
  ]);
  const same = new Set([...answers.known, ...answers.unknown]).size === 1;
  process.stdout.write(`answers: ${same ? 'the same, byte for byte' : 'DIFFERENT'}\n`);
  if (!same) process.stdout.write(`${[...answers.known, '---', ...answers.unknown].join('\n')}\n`);
  return same;
}

/** What a call took, and its answer: status, headers and body, without what differs from call to call. */
async function ask(
  publicUrl: string,
  { path, requestFor }: Question,
  email: string,
  ipAddress: string,
): Promise<{ readonly ms: number; readonly answer: string }> {
  const begin = performance.now();
  const response = await fetch(`${publicUrl}/countersign.v1.${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'countersign-client-version': '2.3',
      'countersign-client-platform': 'ios',
      'x-forwarded-for': ipAddress,
    },
    body: JSON.stringify(requestFor(email)),
  });
  const body = await response.text();
  const ms = performance.now() - begin;
  const headers = [...response.headers].filter(([name]) => name !== 'date' && name !== 'x-request-id');
  return { ms, answer: JSON.stringify([response.status, headers, body]) };
}
