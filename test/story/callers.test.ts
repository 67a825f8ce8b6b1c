// Internal callers in Python and Java, with clients that Debian's generators make of the contract: what they are told of a session
// is what a client of ours is told. Where the generators can't be installed, it says so and is skipped.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureInstalled } from '../support/debian-packages.ts';
import { eventually } from '../support/eventually.ts';
import { detailsContract, generate, hasPython, makePython } from '../support/generated-callers.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const execute = promisify(execFile);
const root = join(import.meta.dirname, '../..');
/** What Sessions and the details of its refusals are made of. */
const contract = [
  'countersign/internal/v1/sessions.proto',
  'countersign/v1/device.proto',
  'countersign/v1/location.proto',
  ...detailsContract,
];

const jars = [
  ...['api', 'context', 'core', 'netty', 'protobuf', 'protobuf-lite', 'stub'].map((part) => `grpc-${part}`),
  ...['buffer', 'codec', 'codec-http', 'codec-http2', 'common', 'handler', 'resolver', 'transport'].map(
    (part) => `netty-${part}`,
  ),
  ...['geronimo-annotation-1.3-spec', 'guava', 'jsr305', 'opencensus-api', 'perfmark-api', 'protobuf'],
].map((name) => `/usr/share/java/${name}.jar`);

interface Language {
  readonly isThere: boolean;
  /** Makes the caller in a folder; returns the command that runs it, without the server's address. */
  make(folder: string): Promise<readonly string[]>;
}

const languages: Readonly<Record<string, Language>> = {
  Python: {
    isThere: await hasPython(),
    make: (folder) => makePython('test/callers/follow_revocations.py', contract, folder),
  },
  Java: {
    isThere: await ensureInstalled(
      ['/usr/bin/protoc', '/usr/bin/grpc_java_plugin', '/usr/bin/javac', ...jars],
      [
        ...['protobuf-compiler', 'protobuf-compiler-grpc-java-plugin', 'default-jdk-headless'],
        ...['libgrpc-java', 'libprotobuf-java', 'libguava-java', 'libnetty-java', 'libperfmark-java'],
        'libgeronimo-annotation-1.3-spec-java',
      ],
    ),
    make: async (folder) => {
      const sources = join(folder, 'sources');
      const classes = join(folder, 'classes');
      await Promise.all([sources, classes].map((path) => mkdir(path)));
      await generate('java', '/usr/bin/grpc_java_plugin', contract, sources);
      const generated = (await readdir(sources, { recursive: true })).filter((path) => path.endsWith('.java'));
      const classPath = [classes, ...jars].join(delimiter);
      const files = ['test/callers/FollowRevocations.java', ...generated.map((path) => join(sources, path))];
      await execute('/usr/bin/javac', ['-nowarn', '-d', classes, '-cp', classPath, ...files], { cwd: root });
      return ['/usr/bin/java', '-cp', classPath, 'FollowRevocations'];
    },
  },
};

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

describe.each(Object.entries(languages))('a caller in %s', (_name, { isThere, make }) => {
  let folder: string;
  let command: readonly string[];

  beforeAll(async () => {
    if (!isThere) return;
    folder = await mkdtemp(join(tmpdir(), 'countersign-caller-'));
    command = await make(folder);
  }, 180_000);
  afterAll(async () => {
    if (isThere) await rm(folder, { recursive: true, force: true });
  });

  function start(tokens: { readonly serviceToken: string; readonly accessToken: string }) {
    const [file = '', ...more] = command;
    const child = spawn(file, [...more, new URL(server.internalUrl).host], {
      cwd: root,
      env: { PATH: '/usr/bin:/bin', SERVICE_TOKEN: tokens.serviceToken, ACCESS_TOKEN: tokens.accessToken },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk;
      });
    }
    const exit = once(child, 'close').then(([code]) => code as number | null);
    return {
      output: () => output,
      exit,
      end: async () => {
        child.kill('SIGKILL');
        await exit;
      },
    };
  }

  test.skipIf(!isThere)(
    'knows whose token it holds, and hears when that session ends',
    { timeout: 90_000 },
    async () => {
      const account = await server.createAccount();
      const owner = await server.signInNewDevice(account);
      const { session } = await server.signInNewDevice(account);
      const { serviceToken } = server;
      const caller = start({ serviceToken, accessToken: session.accessToken });
      try {
        await eventually(60_000, () => expect(caller.output()).toContain('caught up\n'));
        const before = caller.output();
        expect(before).toBe(`active ${session.sessionId} pwd,otp\ncaught up\n`);
        await owner.client.trustedDevices.removeTrustedDevice({ deviceId: session.deviceId });
        expect(await caller.exit).toBe(0);
        expect(caller.output()).toBe(`${before}revoked ${session.sessionId} DEVICE_REMOVED\n`);
      } finally {
        await caller.end();
      }
    },
  );

  test.skipIf(!isThere)('reads why it was refused', { timeout: 90_000 }, async () => {
    const caller = start({ serviceToken: 'a-token-that-nobody-has-given', accessToken: 'any' });
    expect(await caller.exit).toBe(1);
    expect(caller.output()).toBe('refused UNAUTHENTICATED SERVICE_TOKEN_INVALID\n');
  });
});
