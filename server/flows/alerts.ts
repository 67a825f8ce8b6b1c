// What the owner is told of without having asked: by e-mail, and on the other trusted devices.

import type { AlertKind } from '../domain/alert.ts';
import type { AppDevice } from '../domain/challenge.ts';
import type { PushService } from '../domain/delivery.ts';
import type { LoginEvent } from '../domain/login-event.ts';
import type { Deps } from './context.ts';
import type { AccountTransaction, Delivery } from './store-ports.ts';

/** Appends the event and tells of it: the account's address, and each of `devices` that takes pushes but `actingDeviceId`. */
export function appendAndAlert(
  deps: Deps,
  tx: AccountTransaction,
  kind: AlertKind,
  event: LoginEvent,
  devices: readonly AppDevice[],
  actingDeviceId: string | null,
  now: Date,
): void {
  tx.appendEvent(event);
  const one = (pushService: PushService | null, deviceId: string | null): Delivery => ({
    accountId: event.accountId,
    deliveryId: deps.random.uuid(now),
    kind,
    channel: pushService === null ? 'EMAIL' : 'APP',
    pushService,
    deviceId,
    challengeId: null,
    eventId: event.eventId,
    address: null,
    locale: null,
  });
  const others = devices.filter(({ deviceId }) => deviceId !== actingDeviceId);
  const pushes = others.flatMap(({ push, deviceId }) => (push === null ? [] : [one(push, deviceId)]));
  tx.send([one(null, null), ...pushes], now);
}
