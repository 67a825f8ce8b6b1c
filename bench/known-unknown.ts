// Whether a stranger can tell a known address from an unknown one by how long a wrong password takes: measures SignIn
// against a real server, PostgreSQL (with fsync) and SMTP server of its own. `npm run bench:known-unknown [calls]`.

import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { SMTPServer } from 'smtp-server';
import { createServiceClient } from '../clients/service/client.ts';
import { startApp } from '../server/app.ts';
import { readConfig } from '../server/config.ts';
import { startEmbeddedPostgres } from '../server/development/embedded-postgres.ts';
import { systemClock } from '../server/platform/clock.ts';
import { hashServiceToken, scopes } from '../server/platform/service-tokens.ts';

type Kind = 'known' | 'unknown';

const calls = Number(process.argv[2] ?? 400);
const warmUp = 40;
/** Few guesses an address and an hour, so that no budget is met. */
const callsPerAddress = 20;
const serviceToken = 'bench-service-token-0123456789';

const log = pino({ level: 'warn' });
const dataDir = await mkdtemp(join(tmpdir(), 'countersign-bench-'));
await chmod(dataDir, 0o755);
const postgres = await startEmbeddedPostgres({ dataDir, log });
const home = await realpath(join(dataDir, 'postgres'));
const mailSink = new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS', 'AUTH'],
  onData(stream, _session, callback) {
    stream.resume();
    stream.on('end', () => callback());
  },
});
await new Promise<void>((resolve) => mailSink.listen(0, '127.0.0.1', resolve));
const sinkAddress = mailSink.server.address();
const config = readConfig({
  COUNTERSIGN_PUBLIC_ADDRESS: '127.0.0.1:0',
  COUNTERSIGN_INTERNAL_ADDRESS: '127.0.0.1:0',
  COUNTERSIGN_CODE_KEYS: `bench:${Buffer.alloc(32, 1).toString('base64')}`,
  COUNTERSIGN_SIGNING_KEYS: `bench:${Buffer.alloc(32, 2).toString('base64')}`,
});
const app = await startApp(
  {
    ...config,
    databaseUrl: postgres.url,
    smtpUrl: `smtp://127.0.0.1:${typeof sinkAddress === 'object' ? sinkAddress?.port : ''}`,
    codeKeys: config.codeKeys ?? [],
    signingKeys: config.signingKeys ?? [],
    serviceTokens: [{ name: 'bench', scopes, hash: hashServiceToken(serviceToken) }],
  },
  log,
  systemClock,
);

try {
  process.exitCode = (await run()) ? 0 : 1;
} finally {
  await app.stop();
  await new Promise<void>((resolve) => mailSink.close(() => resolve()));
  await postgres.stop();
  await rm(home, { recursive: true, force: true });
  await rm(dataDir, { recursive: true, force: true });
}

/** False where the answers differ in a byte. */
async function run(): Promise<boolean> {
  const addressCount = Math.ceil((calls + warmUp) / callsPerAddress);
  const addresses: Record<Kind, string[]> = { known: [], unknown: [] };
  const service = createServiceClient({ baseUrl: app.internalAddress, serviceToken });
  for (let index = 0; index < addressCount; index++) {
    // Of one length, so that nothing but the account differs.
    const email = `known-${String(index).padStart(3, '0')}@example.com`;
    await service.accounts.createAccount({ email, password: `correct horse ${index}` });
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
      const network = `10.${kind === 'known' ? 1 : 2}.${Math.floor(index / 100)}`;
      const { ms, answer } = await signIn(email, `${network}.${index % 100}`);
      if (index >= warmUp) times[kind].push(ms);
      answers[kind].add(answer);
    }
  }

  const known = summary(times.known);
  const unknown = summary(times.unknown);
  const same = new Set([...answers.known, ...answers.unknown]).size === 1;
  const rows = [
    ['', 'calls', 'median ms', 'p90 ms'],
    ['known', String(calls), known.median.toFixed(2), known.p90.toFixed(2)],
    ['unknown', String(calls), unknown.median.toFixed(2), unknown.p90.toFixed(2)],
  ];
  const lines = rows.map((row) =>
    row
      .map((cell) => cell.padEnd(12))
      .join('')
      .trimEnd(),
  );
  const ratio = `known / unknown: median ${(known.median / unknown.median).toFixed(3)}, p90 ${(known.p90 / unknown.p90).toFixed(3)}`;
  process.stdout.write([...lines, ratio, `answers: ${same ? 'the same, byte for byte' : 'DIFFERENT'}`, ''].join('\n'));
  if (!same) process.stdout.write(`${[...answers.known, '---', ...answers.unknown].join('\n')}\n`);
  return same;
}

/** What a call took, and its answer: status, headers and body, without what differs from call to call. */
async function signIn(email: string, ipAddress: string): Promise<{ readonly ms: number; readonly answer: string }> {
  const begin = performance.now();
  const response = await fetch(`${app.publicAddress}/countersign.v1.TwoStepAuth/SignIn`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'countersign-client-version': '2.3',
      'countersign-client-platform': 'ios',
      'x-forwarded-for': ipAddress,
    },
    body: JSON.stringify({
      email,
      password: 'not the password',
      device: { displayName: 'Bench', model: 'iPhone 17', platform: 'PLATFORM_IOS', osVersion: '19.1' },
    }),
  });
  const body = await response.text();
  const ms = performance.now() - begin;
  const headers = [...response.headers].filter(([name]) => name !== 'date' && name !== 'x-request-id');
  return { ms, answer: JSON.stringify([response.status, headers, body]) };
}

function summary(values: readonly number[]): { readonly median: number; readonly p90: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
  return { median: at(0.5), p90: at(0.9) };
}
