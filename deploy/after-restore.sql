-- For a database that was put back to an earlier moment, before a server starts on it. What was ended since that moment (sessions,
-- trust in devices, challenges, links) is alive again in it, and nothing in it tells which: so all of that ends. Accounts,
-- settings and the login activity stay as they are. As the owner of the tables, in one transaction.

-- Everybody has to sign in again. WatchRevocations tells of each session, by the trigger on this table.
update session set end_time = now(), end_cause = 'REVOKED' where end_time is null;

-- And with a code: a device that was removed since must not skip it. Where COUNTERSIGN_EMAIL_CODES is first_device or off nobody gets in
-- then: docs/operating.md says what to do.
update device set trust_end_time = now() where trust_time is not null and trust_end_time is null;

-- A phone that was signed out since must get no pushes. Apps register at every start.
delete from push_registration;

-- Codes of before, and tries that were counted since.
update challenge set state = 'CLOSED', settle_time = now() where state = 'PENDING';

-- A link that set a new password since works once, and has worked.
update account set password_version = password_version + 1;
