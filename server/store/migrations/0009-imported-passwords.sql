-- Hashes of passwords that another system made.

-- Who waits for a long statement to end holds up every sign-in behind it: better to fail, and to be tried again.
set local lock_timeout = '2s';

-- Ours are made of a password's NFKC, theirs of what was typed.
alter table directory_account add column password_as_typed boolean not null default false;
