// IntrospectSession, what an internal service asks with every call of its own: with tokens that were seen before, and with
// tokens that are seen once.

import { accessTokens, type SignedInDevice } from '../accounts.ts';
import { type Contestant, contest, median } from '../contest.ts';
import type { Server } from '../contestants.ts';
import type { GrpcClient } from '../load.ts';
import { introspectFrame, paths, requireFirstField, serviceHeaders } from '../requests.ts';
import { atLeast, type Scenario, standingsTable } from '../scenario.ts';

/** More than are introspected in a slice. */
const newTokensASecond = 4_000;

export const introspect: Scenario = {
  name: 'introspect',
  title: 'IntrospectSession, 32 at once',
  async run({ contestants, options }) {
    const devices = await contestants.floorDevices();
    const [product, control] = [await contestants.product(), await contestants.control()];
    const [http2, grpcJs, connect] = [
      await contestants.floor('http2'),
      await contestants.floor('grpc-js'),
      await contestants.floor('connect'),
    ];
    const peer = await contestants.peer();
    const frames = devices.map(({ accessToken }) => introspectFrame(accessToken));
    const ask = (name: string, { cpuMs }: Server, client: GrpcClient): Contestant => ({
      name,
      cpuMs,
      call: caller(client, frames),
    });
    const standings = await contest(
      [
        ask('Countersign', product, product.internal),
        ask('Countersign again (control)', control, control.internal),
        ask('grpc-js, SELECT', grpcJs, grpcJs.internal),
        onceEach('Countersign, tokens never seen', product, devices),
        ask('Connect, SELECT', connect, connect.internal),
        ask('bare http2, SELECT', http2, http2.internal),
        ask('Connect, empty', connect, connect.public),
        ask('grpc-js, empty', grpcJs, grpcJs.public),
        ask('bare http2, empty', http2, http2.public),
        ...(peer === undefined
          ? []
          : [{ name: 'better-auth, get-session', cpuMs: peer.cpuMs, call: () => peer.sessionCheck() }]),
      ],
      { ...options, workers: 32 },
    );
    await contestants.stopControl();
    const [first, second] = standings;
    const noise = (first?.rates ?? []).map((rate, round) => rate / (second?.rates[round] ?? rate));
    const range = `${Math.min(...noise).toFixed(2)} to ${Math.max(...noise).toFixed(2)}`;
    return {
      tables: [standingsTable(introspect.title, standings)],
      targets: atLeast(0.8, standings, 'Countersign', 'grpc-js, SELECT'),
      notes: [
        `The noise: the same program twice, one / other: ${range} a round, median ${median(noise).toFixed(2)}.`,
        'SELECT is one look-up of the session by its primary key, as a named prepared statement, by a pool of the same size.',
      ],
    };
  },
};

const requireActive = requireFirstField(1, 0);

/** Calls with the frames in turn. */
export function caller(client: GrpcClient, frames: readonly Buffer[]): () => Promise<void> {
  let turn = 0;
  return () => {
    turn += 1;
    const frame = frames[turn % frames.length] ?? Buffer.alloc(0);
    return client.call(paths.introspect, serviceHeaders, frame).then(requireActive);
  };
}

/** Each token once: of the same sessions, and good for as many seconds longer as there were batches before. */
function onceEach(name: string, { internal, cpuMs }: Server, devices: readonly SignedInDevice[]): Contestant {
  const tokens = accessTokens();
  let batch = 0;
  let frames: Buffer[] = [];
  return {
    name,
    cpuMs,
    prepare: async (ms) => {
      frames = [];
      while (frames.length < (newTokensASecond * ms) / 1_000) {
        batch += 1;
        const signed = await Promise.all(devices.map((device) => tokens.sign(device, batch)));
        frames.push(...signed.map(introspectFrame));
      }
    },
    call: () => {
      const frame = frames.pop();
      return frame && internal.call(paths.introspect, serviceHeaders, frame).then(requireActive);
    },
  };
}
