// How many connections and calls a listener holds, and which have to go where there are more: those that are of use to
// nobody, the longest so first. It must not know HTTP.

/** A call that is not over. */
export interface Call {
  /** Whether it waits for its client: for the rest of its request, or to take the answer. What is worked on is over soon. */
  readonly waitsForClient: boolean;
  /** Breaks it off, for another. `end` is called then. */
  giveWay(): void;
}

export interface CrowdLimits {
  readonly connections: number;
  /** Calls of all connections together. An answer that streams, to a request that has ended, does not count. */
  readonly calls: number;
  /** Calls of one connection, whatever they do. */
  readonly callsPerConnection: number;
}

/** A connection's place among them. */
export interface Connection {
  /** Whether one more call may begin. One that waits may have to go for it. */
  admits(): boolean;
  begin(call: Call): void;
  /** It streams from now on. A connection with such a call stays, whoever comes. */
  stream(call: Call): void;
  end(call: Call): void;
  /** What cuts the connection, where it has to go. */
  cut: () => void;
  leave(): void;
}

export interface Crowd {
  /** Somebody comes. Who has to go for him is cut; that may be himself, where all others carry streams. */
  enter(cut: () => void): Connection;
  /** Cuts the connection that has been of no use for longest. */
  makeRoom(): void;
}

/** Who waits is among the oldest, if anybody does: all others are worked on, and over soon. */
const looksAtMost = 100;

export function createCrowd(limits: CrowdLimits, onFull: (what: 'connections' | 'calls') => void): Crowd {
  /** In the order in which they came. */
  const calls = new Set<Call>();
  /** Those without a stream; the one whose last call is longest ago comes first. */
  const idle = new Set<Connection>();
  let connections = 0;

  const makeRoom = () => {
    for (const connection of idle) {
      connection.leave();
      connection.cut();
      return;
    }
  };
  const makeRoomForCall = (): boolean => {
    onFull('calls');
    let looks = 0;
    for (const call of calls) {
      if (call.waitsForClient) {
        calls.delete(call);
        call.giveWay();
        return true;
      }
      if (++looks === looksAtMost) break;
    }
    return false;
  };

  const enter = (cut: () => void): Connection => {
    const streams = new Set<Call>();
    let open = 0;
    let gone = false;
    const used = () => {
      if (idle.delete(connection)) idle.add(connection);
    };
    const connection: Connection = {
      cut,
      admits: () => open < limits.callsPerConnection && (calls.size < limits.calls || makeRoomForCall()),
      begin: (call) => {
        open++;
        calls.add(call);
        used();
      },
      stream: (call) => {
        if (!calls.delete(call)) return;
        streams.add(call);
        idle.delete(connection);
      },
      end: (call) => {
        open--;
        calls.delete(call);
        if (streams.delete(call) && streams.size === 0 && !gone) idle.add(connection);
        else used();
      },
      leave: () => {
        if (gone) return;
        gone = true;
        connections--;
        idle.delete(connection);
      },
    };
    connections++;
    idle.add(connection);
    if (connections > limits.connections) {
      onFull('connections');
      makeRoom();
    }
    return connection;
  };
  return { enter, makeRoom };
}
