// Codes on trusted devices: which they may show, and the stream that brings them.

import {
  type Challenge,
  type ChallengeView,
  mayShowCode,
  type Surroundings,
  viewChallenge,
} from '../domain/challenge.ts';
import type { DeviceDescription, Origin } from '../domain/device.ts';
import { surroundingsIn } from './codes.ts';
import { type Deps, decideFor, refuse, type SignedInCaller } from './context.ts';
import type { LiveEvent, OpenStream } from './ports.ts';

/** A challenge as a trusted device sees it: with who asks. */
export interface DeviceChallengeView extends ChallengeView {
  readonly requester: { readonly device: DeviceDescription; readonly origin: Origin };
}

export interface PendingCode {
  readonly challenge: DeviceChallengeView;
  readonly code: string;
}

/** What a trusted device shows when it is opened; it counts as shown. */
export async function listPendingCodes(deps: Deps, caller: SignedInCaller): Promise<readonly PendingCode[]> {
  const now = deps.clock.now();
  const { deviceId } = caller.device;
  // Under the lock: a code that is settled at this moment is not shown any more.
  return decideFor(deps, caller, async (tx) => {
    const codes: PendingCode[] = [];
    for (const challenge of await tx.challengesInApp(now)) {
      if (!mayShowCode(challenge, deviceId, now)) continue;
      tx.markShown(challenge.challengeId, deviceId, now);
      const challengeView = viewForDevice(deps, challenge, await surroundingsIn(tx, challenge, now), now);
      codes.push({ challenge: challengeView, code: deps.codes.derive(challenge, 'APP') });
    }
    return { ok: codes };
  });
}

/** What a device hears while it is open. Ends with `signedOut` or `ended`; the last word on both is the caller's. */
export async function* watchDevice(
  deps: Deps,
  caller: SignedInCaller,
  connection: { readonly signal: AbortSignal; readonly cut: () => void },
): AsyncGenerator<LiveEvent, void, undefined> {
  const { accountId, sessionId } = caller.session;
  const stream: OpenStream = {
    streamId: deps.random.uuid(deps.clock.now()),
    sessionId,
    deviceId: caller.device.deviceId,
  };
  if (connection.signal.aborted) return;
  // Attached before it is noted: what happens in between is told.
  const feed = deps.live.attach(accountId, stream, connection.cut);
  connection.signal.addEventListener('abort', feed.close);
  try {
    await decideFor(deps, caller, async (tx) => {
      const others = await tx.insertStream(stream);
      const own = others.filter((other) => other.deviceId === stream.deviceId);
      for (const { streamId } of own.slice(0, own.length - (streamsPerDevice - 1))) tx.deleteStream(streamId);
      return others.length < streamsPerAccount
        ? { ok: undefined }
        : refuse({ reason: 'RATE_LIMITED', retryAfterMs: 60_000 });
    });
    feed.open();
    for (;;) {
      const event = await feed.next();
      if (event === undefined) return;
      yield event;
      // Whoever takes the next event has written this one.
      if (event.kind === 'codeArrived') {
        // What is not noted now is noted when the device asks for its codes; the stream need not break for it.
        const { challengeId } = event.challenge;
        await deps.store.markShown(accountId, challengeId, stream.deviceId, deps.clock.now()).catch(() => {});
      }
      if (event.kind === 'signedOut' || event.kind === 'ended') return;
    }
  } finally {
    feed.close();
    // A stream that seems open would be sent codes that nobody sees.
    await deps.store.deleteStream(accountId, stream.streamId).catch(() => deps.live.forget(accountId, stream.streamId));
  }
}

const streamsPerDevice = 2;
const streamsPerAccount = 50;

export function viewForDevice(deps: Deps, challenge: Challenge, around: Surroundings, now: Date): DeviceChallengeView {
  const { device, origin } = challenge;
  return { ...viewChallenge(challenge, around, deps.limits, now), requester: { device, origin } };
}
