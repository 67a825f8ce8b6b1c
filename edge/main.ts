// `npm run edge`: HAProxy over replicas that run already, or over three of development mode that it starts itself. `npm run edge --
// render FOLDER` writes what HAProxy is started with elsewhere.

import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { readCommandConfig, readConfig, readEdgeConfig } from '../server/config.ts';
import { ConfigError, exitCodeOfConfigError } from '../server/environment.ts';
import { checkConfiguration, findHaproxy, installedPath, startHAProxy } from './haproxy.ts';
import { hostAndPort, render } from './render.ts';
import type { Replicas } from './replicas.ts';

async function renderInto(folder: string): Promise<void> {
  const config = readEdgeConfig(process.env);
  const { certificate, replicas } = config.edge;
  if (certificate === undefined) {
    return missing('COUNTERSIGN_EDGE_CERTIFICATE', 'the path of a PEM file with a certificate, its chain and its key');
  }
  if (replicas.length === 0) {
    return missing('COUNTERSIGN_EDGE_REPLICAS', 'the public listeners of the replicas: 10.0.0.1:8080,10.0.0.2:8080');
  }
  const installed = findHaproxy() !== undefined;
  const path = await render(config, certificate, folder, installed ? checkConfiguration : async () => {});
  process.stdout.write(`${path}\n${installed ? 'HAProxy takes it.\n' : 'HAProxy is not here to check it.\n'}`);
}

function missing(name: string, takes: string): never {
  throw new ConfigError(`${name} is missing: ${takes}`, [name]);
}

async function run(): Promise<void> {
  // Before anything else is started.
  installedPath();
  const { edge, ...config } = readEdgeConfig(process.env);
  const { dataDir } = readCommandConfig(process.env);
  const folder = resolve(dataDir, 'edge');
  await mkdir(folder, { recursive: true });
  const url = `https://${hostAndPort(edge.address)}`;
  const replicas = edge.replicas.length === 0 ? await startDevelopmentReplicas(url, folder) : undefined;
  try {
    const certificate = edge.certificate ?? (await makeCertificate(folder));
    const over = { ...edge, replicas: replicas?.addresses ?? edge.replicas };
    const path = await render({ ...config, edge: over }, certificate, folder, checkConfiguration);
    const haproxy = await startHAProxy(path, (line) => process.stdout.write(`${line}\n`));
    const signal = new Promise<void>((done) => {
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => done());
    });
    const rows = [
      ['edge', url],
      ['replicas', over.replicas.map(hostAndPort).join(', ')],
      ['metrics', `http://${hostAndPort(edge.metricsAddress)}/metrics`],
      ['configuration', relative('.', path)],
      ...(replicas?.rows ?? []),
    ];
    const trust = edge.certificate === undefined ? ` --cacert ${relative('.', join(folder, 'ca.pem'))}` : '';
    process.stdout.write(
      [
        '',
        'Countersign is serving behind its edge.',
        '',
        ...rows.map(([name = '', value]) => `  ${name.padEnd(14)}  ${value}`),
        '',
        'Reflection does not go through it, so a caller brings the contract:',
        '',
        `  npx buf curl${trust} --schema . -H 'countersign-client-version: 2.3' -H 'countersign-client-platform: ios' \\`,
        ...exampleCall(url, replicas),
        '',
        'A line below is a call. Ctrl+C stops all of it.',
        '',
        '',
      ].join('\n'),
    );
    const ended = haproxy.exit.then(() => true);
    const failed = await Promise.race([ended, signal.then(() => false)]);
    // Ctrl+C reaches all processes of a terminal: HAProxy may end before we hear of it.
    const asked = await Promise.race([signal.then(() => true), new Promise<false>((no) => setTimeout(no, 500, false))]);
    await haproxy.stop();
    if (failed && !asked) throw new Error('HAProxy has ended');
  } finally {
    await replicas?.stop();
  }
}

function exampleCall(url: string, replicas: Replicas | undefined): readonly string[] {
  if (replicas === undefined) return [`    ${url}/countersign.v1.TwoStepAuth/GetSettings -d '{}'`];
  const { demoEmail: email, demoPassword: password } = replicas.known;
  const device = { display_name: 'My iPhone', model: 'iPhone 17', platform: 'PLATFORM_IOS' };
  return [`    ${url}/countersign.v1.TwoStepAuth/SignIn \\`, `    -d '${JSON.stringify({ email, password, device })}'`];
}

/** What `npm run build` makes has none of the parts of development. */
async function startDevelopmentReplicas(url: string, folder: string): Promise<Replicas> {
  const { startReplicas } = await import('./replicas.ts').catch(() =>
    missing(
      'COUNTERSIGN_EDGE_REPLICAS',
      'host:port of each replica; development, which starts some, is not installed here',
    ),
  );
  return startReplicas(readConfig(process.env), url, folder);
}

/** For this machine, for a day, and its own authority. */
async function makeCertificate(folder: string): Promise<string> {
  const { selfSigned } = await import('../server/development/certificate.ts').catch(() =>
    missing('COUNTERSIGN_EDGE_CERTIFICATE', 'a PEM file; development, which makes one, is not installed here'),
  );
  const { cert, key } = selfSigned();
  const path = join(folder, 'certificate.pem');
  await writeFile(path, `${cert}${key}`, { mode: 0o600 });
  await writeFile(join(folder, 'ca.pem'), cert);
  return path;
}

async function main([command, folder, ...more]: readonly string[]): Promise<void> {
  if (command === undefined) return run();
  if (command === 'render' && folder !== undefined && more.length === 0) return renderInto(folder);
  throw new ConfigError('usage: npm run edge, or npm run edge -- render FOLDER');
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error: unknown) => {
    const words = error instanceof Error ? error.message : String(error);
    process.stderr.write(`countersign: ${words}\n`);
    process.exit(error instanceof ConfigError ? exitCodeOfConfigError : 1);
  },
);
