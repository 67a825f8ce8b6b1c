// What an account leaves in PostgreSQL: rows and jobs of each flow, bytes of each row, and what an app that is opened costs. Accounts
// are led through the flows by real calls, with real mail, pushes and password hashes. `npm run bench:footprint` writes FOOTPRINT.md.

import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { createConnectTransport } from '@connectrpc/connect-node';
import pLimit from 'p-limit';
import pg from 'pg';
import { createAppClient } from '../clients/app/client.ts';
import { CountersignError } from '../clients/errors.ts';
import { createServiceClient } from '../clients/service/client.ts';
import { Channel } from '../gen/countersign/v1/challenge_pb.ts';
import { Platform } from '../gen/countersign/v1/device_pb.ts';
import type { Session } from '../gen/countersign/v1/session_pb.ts';
import { ApnsEnvironment, ApnsRegistrationSchema } from '../gen/countersign/v1/trusted_devices_pb.ts';
import { keyRingOf } from '../server/platform/key-ring.ts';
import { createCodes } from '../server/platform/keys.ts';
import { startApnsServer } from '../test/support/apns-server.ts';
import type { SignedInDevice } from './accounts.ts';
import { connectGrpc } from './load.ts';
import { markdownTable } from './report.ts';
import { benchConfig, benchKeys, measure, printTable, serviceToken } from './support.ts';
import { watch } from './watching.ts';

const accounts = 500;
const atOnce = 8;
const topic = 'com.example.bench';

/** The others are of the moment: streams, replicas, guesses of the last hour, revocations of the last hours. */
const kept = [
  'account',
  'directory_account',
  'device',
  'session',
  'push_registration',
  'challenge',
  'delivery',
  'login_event',
  'audit_record',
] as const;

interface Owner {
  readonly email: string;
  readonly password: string;
  /** An address of its own, which has a place. */
  readonly from: { readonly headers: Readonly<Record<'x-forwarded-for', string>> };
  phone?: Session;
  tablet?: Session;
}

await measure(600_000, async (parts) => {
  const database = new pg.Pool({ connectionString: parts.databaseUrl, max: 2 });
  const apns = await startApnsServer();
  const endpoint = { host: apns.host, port: apns.port };
  const { keyPem: key, keyId, teamId, caPem: ca } = apns;
  const server = await parts.start('server-process.ts', {
    apns: { ...{ key, keyId, teamId, ca }, production: endpoint, sandbox: endpoint },
  });
  const service = createServiceClient({ baseUrl: server.internalUrl, serviceToken });
  const { twoStepAuth, trustedDevices, loginActivity } = createAppClient({
    transport: (needs) => createConnectTransport({ baseUrl: server.publicUrl, httpVersion: '2', ...needs }),
    clientVersion: '2.3',
    platform: 'ios',
  });
  const codes = createCodes(
    keyRingOf(() => [benchKeys.code]),
    benchConfig(parts).limits.codeDigits,
  );
  const as = (owner: Owner, session = owner.phone) => ({
    headers: { ...owner.from.headers, authorization: `Bearer ${session?.accessToken}` },
  });
  const device = (displayName: string, model: string) => ({
    device: { displayName, model, platform: Platform.IOS, osVersion: '19.1' },
  });
  const owners = Array.from({ length: accounts }, (_, index): Owner => {
    const from = { headers: { 'x-forwarded-for': `81.2.${index >> 8}.${index % 256}` } };
    return { email: `anna.footprint.${index}@example.com`, password: `correct horse ${index} battery`, from };
  });
  const onNewDevice = async (owner: Owner, name: string, model: string, wanted: Channel) => {
    const { result } = await twoStepAuth.signIn({ ...owner, ...device(name, model) }, owner.from);
    if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
    const { challengeToken, challenge } = result.value;
    if (challenge?.defaultChannel !== wanted) throw new Error(`the code went by ${challenge?.defaultChannel}`);
    const channel = wanted === Channel.APP ? 'APP' : 'EMAIL';
    const code = codes.derive({ challengeId: challenge.challengeId, codeKeyId: benchKeys.code.keyId }, channel);
    const { session } = await twoStepAuth.verifyCode({ challengeToken, code }, owner.from);
    if (session === undefined) throw new Error('no session');
    return session;
  };

  const flows: readonly (readonly [string, (owner: Owner, index: number) => Promise<unknown>])[] = [
    ['CreateAccount', ({ email, password }) => service.accounts.createAccount({ email, password })],
    [
      'sign-in on a new device, code by e-mail',
      async (owner) => {
        owner.phone = await onNewDevice(owner, "Anna's iPhone", 'iPhone 17', Channel.EMAIL);
      },
    ],
    [
      'UpdateDevice, which registers for pushes',
      (owner, index) => {
        const token = index.toString(16).padStart(64, '0');
        const apnsToken = create(ApnsRegistrationSchema, { token, topic, environment: ApnsEnvironment.PRODUCTION });
        return trustedDevices.updateDevice(
          { pushRegistration: { service: { case: 'apns', value: apnsToken } } },
          as(owner),
        );
      },
    ],
    [
      'sign-in on a new device, code by push',
      async (owner) => {
        owner.tablet = await onNewDevice(owner, 'iPad in the kitchen', 'iPad Air 13', Channel.APP);
      },
    ],
    [
      'sign-in on a trusted device',
      async (owner) => {
        const known = { ...device('iPad', 'iPad Air 13'), deviceToken: owner.tablet?.deviceToken ?? '' };
        const { result } = await twoStepAuth.signIn({ ...owner, ...known }, owner.from);
        if (result.case === 'session') owner.tablet = result.value;
      },
    ],
    [
      'wrong password',
      async (owner) => {
        const wrong = { email: owner.email, password: 'wrong horse', ...device('iPad', 'iPad Air 13') };
        await twoStepAuth.signIn(wrong, owner.from).catch((error) => {
          if (!CountersignError.is(error, 'CREDENTIALS_INCORRECT')) throw error;
        });
      },
    ],
    [
      'RefreshSession',
      async (owner) => {
        const { session } = await twoStepAuth.refreshSession(
          { refreshToken: owner.phone?.refreshToken ?? '' },
          owner.from,
        );
        if (session !== undefined) owner.phone = session;
      },
    ],
    [
      'app opened and closed: WatchDevice, ListPendingCodes',
      async (owner) => {
        const closing = new AbortController();
        const stream = trustedDevices.watchDevice({}, { ...as(owner), signal: closing.signal, timeoutMs: 0 });
        await stream[Symbol.asyncIterator]().next();
        await twoStepAuth.listPendingCodes({}, as(owner));
        closing.abort();
      },
    ],
    ['ListLoginActivity', (owner) => loginActivity.listLoginActivity({ pageSize: 20 }, as(owner))],
  ];

  const used = async () => ({
    server: (await server.usage(false)).cpuMs,
    postgres: parts.postgresCpuMs() ?? Number.NaN,
  });
  /** CPU ms of a minute, in which nothing is asked for. */
  const spent = async () => {
    const before = await used();
    await sleep(60_000);
    const after = await used();
    return { server: after.server - before.server, postgres: after.postgres - before.postgres };
  };
  const each = (ms: number, count: number) => String(Math.max(0, Math.round((ms * 1_000) / count)));

  const found: Found[] = [];
  for (const [name, flow] of flows) {
    const before = await standing(database);
    const begin = await used();
    const limit = pLimit(atOnce);
    await Promise.all(owners.map((owner, index) => limit(() => flow(owner, index))));
    await jobsDone(database);
    const end = await used();
    found.push({
      name,
      rows: difference(before, await standing(database)),
      cpuUs: [each(end.server - begin.server, accounts), each(end.postgres - begin.postgres, accounts)],
    });
  }
  // It vacuums, which is not to be counted with what follows.
  const sizes = await sizesOf(database);
  const devices = owners.flatMap((owner) => [owner.phone, owner.tablet].flatMap((session) => asDevice(owner, session)));
  const atRest = await spent();
  const connections = connectGrpc(server.publicUrl, 20);
  const watching = await watch(connections, devices, database);
  const open = await spent();
  watching.close();
  connections.close();
  await server.stop();
  await apns.stop();
  const { rows: versions } = await database.query<{ server_version: string }>('show server_version');
  await database.end();

  const tables = sizes.map(({ name }) => name);
  const perFlow = [
    ['flow', ...tables, 'jobs'],
    ...found.map(({ name, rows }) => [name, ...[...tables, 'jobs'].map((table) => written(rows[table] ?? 0))]),
  ];
  const bytes = [
    ['table', 'rows', 'bytes a row'],
    ...sizes.map(({ name, rows, bytes: size }) => [name, String(rows), String(Math.round(size / rows))]),
  ];
  const cpu = [
    ['flow', 'server', 'PostgreSQL'],
    ...found.map(({ name, cpuUs }) => [name, ...cpuUs]),
    [
      'a stream that is open, a minute',
      ...(['server', 'postgres'] as const).map((of) => each(open[of] - atRest[of], devices.length)),
    ],
  ];
  for (const table of [perFlow, bytes, cpu]) printTable(table);
  const date = new Date().toISOString().slice(0, 10);
  await writeFile(
    join(import.meta.dirname, 'FOOTPRINT.md'),
    `${[
      '# What an account leaves in PostgreSQL, and what its flows cost',
      `\`npm run bench:footprint\`, ${date}. It writes this file.`,
      markdownTable([
        ['', ''],
        ['Node', process.version],
        ['PostgreSQL', versions[0]?.server_version ?? ''],
        ['cores', `${cpus().length} (${cpus()[0]?.model.replace(/ Processor.*/, '') ?? 'unknown'})`],
        ['accounts', String(accounts)],
      ]),
      `- Each flow is made once for each account, ${atOnce} at once, in this order, with mail, pushes and password hashes (argon2id).`,
      '## Rows',
      'Rows and jobs that one flow adds:',
      markdownTable(perFlow),
      '- Notices are part of it: a new device is told by e-mail and to the other devices. A job that is moved to another time counts again.',
      '## Bytes',
      'Bytes a row, with its indexes and what updates have left behind:',
      markdownTable(bytes),
      '## CPU',
      'CPU µs a flow, of all that comes after it too (jobs, mail, pushes, and the password hash):',
      markdownTable(cpu),
      '- Of the whole process, so what it does by itself meanwhile is in it.',
    ].join('\n\n')}\n`,
  );
  return true;
});

interface Found {
  readonly name: string;
  readonly rows: Readonly<Record<string, number>>;
  /** A flow's each: of the server, of PostgreSQL. */
  readonly cpuUs: readonly [string, string];
}

function asDevice({ email, from }: Owner, session: Session | undefined): readonly SignedInDevice[] {
  return session === undefined ? [] : [{ ...session, email, ipAddress: from.headers['x-forwarded-for'] }];
}

/** How many rows there are of what is kept, and how many jobs there have been. */
async function standing(database: pg.Pool): Promise<Readonly<Record<string, number>>> {
  const counts = kept.map((table) => `(select count(*)::int from ${table}) as ${table}`);
  const jobs = '(select coalesce(last_value, 0)::int from graphile_worker.jobs_id_seq1) as jobs';
  const { rows } = await database.query<Record<string, number>>(`select ${[...counts, jobs].join(', ')}`);
  return rows[0] ?? {};
}

function difference(before: Readonly<Record<string, number>>, after: Readonly<Record<string, number>>) {
  return Object.fromEntries(
    Object.entries(after).map(([name, count]) => [name, (count - (before[name] ?? 0)) / accounts]),
  );
}

/** Until no job is due: what comes later, such as a look whether a code was seen, is nothing any more by then. */
async function jobsDone(database: pg.Pool): Promise<void> {
  for (;;) {
    const { rows } = await database.query<{ due: number }>(
      'select count(*)::int as due from graphile_worker._private_jobs where run_at <= now() and attempts < max_attempts',
    );
    if (rows[0]?.due === 0) return;
    await sleep(100);
  }
}

/** With indexes, and of all partitions that have rows. */
async function sizesOf(
  database: pg.Pool,
): Promise<{ readonly name: string; readonly rows: number; readonly bytes: number }[]> {
  await database.query('vacuum analyze');
  return Promise.all(
    kept.map(async (name) => {
      const { rows } = await database.query<{ rows: number; bytes: number }>(
        `select (select count(*)::int from ${name}) as rows, sum(pg_total_relation_size(relid))::float8 as bytes
         from (select relid from pg_partition_tree($1::text::regclass) union select $1::text::regclass) as part
         where pg_relation_size(relid) > 0`,
        [name],
      );
      return { name, rows: rows[0]?.rows ?? 0, bytes: rows[0]?.bytes ?? 0 };
    }),
  );
}

function written(count: number): string {
  return Number.isInteger(count) ? String(count) : count.toFixed(2);
}
