// What a job is told, and what the outbox needs of the store. Names only: never a code or an address.

import type { Challenge, Delivery as DeliveryState } from '../domain/challenge.ts';
import type { Delivery } from '../flows/ports.ts';

/** The identifier of the job that sends a delivery. */
export const deliverTask = 'deliver';

export interface DeliverPayload {
  readonly accountId: string;
  readonly deliveryId: string;
}

/** A delivery with the challenge that it is for. */
export interface QueuedDelivery {
  readonly delivery: Delivery & { readonly state: Exclude<DeliveryState, 'NOT_SENT'>; readonly createTime: Date };
  readonly challenge: Challenge | undefined;
}

/** What the outbox reads and writes of a delivery. */
export interface DeliveryLog {
  find(accountId: string, deliveryId: string): Promise<QueuedDelivery | undefined>;
  /** Notes that it is being handed over, before it is. */
  handOver(accountId: string, deliveryId: string, now: Date): Promise<void>;
  /** Notes what the provider answered, in its own words. Where that is final, a foreign address is forgotten. */
  note(
    accountId: string,
    deliveryId: string,
    state: Exclude<DeliveryState, 'NOT_SENT'>,
    answer: string,
    now: Date,
  ): Promise<void>;
}
