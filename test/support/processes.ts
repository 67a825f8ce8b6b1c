// Servers as processes of their own, as an operator runs them: started, killed, stopped, and their words kept. Whatever a
// test leaves running is killed by its own pid.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnectTransport } from '@connectrpc/connect-node';
import { afterAll } from 'vitest';
import { type AppClient, createAppClient } from '../../clients/app/client.ts';
import { createServiceClient, type ServiceClient } from '../../clients/service/client.ts';
import { hashServiceToken, scopes } from '../../server/platform/service-tokens.ts';
import { emptyCityFile } from './city-file.ts';
import { serviceToken } from './server.ts';

/** Where a server stands, and as whom it runs. */
export interface Installation {
  readonly folder: string;
  /** The Node that it runs on. */
  readonly node: string;
  /** By default this process's. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

const thisClone: Installation = { folder: join(import.meta.dirname, '../..'), node: process.execPath };

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process of server/main.ts. */
export interface Program {
  readonly pid: number;
  readonly exit: Promise<Exit>;
  /** Everything that it wrote so far. */
  stdout(): string;
  stderr(): string;
  /** What `find` returns, once it finds something in what was written. @throws Error when the process ends before. */
  waitFor<T>(find: (stdout: string) => T | undefined, timeoutMs?: number): Promise<T>;
  signal(signal: NodeJS.Signals): void;
  /** `kill -9`, and waits for the end. */
  kill(): Promise<void>;
}

/** A server that serves. */
export interface ServerProgram extends Program {
  readonly publicUrl: string;
  readonly internalUrl: string;
  readonly service: ServiceClient;
  appClient(): AppClient;
}

export interface Programs {
  /** Starts server/main.ts with these settings and none of this process. */
  start(env: Readonly<Record<string, string>>): Program;
  /** The same, until it serves. */
  serve(env: Readonly<Record<string, string>>): Promise<ServerProgram>;
  /** What a start with these settings ends with. @throws Error when it does not end. */
  endOf(
    env: Readonly<Record<string, string>>,
  ): Promise<{ readonly code: number | null; readonly stderr: string; readonly stdout: string }>;
}

/** Production settings on loopback, any free ports. */
export function productionEnv(parts: {
  readonly databaseUrl: string;
  readonly smtpUrl: string;
}): Record<string, string> {
  return {
    COUNTERSIGN_MODE: 'production',
    COUNTERSIGN_PUBLIC_ADDRESS: '127.0.0.1:0',
    COUNTERSIGN_INTERNAL_ADDRESS: '127.0.0.1:0',
    COUNTERSIGN_PUBLIC_URL: 'http://127.0.0.1:8080',
    // Nothing balances calls here, unless a test says so.
    COUNTERSIGN_DRAIN_DELAY: '0s',
    COUNTERSIGN_MAIL_FROM: 'Countersign <no-reply@example.com>',
    COUNTERSIGN_CODE_KEYS: `test:${Buffer.alloc(32, 1).toString('base64')}`,
    COUNTERSIGN_SIGNING_KEYS: `test:${Buffer.alloc(32, 2).toString('base64')}`,
    COUNTERSIGN_SERVICE_TOKENS: `test:${scopes.join('+')}:${Buffer.from(hashServiceToken(serviceToken)).toString('hex')}`,
    DATABASE_URL: parts.databaseUrl,
    SMTP_URL: parts.smtpUrl,
  };
}

/** Programs for the length of a test file. */
export function programs({ folder: root, node, user }: Installation = thisClone): Programs {
  const running = new Set<ChildProcess>();
  const killAll = () => {
    for (const child of running) child.kill('SIGKILL');
  };
  // The worker of the test runner may be ended in the middle of a test.
  process.once('exit', killAll);
  let folder: Promise<string> | undefined;
  afterAll(async () => {
    const exits = [...running].map((child) => once(child, 'exit'));
    killAll();
    await Promise.all(exits);
    process.off('exit', killAll);
    if (folder !== undefined) await rm(await folder, { recursive: true, force: true });
  });
  /** The bundled city data is 134 MB, read by every start: what these tests ask does not need it. */
  const cityFile = async () => {
    folder ??= mkdtemp(join(tmpdir(), 'countersign-programs-'));
    const path = join(await folder, 'city.mmdb');
    await writeFile(path, emptyCityFile());
    return path;
  };
  let city: Promise<string> | undefined;

  const start = (env: Readonly<Record<string, string>>): Program => {
    const child = spawn(node, ['server/main.ts'], {
      ...user,
      cwd: root,
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const exit = once(child, 'close').then(([code, signal]): Exit => {
      running.delete(child);
      return { code, signal };
    });
    return {
      pid: child.pid ?? 0,
      exit,
      stdout: () => stdout,
      stderr: () => stderr,
      waitFor: (find, timeoutMs = 120_000) =>
        new Promise((resolve, reject) => {
          const fail = (why: string) => reject(new Error(`${why}: ${stdout.slice(-2_000)}\n${stderr.slice(-2_000)}`));
          const timer = setTimeout(() => fail(`nothing within ${timeoutMs} ms`), timeoutMs);
          const look = () => {
            const found = find(stdout);
            if (found === undefined) return;
            clearTimeout(timer);
            child.stdout.off('data', look);
            resolve(found);
          };
          child.stdout.on('data', look);
          child.once('close', () => fail('the process ended'));
          look();
        }),
      signal: (signal) => {
        child.kill(signal);
      },
      kill: async () => {
        child.kill('SIGKILL');
        await exit;
      },
    };
  };
  const serve = async (env: Readonly<Record<string, string>>): Promise<ServerProgram> => {
    city ??= cityFile();
    const program = start({ COUNTERSIGN_GEOIP_CITY: await city, ...env });
    const { publicUrl, internalUrl } = await program.waitFor(servingAt);
    return {
      ...program,
      publicUrl,
      internalUrl,
      service: createServiceClient({ baseUrl: internalUrl, serviceToken, timeoutMs: 20_000 }),
      appClient: () =>
        createAppClient({
          // HTTP/1.1: a connection of its own for each call leaves nothing behind when a server is killed.
          transport: (needs) => createConnectTransport({ baseUrl: publicUrl, httpVersion: '1.1', ...needs }),
          clientVersion: '2.3',
          platform: 'ios',
          timeoutMs: 20_000,
        }),
    };
  };
  const endOf = async (env: Readonly<Record<string, string>>) => {
    const program = start(env);
    const late = sleep(50_000, undefined, { ref: false }).then(() =>
      Promise.reject(new Error(`still running: ${program.stdout().slice(-2_000)}`)),
    );
    const { code } = await Promise.race([program.exit, late]);
    return { code, stderr: program.stderr(), stdout: program.stdout() };
  };
  return { start, serve, endOf };
}

function servingAt(stdout: string): { readonly publicUrl: string; readonly internalUrl: string } | undefined {
  const line = stdout.split('\n').find((each) => each.includes('"msg":"serving"'));
  if (line === undefined) return undefined;
  const { public: publicUrl, internal: internalUrl } = JSON.parse(line) as { public: string; internal: string };
  return { publicUrl, internalUrl };
}
