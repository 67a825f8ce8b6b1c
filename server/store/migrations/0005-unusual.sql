-- What is odd about a sign-in: what it is judged by, why it was odd, and the messages of it and of a forgotten password.

-- Who waits for a long statement to end holds up every sign-in behind it: better to fail, and to be tried again.
set local lock_timeout = '2s';

alter table account add column countries jsonb;

alter table device add column signed_in_from jsonb;

alter table login_event add column unusual_details jsonb;

alter table delivery
  drop constraint delivery_kind_check,
  add constraint delivery_kind_check check (kind in (
    'CODE', 'CODE_SETTLED', 'EMAIL_CHANGED', 'NEW_SIGN_IN', 'TWO_STEP_OFF', 'TWO_STEP_ON', 'DEVICE_REMOVED',
    'PASSWORD_CHANGED', 'CHALLENGE_DENIED', 'UNUSUAL_SIGN_IN', 'PASSWORD_RESET')) not valid;
