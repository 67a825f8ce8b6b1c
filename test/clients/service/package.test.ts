// The package as its users get it: packed, unpacked into a project of theirs with what it says it needs, run and type-checked.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { audience, issuer, newSession, serviceToken, startServer, tokenOf } from './support.ts';

const execute = promisify(execFile);
const root = join(import.meta.dirname, '../../..');
const modules = join(root, 'node_modules');
let project: string;
let packed: Manifest;

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

const manifest = async (path: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(path, 'package.json'), 'utf8'));
const link = async (name: string) => {
  await mkdir(dirname(join(project, 'node_modules', name)), { recursive: true });
  await symlink(join(modules, name), join(project, 'node_modules', name));
};
const run = (program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  execute(program, [...args], { cwd: project, env: { ...process.env, ...env } });

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'countersign-user-'));
  const { stdout } = await execute('npm', ['pack', join(root, 'clients/service'), '--pack-destination', project], {
    cwd: project,
    env: { ...process.env, npm_config_offline: 'true', npm_config_update_notifier: 'false' },
  });
  const home = join(project, 'node_modules/@countersign/service');
  await mkdir(home, { recursive: true });
  await execute('tar', [
    '-xf',
    join(project, stdout.trim().split('\n').at(-1) ?? ''),
    '--strip-components=1',
    '-C',
    home,
  ]);
  packed = await manifest(home);
  for (const name of Object.keys(packed.dependencies)) await link(name);
  await writeFile(join(project, 'package.json'), '{ "type": "module" }');
}, 120_000);

afterAll(() => rm(project, { recursive: true, force: true }));

test('it says of itself what the repository says, and brings its licence and its manual', async () => {
  const whole = (await manifest(root)) as Manifest & { readonly devDependencies: Readonly<Record<string, string>> };
  expect(packed).toMatchObject({ name: '@countersign/service', version: whole.version, license: whole.license });
  const used = { ...whole.devDependencies, ...whole.dependencies };
  for (const [name, range] of Object.entries(packed.dependencies))
    expect([name, range]).toEqual([name, `^${used[name]}`]);
  const home = join(project, 'node_modules/@countersign/service');
  expect(await readFile(join(home, 'LICENSE'), 'utf8')).toBe(await readFile(join(root, 'LICENSE'), 'utf8'));
  expect(await readFile(join(home, 'README.md'), 'utf8')).toContain('createSessionChecker');
});

test('a service without types uses it, without @grpc/grpc-js too, and ends when it is closed', async () => {
  const server = await startServer();
  await writeFile(
    join(project, 'user.mjs'),
    `import { CountersignError, bearerToken, createSessionChecker } from '@countersign/service';
    import { requireSession, sessionKey } from '@countersign/service/connect';
    import { RevocationReason } from '@countersign/service/internal';
    const { BASE_URL, TOKEN } = process.env;
    const checker = createSessionChecker({ baseUrl: BASE_URL, serviceToken: '${serviceToken}', issuer: '${issuer}', audience: '${audience}' });
    await checker.ready(30_000);
    const { accountId } = await checker.check(bearerToken('Bearer ' + TOKEN));
    const refused = await checker.check('garbage').catch((error) => error);
    console.log(JSON.stringify([accountId, CountersignError.is(refused, 'SESSION_INVALID'), typeof requireSession, typeof sessionKey, RevocationReason.ADMINISTRATIVE]));
    await checker.close();`,
  );
  const { stdout } = await run(process.execPath, ['user.mjs'], { BASE_URL: server.url, TOKEN: tokenOf(newSession()) });
  expect(JSON.parse(stdout)).toEqual(['anna', true, 'function', 'object', 1]);
});

test('a service with the strictest types compiles, all three shapes', { timeout: 120_000 }, async () => {
  for (const name of [...Object.keys(packed.peerDependencies), '@types/node']) await link(name);
  await writeFile(
    join(project, 'user.ts'),
    `import { Server } from '@grpc/grpc-js';
    import { type CheckedSession, CountersignError, createServiceClient, createSessionChecker, type SessionChecker } from '@countersign/service';
    import { requireSession, sessionOf } from '@countersign/service/connect';
    import { type AuditRecord, Platform, RevocationReason, Sessions } from '@countersign/service/internal';
    import * as grpcJs from '@countersign/service/grpc-js';
    import { connectNodeAdapter } from '@connectrpc/connect-node';

    const checker: SessionChecker = createSessionChecker({ baseUrl: '', serviceToken: '', issuer: '', audience: '', maxStalenessMs: 1 });
    export const whose = async (token: string): Promise<CheckedSession | undefined> => {
      try {
        return await checker.check(token, { fresh: true });
      } catch (error) {
        if (CountersignError.is(error, 'SESSION_INVALID')) return undefined;
        throw error;
      }
    };
    export const adapter = connectNodeAdapter({ routes: () => {}, interceptors: [requireSession(checker, { fresh: ({ method }) => method.name === 'Pay' })] });
    export const server = new Server({ interceptors: [grpcJs.requireSession(checker, { fresh: (path) => path === '/a.B/C', skip: (path) => path === '/a.B/D' })] });
    export const revoke = () => createServiceClient({ baseUrl: '' }).sessions.revokeSessions({ accountId: 'a', reason: RevocationReason.ADMINISTRATIVE });
    export const named: [string, number, AuditRecord['rpc']] = [Sessions.typeName, Platform.IOS, ''];
    export const idOf: string = sessionOf.length > 0 ? 'a' : 'b';
    export const stop: () => void = checker.onRevoked(({ sessionId, cause, revokeTime }) => [sessionId.length, cause.length, revokeTime.getTime()]);
    export const accounts = createServiceClient({ baseUrl: '', serviceToken: '' }).accounts;
    // @ts-expect-error: a session is not to be changed.
    export const change = (session: CheckedSession) => { session.accountId = 'eve'; };
    // @ts-expect-error: the audience must be said.
    createSessionChecker({ baseUrl: '', serviceToken: '', issuer: '' });`,
  );
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2024',
    // Connect's own types name the browser's HeadersInit.
    lib: ['es2024', 'esnext.disposable', 'dom'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
  };
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['user.ts'] }));
  const { stdout } = await run(join(modules, '.bin/tsc'), ['--project', project]).catch((error) => error);
  expect(stdout).toBe('');
});
