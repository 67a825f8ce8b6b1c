// Whether a stranger can tell a known address from an unknown one by how long an answer takes, of a wrong password and of asking
// for a new one: measures against a real server, PostgreSQL (with fsync) and SMTP server of its own.
// `npm run bench:known-unknown [calls]`.

import { setTimeout as sleep } from 'node:timers/promises';
import { createServiceClient } from '../clients/service/client.ts';
import { measure, printTable, quantile, type ServerProcess, serviceToken } from './support.ts';

type Kind = 'known' | 'unknown';

const calls = Number(process.argv[2] ?? 400);
const warmUp = 40;

/** What a stranger may call, and how often an hour for an address. */
const questions = [
  {
    name: 'SignIn',
    path: 'TwoStepAuth/SignIn',
    callsPerAddress: 20,
    pauseMs: 0,
    requestFor: (email: string) => ({
      email,
      password: 'not the password',
      device: { displayName: 'Bench', model: 'iPhone 17', platform: 'PLATFORM_IOS', osVersion: '19.1' },
    }),
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
type Question = (typeof questions)[number];

await measure(600_000, async (parts) => {
  const server = await parts.start('server-process.ts');
  let same = true;
  for (const question of questions) same = (await run(server, question)) && same;
  await server.stop();
  return same;
});

/** False where the answers differ in a byte. */
async function run({ publicUrl, internalUrl }: ServerProcess, question: Question): Promise<boolean> {
  const addressCount = Math.ceil((calls + warmUp) / question.callsPerAddress);
  const addresses: Record<Kind, string[]> = { known: [], unknown: [] };
  const service = createServiceClient({ baseUrl: internalUrl, serviceToken });
  for (let index = 0; index < addressCount; index++) {
    // Of one length, so that nothing but the account differs.
    const email = `known-${question.name.toLowerCase()}-${String(index).padStart(3, '0')}@example.com`;
    await service.accounts.createAccount({ email, password: `Zwölf Boxkämpfer jagen ${index}` });
    addresses.known.push(email);
    addresses.unknown.push(email.replace('known', 'other'));
  }

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

  const [known, unknown] = [times.known, times.unknown].map((values) => ({
    median: quantile(values, 0.5),
    p90: quantile(values, 0.9),
  }));
  if (known === undefined || unknown === undefined) throw new Error('nothing was measured');
  printTable([
    [question.name, 'calls', 'median ms', 'p90 ms'],
    ['known', String(calls), known.median.toFixed(2), known.p90.toFixed(2)],
    ['unknown', String(calls), unknown.median.toFixed(2), unknown.p90.toFixed(2)],
  ]);
  const same = new Set([...answers.known, ...answers.unknown]).size === 1;
  const ratio = `known / unknown: median ${(known.median / unknown.median).toFixed(3)}, p90 ${(known.p90 / unknown.p90).toFixed(3)}`;
  process.stdout.write(`${ratio}\nanswers: ${same ? 'the same, byte for byte' : 'DIFFERENT'}\n`);
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
