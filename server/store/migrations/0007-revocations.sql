-- What ends before its time, for services that check access tokens by themselves: told by WatchRevocations, and forgotten soon.

-- Who waits for a long statement to end holds up every sign-in behind it: better to fail, and to be tried again.
set local lock_timeout = '2s';

-- Without a foreign key: what a deleted account had is still to be told.
create table revocation (
  account_id text collate "C" not null,
  session_id uuid not null,
  device_id uuid not null,
  cause text not null,
  -- By the one clock that all replicas share, like the window that is read.
  revoke_time timestamptz not null default clock_timestamp(),
  -- Commits come in another order than numbers and times: only with this can a reader tell what it has not seen.
  transaction_id xid8 not null default pg_current_xact_id(),
  primary key (account_id, session_id)
);

create index revocation_transaction on revocation (transaction_id);

-- As its window is read: a page begins where the one before it ended.
create index revocation_age on revocation (revoke_time, session_id);

-- A trigger sees every way in which a session ends, also by statements of the release before.
create function note_revocation() returns trigger language plpgsql as $$
begin
  insert into revocation (account_id, session_id, device_id, cause)
  values (old.account_id, old.session_id, old.device_id, coalesce(new.end_cause, 'UNKNOWN'))
  on conflict (account_id, session_id) do update
  set cause = excluded.cause, revoke_time = excluded.revoke_time, transaction_id = excluded.transaction_id;
  return null;
end
$$;

create trigger session_ended after update of end_time on session
for each row when (old.end_time is null and new.end_time is not null)
execute function note_revocation();

-- With its account. What maintenance deletes has expired, and so was nobody's any more; also the release before calls itself so.
create trigger session_deleted after delete on session
for each row when (old.end_time is null and current_setting('application_name') <> 'countersign-maintenance')
execute function note_revocation();
