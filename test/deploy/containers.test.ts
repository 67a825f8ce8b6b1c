// The image, the site of containers and the units of systemd, as far as can be told without an engine: what they name exists, what they
// set is taken, and what they run is what test/deploy/build.test.ts runs.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { BlockList, isIPv4 } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkConfiguration } from '../../edge/haproxy.ts';
import { parameters } from '../../edge/render.ts';
import { readConfig, readEdgeConfig } from '../../server/config.ts';
import { parseDuration } from '../../server/environment.ts';
import { createAuthority, thisMachine } from '../support/certificate.ts';
import { hasHaproxy } from '../support/edge.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { productionEnv } from '../support/processes.ts';
import { settingNames } from '../support/setting-names.ts';

const execute = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const hasEdge = await hasHaproxy();
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
  readonly ulimits?: { readonly nofile: number };
  readonly stop_grace_period?: string;
}
interface Range {
  readonly subnet: string;
  readonly gateway: string;
  readonly ip_range: string;
}
interface Site {
  readonly networks: Readonly<Record<string, { readonly ipam: { readonly config: readonly Range[] } } | null>>;
  readonly services: Readonly<Record<string, Service>>;
}
// Comes with a package that the jobs need; the tests alone read YAML.
const yaml = createRequire(import.meta.url)('js-yaml') as { load(source: string): unknown };
const compose = await text('deploy/compose.yaml');
const exampleEnv = await text('deploy/example.env');

/** ms, of the contract: from SIGTERM to the exit of a replica. */
const stopsWithin = 10_000;
const edgeStopsWithin = parseDuration(parameters.hardStopAfter) ?? Number.NaN;
/** For a client and a replica, and what else HAProxy opens. */
const edgeFiles = 2 * readEdgeConfig({}).edge.connections + 100;

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

  test('gives nothing else the address that is believed', () => {
    const address = site.services['edge']?.networks?.['inside']?.ipv4_address ?? '';
    const [range] = site.networks['inside']?.ipam.config ?? [];
    const isIn = (network = '', what = '') => {
      const [first = '', bits] = network.split('/');
      const list = new BlockList();
      list.addSubnet(first, Number(bits));
      return isIPv4(what) && list.check(what);
    };
    expect(range?.gateway).not.toBe(address);
    expect([isIn(range?.subnet, address), isIn(range?.ip_range, address)]).toEqual([true, false]);
    expect(isIn(range?.subnet, range?.ip_range.split('/')[0])).toBe(true);
  });

  test('tells the edge what it tells the replicas, of all that both read', () => {
    const read = new Set<string>();
    readEdgeConfig(
      new Proxy<Readonly<Record<string, string>>>(
        {},
        {
          get: (_, name) => {
            read.add(String(name));
            return undefined;
          },
        },
      ),
    );
    const shared = [...read].filter((name) => !/^COUNTERSIGN_(EDGE_|PUBLIC_ADDRESS)/.test(name));
    expect(shared.length).toBeGreaterThan(3);
    const toldTo = (name: string) => shared.map((setting) => [setting, site.services[name]?.environment?.[setting]]);
    for (const [name] of replicas) expect(toldTo(name)).toEqual(toldTo('edge-configuration'));
    expect(toldTo('edge-configuration').filter(([, value]) => value === undefined)).toEqual([]);
  });

  test('waits for what stops, and lets the edge have its connections', () => {
    const waits = (name: string) => parseDuration(site.services[name]?.stop_grace_period ?? '');
    for (const [name] of replicas) expect(waits(name)).toBeGreaterThan(stopsWithin);
    expect(waits('edge')).toBeGreaterThan(edgeStopsWithin);
    expect(site.services['edge']?.ulimits?.nofile).toBeGreaterThan(edgeFiles);
  });
});

test.skipIf(!hasEdge)('the edge of the site is rendered by its command, and HAProxy takes it', async () => {
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
});

const units = {
  replica: await text('deploy/countersign.service'),
  edge: await text('deploy/countersign-edge.service'),
};
/** Its lines of this name. */
const settingsOf = (unit: string, name: string) =>
  [...unit.matchAll(/^(\w+)=(.*)$/gm)].filter(([, key]) => key === name).map(([, , value = '']) => value);

describe('the units of systemd', () => {
  const analyze = '/usr/bin/systemd-analyze';

  test.skipIf(!existsSync(analyze) || !hasEdge)('are taken by systemd', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'countersign-unit-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    for (const [name, unit] of Object.entries(units)) {
      // It looks for the program, which is not installed here.
      const path = join(folder, `${name}.service`);
      await writeFile(path, unit.replaceAll('/opt/countersign', root.replace(/\/$/, '')));
      const { stderr } = await execute(analyze, ['verify', path]);
      expect([name, stderr]).toEqual([name, '']);
    }
  });

  test('of a replica runs what the image runs, waits for it, and gives up where a setting is wrong', () => {
    const said = (name: string) => settingsOf(units.replica, name);
    expect(said('ExecStart')).toEqual(['/opt/countersign/node_modules/.bin/node server/main.ts']);
    expect(said('RestartPreventExitStatus')).toEqual(['78']);
    expect(Number(said('TimeoutStopSec')) * 1000).toBeGreaterThan(stopsWithin);
  });

  test('of the edge waits for it, and lets it have its connections', () => {
    const said = (name: string) => settingsOf(units.edge, name);
    expect(Number(said('TimeoutStopSec')) * 1000).toBeGreaterThan(edgeStopsWithin);
    expect(Number(said('LimitNOFILE'))).toBeGreaterThan(edgeFiles);
  });

  test.skipIf(!hasEdge)(
    'of the edge has commands that render, start, load anew and end, and load nothing wrong',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'countersign-edge-unit-'));
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      await mkdir(join(folder, 'run'));
      const certificate = join(folder, 'edge.pem');
      const { cert, key } = createAuthority().issue(thisMachine);
      await writeFile(certificate, `${cert}${key}`);
      const env = {
        COUNTERSIGN_EDGE_ADDRESS: `127.0.0.1:${await freePort()}`,
        COUNTERSIGN_EDGE_METRICS_ADDRESS: `127.0.0.1:${await freePort()}`,
        COUNTERSIGN_EDGE_REPLICAS: '127.0.0.1:9',
        COUNTERSIGN_EDGE_CERTIFICATE: certificate,
      };
      const commandsOf = (name: string, pid = 0) =>
        settingsOf(units.edge, name).map((line) =>
          line
            .replace('/opt/countersign/node_modules/.bin/node', process.execPath)
            .replace('%t/countersign-edge', join(folder, 'run'))
            .replace('$MAINPID', String(pid))
            .split(' '),
        );
      const runAll = async (commands: readonly (readonly string[])[]) => {
        for (const [program = '', ...args] of commands) await execute(program, args, { cwd: root, env });
      };

      await runAll(commandsOf('ExecStartPre'));
      const [[program = '', ...args] = []] = commandsOf('ExecStart');
      const master = spawn(program, args, { cwd: root, env });
      onTestFinished(() => void master.kill('SIGTERM'));
      const exit = once(master, 'exit');
      let said = '';
      for (const stream of [master.stdout, master.stderr]) {
        stream.on('data', (piece: Buffer) => {
          said += piece;
        });
      }
      const loads = () => said.match(/Loading success/g)?.length ?? 0;
      await eventually(15_000, () => expect(loads()).toBe(1));

      await runAll(commandsOf('ExecReload', master.pid));
      await eventually(15_000, () => expect(loads()).toBe(2));

      await writeFile(certificate, 'none');
      await expect(runAll(commandsOf('ExecReload', master.pid))).rejects.toThrow('HAProxy does not take');
      expect(loads()).toBe(2);

      master.kill(settingsOf(units.edge, 'KillSignal')[0] as NodeJS.Signals);
      expect(await exit).toEqual([0, null]);
    },
  );
});
