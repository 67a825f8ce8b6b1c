// What is rendered: HAProxy takes it, whatever is set; it names every path of the contract; and it holds no secret.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { findHaproxy } from '../../edge/haproxy.ts';
import { render } from '../../edge/render.ts';
import { readEdgeConfig } from '../../server/config.ts';
import { createAuthority, selfSigned } from '../support/certificate.ts';
import { holdsItsOwnSecret, isCheap, isStream, publicRpcs } from '../support/contract.ts';
import { hasHaproxy } from '../support/edge.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { edgeOver, replicaThat } from './for-a-test.ts';
import { proxyLine, rawRequest, send, sendAs } from './http.ts';

const hasIt = await hasHaproxy();

/** A folder for a test, with a certificate and its authority in it. */
async function makeFolder() {
  const folder = await mkdtemp(join(tmpdir(), 'countersign edge-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const { cert, key } = selfSigned();
  const certificate = join(folder, 'c.pem');
  await writeFile(certificate, `${cert}${key}`);
  return { folder, certificate };
}

async function rendered(env: Readonly<Record<string, string>>) {
  const { folder, certificate } = await makeFolder();
  const withCa = {
    ...env,
    ...('COUNTERSIGN_EDGE_REPLICAS_CA' in env && { COUNTERSIGN_EDGE_REPLICAS_CA: certificate }),
  };
  const path = await render(readEdgeConfig(withCa), certificate, folder, async () => {});
  return { path, text: await readFile(path, 'utf8') };
}

/** `127.1` is no address to us but a name, and one that every machine knows. */
const everything = {
  COUNTERSIGN_EDGE_ADDRESS: '[::]:8443',
  COUNTERSIGN_EDGE_REPLICAS: '10.0.0.1:8080, localhost:8080,[fd00::3]:8080,127.1:8081',
  COUNTERSIGN_EDGE_REPLICAS_CA: 'where it is',
  COUNTERSIGN_EDGE_METRICS_ADDRESS: '[::1]:8405',
  COUNTERSIGN_EDGE_PROXY_PROTOCOL: '10.0.0.0/8,fd00::/8,192.0.2.1',
  COUNTERSIGN_EDGE_CONNECTIONS: '100',
  COUNTERSIGN_EDGE_CONNECTIONS_PER_ADDRESS: '10',
  COUNTERSIGN_EDGE_USER: 'nobody:nogroup',
  COUNTERSIGN_ALLOWED_ORIGINS: 'https://a.example.com,http://localhost:3000',
  COUNTERSIGN_MINIMUM_CLIENT_VERSION: 'ios=2.3,android=2.4.1-rc.1+build-7',
  COUNTERSIGN_CALLS_PER_ADDRESS: '1000000',
  COUNTERSIGN_STRANGERS_CALLS_PER_ADDRESS: '1',
};

describe('the configuration', () => {
  const settings: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['nothing', {}],
    ['everything', everything],
    ...Object.entries(everything).map(([name, value]) => [name, { [name]: value }] as const),
  ];
  test.skipIf(!hasIt).each(settings)('is one that HAProxy takes without a warning, with %s set', async (_name, env) => {
    const { path } = await rendered(env);
    const { stdout, stderr } = await promisify(execFile)(findHaproxy() ?? '', ['-c', '-f', path]);
    expect([stdout.trim(), stderr]).toEqual(['Configuration file is valid', '']);
  });

  test('has every RPC of the contract, what is costly of what strangers can call, and what streams', async () => {
    const { text: config } = await rendered({});
    const pathsOf = (name: string) =>
      [...config.matchAll(new RegExp(`^ *acl ${name} path (\\S+)$`, 'gm'))].map(([, path]) => path).sort();
    const health = ['Check', 'List'].map((method) => `/grpc.health.v1.Health/${method}`);
    const named = (rpcs: typeof publicRpcs) => rpcs.map(({ path }) => path);
    expect(pathsOf('is_rpc')).toEqual([...named(publicRpcs), ...health].sort());
    const costly = publicRpcs.filter(({ method: { name } }) => holdsItsOwnSecret.has(name) && !isCheap.has(name));
    expect(pathsOf('is_costly')).toEqual(named(costly).sort());
    expect(pathsOf('is_stream')).toEqual(named(publicRpcs.filter(isStream)).sort());
    expect(config).not.toContain('internal');
    expect(config).not.toMatch(/\{\{|\}\}/);
  });
});

test('only a replica that is named is looked up again, and it stays where it was when that fails', async () => {
  const { text: config } = await rendered({
    COUNTERSIGN_EDGE_REPLICAS: '10.0.0.1:80,[fd00::3]:80,localhost:80,replica.example:80',
  });
  const lookedUp = [...config.matchAll(/^ *server (\S+) .* resolvers machine resolve-prefer ipv4 check$/gm)];
  expect(lookedUp.map(([, name]) => name)).toEqual(['replica.example:80']);
  for (const status of ['nx', 'timeout', 'refused', 'other']) expect(config).toContain(`    hold ${status} 24d\n`);
});

test('a configuration that is none leaves the one that there was', async () => {
  const { folder, certificate } = await makeFolder();
  const write = (host: string, check: () => Promise<void>) =>
    render(readEdgeConfig({ COUNTERSIGN_EDGE_REPLICAS: `${host}:80` }), certificate, folder, check);
  const path = await write('10.0.0.1', async () => {});
  await expect(write('10.0.0.2', () => Promise.reject(new Error('none')))).rejects.toThrow('none');
  expect(await readFile(path, 'utf8')).toContain('10.0.0.1:80');
  expect(await readFile(path, 'utf8')).not.toContain('10.0.0.2:80');
});

test('no address has more than a quarter of all connections', () => {
  const settings = (connections: string, perAddress?: string) =>
    readEdgeConfig({
      COUNTERSIGN_EDGE_CONNECTIONS: connections,
      ...(perAddress && { COUNTERSIGN_EDGE_CONNECTIONS_PER_ADDRESS: perAddress }),
    }).edge.connectionsPerAddress;
  expect(() => settings('8000', '2001')).toThrow('from 1 to 2000');
  expect([settings('8000', '2000'), settings('8000'), settings('100')]).toEqual([2000, 400, 25]);
});

test.skipIf(!hasIt)(
  'behind a TCP balancer it is the PROXY protocol that says who calls, and nobody else can',
  async () => {
    const replica = await replicaThat();
    const env = { COUNTERSIGN_EDGE_PROXY_PROTOCOL: '127.0.0.1,127.0.0.8/31' };
    const edge = await edgeOver({ replicas: [replica.address], env });
    const request = rawRequest('/countersign.v1.TwoStepAuth/GetSettings', ['x-forwarded-for: 203.0.113.9']);
    await sendAs(edge, proxyLine('198.51.100.7'), request);
    await sendAs(edge, proxyLine('2001:db8::7'), request, '127.0.0.9');
    const callers = ['198.51.100.7', '2001:db8::7'];
    expect(replica.calls.map((headers) => headers['x-forwarded-for'])).toEqual(callers);
    // Without it nobody calls, nor from elsewhere with it.
    expect(await sendAs(edge, '', request)).toBe('');
    for (const line of [proxyLine('198.51.100.7'), ''])
      expect(await sendAs(edge, line, request, '127.0.0.10')).toBe('');
    expect(replica.calls).toHaveLength(callers.length);
  },
);

describe.skipIf(!hasIt)('replicas that speak TLS', () => {
  const authority = createAuthority();
  const statusOver = async (address: string, ca: string) => {
    const { folder } = await makeFolder();
    const path = join(folder, 'replicas.pem');
    await writeFile(path, ca);
    const edge = await edgeOver({ replicas: [address], env: { COUNTERSIGN_EDGE_REPLICAS_CA: path } });
    return (await send(edge, { ':path': '/countersign.v1.TwoStepAuth/GetSettings' })).status;
  };
  const replicaNamed = async (name: string) => {
    const { address } = await replicaThat(undefined, authority.issue({ dns: [name] }));
    return { byName: address.replace('127.0.0.1', 'localhost'), byNumber: address };
  };

  test('are called and asked whether they serve, by name and by number', async () => {
    const { byName, byNumber } = await replicaNamed('localhost');
    expect(await statusOver(byName, authority.cert)).toBe(200);
    expect(await statusOver(byNumber, authority.cert)).toBe(200);
  });

  test('are told nothing where they have another name or authority, or speak cleartext', async () => {
    const { byName } = await replicaNamed('localhost');
    expect(await statusOver(byName, createAuthority().cert)).toBe(503);
    expect(await statusOver((await replicaNamed('elsewhere.example')).byName, authority.cert)).toBe(503);
    expect(await statusOver((await replicaThat()).address, authority.cert)).toBe(503);
  });
});

describe.skipIf(!hasIt)('as a command', () => {
  const main = async (args: readonly string[], env: Readonly<Record<string, string>>) => {
    const { folder, certificate } = await makeFolder();
    const own = {
      COUNTERSIGN_DATA_DIR: folder,
      COUNTERSIGN_EDGE_CERTIFICATE: certificate,
      COUNTERSIGN_MODE: 'production',
    };
    const child = spawn(process.execPath, ['edge/main.ts', ...args], {
      cwd: join(import.meta.dirname, '../..'),
      env: { PATH: process.env['PATH'], ...own, ...env },
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => (said += piece));
    return { child, exit: once(child, 'close'), said: () => said };
  };

  test('it starts in production over replicas, with nothing else of the server’s settings', async () => {
    const replica = await replicaThat();
    const { child, exit, said } = await main([], {
      COUNTERSIGN_EDGE_ADDRESS: `127.0.0.1:${await freePort()}`,
      COUNTERSIGN_EDGE_METRICS_ADDRESS: `127.0.0.1:${await freePort()}`,
      COUNTERSIGN_EDGE_REPLICAS: replica.address,
    });
    await eventually(20_000, () => expect(said()).toContain('serving behind its edge'));
    child.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
  });

  test('it renders nothing without replicas: where clients come in is none', async () => {
    const { exit, said } = await main(['render', tmpdir()], { COUNTERSIGN_PUBLIC_ADDRESS: '0.0.0.0:8080' });
    expect(await exit).toEqual([78, null]);
    expect(said()).toContain('COUNTERSIGN_EDGE_REPLICAS is missing: the public listeners of the replicas');
  });
});

test.skipIf(!hasIt)('nobody else opens its sockets', async () => {
  const edge = await edgeOver({ replicas: [`127.0.0.1:${await freePort()}`] });
  for (const name of ['admin.sock', 'peers.sock']) {
    expect([name, ((await stat(join(edge.folder, name))).mode & 0o777).toString(8)]).toEqual([name, '600']);
  }
});

// Only root may become somebody else.
test.skipIf(!hasIt || userInfo().uid !== 0)(
  'started as root it becomes another user, and is loaded anew as that',
  async () => {
    const replica = await replicaThat();
    const edge = await edgeOver({ replicas: [replica.address], env: { COUNTERSIGN_EDGE_USER: 'nobody:nogroup' } });
    const uids = async () => {
      const { stdout } = await promisify(execFile)('ps', ['-o', 'user=,group=', '--ppid', String(edge.pid)]);
      return [...new Set(stdout.trim().split(/\s*\n\s*/))];
    };
    expect(await uids()).toEqual([expect.stringMatching(/^nobody +nogroup$/)]);
    await edge.reload();
    await edge.appClient({ json: true }).twoStepAuth.getSettings({});
    expect(await uids()).toEqual([expect.stringMatching(/^nobody +nogroup$/)]);
  },
);
