// Several servers on one database, each a process with ports of its own that it keeps over a restart. It must not know what
// stands in front of them.

import { freePort } from './free-port.ts';
import type { Programs, ServerProgram } from './processes.ts';

export interface Replica {
  readonly publicUrl: string;
  readonly internalUrl: string;
  /** The process that runs now. */
  readonly server: ServerProgram;
  /** `kill -9`. */
  kill(): Promise<void>;
  /** SIGTERM, and waits for the end. @throws Error when it does not end well. */
  stop(): Promise<void>;
  /** Again, at the same addresses; waits until it serves. */
  start(): Promise<void>;
}

export function startReplicas(
  { serve }: Programs,
  count: number,
  env: Readonly<Record<string, string>>,
): Promise<readonly Replica[]> {
  return Promise.all(
    Array.from({ length: count }, async (): Promise<Replica> => {
      const [publicAddress, internalAddress] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
      const addresses = {
        COUNTERSIGN_PUBLIC_ADDRESS: publicAddress,
        COUNTERSIGN_INTERNAL_ADDRESS: internalAddress,
      };
      const run = () => serve({ ...env, ...addresses });
      let server = await run();
      return {
        publicUrl: `http://${publicAddress}`,
        internalUrl: `http://${internalAddress}`,
        get server() {
          return server;
        },
        kill: () => server.kill(),
        stop: async () => {
          server.signal('SIGTERM');
          const { code, signal } = await server.exit;
          if (code !== 0) throw new Error(`a replica ended with ${code ?? signal}: ${server.stderr().slice(-2_000)}`);
        },
        start: async () => {
          server = await run();
        },
      };
    }),
  );
}
