// Who is measured: servers that start when a scenario first asks for them, and run until the end.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type pg from 'pg';
import { createAccounts, type SignedInDevice } from './accounts.ts';
import type { Peer } from './better-auth/drive.ts';
import { createFloorTables, floorPrefix } from './floors/tables.ts';
import { connectGrpc, type GrpcClient } from './load.ts';
import type { Parts, ServerProcess, Usage } from './support.ts';

/** A server with a client of each of its listeners. */
export interface Server {
  readonly process: ServerProcess;
  /** Of the floors: answers without a database. */
  readonly public: GrpcClient;
  /** Of the floors: answers from the database. */
  readonly internal: GrpcClient;
  /** What it used when it had just started. */
  readonly atStart: Usage;
  cpuMs(): Promise<number>;
}

export interface RunningPeer extends Peer {
  cpuMs(): Promise<number>;
}

export interface Contestants {
  product(): Promise<Server>;
  /** The same program once more: what differs between the two is noise. */
  control(): Promise<Server>;
  floor(name: 'http2' | 'grpc-js' | 'connect'): Promise<Server>;
  /** Undefined where it can't be installed or started; why is in `missing`. */
  peer(): Promise<RunningPeer | undefined>;
  /** Signed-in devices for the floors and for whoever looks up the same rows. */
  floorDevices(): Promise<readonly SignedInDevice[]>;
  readonly missing: string[];
  stopControl(): Promise<void>;
  close(): Promise<void>;
}

/** Accounts whose sessions are looked up. */
const floorAccounts = 800;
/** More than there are calls at once. */
const peerAccounts = 200;
/** To serving, as a deployment waits for it; it does not count as load. */
const settleMs = 500;

export function createContestants(parts: Parts, database: pg.Pool): Contestants {
  const closing: (() => Promise<void> | void)[] = [];
  const missing: string[] = [];
  const start = async (program: string): Promise<Server> => {
    const process = await parts.start(program);
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    const clients = { public: connectGrpc(process.publicUrl), internal: connectGrpc(process.internalUrl) };
    closing.push(() => {
      clients.public.close();
      clients.internal.close();
    });
    const atStart = await process.usage(false);
    return { process, ...clients, atStart, cpuMs: async () => (await process.usage(false)).cpuMs };
  };
  let control: Promise<Server> | undefined;
  const product = once(() => start('server-process.ts'));
  const floorDevices = once(async () => {
    // The tables are the product's.
    await product();
    const devices = await createAccounts(database, {
      prefix: floorPrefix,
      accounts: floorAccounts,
      devicesEach: 1,
      hash: 'plain',
    });
    await createFloorTables(database);
    return devices;
  });
  const floors = new Map<string, Promise<Server>>();
  return {
    product,
    control: () => {
      control ??= product().then(() => start('server-process.ts'));
      return control;
    },
    floorDevices,
    floor: (name) => {
      const floor = floors.get(name) ?? floorDevices().then(() => start(`floors/${name}.ts`));
      floors.set(name, floor);
      return floor;
    },
    peer: once(async () => {
      try {
        const process = await startPeer(parts);
        const { connectPeer } = await import('./better-auth/drive.ts');
        const peer = await connectPeer(process.publicUrl, peerAccounts);
        closing.push(() => peer.close());
        return { ...peer, cpuMs: async () => (await process.usage(false)).cpuMs };
      } catch (error) {
        missing.push(`better-auth is not measured: ${error instanceof Error ? error.message : error}`);
        return undefined;
      }
    }),
    missing,
    stopControl: async () => {
      const running = await control;
      control = undefined;
      running?.public.close();
      running?.internal.close();
      await running?.process.stop();
    },
    close: async () => {
      for (const close of closing) await close();
    },
  };
}

/** It makes a database of its own. */
async function startPeer(parts: Parts): Promise<ServerProcess> {
  const folder = join(import.meta.dirname, 'better-auth');
  if (!existsSync(join(folder, 'node_modules'))) {
    await promisify(execFile)('npm', ['ci', '--prefix', folder, '--no-audit', '--no-fund'], { timeout: 120_000 });
  }
  return parts.start('better-auth/server.mjs');
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
