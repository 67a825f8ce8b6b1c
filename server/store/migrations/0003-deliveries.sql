-- Codes by push, notices, and every try of a send, for support.

-- Who waits for a long statement to end holds up every sign-in behind it: better to fail, and to be tried again.
set local lock_timeout = '2s';

alter table delivery
  -- The service and the device of a push; null for what an open app shows, and for mail.
  add column push_service text,
  add column device_id uuid,
  -- What a notice is about.
  add column event_id uuid,
  add column attempts jsonb not null default '[]',
  add column next_attempt_time timestamptz,
  -- Null: the account's own language, when it is sent.
  alter column locale drop not null,
  drop constraint delivery_kind_check,
  -- Looked at row by row in the next migration, without keeping anybody out.
  add constraint delivery_push_service_check check (push_service in ('APNS', 'FCM')) not valid,
  add constraint delivery_kind_check check (kind in (
    'CODE', 'CODE_SETTLED', 'EMAIL_CHANGED', 'NEW_SIGN_IN', 'TWO_STEP_OFF', 'TWO_STEP_ON', 'DEVICE_REMOVED',
    'PASSWORD_CHANGED', 'CHALLENGE_DENIED')) not valid;
