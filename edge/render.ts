// From the settings to HAProxy's configuration: the template beside this file, and what the edge itself answers. It must not
// know how HAProxy is run.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join, resolve } from 'node:path';
import { Health } from '../gen/health/v1/health_pb.ts';
import type { EdgeConfig } from '../server/config.ts';
import type { Address } from '../server/environment.ts';
import { isCostly } from '../server/rpc/access.ts';
import { createCors } from '../server/rpc/cors.ts';
import { denyPath } from '../server/rpc/deny.ts';
import { resetPath } from '../server/rpc/reset.ts';
import { jwksPath, publicServices, readMaxBytes } from '../server/rpc/routes.ts';
import { answerFiles, ownAnswerHeader } from './answers.ts';

/** HAProxy's times. Tests shorten them. */
export const parameters = {
  /** The TLS handshake and the headers of a call. */
  requestTimeout: '10s',
  /** The body of a unary call. */
  bodyTimeout: '10s',
  /** Without a call. */
  keepAliveTimeout: '60s',
  /** Without a byte from or to a client, and a replica. Three keep-alives of a stream. */
  clientTimeout: '60s',
  serverTimeout: '60s',
  connectTimeout: '2s',
  hardStopAfter: '60s',
};
export type Parameters = typeof parameters;

const envelopeBytes = 5;

/**
 * Writes `haproxy.cfg` and what belongs to it. HAProxy is run with them where they are: its sockets are made there, too.
 *
 * @param certificate the path of a PEM file with a certificate, its chain and its key.
 */
export async function render(
  config: EdgeConfig,
  certificate: string,
  folder: string,
  times: Partial<Parameters> = {},
): Promise<string> {
  const home = resolve(folder);
  const answersFolder = join(home, 'answers');
  await mkdir(answersFolder, { recursive: true });
  const answers = answerFiles().map((answer) => ({
    ...answer,
    path: join(answersFolder, `${answer.wire}-${answer.status}.http`),
  }));
  for (const { path, bytes } of answers) await writeFile(path, bytes);
  const groups = Map.groupBy(answers, ({ wire }) => wire);

  const { edge, minimumVersions, allowedOrigins, callLimits } = config;
  const values: Readonly<Record<string, string>> = {
    ...parameters,
    ...times,
    folder: unquoted(home),
    connections: String(edge.connections),
    connectionsPerAddress: String(edge.connectionsPerAddress),
    user: edge.user === undefined ? '' : userRules(edge.user),
    answers: [...groups]
      .map(([wire, files]) =>
        [
          `http-errors ${wire}`,
          ...files.map(({ status, path }) => `    errorfile ${status} '${unquoted(path)}'`),
          '',
        ].join('\n'),
      )
      .join('\n'),
    bind: binds(edge.address)
      .map(
        (at) =>
          `bind ${at} ssl crt '${unquoted(resolve(certificate))}' alpn h2,http/1.1 tcp-ut 30s${edge.proxyProtocol ? ' accept-proxy' : ''}`,
      )
      .join('\n'),
    // Who the client is, the PROXY protocol says after the connection is made.
    countConnections: edge.proxyProtocol ? 'tcp-request session' : 'tcp-request connection',
    paths: pathRules(),
    minimum: minimumVersions.WEB.text,
    minimumOfIos: minimumVersions.IOS.text,
    minimumOfAndroid: minimumVersions.ANDROID.text,
    origins: allowedOrigins
      .map((origin) => `http-request set-var(txn.origin) req.fhdr(origin) if { req.fhdr(origin) -m str ${origin} }`)
      .join('\n'),
    cors: corsRules(allowedOrigins),
    largestBody: String(readMaxBytes + envelopeBytes),
    callsPerAddress: String(callLimits.perAddress),
    strangersCallsPerAddress: String(callLimits.strangersPerAddress),
    ownAnswer: ownAnswerHeader,
    servers: edge.replicas.map((at) => `server ${nameOf(at)} ${hostAndPort(at)} check`).join('\n'),
    trackingServers: edge.replicas
      .map((at) => `server ${nameOf(at)} ${hostAndPort(at)} track replicas/${nameOf(at)}`)
      .join('\n'),
    metricsAddress: hostAndPort(edge.metricsAddress),
  };
  const template = await readFile(join(import.meta.dirname, 'haproxy.cfg'), 'utf8');
  const path = join(home, 'haproxy.cfg');
  await writeFile(path, fill(template, values));
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
  const methods = [...publicServices, Health].flatMap((service) => service.methods);
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

/** Its sockets have to be its own, for its processes speak to each other over them. */
function userRules({ name, group }: { readonly name: string; readonly group: string }): string {
  return [`user ${name}`, `group ${group}`, `unix-bind user ${name} mode 600`].join('\n');
}

/** As it stands between single quotes. */
function unquoted(path: string): string {
  return path.replaceAll("'", "'\\''");
}

/** As metrics and the log name a replica. */
function nameOf({ host, port }: Address): string {
  return `${host}:${port}`;
}
