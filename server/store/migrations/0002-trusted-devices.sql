-- Codes in the app: who asked, what was denied, where notifications go, which streams are open where.

alter table challenge
  -- The device that asked, where the account knew it already: it is never shown the code.
  add column device_id uuid,
  -- The /24 or /48 that asked.
  add column network text not null default 'unknown',
  add column deny_time timestamptz;

create table push_registration (
  account_id text collate "C" not null,
  device_id uuid not null,
  service text not null check (service in ('APNS', 'FCM')),
  token text not null,
  -- One owner a token, over all accounts.
  token_hash bytea not null unique,
  topic text,
  environment text check (environment in ('PRODUCTION', 'SANDBOX')),
  update_time timestamptz not null,
  primary key (account_id, device_id),
  foreign key (account_id, device_id) references device on delete cascade
);

-- A replica says every few seconds that it lives; what a dead one left behind does not count.
create table replica (
  replica_id uuid primary key,
  alive_until timestamptz not null
);

create table open_stream (
  account_id text collate "C" not null references account on delete cascade,
  stream_id uuid not null,
  session_id uuid not null,
  device_id uuid not null,
  replica_id uuid not null references replica on delete cascade,
  primary key (account_id, stream_id)
);

create index open_stream_replica on open_stream (replica_id);

-- For trust that lapses unused.
create index device_lapse on device (last_use_time) where trust_time is not null and trust_end_time is null;
