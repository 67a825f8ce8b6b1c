// How large a deployment has to be, from what its users do and from what was measured. Arithmetic alone.

import type { Figures } from './figures.ts';

/** What an operator knows better than we do: each is a parameter of the command. */
export const assumptions = {
  activeADay: [0.2, 'share of the accounts that open the app on a day'],
  opensADay: [6, 'times that each of them opens it'],
  startsADay: [1, 'times that each of them starts it anew, and it registers for pushes'],
  minutesOpen: [4, 'minutes that it stays open, with its stream'],
  devices: [2, 'trusted devices an account, each signed in'],
  signInsAYear: [6, 'sign-ins of an account on devices that it trusts'],
  newDevicesAYear: [1.5, 'sign-ins of an account on new devices, half of the codes by e-mail, half by push'],
  wrongPasswordsAYear: [4, 'wrong passwords an account'],
  activityViewsAYear: [6, 'times that an account looks at its login activity'],
  introspectsAnOpen: [2, 'calls of IntrospectSession while the app is open; services with the SDK need almost none'],
  busiest: [3, 'the busiest minute of a day, times the mean'],
  busy: [0.5, 'share of a core that is to be busy then'],
  coresAReplica: [4, 'cores of a replica'],
  streamsAReplica: [5_000, 'streams that a replica is to hold; as many were tried (`npm run bench:streams`)'],
  spareReplicas: [1, 'replicas more than that, for one that is away'],
  connectionsAnEdge: [8_000, 'COUNTERSIGN_EDGE_CONNECTIONS: of clients, at once; then an edge lets nobody in'],
  spareEdges: [1, 'edges more than that, for one that is away'],
  poolAReplica: [20, 'COUNTERSIGN_DATABASE_POOL'],
  coresADatabase: [32, 'cores of the largest PostgreSQL that you run'],
  terabytesADatabase: [8, 'and its storage'],
} as const satisfies Readonly<Record<string, readonly [value: number, what: string]>>;

export type Assumption = keyof typeof assumptions;
export type Assumptions = Readonly<Record<Assumption, number>>;

export interface Measured {
  /** Of FOOTPRINT.md. */
  readonly rows: Figures;
  readonly bytes: Figures;
  readonly cpu: Figures;
  /** IntrospectSession and the memory of streams, of RESULTS.md. */
  readonly introspect: Figures;
  readonly streams: Figures;
}

/** Days that rows are kept: by the defaults, or for as long as what they belong to. */
const keptDays = { challenge: 30, delivery: 30, login_event: 400, audit_record: 400 } as const;
/** It was measured where it adds a row; after that it writes the same one again. */
const registers = 'UpdateDevice, which registers for pushes';
const secondsADay = 86_400;
const minutesAnAccessToken = 5;
/** What jobs, health, the bus and WatchRevocations take besides the pool. */
const connectionsBesidesPool = 15;
/** By HTTP/2, a client's last call and the end of its connection are as far apart: HAProxy's `timeout http-keep-alive`. */
const minutesAConnectionIdles = 1;
/** README, "Behind the edge". What a connection takes is measured with its TLS handshake and its first call. */
export const edgeTakes = { microsecondsAConnection: 500, microsecondsACall: 25, bytesAConnection: 60_000 } as const;
/** One to the client and one to a replica; listeners, checks and sockets took 36 more. */
const filesAConnection = 2;
const filesBesides = 100;
/** For what a replica that is lost leaves to the others. */
const fewestReplicas = 2;

export interface Size {
  readonly accounts: number;
  /** A second, in the busiest minute. */
  readonly calls: Readonly<Record<string, number>>;
  readonly streams: number;
  readonly jobsADay: number;
  readonly rowsADay: Readonly<Record<string, number>>;
  /** Bytes, once as much is deleted as is added. */
  readonly storage: Readonly<Record<string, number>>;
  readonly serverCores: number;
  readonly databaseCores: number;
  readonly replicas: number;
  readonly edges: number;
  /** Of clients, in the busiest minute, at all edges. */
  readonly edgeConnections: number;
  readonly edgeCores: number;
  /** Bytes, at each. */
  readonly edgeMemory: number;
  /** That each has to be let have. */
  readonly edgeFiles: number;
  readonly streamMemory: number;
  readonly connections: number;
  readonly databases: number;
}

/** @param accounts how many there are. */
export function sizeOf(accounts: number, given: Assumptions, measured: Measured): Size {
  const opens = accounts * given.activeADay * given.opensADay;
  const yearly = (times: number) => (accounts * times) / 365;
  /** By the names that FOOTPRINT.md has for them, a day. */
  const flows: Readonly<Record<string, number>> = {
    'sign-in on a new device, code by e-mail': yearly(given.newDevicesAYear) / 2,
    'sign-in on a new device, code by push': yearly(given.newDevicesAYear) / 2,
    [registers]: accounts * given.activeADay * given.startsADay,
    'sign-in on a trusted device': yearly(given.signInsAYear),
    'wrong password': yearly(given.wrongPasswordsAYear),
    ListLoginActivity: yearly(given.activityViewsAYear),
    'app opened and closed: WatchDevice, ListPendingCodes': opens,
    // One as it is opened, since the last token is over, and one whenever the next is.
    RefreshSession: opens * (1 + given.minutesOpen / minutesAnAccessToken),
  };
  const introspections = opens * given.introspectsAnOpen;
  const sum = (of: (flow: string) => number) =>
    Object.entries(flows).reduce((total, [flow, times]) => total + times * of(flow), 0);
  const added = (table: string) => sum((flow) => (flow === registers ? 0 : measured.rows.number(flow, table)));
  const atPeak = (aDay: number) => (aDay / secondsADay) * given.busiest;
  const cores = (column: 'server' | 'PostgreSQL', ofIntrospect: string) => {
    const microseconds =
      sum((flow) => measured.cpu.number(flow, column)) +
      opens * given.minutesOpen * measured.cpu.number('a stream that is open, a minute', column) +
      introspections * measured.introspect.number('Countersign', ofIntrospect);
    return atPeak(microseconds) / 1e6 / given.busy;
  };
  const calls = { ...flows, IntrospectSession: introspections };

  const tables = measured.bytes.rows;
  const rowsADay = Object.fromEntries(tables.map((table) => [table, added(table)]));
  const standing: Readonly<Record<string, number>> = {
    account: accounts,
    directory_account: accounts,
    device: accounts * given.devices,
    // Those that ended stay until they would have expired: one for each sign-in of the last month.
    session: accounts * given.devices + (rowsADay['session'] ?? 0) * 30,
    push_registration: accounts * given.devices,
  };
  const storage = Object.fromEntries(
    tables.map((table) => {
      const kept = keptDays[table as keyof typeof keptDays];
      const rows = standing[table] ?? (rowsADay[table] ?? 0) * (kept ?? 0);
      return [table, rows * measured.bytes.number(table, 'bytes a row')];
    }),
  );
  const bytes = Object.values(storage).reduce((total, size) => total + size, 0);

  const streams = atPeak(opens * given.minutesOpen * 60);
  const serverCores = cores('server', 'CPU µs a call: server');
  const databaseCores = cores('PostgreSQL', 'PostgreSQL');
  const replicas =
    Math.max(fewestReplicas, Math.ceil(serverCores / given.coresAReplica), Math.ceil(streams / given.streamsAReplica)) +
    given.spareReplicas;
  const edgeConnections = atPeak(opens * (given.minutesOpen + minutesAConnectionIdles) * 60);
  const edges = Math.ceil(edgeConnections / given.connectionsAnEdge) + given.spareEdges;
  // Internal services do not go through it.
  const edgeCalls = Object.values(flows).reduce((total, times) => total + times, 0);
  const edgeMicroseconds = opens * edgeTakes.microsecondsAConnection + edgeCalls * edgeTakes.microsecondsACall;
  return {
    accounts,
    calls: Object.fromEntries(Object.entries(calls).map(([call, aDay]) => [call, atPeak(aDay)])),
    streams,
    jobsADay: added('jobs'),
    rowsADay,
    storage,
    serverCores,
    databaseCores,
    replicas,
    edges,
    edgeConnections,
    edgeCores: atPeak(edgeMicroseconds) / 1e6 / given.busy,
    edgeMemory: Math.min(given.connectionsAnEdge, edgeConnections) * edgeTakes.bytesAConnection,
    edgeFiles: given.connectionsAnEdge * filesAConnection + filesBesides,
    streamMemory: (streams / replicas) * measured.streams.number('RSS', 'Countersign') * 1024,
    connections: replicas * (given.poolAReplica + connectionsBesidesPool),
    databases: Math.max(
      1,
      Math.ceil(databaseCores / given.coresADatabase),
      Math.ceil(bytes / (given.terabytesADatabase * 1e12)),
    ),
  };
}
