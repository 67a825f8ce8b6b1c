// People who use the app while it is attacked: calls on connections that stay, calls on a new one each, and an open stream.
// None of it may fail.

import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node';
import { type AppClient, type AppClientOptions, createAppClient } from '../../clients/app/client.ts';
import { TrustedDevices } from '../../gen/countersign/v1/trusted_devices_pb.ts';
import { iphone } from '../support/server.ts';
import type { Target } from './target.ts';

export interface Honest {
  readonly client: AppClient;
  /** Calls that were answered as they should be. */
  answered(): number;
  /** What went wrong, each time. */
  failures(): readonly string[];
  /** Ms that each call took, oldest first. */
  readonly latencies: readonly number[];
  /** Waits until each kind of call was answered once more. */
  oneMoreOfEach(): Promise<void>;
  stop(): Promise<void>;
}

/** Between calls of a kind: together they stay below what an address may call a minute. */
const restMs = 60;

type Transport = ReturnType<AppClientOptions['transport']>;

export async function startHonest(target: Pick<Target, 'url' | 'ca' | 'server' | 'mail'>): Promise<Honest> {
  const { url: baseUrl, ca } = target;
  const nodeOptions = ca === undefined ? {} : { ca };
  const appClient = (transport: AppClientOptions['transport']) =>
    createAppClient({ transport, clientVersion: '2.3', platform: 'ios', timeoutMs: 60_000 });
  const grpc = appClient((needs) => createGrpcTransport({ baseUrl, nodeOptions, ...needs }));
  const once = appClient(
    (needs): Transport =>
      createConnectTransport({ baseUrl, httpVersion: '1.1', nodeOptions: { ...nodeOptions, agent: false }, ...needs }),
  );
  const session = await signIn(target, grpc);
  once.useSession(session);

  const failures: string[] = [];
  const latencies: number[] = [];
  const answered = { kept: 0, new: 0 };
  const stopped = new AbortController();
  const keepCalling = async (kind: keyof typeof answered, call: () => Promise<unknown>) => {
    while (!stopped.signal.aborted) {
      const begin = performance.now();
      try {
        await call();
        answered[kind]++;
      } catch (error) {
        failures.push(`${kind}: ${error}`);
      }
      latencies.push(performance.now() - begin);
      await sleep(restMs);
    }
  };
  const watching = async () => {
    const devices = createClient(TrustedDevices, createGrpcTransport({ baseUrl, nodeOptions }));
    const headers = {
      'countersign-client-version': '2.3',
      'countersign-client-platform': 'ios',
      authorization: `Bearer ${session.accessToken}`,
    };
    try {
      for await (const { event } of devices.watchDevice({}, { headers, signal: stopped.signal })) {
        if (event.case === 'signedOut') failures.push('stream: signed out');
      }
      failures.push('stream: it ended');
    } catch (error) {
      if (!stopped.signal.aborted) failures.push(`stream: ${error}`);
    }
  };
  const running = [
    keepCalling('kept', () => grpc.twoStepAuth.getSettings({})),
    keepCalling('new', () => once.trustedDevices.listTrustedDevices({})),
    watching(),
  ];
  return {
    client: grpc,
    answered: () => answered.kept + answered.new,
    failures: () => failures,
    latencies,
    oneMoreOfEach: async () => {
      const before = { ...answered };
      // One that was begun before may be answered before.
      while (failures.length === 0 && (answered.kept < before.kept + 2 || answered.new < before.new + 2))
        await sleep(10);
    },
    stop: async () => {
      stopped.abort();
      await Promise.all(running);
    },
  };
}

async function signIn({ server, mail }: Pick<Target, 'server' | 'mail'>, client: AppClient) {
  const email = 'honest@example.com';
  const password = 'correct horse battery';
  await server.service.accounts.createAccount({ email, password });
  const { result } = await client.twoStepAuth.signIn({ email, password, device: iphone });
  if (result.case !== 'challengeGrant') throw new Error(`no challenge but ${result.case}`);
  const { challengeToken } = result.value;
  const { session } = await client.twoStepAuth.verifyCode({ challengeToken, code: await mail.codeFor(email) });
  if (session === undefined) throw new Error('no session');
  client.useSession(session);
  return session;
}
