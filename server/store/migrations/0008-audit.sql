-- What internal callers did. No foreign key: a record stays when its account is deleted.

create table audit_record (
  -- A UUIDv7: its time is the call's.
  record_id uuid primary key,
  caller text collate "C" not null,
  rpc text not null,
  account_id text collate "C" not null default '',
  ip_address text not null,
  -- Empty until the call is done.
  outcome text not null default '',
  details jsonb not null default '{}',
  request_id text not null
) with (fillfactor = 90); -- Each row is written twice, mostly within its page.

create index audit_record_account on audit_record (account_id, record_id);
create index audit_record_caller on audit_record (caller, record_id);
