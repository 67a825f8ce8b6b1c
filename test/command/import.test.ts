// Taking over accounts of another system: a large file, with mistakes in it, interrupted and repeated.

import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { countersign, errorOf, jsonOf, startCountersign } from './run.ts';

/** Of bcrypt's own test vectors: U*U. */
const bcrypt = '$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW';
const argon2id = '$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$MDAwMTAyMDMwNDA1MDYwNzA4MDkwYTBiMGMwZDBlMGY';

interface Summary {
  readonly lines: number;
  readonly created: number;
  readonly exists: number;
  readonly conflictCount: number;
  readonly conflicts: readonly object[];
  readonly malformed: readonly { readonly line: number; readonly message: string }[];
}

let server: TestServer;
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  [server, folder] = await Promise.all([startTestServer(), mkdtemp(join(tmpdir(), 'countersign-import-'))]);
  env = { COUNTERSIGN_INTERNAL_URL: server.internalUrl, COUNTERSIGN_SERVICE_TOKEN: server.serviceToken };
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const line = (name: string, at: number) =>
  JSON.stringify({
    account_id: `${name}-${at}`,
    email: `${name}-${at}@example.com`,
    locale: 'de',
    password_hash: bcrypt,
  });
const lines = (name: string, count: number) => Array.from({ length: count }, (_, at) => line(name, at));

async function fileOf(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}
const importFile = (path: string, ...options: readonly string[]) =>
  countersign(['accounts', 'import', path, ...options], { env });
const countOf = async (name: string) =>
  Number((await server.query(`select count(*) from account where account_id like $1 || '-%'`, [name]))[0]?.['count']);

test('2,500 lines with one malformed: all the others are imported, and may be again', async () => {
  const all = lines('large', 2_500);
  all[1_233] = '{"email": "large-1233@example.com", "password_hash": "$1$s3cret-hash"}';
  const path = await fileOf('large.jsonl', `${all.join('\n')}\n`);
  const first = await importFile(path);
  expect(first.code, first.stderr).toBe(1);
  expect(first.stdout).toMatch(/^1234 +password_hash: /m);
  expect(first.stdout).toMatch(/^lines +2500\ncreated +2499\nthere already +0\nconflicts +0\nmalformed +1$/m);
  expect(first.stderr).toMatch(/^1000 lines: 1000 created, 0 there already$/m);
  expect(first.stderr).toMatch(/^countersign: 1 of 2500 lines were not imported$/m);
  expect(first.stdout + first.stderr).not.toContain('s3cret');
  expect(await countOf('large')).toBe(2_499);

  const again = await importFile(path, '--json');
  expect(jsonOf<Summary>(again)).toMatchObject({ created: 0, exists: 2_499, malformed: [{ line: 1_234 }] });
  expect(errorOf(again)).toMatchObject({ exitCode: 1 });
});

test('one that was interrupted finishes what is under way, tells how far it came, and goes on when it is repeated', async () => {
  const all = lines('halted', 1_800);
  const { child, ended } = startCountersign(['accounts', 'import', '-', '--json'], { env });
  child.stdin.write(`${all.slice(0, 1_500).join('\n')}\n`);
  await eventually(30_000, async () => expect(await countOf('halted')).toBe(1_000));
  child.kill('SIGINT');
  const halted = await ended;
  expect(halted).toMatchObject({ code: 1, stdout: '' });
  expect(errorOf(halted)).toMatchObject({ message: 'interrupted', help: expect.stringContaining('run it again') });
  expect(errorOf(halted)).toMatchObject({ done: { created: 1_000 } });

  const again = await countersign(['accounts', 'import', '-', '--json'], { env, stdin: all.join('\n') });
  expect(again).toMatchObject({ code: 0, stderr: '' });
  expect(jsonOf<Summary>(again)).toMatchObject({ created: 800, exists: 1_000 });
});

test('CSV has quotes, any order of columns, a byte order mark and the ends of lines of Windows', async () => {
  const text = [
    '\ufeffpassword_hash,Email,account_id',
    `"${argon2id}",csv-1@example.com,csv-1`,
    `"${bcrypt}","csv-2@example.com",csv-2`,
    '',
    `${argon2id},csv-3@example.com,csv-3`,
    `"${bcrypt},csv-4@example.com,csv-4`,
    `${bcrypt},csv-5@example.com,csv-5`,
  ].join('\r\n');
  const { code, stdout } = await importFile(await fileOf('some.csv', text), '--json');
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    created: 3,
    malformed: [
      { line: 5, message: 'it has 5 columns, and the header 3' },
      { line: 6, message: expect.stringContaining('a quote is out of place') },
    ],
  });
  expect(await countOf('csv')).toBe(3);
});

test('an address or an id of another account is told as a conflict, with whom it belongs to', async () => {
  const other = await server.createAccount();
  const text = [
    { account_id: 'clash-1', email: 'clash-1@example.com', password_hash: bcrypt },
    { account_id: 'clash-2', email: other.email, password_hash: bcrypt },
  ];
  const path = await fileOf('clash.jsonl', text.map((each) => JSON.stringify(each)).join('\n'));
  const { code, stdout } = await importFile(path);
  expect(code).toBe(1);
  expect(stdout).toMatch(new RegExp(`^2 +${other.email} +${other.accountId}$`, 'm'));
  expect(stdout).toMatch(/^created +1$/m);
  expect(jsonOf<Summary>(await importFile(path, '--json'))).toMatchObject({
    conflictCount: 1,
    conflicts: [{ line: 2, email: other.email, accountId: other.accountId }],
  });
});

test('a server that is out of reach for a while is asked again', async () => {
  const path = await fileOf('late.jsonl', lines('late', 3).join('\n'));
  const port = await freePort();
  const at = ['--url', `http://127.0.0.1:${port}`];
  const { child, ended } = startCountersign(['accounts', 'import', path, ...at, '--json'], { env });
  child.stdin.end();
  // It was refused by then, or is about to be.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const target = new URL(server.internalUrl);
  const proxy = createServer((socket) => {
    const onward = connect(Number(target.port), target.hostname);
    for (const end of [socket, onward]) end.on('error', () => {});
    socket.pipe(onward).pipe(socket);
  }).listen(port, '127.0.0.1');
  await once(proxy, 'listening');
  expect((proxy.address() as AddressInfo).port).toBe(port);
  expect(jsonOf<Summary>(await ended)).toMatchObject({ created: 3 });
  proxy.close();
});
