// What is rendered: HAProxy takes it, whatever is set; it names every path of the contract; and it holds no secret.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { haproxyPath } from '../../edge/haproxy.ts';
import { render } from '../../edge/render.ts';
import { readEdgeConfig } from '../../server/config.ts';
import { selfSigned } from '../support/certificate.ts';
import { holdsItsOwnSecret, isCheap, isStream, publicRpcs } from '../support/contract.ts';
import { hasHaproxy, startEdge } from '../support/edge.ts';
import { rawRequest } from './http.ts';
import { startReplica } from './stand-in.ts';

const hasIt = await hasHaproxy();

async function rendered(env: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'countersign edge-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const { cert, key } = selfSigned();
  const certificate = join(folder, 'c.pem');
  await writeFile(certificate, `${cert}${key}`);
  const path = await render(readEdgeConfig(env), certificate, folder);
  return { path, text: await readFile(path, 'utf8') };
}

const everything = {
  COUNTERSIGN_EDGE_ADDRESS: '[::]:8443',
  COUNTERSIGN_EDGE_REPLICAS: '10.0.0.1:8080, localhost:8080,[fd00::3]:8080',
  COUNTERSIGN_EDGE_METRICS_ADDRESS: '[::1]:8405',
  COUNTERSIGN_EDGE_PROXY_PROTOCOL: 'yes',
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
    const { stdout, stderr } = await promisify(execFile)(haproxyPath, ['-c', '-f', path]);
    expect([stdout.trim(), stderr]).toEqual(['Configuration file is valid', '']);
  });

  test('has every RPC of the contract, what is costly of what strangers can call, and what streams', async () => {
    const { text: config } = await rendered({});
    const pathsOf = (name: string) =>
      [...config.matchAll(new RegExp(`^ *acl ${name} path (\\S+)$`, 'gm'))].map(([, path]) => path).sort();
    const health = ['Check', 'List', 'Watch'].map((method) => `/grpc.health.v1.Health/${method}`);
    const named = (rpcs: typeof publicRpcs) => rpcs.map(({ path }) => path);
    expect(pathsOf('is_rpc')).toEqual([...named(publicRpcs), ...health].sort());
    const costly = publicRpcs.filter(({ method: { name } }) => holdsItsOwnSecret.has(name) && !isCheap.has(name));
    expect(pathsOf('is_costly')).toEqual(named(costly).sort());
    expect(pathsOf('is_stream')).toEqual([...named(publicRpcs.filter(isStream)), health[2]].sort());
    expect(config).not.toContain('internal');
    expect(config).not.toMatch(/\{\{|\}\}/);
  });
});

test.skipIf(!hasIt)('behind a TCP balancer it is the PROXY protocol that says who calls', async () => {
  const replica = await startReplica();
  onTestFinished(() => replica.stop());
  const edge = await startEdge({ replicas: [replica.address], env: { COUNTERSIGN_EDGE_PROXY_PROTOCOL: 'yes' } });
  if (edge === undefined) throw new Error('no HAProxy');
  onTestFinished(() => edge.stop());
  const callAs = async (line: string) => {
    const socket = connect(edge.port, '127.0.0.1');
    socket.write(line);
    const secured = connectTls({ socket, ca: edge.ca, host: '127.0.0.1' });
    secured.on('error', () => {});
    secured.write(rawRequest('/countersign.v1.TwoStepAuth/GetSettings', ['x-forwarded-for: 203.0.113.9']));
    return text(secured).catch(() => '');
  };
  await callAs('PROXY TCP4 198.51.100.7 10.0.0.1 50000 443\r\n');
  await callAs('PROXY TCP6 2001:db8::7 fd00::1 50000 443\r\n');
  expect(replica.calls.map((headers) => headers['x-forwarded-for'])).toEqual(['198.51.100.7', '2001:db8::7']);
  // Without it nobody calls.
  expect(await callAs('')).toBe('');
});

// Only root may become somebody else.
test.skipIf(!hasIt || userInfo().uid !== 0)(
  'started as root it becomes another user, and is loaded anew as that',
  async () => {
    const replica = await startReplica();
    onTestFinished(() => replica.stop());
    const edge = await startEdge({ replicas: [replica.address], env: { COUNTERSIGN_EDGE_USER: 'nobody:nogroup' } });
    if (edge === undefined) throw new Error('no HAProxy');
    onTestFinished(() => edge.stop());
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
