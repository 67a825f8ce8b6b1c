// Devices that watch for codes, by the load's own client, and the code that an account's next sign-in shows on them.

import { setTimeout as sleep } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import type pg from 'pg';
import { WatchDeviceResponseSchema } from '../gen/countersign/v1/trusted_devices_pb.ts';
import type { SignedInDevice } from './accounts.ts';
import type { GrpcClient } from './load.ts';
import { paths, signedIn, watchFrame } from './requests.ts';

export interface ArrivedCode {
  readonly challengeId: string;
  readonly code: string;
  /** By performance.now(). */
  readonly time: number;
}

export interface Watching {
  /** The next code of this account, on as many of its streams as `streams` says. */
  nextCode(accountId: string, streams?: number): Promise<readonly ArrivedCode[]>;
  close(): void;
}

/** Enough that the server is busy, few enough that it refuses none. */
const atOnce = 50;
const patienceMs = 10_000;

/** Opens a stream of each device, and waits until all are noted as open. */
export async function watch(
  client: GrpcClient,
  devices: readonly SignedInDevice[],
  database: pg.Pool,
): Promise<Watching> {
  const awaited = new Map<
    string,
    { arrived: ArrivedCode[]; streams: number; resolve: (codes: ArrivedCode[]) => void }
  >();
  let broken: Error | undefined;
  const read = (device: SignedInDevice) =>
    client.watch(
      paths.watch,
      signedIn(device),
      watchFrame,
      (message) => {
        const time = performance.now();
        const { event } = fromBinary(WatchDeviceResponseSchema, message);
        if (event.case !== 'codeArrived') return;
        const waiting = awaited.get(device.accountId);
        if (waiting === undefined) return;
        waiting.arrived.push({ challengeId: event.value.challenge?.challengeId ?? '', code: event.value.code, time });
        if (waiting.arrived.length === waiting.streams) waiting.resolve(waiting.arrived);
      },
      (status) => {
        broken ??= new Error(`a stream ended with status ${status}`);
      },
    );
  const noted = async (sessions: readonly string[]) => {
    const { rows } = await database.query<{ n: number }>(
      'select count(*)::int as n from open_stream where session_id = any ($1::uuid[])',
      [sessions],
    );
    return rows[0]?.n;
  };
  const streams: { close(): void }[] = [];
  for (let start = 0; start < devices.length; start += atOnce) {
    const some = devices.slice(start, start + atOnce);
    streams.push(...some.map(read));
    const sessions = some.map(({ sessionId }) => sessionId);
    while (broken === undefined && (await noted(sessions)) !== some.length) await sleep(10);
    if (broken !== undefined) throw broken;
  }
  return {
    nextCode: (accountId, of = 1) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(broken ?? new Error(`no code on ${of} streams`)), patienceMs);
        awaited.set(accountId, {
          arrived: [],
          streams: of,
          resolve: (codes) => {
            clearTimeout(late);
            awaited.delete(accountId);
            resolve(codes);
          },
        });
      }),
    close: () => {
      for (const stream of streams) stream.close();
    },
  };
}
