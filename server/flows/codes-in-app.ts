// Codes on trusted devices: which they may show, the stream that brings them, and "it wasn't me".

import type { Advice } from '../domain/advice.ts';
import {
  type Challenge,
  type ChallengeView,
  challengeState,
  mayShowCode,
  type Surroundings,
  viewChallenge,
} from '../domain/challenge.ts';
import type { DeviceDescription, Origin } from '../domain/device.ts';
import { surroundingsIn } from './codes.ts';
import { type Deps, decideFor, eventOf, refuse, type SignedInCaller } from './context.ts';
import type { LiveEvent, OpenStream } from './ports.ts';
import { endTrust } from './trusted-devices.ts';

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
      tx.markShown(challenge.challengeId, now);
      const challengeView = viewForDevice(deps, challenge, await surroundingsIn(tx, challenge, now), now);
      codes.push({ challenge: challengeView, code: deps.codes.derive(challenge, 'APP') });
    }
    return { ok: codes };
  });
}

/**
 * "It wasn't me", by a trusted device. The challenge closes, and its network waits an hour; of one that was verified the
 * session and its device's trust end, and the account needs a new password.
 */
export async function denyChallenge(
  deps: Deps,
  challengeId: string,
  caller: SignedInCaller,
): Promise<readonly Advice[]> {
  const now = deps.clock.now();
  return decideFor(deps, caller, async (tx, account) => {
    const challenge = await tx.challenge(challengeId);
    if (challenge === undefined) return refuse({ reason: 'CHALLENGE_UNKNOWN' });
    const wasVerified = challenge.state === 'VERIFIED';
    const advice = adviceAfterDenial(challenge);
    if (challenge.denyTime !== null) return { ok: advice };

    const isOpen = challengeState(challenge, now) === 'PENDING';
    const closed = isOpen ? ({ state: 'CLOSED', settleTime: now } as const) : {};
    tx.saveChallenge({ ...challenge, ...closed, denyTime: now });
    tx.appendEvent(
      // Of who asked, not of who denied.
      eventOf(deps, account.accountId, 'CHALLENGE_DENIED', now, {
        device: challenge.device,
        challengeId,
        origin: challenge.origin,
      }),
    );
    if (wasVerified) {
      tx.saveAccount({ ...account, passwordChangeRequired: true });
      tx.closeChallenges(now);
      const session = challenge.sessionId === null ? undefined : await tx.session(challenge.sessionId);
      const intruder = session && (await tx.device(session.deviceId));
      if (intruder !== undefined) {
        endTrust(tx, intruder, now);
        tx.appendEvent(
          eventOf(deps, account.accountId, 'DEVICE_REMOVED', now, {
            device: challenge.device,
            deviceId: intruder.deviceId,
          }),
        );
      }
    }
    return { ok: advice };
  });
}

/** Somebody knows the password; who got in may have read the code in the mailbox, and may have left a device. */
function adviceAfterDenial(challenge: Challenge): readonly Advice[] {
  if (challenge.state !== 'VERIFIED') return ['CHANGE_PASSWORD', 'CHANGE_PASSWORD_ELSEWHERE'];
  const readMail = challenge.sends.EMAIL !== undefined;
  return [
    'CHANGE_PASSWORD',
    'CHANGE_PASSWORD_ELSEWHERE',
    'REVIEW_TRUSTED_DEVICES',
    ...(readMail ? (['CHECK_MAILBOX'] as const) : []),
  ];
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
        await deps.store.markShown(accountId, event.challenge.challengeId, deps.clock.now()).catch(() => {});
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
