// Where the edge stands, and what it stands in front of. The server only knows that these settings exist: what they say is read by
// edge/, which may run on another machine, so no file is looked at here.

import { type Address, address, type Environment, integer, matching, refuse } from '../environment.ts';
import { networks } from './clients.ts';

export interface EdgeSettings {
  readonly address: Address;
  /** The public listeners of the replicas; none where it is not said. */
  readonly replicas: readonly Address[];
  /** The path of a PEM file with the authorities of the replicas' certificates, where they speak TLS; else cleartext. */
  readonly replicasCa: string | undefined;
  /** The path of a PEM file with a certificate, its chain and its key. */
  readonly certificate: string | undefined;
  readonly metricsAddress: Address;
  /** The networks (CIDR) of TCP balancers in front, which say by the PROXY protocol who the client is: nobody else gets in. */
  readonly balancers: readonly string[] | undefined;
  /** Open connections of clients, in all. */
  readonly connections: number;
  /** Of those, from one IPv4 address or IPv6 /64; and as many new ones in 10 s. */
  readonly connectionsPerAddress: number;
  /** The user that it becomes where it is started as root. */
  readonly user: { readonly name: string; readonly group: string } | undefined;
}

export function edge(env: Environment): EdgeSettings {
  // Each takes two file descriptors, and many systems give a process 20,000.
  const connections = integer(env, 'COUNTERSIGN_EDGE_CONNECTIONS', 8_000, 10, 1_000_000);
  // A few addresses must not take all of them.
  const most = Math.floor(connections / 4);
  return {
    address: address(env, 'COUNTERSIGN_EDGE_ADDRESS', '127.0.0.1:8443'),
    replicas: replicas(env, 'COUNTERSIGN_EDGE_REPLICAS'),
    replicasCa: env['COUNTERSIGN_EDGE_REPLICAS_CA'] || undefined,
    certificate: env['COUNTERSIGN_EDGE_CERTIFICATE'] || undefined,
    metricsAddress: address(env, 'COUNTERSIGN_EDGE_METRICS_ADDRESS', '127.0.0.1:8405'),
    balancers: balancers(env, 'COUNTERSIGN_EDGE_PROXY_PROTOCOL'),
    connections,
    // Every open app holds one, and an office or a carrier may put many people behind one address.
    connectionsPerAddress: integer(env, 'COUNTERSIGN_EDGE_CONNECTIONS_PER_ADDRESS', Math.min(400, most), 1, most),
    user: user(env, 'COUNTERSIGN_EDGE_USER'),
  };
}

/** `user:group`, or a user whose group has its name. */
function user(env: Environment, name: string): EdgeSettings['user'] {
  const form = /^[a-z_][a-z0-9_-]{0,31}(:[a-z_][a-z0-9_-]{0,31})?$/;
  const text = matching(
    env,
    name,
    form,
    'the name of a user such as haproxy, or of a user and a group: nobody:nogroup',
  );
  if (text === undefined) return undefined;
  const [own = '', group = own] = text.split(':');
  return { name: own, group };
}

function balancers(env: Environment, name: string): EdgeSettings['balancers'] {
  if ((env[name] || 'no') === 'no') return undefined;
  return networks(env, name, 'no', "no, or the balancers' addresses and networks separated by commas: 10.0.0.0/8").map(
    ([address, bits]) => `${address}/${bits}`,
  );
}

function replicas(env: Environment, name: string): readonly Address[] {
  const text = env[name];
  if (text === undefined || text === '') return [];
  const entries = text.split(',').map((entry) => entry.trim());
  const takes = 'host:port of each replica, separated by commas, each once';
  // Names become words of HAProxy's configuration.
  if (
    new Set(entries).size < entries.length ||
    !entries.every((entry) => /^(\[[0-9a-fA-F:]+\]|[\w.-]+):\d+$/.test(entry))
  )
    return refuse(name, takes);
  return entries.map((entry) => address({ [name]: entry }, name, '127.0.0.1:8080'));
}
