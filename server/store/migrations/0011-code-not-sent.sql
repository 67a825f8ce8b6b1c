-- The notice that somebody had the right password, and that no way was open to send the code by.

-- Who waits for a long statement to end holds up every sign-in behind it: better to fail, and to be tried again.
set local lock_timeout = '2s';

alter table delivery
  drop constraint delivery_kind_check,
  add constraint delivery_kind_check check (kind in (
    'CODE', 'CODE_SETTLED', 'EMAIL_CHANGED', 'NEW_SIGN_IN', 'TWO_STEP_OFF', 'TWO_STEP_ON', 'DEVICE_REMOVED',
    'PASSWORD_CHANGED', 'CHALLENGE_DENIED', 'UNUSUAL_SIGN_IN', 'PASSWORD_RESET', 'CODE_NOT_SENT')) not valid;
