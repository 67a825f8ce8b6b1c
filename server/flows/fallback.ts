// What happens to a code after it was sent: the e-mail that goes by itself where the app did not bring it, and the end of its
// notifications. Called by jobs, and safe to repeat.

import { appSends, challengeState, viewChallenge } from '../domain/challenge.ts';
import { sendOn, surroundingsIn } from './codes.ts';
import { type Deps, decide } from './context.ts';
import type { Delivery } from './ports.ts';

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

/** Takes the notifications of a code away whose challenge is over: a silent push to each device that was sent one. */
export async function withdrawNotifications(deps: Deps, accountId: string, challengeId: string): Promise<void> {
  const now = deps.clock.now();
  await decide(deps, accountId, async (tx) => {
    const [account, challenge, sent] = await Promise.all([
      tx.account,
      tx.challenge(challengeId),
      tx.deliveriesOf(challengeId),
    ]);
    if (account === undefined || challenge === undefined || appSends(challenge) === 0) return { ok: undefined };
    const over = challengeState(challenge, now) !== 'PENDING';
    const withdrawn = new Set(sent.flatMap(({ kind, deviceId }) => (kind === 'CODE_SETTLED' ? [deviceId] : [])));
    const withdrawals = new Map<string, Delivery>();
    for (const { kind, pushService, deviceId, handoverTime } of sent) {
      if (kind !== 'CODE' || pushService === null || deviceId === null || handoverTime === null) continue;
      if (!over || withdrawn.has(deviceId)) continue;
      withdrawals.set(deviceId, {
        accountId,
        deliveryId: deps.random.uuid(now),
        kind: 'CODE_SETTLED',
        channel: 'APP',
        pushService,
        deviceId,
        challengeId,
        eventId: null,
        address: null,
        locale: null,
      });
    }
    tx.send([...withdrawals.values()], now);
    return { ok: undefined };
  });
}
