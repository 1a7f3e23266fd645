-- Says in which channels' queues messages wait, and that a node still waits for the other ones'.
--
-- KEYS  for each channel: queue, waiting
-- ARGV  1 the node   2 how long it is remembered that it waits, ms
-- Returns  for each channel: how many messages are in its queue

local clock = redis.call('TIME')
local since = string.format('%.0f', clock[1] * 1000000 + clock[2])

local lengths = {}
for i = 1, #KEYS, 2 do
  local length = redis.call('LLEN', KEYS[i])
  if length == 0 then
    redis.call('ZADD', KEYS[i + 1], 'NX', since, ARGV[1])
    redis.call('PEXPIRE', KEYS[i + 1], ARGV[2])
  end
  lengths[#lengths + 1] = length
end
return lengths
