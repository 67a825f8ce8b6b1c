// What happens to a code after it was sent: the e-mail that goes by itself where the app did not bring it, and the end of its
// notifications. Called by jobs, and safe to repeat.

import { challengeState, viewChallenge } from '../domain/challenge.ts';
import { sendOn, surroundingsIn } from './codes.ts';
import { type Deps, decide } from './context.ts';
import type { DeliveryRecord } from './store-ports.ts';

/**
 * Sends the code by e-mail where everything by app has failed and no mail was sent yet. Returns in how many ms it is worth
 * another look; undefined where it is not.
 */
export async function emailWhereAppFailed(
  deps: Deps,
  accountId: string,
  challengeId: string,
): Promise<number | undefined> {
  const now = deps.clock.now();
  return decide(deps, accountId, async (tx) => {
    const [account, challenge] = await Promise.all([tx.account, tx.challenge(challengeId)]);
    const done = { ok: undefined };
    if (account === undefined || challenge === undefined || challengeState(challenge, now) !== 'PENDING') return done;
    if (challenge.sends.EMAIL !== undefined || challenge.sends.APP === undefined) return done;
    const around = await surroundingsIn(tx, challenge, now);
    const { channels } = viewChallenge(challenge, around, deps.limits, now);
    const delivery = channels.find(({ channel }) => channel === 'APP')?.delivery;
    if (delivery === 'FAILED') {
      sendOn(deps, tx, challenge, 'EMAIL', around, now, tx.saveChallenge);
      return done;
    }
    if (delivery === 'SHOWN') return done;
    const sentTime = new Date(challenge.sends.APP.lastTime).getTime();
    return { ok: Math.max(1, sentTime + deps.limits.shownWithinMs - now.getTime()) };
  });
}

/**
 * Takes the notifications of a code away whose challenge is over: a silent push to each device that was sent one. Returns in
 * how many ms it is over, where it is not yet.
 */
export async function withdrawNotifications(
  deps: Deps,
  accountId: string,
  challengeId: string,
): Promise<number | undefined> {
  const now = deps.clock.now();
  return decide(deps, accountId, async (tx) => {
    const [account, challenge, sent] = await Promise.all([
      tx.account,
      tx.challenge(challengeId),
      tx.deliveriesOf(challengeId),
    ]);
    if (account === undefined || challenge === undefined) return { ok: undefined };
    if (challengeState(challenge, now) === 'PENDING') return { ok: challenge.expireTime.getTime() - now.getTime() };
    const withdrawals = devicesToTell(sent).map(({ deviceId, pushService }) => ({
      accountId,
      deliveryId: deps.random.uuid(now),
      kind: 'CODE_SETTLED' as const,
      channel: 'APP' as const,
      pushService,
      deviceId,
      challengeId,
      eventId: null,
      address: null,
      locale: null,
    }));
    tx.send(withdrawals, now);
    return { ok: undefined };
  });
}

/** Those that a code was pushed to since they were last told that it is over. */
function devicesToTell(sent: readonly DeliveryRecord[]): readonly Pick<DeliveryRecord, 'deviceId' | 'pushService'>[] {
  const told = new Map<string, number>();
  const pushed = new Map<string, { readonly device: DeliveryRecord; readonly time: number }>();
  for (const each of sent) {
    const { kind, deviceId, pushService, handoverTime, endTime, createTime } = each;
    if (deviceId === null || pushService === null) continue;
    if (kind === 'CODE_SETTLED') told.set(deviceId, Math.max(told.get(deviceId) ?? 0, createTime.getTime()));
    // One that is on its way, or has just arrived.
    else if (handoverTime !== null) pushed.set(deviceId, { device: each, time: (endTime ?? handoverTime).getTime() });
  }
  return [...pushed].flatMap(([deviceId, { device, time }]) => ((told.get(deviceId) ?? -1) > time ? [] : [device]));
}
