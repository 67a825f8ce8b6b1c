// Which task a message goes by: replicas of the release before must not take what they do not know.

import { expect, test } from 'vitest';
import { taskOf } from '../../server/delivery/jobs.ts';
import { alertKinds } from '../../server/domain/alert.ts';
import type { DeliveryKind } from '../../server/domain/delivery.ts';

/** Those that the release before sends, by the tasks `mail` and `push`. */
const known: readonly DeliveryKind[] = [
  'CODE',
  'CODE_SETTLED',
  'EMAIL_CHANGED',
  'NEW_SIGN_IN',
  'TWO_STEP_OFF',
  'TWO_STEP_ON',
  'DEVICE_REMOVED',
  'PASSWORD_CHANGED',
  'CHALLENGE_DENIED',
];

test('what the release before knows goes by the tasks that it takes', () => {
  for (const kind of known) {
    expect([taskOf({ kind, channel: 'EMAIL' }), taskOf({ kind, channel: 'APP' })]).toEqual(['mail', 'push']);
  }
});

test('everything else goes by tasks that it leaves', () => {
  const newer = [...alertKinds, 'PASSWORD_RESET' as const].filter((kind) => !known.includes(kind));
  expect(newer).not.toEqual([]);
  for (const kind of newer) {
    expect([taskOf({ kind, channel: 'EMAIL' }), taskOf({ kind, channel: 'APP' })]).toEqual(['mail_v2', 'push_v2']);
  }
});
