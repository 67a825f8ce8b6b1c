// From the settings to HAProxy's configuration: the template beside this file, and what the edge itself answers. It must not
// know how HAProxy is run.

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isIP, isIPv6 } from 'node:net';
import { join, resolve } from 'node:path';
import { Health } from '../gen/health/v1/health_pb.ts';
import type { EdgeSettings } from '../server/config/edge.ts';
import type { EdgeConfig } from '../server/config.ts';
import { type Address, isLoopback } from '../server/environment.ts';
import { isCostly } from '../server/rpc/access.ts';
import { createCors } from '../server/rpc/cors.ts';
import { denyPath } from '../server/rpc/deny.ts';
import { requestIdForm } from '../server/rpc/request-id.ts';
import { resetPath } from '../server/rpc/reset.ts';
import { jwksPath, publicServices, readMaxBytes } from '../server/rpc/routes.ts';
import { answerFiles, ownAnswerHeader } from './answers.ts';

/** HAProxy's times, and who knows the names of replicas. Tests have others. */
export const parameters = {
  /** The headers of a call. */
  requestTimeout: '10s',
  /** The body of a unary call. */
  bodyTimeout: '10s',
  /** Of a call that is refused. */
  refusedBodyTimeout: '1s',
  /** Without a call. */
  keepAliveTimeout: '60s',
  /** Without a byte from or to a client, and a replica: more than two keep-alives of a stream. */
  clientTimeout: '45s',
  serverTimeout: '60s',
  connectTimeout: '2s',
  hardStopAfter: '60s',
  nameservers: 'parse-resolv-conf',
};
export type Parameters = typeof parameters;

const envelopeBytes = 5;

/** What an IPv6 /48 has, as a multiple of what an address has. */
const networkFactor = 4;

/**
 * Writes `haproxy.cfg` and what belongs to it. HAProxy is run with them where they are: its sockets are made there, too.
 *
 * @param certificate the path of a PEM file with a certificate, its chain and its key.
 * @param check looks at what would become `haproxy.cfg`: while it throws, what was there stays.
 */
export async function render(
  config: EdgeConfig,
  certificate: string,
  folder: string,
  check: (path: string) => Promise<void>,
  changed: Partial<Parameters> = {},
): Promise<string> {
  const home = resolve(folder);
  const answersFolder = join(home, 'answers');
  await mkdir(answersFolder, { recursive: true });
  const brand = {
    name: config.brandName,
    color: config.brandColor,
    support: config.supportContact,
    logoCid: undefined,
  };
  const answers = answerFiles(brand).map((answer) => ({
    ...answer,
    path: join(answersFolder, `${answer.group}-${answer.status}.http`),
  }));
  for (const { path, bytes } of answers) await writeFile(path, bytes);
  const groups = Map.groupBy(answers, ({ group }) => group);

  const { edge, minimumVersions, allowedOrigins, callLimits } = config;
  const values: Readonly<Record<string, string>> = {
    ...parameters,
    ...changed,
    folder: unquoted(home),
    connections: String(edge.connections),
    connectionsPerAddress: String(edge.connectionsPerAddress),
    connectionsPerNetwork: String(
      Math.min(networkFactor * edge.connectionsPerAddress, Math.floor(edge.connections / 2)),
    ),
    user: edge.user === undefined ? '' : `user ${edge.user.name}\ngroup ${edge.user.group}`,
    // Its sockets have to be its own, for its processes speak to each other over them.
    socketOwner: edge.user === undefined ? '' : `user ${edge.user.name} `,
    answers: [...groups]
      .map(([group, files]) =>
        [
          `http-errors ${group}`,
          ...files.map(({ status, path }) => `    errorfile ${status} '${unquoted(path)}'`),
          '',
        ].join('\n'),
      )
      .join('\n'),
    bind: binds(edge.address)
      .map((at) => `bind ${at} ssl crt '${unquoted(resolve(certificate))}' alpn h2,http/1.1 tcp-ut 30s`)
      .join('\n'),
    // Who the client is, the PROXY protocol says after the connection is made.
    balancers: edge.balancers === undefined ? '' : balancerRules(edge.balancers),
    countConnections: edge.balancers === undefined ? 'tcp-request connection' : 'tcp-request session',
    paths: pathRules(),
    minimum: minimumVersions.WEB.text,
    minimumOfIos: minimumVersions.IOS.text,
    minimumOfAndroid: minimumVersions.ANDROID.text,
    origins: allowedOrigins
      .map((origin) => `http-request set-var(txn.origin) req.fhdr(origin) if { req.fhdr(origin) -m str ${origin} }`)
      .join('\n'),
    preflights: preflightRules(allowedOrigins),
    cors: corsRules(allowedOrigins),
    requestId: requestIdForm.source,
    largestBody: String(readMaxBytes + envelopeBytes),
    callsPerAddress: String(callLimits.perAddress),
    callsPerNetwork: String(networkFactor * callLimits.perAddress),
    strangersCallsPerAddress: String(callLimits.strangersPerAddress),
    strangersCallsPerNetwork: String(networkFactor * callLimits.strangersPerAddress),
    ownAnswer: ownAnswerHeader,
    replicasTls:
      edge.replicasCa === undefined
        ? ''
        : `ssl verify required ca-file '${unquoted(resolve(edge.replicasCa))}' alpn h2 check-alpn h2`,
    servers: edge.replicas.map((at) => `${serverOf(at, edge)} check`).join('\n'),
    trackingServers: edge.replicas.map((at) => `${serverOf(at, edge)} track replicas/${nameOf(at)}`).join('\n'),
    metricsAddress: hostAndPort(edge.metricsAddress),
  };
  const template = await readFile(join(import.meta.dirname, 'haproxy.cfg'), 'utf8');
  const path = join(home, 'haproxy.cfg');
  const next = `${path}.new`;
  await writeFile(next, fill(template, values));
  await check(next);
  await rename(next, path);
  return path;
}

/** A line that is nothing but a value may become several, or none. */
function fill(template: string, values: Readonly<Record<string, string>>): string {
  const named = (name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`the template asks for ${name}`);
    return value;
  };
  return template
    .split('\n')
    .flatMap((line) => {
      const [, indent = '', name] = /^( *)\{\{(\w+)\}\}$/.exec(line) ?? [];
      if (name === undefined) return [line.replaceAll(/\{\{(\w+)\}\}/g, (_, each: string) => named(each))];
      const value = named(name);
      return value === '' ? [] : value.split('\n').map((each) => (each === '' ? '' : indent + each));
    })
    .join('\n');
}

/** One rule a path, so that a reader sees what there is. */
function pathRules(): string {
  const methods = [...publicServices.flatMap((service) => service.methods), Health.method.check, Health.method.list];
  const pathOf = (method: (typeof methods)[number]) => `/${method.parent.typeName}/${method.name}`;
  const rules = (name: string, paths: readonly string[]) => paths.map((path) => `acl ${name} path ${path}`);
  return [
    ...rules('is_rpc', methods.map(pathOf)),
    '# What strangers can make, and is costly.',
    ...rules('is_costly', methods.filter(isCostly).map(pathOf)),
    ...rules('is_stream', methods.filter(({ methodKind }) => methodKind !== 'unary').map(pathOf)),
    ...rules('is_page', [denyPath, resetPath]),
    ...rules('is_read', [jwksPath]),
  ].join('\n');
}

/** As the server answers them. */
function preflightRules(allowedOrigins: readonly string[]): string {
  const [origin] = allowedOrigins;
  const headers = createCors(allowedOrigins).preflightHeaders(origin);
  if (headers === undefined) return '';
  const told = [...headers].map(([name, value]) => `hdr ${name} "${value === origin ? '%[var(txn.origin)]' : value}"`);
  return `http-request return status 204 ${told.join(' ')} if is_rpc METH_OPTIONS { var(txn.origin) -m found }`;
}

/** As the server's answers have them. */
function corsRules(allowedOrigins: readonly string[]): string {
  const [origin] = allowedOrigins;
  if (origin === undefined) return '';
  return [...createCors(allowedOrigins).answerHeaders(origin)]
    .map(([name, value]) =>
      value === origin
        ? `http-after-response set-header ${name} %[var(txn.origin)] if own { var(txn.origin) -m found }`
        : name === 'vary'
          ? `http-after-response set-header ${name} ${value} if own`
          : `http-after-response set-header ${name} "${value}" if own { var(txn.origin) -m found }`,
    )
    .join('\n');
}

/** Both families apart, where every address is meant: an IPv4 client on an IPv6 socket would seem to be one of IPv6. */
function binds({ host, port }: Address): readonly string[] {
  if (host === '::') return [`0.0.0.0:${port}`, `[::]:${port} v6only`];
  return [hostAndPort({ host, port })];
}

export function hostAndPort({ host, port }: Address): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** Nobody else may say who a client is, nor come past them. */
function balancerRules(networks: readonly string[]): string {
  const from = `{ src ${networks.join(' ')} }`;
  return [`tcp-request connection reject unless ${from}`, `tcp-request connection expect-proxy layer4 if ${from}`].join(
    '\n',
  );
}

/** What only this machine knows DNS is not asked for. By TLS a name has to be in the certificate; a number is in none that HAProxy reads. */
function serverOf(at: Address, { replicasCa }: EdgeSettings): string {
  const isName = isIP(at.host) === 0;
  const lookedUp = isName && !isLoopback(at.host) ? ' resolvers machine resolve-prefer ipv4' : '';
  const named = isName && replicasCa !== undefined ? ` verifyhost ${at.host}` : '';
  return `server ${nameOf(at)} ${hostAndPort(at)}${lookedUp}${named}`;
}

/** As it stands between single quotes. */
function unquoted(path: string): string {
  return path.replaceAll("'", "'\\''");
}

/** As metrics and the log name a replica. */
function nameOf({ host, port }: Address): string {
  return `${host}:${port}`;
}
