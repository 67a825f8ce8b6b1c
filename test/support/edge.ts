// The edge as an operator runs it, HAProxy with a rendered configuration, over replicas that a test has started. It must not know
// what they serve.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  type GrpcTransportOptions,
} from '@connectrpc/connect-node';
import { type AppClient, createAppClient } from '../../clients/app/client.ts';
import { checkConfiguration, findHaproxy, startHAProxy } from '../../edge/haproxy.ts';
import { type Parameters, render } from '../../edge/render.ts';
import { readEdgeConfig } from '../../server/config.ts';
import { createAuthority, thisMachine } from './certificate.ts';
import { ensureInstalled } from './debian-packages.ts';
import { freePort } from './free-port.ts';

export interface Edge {
  /** `https://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  /** PEM, to be trusted. */
  readonly ca: string;
  /** Of a file with the same. */
  readonly caPath: string;
  /** Of HAProxy's master process; its workers come and go with each reload. */
  readonly pid: number;
  readonly metricsUrl: string;
  /** Where its configuration and its sockets are. */
  readonly folder: string;
  /** Loads the configuration anew, over other replicas where they are given. Resolves once the new one serves. */
  reload(replicas?: readonly string[]): Promise<void>;
  stop(): Promise<void>;
  /** The client of one more app. */
  appClient(how?: {
    readonly protocol?: keyof typeof transports;
    readonly json?: boolean;
    /** Where its connections come from: any of 127.0.0.0/8. */
    readonly localAddress?: string;
  }): AppClient;
  /** Everything that it wrote so far: a line of JSON a call. */
  log(): string;
}

/** How connect-node speaks, over HTTP/2. */
const transports = {
  connect: (options: GrpcTransportOptions) => createConnectTransport({ ...options, httpVersion: '2' }),
  grpc: createGrpcTransport,
  'grpc-web': (options: GrpcTransportOptions) => createGrpcWebTransport({ ...options, httpVersion: '2' }),
};

/** Every way to speak to it. */
export const ways = (['connect', 'grpc', 'grpc-web'] as const).flatMap((protocol) =>
  [false, true].map((json) => ({ protocol, json })),
);

export interface EdgeOptions {
  /** Public listeners of replicas: `host:port`, or their URLs. */
  readonly replicas: readonly string[];
  /** Settings, as an operator would set them. */
  readonly env?: Readonly<Record<string, string>>;
  /** HAProxy's times, where they are not those of production. */
  readonly parameters?: Partial<Parameters>;
}

export const hasHaproxy = async (): Promise<boolean> =>
  findHaproxy() !== undefined || (await ensureInstalled(['/usr/sbin/haproxy'], ['haproxy']));

/** Undefined where there is no HAProxy and it may not be installed, which is said. It ends with this process. */
export async function startEdge(options: EdgeOptions): Promise<Edge | undefined> {
  if (!(await hasHaproxy())) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'countersign-edge-'));
  const authority = createAuthority();
  const certificate = authority.issue(thisMachine);
  const pem = join(folder, 'certificate.pem');
  await writeFile(pem, `${certificate.cert}${certificate.key}`, { mode: 0o600 });
  const caPath = join(folder, 'ca.pem');
  await writeFile(caPath, authority.cert);
  const freeOne = await freePort();
  const metricsPort = await freePort();
  const configOver = (replicas: readonly string[]) =>
    readEdgeConfig({
      COUNTERSIGN_EDGE_ADDRESS: `127.0.0.1:${freeOne}`,
      COUNTERSIGN_EDGE_METRICS_ADDRESS: `127.0.0.1:${metricsPort}`,
      COUNTERSIGN_EDGE_REPLICAS: replicas.map((each) => each.replace(/^https?:\/\//, '')).join(','),
      ...options.env,
    });
  const write = (replicas: readonly string[]) =>
    render(configOver(replicas), pem, folder, checkConfiguration, options.parameters);
  const lines: string[] = [];
  const haproxy = await startHAProxy(await write(options.replicas), (line) => void lines.push(line));
  const { port } = configOver(options.replicas).edge.address;
  const url = `https://127.0.0.1:${port}`;
  const ca = authority.cert;
  return {
    url,
    port,
    ca,
    caPath,
    appClient: ({ protocol = 'connect', json = false, ...more } = {}) =>
      createAppClient({
        transport: (needs) =>
          transports[protocol]({
            baseUrl: url,
            useBinaryFormat: !json,
            nodeOptions: { ca, ...more },
            ...needs,
          }),
        clientVersion: '2.3',
        platform: 'ios',
        timeoutMs: 20_000,
      }),
    pid: haproxy.pid,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    folder,
    reload: async (replicas) => {
      if (replicas !== undefined) await write(replicas);
      await haproxy.reload();
    },
    stop: async () => {
      await haproxy.stop();
      await rm(folder, { recursive: true, force: true });
    },
    log: () => lines.join('\n'),
  };
}
