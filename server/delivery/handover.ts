// What a provider answered to one attempt, as a value in its own words. This file knows no provider.

/** What became of handing one message to APNs, FCM or a mail server. `answer` is what the provider said. */
export type Handover =
  | { readonly kind: 'accepted'; readonly answer: string }
  /** The push token is no longer valid; `since` where the provider says since when (APNs does). */
  | { readonly kind: 'unregistered'; readonly answer: string; readonly since?: Date }
  /** Worth another try; `afterMs` milliseconds from now where the provider says how long to wait (Retry-After). */
  | { readonly kind: 'retry'; readonly answer: string; readonly afterMs?: number }
  /** Final: another try would be answered the same. */
  | { readonly kind: 'refused'; readonly answer: string }
  /** Nobody answered, or the connection broke before an answer; it may have been taken. */
  | { readonly kind: 'unreachable'; readonly answer: string };
