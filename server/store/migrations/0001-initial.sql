-- What Countersign keeps. Forward only: a landed migration is never edited.

create table account (
  account_id text collate "C" primary key check (octet_length(account_id) between 1 and 128),
  create_time timestamptz not null,
  two_step_enabled boolean not null,
  password_change_required boolean not null,
  password_version integer not null,
  wrong_codes integer not null check (wrong_codes >= 0),
  last_wrong_code_time timestamptz
) with (fillfactor = 80);

create table directory_account (
  account_id text collate "C" primary key references account on delete cascade,
  email text not null,
  normalised_email text collate "C" not null unique,
  password_hash text not null,
  locale text not null,
  create_time timestamptz not null,
  update_time timestamptz not null
);

create table device (
  account_id text collate "C" not null references account on delete cascade,
  device_id uuid not null,
  display_name text not null,
  model text not null,
  platform text not null check (platform in ('IOS', 'ANDROID', 'WEB')),
  os_version text not null,
  app_version text not null,
  token_hash bytea,
  trust_time timestamptz,
  trust_end_time timestamptz,
  create_time timestamptz not null,
  last_use_time timestamptz not null,
  last_ip_address text not null,
  last_place jsonb,
  primary key (account_id, device_id)
) with (fillfactor = 80);

create unique index device_token on device (account_id, token_hash) where token_hash is not null;

create table session (
  account_id text collate "C" not null references account on delete cascade,
  session_id uuid not null,
  device_id uuid not null,
  amr jsonb not null,
  create_time timestamptz not null,
  last_use_time timestamptz not null,
  end_time timestamptz,
  end_cause text check (end_cause in
    ('EXPIRED', 'SIGNED_OUT', 'DEVICE_REMOVED', 'PASSWORD_CHANGED', 'TOKEN_REUSED', 'REVOKED', 'REPLACED')),
  generation integer not null,
  oldest_generation integer not null,
  family_hash bytea not null,
  refresh_hash bytea not null,
  spent_hash bytea,
  spent_time timestamptz,
  first_use_time timestamptz,
  primary key (account_id, session_id),
  foreign key (account_id, device_id) references device on delete cascade,
  check ((end_time is null) = (end_cause is null))
) with (fillfactor = 80);

create unique index session_family on session (account_id, family_hash);

-- A device has at most one live session.
create unique index session_live on session (account_id, device_id) where end_time is null;

create table challenge (
  account_id text collate "C" not null references account on delete cascade,
  challenge_id uuid not null,
  purpose text not null check (purpose in ('SIGN_IN', 'SWITCH_OFF')),
  state text not null check (state in ('PENDING', 'VERIFIED', 'CLOSED')),
  token_hash bytea not null,
  request_id uuid,
  code_key_id text not null,
  session_id uuid,
  default_channel text not null check (default_channel in ('APP', 'EMAIL')),
  locale text not null,
  device jsonb not null,
  origin jsonb not null,
  masked_email text not null,
  create_time timestamptz not null,
  expire_time timestamptz not null,
  settle_time timestamptz,
  wrong_codes integer not null check (wrong_codes >= 0),
  sends jsonb not null,
  primary key (account_id, challenge_id)
) with (fillfactor = 80);

create unique index challenge_token on challenge (account_id, token_hash);

create table delivery (
  account_id text collate "C" not null references account on delete cascade,
  delivery_id uuid not null,
  kind text not null check (kind in ('CODE', 'EMAIL_CHANGED')),
  channel text not null check (channel in ('APP', 'EMAIL')),
  challenge_id uuid,
  address text,
  locale text not null,
  state text not null check (state in ('QUEUED', 'ACCEPTED', 'SHOWN', 'FAILED')),
  create_time timestamptz not null,
  handover_time timestamptz,
  end_time timestamptz,
  answer text,
  primary key (account_id, delivery_id)
) with (fillfactor = 80);

create index delivery_challenge on delivery (account_id, challenge_id) where challenge_id is not null;

-- One partition a month by the time in the UUIDv7; maintenance makes them ahead and drops them after the retention.
create table login_event (
  account_id text collate "C" not null,
  event_id uuid not null,
  kind text not null,
  device jsonb,
  device_id uuid,
  session_id uuid,
  challenge_id uuid,
  channel text,
  origin jsonb not null,
  unusual jsonb not null,
  reported boolean not null,
  primary key (account_id, event_id)
) partition by range (event_id);

-- The guesses of the last hour at the password behind an address, known or not; the address only as its SHA-256.
create table password_guesses (
  email_hash bytea primary key,
  guesses jsonb not null,
  update_time timestamptz not null
) with (fillfactor = 70);

create index password_guesses_age on password_guesses (update_time);
