-- Says whether the server has a batch, and writes, so that a WAIT behind it waits for the batch.
--
-- Replication is one line: when a replica has what is written here, it has all that was before.
--
-- KEYS  1 the writer's last batch (see publish.lua)
-- ARGV  1 the batch's number   2 how long the writer's last batch is remembered, ms
-- Returns  1 if the batch or a later one of the writer was published here, else 0

local last = string.match(redis.call('MGET', KEYS[1])[1] or '', '^(%d+) ')
if tonumber(last or '-1') < tonumber(ARGV[1]) then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
