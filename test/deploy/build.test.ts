// What `npm run build` makes, as it is deployed: moved elsewhere, not to be written to, run by nobody in particular.

import { execFile } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { selfSigned } from '../../server/development/certificate.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { productionEnv, programs } from '../support/processes.ts';
import { iphone } from '../support/server.ts';

const execute = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const home = await mkdtemp(join(tmpdir(), 'countersign-build-'));
const folder = join(home, 'countersign');
const node = join(folder, 'node_modules/.bin/node');
const isRoot = process.getuid?.() === 0;
/** Debian's `nobody`. */
const user = isRoot ? { uid: 65_534, gid: 65_534 } : undefined;
const { start, serve } = programs({ folder, node, ...(user && { user }) });
let database: TestDatabase;
let mail: MailServer;

beforeAll(async () => {
  [database, mail] = await Promise.all([createDatabase(), startMailServer()]);
  await execute('npm', ['run', 'build', '--', join(home, 'made')], { cwd: root });
  await rename(join(home, 'made'), folder);
  await chmod(home, 0o755);
  await execute('chmod', ['-R', 'a-w', folder]);
}, 240_000);

afterAll(async () => {
  await mail.stop();
  await database.drop();
  await execute('chmod', ['-R', 'u+w', folder]);
  await rm(home, { recursive: true, force: true });
});

const env = () => productionEnv({ databaseUrl: database.url, smtpUrl: mail.url });
const sources = () => globSync('{clients,deploy,edge,gen,server}/**/*.{ts,mjs}', { cwd: folder });
const megabytes = async (path: string) => {
  const { stdout } = await execute('du', ['-sm', join(folder, path)]);
  return Number(stdout.split('\t')[0]);
};

test('signs in, with the Node, the packages and the places that came with it, and ends with 0', async () => {
  // Without the small city data that other tests have.
  const server = await serve({ ...env(), COUNTERSIGN_GEOIP_CITY: '' });
  const email = 'built@example.com';
  const password = 'correct horse battery';
  await server.service.accounts.createAccount({ email, password });
  const app = server.appClient();
  const { result } = await app.twoStepAuth.signIn({ email, password, device: iphone });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const code = await mail.codeFor(email);
  const { session } = await app.twoStepAuth.verifyCode({ challengeToken: result.value.challengeToken, code });
  expect(session?.deviceToken).not.toBe('');

  const check = (url: string) => execute(node, ['deploy/is-serving.ts', url], { cwd: folder, ...user });
  expect((await check(server.publicUrl)).stdout).toContain('SERVING');
  server.signal('SIGTERM');
  expect(await server.exit).toEqual({ code: 0, signal: null });
  expect(server.stderr()).toBe('');
  await expect(check(server.publicUrl)).rejects.toMatchObject({ code: 1 });
});

test('has the command', async () => {
  const path = [join(folder, 'node_modules/.bin'), process.env['PATH']].join(':');
  const { stdout } = await execute('countersign', ['keys', 'new'], { cwd: '/', env: { PATH: path }, ...user });
  expect(stdout).toMatch(/^[\w-]+:[\w+/]{43}=$/m);
});

test("renders the edge's configuration", async () => {
  const certificate = join(home, 'edge.pem');
  const { cert, key } = selfSigned();
  await writeFile(certificate, `${cert}${key}`, { mode: 0o644 });
  const rendered = join(home, 'edge');
  await mkdir(rendered);
  await chmod(rendered, 0o777);
  const env = { COUNTERSIGN_EDGE_CERTIFICATE: certificate, COUNTERSIGN_EDGE_REPLICAS: 'one:8080,two:8080' };
  const { stdout } = await execute(node, ['edge/main.ts', 'render', rendered], { cwd: folder, env, ...user });
  expect(stdout).toMatch(/haproxy\.cfg$/m);
  expect(await readFile(join(rendered, 'haproxy.cfg'), 'utf8')).toContain('server two:8080 two:8080');
  // The guide's words, too.
  const { scripts } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  expect(scripts).toEqual({ start: 'node server/main.ts', edge: 'node edge/main.ts' });
});

test('says in one line that it is for production', async () => {
  const program = start({ ...env(), COUNTERSIGN_MODE: '' });
  expect(await program.exit).toEqual({ code: 78, signal: null });
  expect(program.stderr()).toMatch(/^countersign: COUNTERSIGN_MODE takes production here[^\n]*\n$/);
});

test('has no package of development, and the lock names those that it has', async () => {
  const lockOf = async (path: string) => JSON.parse(await readFile(join(path, 'package-lock.json'), 'utf8')).packages;
  const [whole, built] = await Promise.all([lockOf(root), lockOf(folder)]);
  const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  for (const name of Object.keys(devDependencies)) {
    // Some are what another package of production needs, too.
    if (whole[`node_modules/${name}`].dev || whole[`node_modules/${name}`].devOptional)
      expect([name, existsSync(join(folder, 'node_modules', name))]).toEqual([name, false]);
  }
  const installed = globSync('node_modules/**/package.json', { cwd: folder });
  const packages = installed.map(dirname).filter((path) => /node_modules\/(@[^/]+\/)?[^/]+$/.test(path));
  expect(packages.length).toBeGreaterThan(100);
  for (const path of packages) expect([path, built[path]?.dev]).toEqual([path, undefined]);
  for (const path of packages) expect([path, path in built]).toEqual([path, true]);
});

test('has no part of development, and all that its own parts import', async () => {
  const files = sources();
  expect(files).toContain('server/main.ts');
  expect(files.filter((path) => /development|^test|^bench/.test(path))).toEqual([]);
  const missing = files.flatMap((path) => {
    const file = join(folder, path);
    const source = readFileSync(file, 'utf8');
    const named = [
      ...source.matchAll(/^(?:import(?! type)|export|\} from) (?:[^'\n]* from )?'([^']+)'|import\('([^']+)'\)/gm),
    ];
    return named.flatMap(([, from, later]) => {
      const name = from ?? later ?? '';
      if (name.startsWith('node:')) return [];
      const found = name.startsWith('.') ? existsSync(join(dirname(file), name)) : resolves(file, name);
      return found ? [] : [`${path}: ${name}`];
    });
  });
  expect(missing.sort()).toEqual([
    'edge/main.ts: ../server/development/certificate.ts',
    'edge/main.ts: ./replicas.ts',
    'server/main.ts: ./development/development.ts',
  ]);
});

/** Whether a package that a file names is there. */
function resolves(file: string, name: string): boolean {
  const [, packageName = ''] = /^((?:@[^/]+\/)?[^/]+)/.exec(name) ?? [];
  return (createRequire(file).resolve.paths(packageName) ?? []).some(
    (path) => path.startsWith(folder) && existsSync(join(path, packageName)),
  );
}

test('tells how large it is', async () => {
  const parts = ['.', 'node_modules/node', 'node_modules/@ip-location-db', 'server'];
  const sizes = await Promise.all(parts.map(async (part) => `${part} ${await megabytes(part)}`));
  process.stdout.write(`what production runs, in MB: ${sizes.join(', ')}\n`);
  // A second copy of Node, or the packages of development, would be seen.
  expect((await stat(node)).size / 2 ** 20).toBeLessThan(200);
  expect(await megabytes('.')).toBeLessThan(450);
});
