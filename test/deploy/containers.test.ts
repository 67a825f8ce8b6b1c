// The image, the site of containers and the unit of systemd, as far as can be told without an engine: what they name exists, what they
// set is taken, and what they run is what test/deploy/build.test.ts runs.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkConfiguration } from '../../edge/haproxy.ts';
import { readConfig } from '../../server/config.ts';
import { createAuthority, thisMachine } from '../support/certificate.ts';
import { hasHaproxy } from '../support/edge.ts';
import { productionEnv } from '../support/processes.ts';
import { settingNames } from '../support/setting-names.ts';

const execute = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const text = (path: string) => readFile(join(root, path), 'utf8');

const manifest = JSON.parse(await text('package.json')) as {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
};
const dockerfile = (await text('Dockerfile')).replaceAll('\\\n', ' ');
const instructions = [...dockerfile.matchAll(/^ *([A-Z]+) +(.*)$/gm)].map(([, name = '', rest = '']) => ({
  name,
  rest,
}));
const said = (name: string) => instructions.filter((one) => one.name === name).map(({ rest }) => rest);
/** ENV's of the image. */
const imageEnv = Object.fromEntries(
  said('ENV').flatMap((line) => [...line.matchAll(/(\w+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value])),
);

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly networks?: Readonly<Record<string, { readonly ipv4_address?: string } | undefined>>;
}
interface Site {
  readonly services: Readonly<Record<string, Service>>;
}
// Comes with a package that the jobs need; the tests alone read YAML.
const yaml = createRequire(import.meta.url)('js-yaml') as { load(source: string): unknown };
const compose = await text('deploy/compose.yaml');
const exampleEnv = await text('deploy/example.env');

/** As `docker compose` reads it with these values. */
function siteWith(values: Readonly<Record<string, string>>): Site {
  const filled = compose.replace(/\$\{(\w+):\?([^}]*)\}/g, (_, name: string, takes: string) => {
    if (!values[name]) throw new Error(`${name}: ${takes}`);
    return values[name];
  });
  return yaml.load(filled) as Site;
}
const filledIn = {
  COUNTERSIGN_PUBLIC_URL: 'https://auth.example.com',
  POSTGRES_PASSWORD: 'abc123',
  REDIS_PASSWORD: 'def456',
  SMTP_URL: 'smtp://mailbox:1025',
  COUNTERSIGN_MAIL_FROM: 'Example <no-reply@example.com>',
};
const site = siteWith(filledIn);
const replicas = Object.entries(site.services).filter(([name]) => /^countersign-\d$/.test(name));

describe('the image', () => {
  test('is made of what there is, and of nothing that is kept out', async () => {
    const letIn: readonly string[] = (await text('.dockerignore')).match(/(?<=^!).+$/gm) ?? [];
    const copied = said('COPY').filter((line) => !line.startsWith('--from'));
    expect(copied.length).toBeGreaterThan(3);
    for (const path of copied.flatMap((line) => line.split(/ +/).slice(0, -1))) {
      expect([path, existsSync(join(root, path)), letIn.includes(path)]).toEqual([path, true, true]);
    }
  });

  test('runs the Node of the packages, which the build has too, and what the tests of the build run', () => {
    expect(said('FROM')[0]).toBe(`node:${manifest.dependencies['node']}-bookworm-slim AS build`);
    expect(said('RUN')[0]).toBe(
      JSON.stringify([...(manifest.scripts['build'] ?? '').split(' '), '/opt/countersign']).replaceAll(',', ', '),
    );
    expect(manifest.scripts['start']).toBe('node server/main.ts');
    expect(said('CMD').at(-1)).toBe('["node", "server/main.ts"]');
    expect(dockerfile).toMatch(/HEALTHCHECK .*CMD \["node", "deploy\/is-serving.ts", "http:\/\/127.0.0.1:8080"\]/);
    expect(imageEnv['PATH']).toMatch(/^\/opt\/countersign\/node_modules\/\.bin:/);
  });

  test('is nobody in particular, and holds no secret', () => {
    expect(said('USER')).toEqual(['65532:65532']);
    expect(said('ARG')).toEqual([]);
    expect(Object.keys(imageEnv).filter((name) => /KEY|TOKEN|PASSWORD|SECRET|URL/.test(name))).toEqual([]);
  });
});

describe('the site of containers', () => {
  test('starts without none of its values, which are all in example.env, and empty there', () => {
    const names = [...new Set(compose.match(/(?<=\$\{)\w+/g))].sort();
    expect(names).toEqual(Object.keys(filledIn).sort());
    expect(exampleEnv.match(/^\w+(?==)/gm)?.sort()).toEqual(names);
    expect(exampleEnv.match(/^\w+=.+$/gm)).toBeNull();
    for (const name of names) expect(() => siteWith({ ...filledIn, [name]: '' })).toThrow(name);
    // None has a value to fall back on.
    expect(compose.match(/\$\{\w+(?!\w|:\?)[^}]*\}/g)).toBeNull();
  });

  test('sets only what there is', () => {
    const set = Object.values(site.services).flatMap(({ environment }) => Object.keys(environment ?? {}));
    const known = new Set([...settingNames(), 'POSTGRES_USER', 'POSTGRES_DB', 'POSTGRES_PASSWORD']);
    expect([...set, ...Object.keys(imageEnv)].filter((name) => name !== 'PATH' && !known.has(name))).toEqual([]);
  });

  test('gives three replicas settings that production takes', async () => {
    expect(replicas).toHaveLength(3);
    const folder = await mkdtemp(join(tmpdir(), 'countersign-site-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const test = productionEnv({ databaseUrl: '', smtpUrl: '' });
    for (const name of ['CODE_KEYS', 'SIGNING_KEYS', 'SERVICE_TOKENS']) {
      await writeFile(join(folder, name.toLowerCase().replace('_', '-')), test[`COUNTERSIGN_${name}`] ?? '');
    }
    for (const [name, { environment, image }] of replicas) {
      expect(image).toBe('countersign:local');
      const mounted = Object.entries(environment ?? {}).map(([setting, value]) => [
        setting,
        value.replace(/^\/etc\/countersign/, folder),
      ]);
      const config = readConfig({ ...imageEnv, ...Object.fromEntries(mounted) });
      expect([name, config.mode, config.unknownSettings]).toEqual([name, 'production', []]);
      expect(config.publicAddress).toEqual({ host: '0.0.0.0', port: 8080 });
    }
  });

  test('waits for what has to be there before', () => {
    const waits = (name: string) =>
      Object.entries(site.services[name]?.depends_on ?? {}).map(([on, { condition }]) => `${on} ${condition}`);
    for (const [name] of replicas) expect(waits(name)).toEqual(['postgres service_healthy', 'redis service_healthy']);
    expect(waits('edge')).toEqual([
      'edge-configuration service_completed_successfully',
      ...replicas.map(([name]) => `${name} service_healthy`),
    ]);
  });

  test('has the edge in front of each replica, and believes it alone who a client is', () => {
    const { environment } = site.services['edge-configuration'] ?? {};
    expect(environment?.['COUNTERSIGN_EDGE_REPLICAS']).toBe(replicas.map(([name]) => `${name}:8080`).join(','));
    const address = site.services['edge']?.networks?.['inside']?.ipv4_address;
    expect(address).toBeDefined();
    for (const [, replica] of replicas) expect(replica.environment?.['COUNTERSIGN_TRUSTED_PROXIES']).toBe(address);
  });
});

test.skipIf(!(await hasHaproxy()))(
  'the edge of the site is rendered by its command, and HAProxy takes it',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'countersign-site-edge-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const { cert, key } = createAuthority().issue(thisMachine);
    await writeFile(join(folder, 'edge.pem'), `${cert}${key}`);
    const { command = [], environment = {} } = site.services['edge-configuration'] ?? {};
    const here = (path: string) => path.replace(/^\/(etc\/countersign|edge$)/, folder);
    const env = Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, here(value)]));
    const [program, ...args] = command.map(here);
    expect(program).toBe('node');
    expect(manifest.scripts['edge']).toBe(command.slice(0, 2).join(' '));
    await execute(process.execPath, args, { cwd: root, env });
    await checkConfiguration(join(folder, 'haproxy.cfg'));
  },
);

describe('the unit of systemd', () => {
  const analyze = '/usr/bin/systemd-analyze';

  test.skipIf(!existsSync(analyze))('is taken by systemd', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'countersign-unit-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const unit = await text('deploy/countersign.service');
    // It looks for the program, which is not installed here.
    const path = join(folder, 'countersign.service');
    await writeFile(path, unit.replaceAll('/opt/countersign', root.replace(/\/$/, '')));
    const { stderr } = await execute(analyze, ['verify', path]);
    expect(stderr).toBe('');
  });

  test('runs what the image runs, and gives up where a setting is wrong', async () => {
    const unit = await text('deploy/countersign.service');
    expect(unit).toMatch(/^ExecStart=\/opt\/countersign\/node_modules\/\.bin\/node server\/main\.ts$/m);
    expect(unit).toMatch(/^RestartPreventExitStatus=78$/m);
    expect(unit).toMatch(/^TimeoutStopSec=15$/m);
  });
});
