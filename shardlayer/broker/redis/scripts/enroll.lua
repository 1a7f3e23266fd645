-- Tells another node to add one of its channels to a group, or to discard it from the group.
--
-- KEYS  1 alive   2 nodes
-- ARGV  1 node    2 inbox prefix   3 what to tell it (a packed batch)   4 1 to add, 0 to discard
-- Returns  1 if the node is alive, 0 if it is not: its channels are gone with it
--
-- The node registers itself for the group when it reads this. It is registered here already, so
-- that what is published next finds it and arrives behind this on the same pub/sub channel.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends or tonumber(ends) <= now then
  return 0
end
if ARGV[4] == '1' then
  redis.call('HSETNX', KEYS[2], ARGV[1], '1')
end
redis.call('SPUBLISH', ARGV[2] .. ARGV[1], ARGV[3])
return 1
