// What an account's owner is told of without having asked. Pure.

export const alertKinds = [
  'NEW_SIGN_IN',
  'UNUSUAL_SIGN_IN',
  'TWO_STEP_OFF',
  'TWO_STEP_ON',
  'DEVICE_REMOVED',
  'PASSWORD_CHANGED',
  'CHALLENGE_DENIED',
  'CODE_NOT_SENT',
] as const;

export type AlertKind = (typeof alertKinds)[number];
