-- Calls of the current minute by address and by account, where the server counts them and Redis does not. Unlogged: a crash may
-- forget a minute, and no call waits for the disk. Its columns are those that rate-limiter-flexible knows.

create unlogged table call_count (
  key text collate "C" primary key,
  points integer not null,
  -- Unix time in ms, by a replica's clock.
  expire bigint not null
) with (fillfactor = 50); -- A row is written many times, mostly within its page.
